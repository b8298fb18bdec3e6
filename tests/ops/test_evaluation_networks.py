"""Laws of the measures that look with networks: they agree with the programs they come from, on networks of the true
layout with random weights."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ex4d_ops import files
from ex4d_ops.evaluation import networks
from ex4d_ops.evaluation.distances import frechet_distance, kernel_distance
from ex4d_ops.evaluation.networks import NETWORKS, Sight, cut_piece, file_of, show_piece
from ex4d_ops.evaluation.seen import frame_figures
from ex4d_ops.evaluation.weights import ALEXNET, CLIP, EVALUATORS, I3D, INCEPTION, VIDEOMAE

CPU = torch.device("cpu")
WIDE, TALL = (40, 72), (72, 40)


def video(frames: int, size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """Frames as they come from files: whole levels of 255."""
    small = torch.rand(frames, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    large = torch.nn.functional.interpolate(small, size, mode="bilinear")
    return (255 * large).round().movedim(1, -1) / 255


def features(count: int, numbers: int, seed: int) -> torch.Tensor:
    return torch.rand(count, numbers, generator=torch.Generator().manual_seed(seed)) ** (1 + 0.2 * seed)


def sight(**given) -> Sight:
    return Sight(Path("video"), 16, WIDE, **given)


# ---- distances ----------------------------------------------------------------------------------


@pytest.mark.parametrize("first, second, numbers", [(90, 70, 32), (50, 50, 32), (20, 30, 64), (2, 2, 16)])
def test_fid_is_that_of_torchmetrics(first, second, numbers):
    torchmetrics = pytest.importorskip("torchmetrics.image.fid", reason="torchmetrics isn't installed")
    x, y = features(first, numbers, 0).double(), features(second, numbers, 1).double()

    class Features(torch.nn.Identity):
        num_features = numbers

    metric = torchmetrics.FrechetInceptionDistance(Features(), normalize=True).set_dtype(torch.float64)
    metric.update(x, True)
    metric.update(y, False)
    assert frechet_distance(x, y) == pytest.approx(float(metric.compute()), abs=1e-4)


@pytest.mark.parametrize("first, second, numbers", [(90, 70, 32), (20, 30, 64)])
def test_fid_and_kid_are_those_of_torch_fidelity(first, second, numbers):
    fid = pytest.importorskip("torch_fidelity.metric_fid", reason="torch-fidelity isn't installed")
    from torch_fidelity.metric_kid import kernel_mmd

    x, y = features(first, numbers, 0).double(), features(second, numbers, 1).double()
    known = fid.fid_statistics_to_metric(*map(fid.fid_features_to_statistics, (x, y)), False)
    assert frechet_distance(x, y) == pytest.approx(known["frechet_inception_distance"], abs=1e-4)
    x, y = x[:20], y[:20]
    assert kernel_distance(x, y) == pytest.approx(kernel_mmd(
        x.numpy(), y.numpy(), kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1), abs=1e-6)


def test_kid_is_that_of_torchmetrics_and_what_random_subsets_tend_to():
    kid = pytest.importorskip("torchmetrics.image.kid", reason="torchmetrics isn't installed")
    x, y = features(60, 8, 0).double(), features(50, 8, 1).double()
    assert kernel_distance(x[:50], y) == pytest.approx(float(kid.poly_mmd(x[:50], y)), abs=1e-6)
    draw = torch.Generator().manual_seed(0)
    drawn = torch.stack([kid.poly_mmd(*(each[torch.randperm(len(each), generator=draw)[:20]] for each in (x, y)))
                         for _ in range(3000)])
    assert kernel_distance(x, y) == pytest.approx(float(drawn.mean()), abs=4 * float(drawn.std()) / 3000**0.5)


@pytest.mark.parametrize("first, second", [(40, 50), (20, 9)])
def test_fvd_is_that_of_cd_fvd(first, second):
    cdfvd = pytest.importorskip("cdfvd.utils.metric_utils", reason="cd-fvd isn't installed")
    from scipy.linalg import sqrtm

    x, y = features(first, 24, 0), features(second, 24, 1)
    stats = [cdfvd.FeatureStats(capture_mean_cov=True) for _ in range(2)]
    for each, given in zip(stats, (x, y)):
        each.append(given.numpy())
    (mean, spread), (other, apart) = (each.get_mean_cov() for each in stats)
    known = ((mean - other) ** 2).sum() + (spread + apart - 2 * sqrtm(spread @ apart)).trace().real
    assert frechet_distance(x, y, lost=0) == pytest.approx(known, abs=1e-4)


@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("first, second", [(50, 40), (5, 6)])
def test_every_distance_is_nothing_to_itself_and_the_same_both_ways(first, second, lost):
    x, y = features(first, 16, 0), features(second, 16, 1)
    assert 0 <= frechet_distance(x, x, lost) < 1e-9
    assert frechet_distance(x, y, lost) == pytest.approx(frechet_distance(y, x, lost)) and \
        frechet_distance(x, y, lost) > 0
    assert kernel_distance(x, y) == pytest.approx(kernel_distance(y, x))


# ---- networks -----------------------------------------------------------------------------------


def keep(name: str, weights: dict, folder: Path) -> Path:
    path = file_of(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(weights, path)
    return path


def test_inception_is_shown_bytes_a_few_frames_at_a_time(tmp_path, monkeypatch):
    """With a stand-in, for torch-fidelity brings a package called tests, which would hide this one."""
    asked = []

    def look(shown):
        asked.append(shown)
        return shown.float().mean((2, 3)), None

    stand_in = SimpleNamespace(
        FeatureExtractorInceptionV3=lambda name, layers, feature_extractor_weights_path: Looking(look))
    monkeypatch.setitem(sys.modules, "torch_fidelity", SimpleNamespace(feature_extractor_inceptionv3=stand_in))
    monkeypatch.setitem(sys.modules, "torch_fidelity.feature_extractor_inceptionv3", stand_in)
    keep(INCEPTION, {"fc.bias": torch.zeros(1)}, tmp_path)
    frames = video(networks.BATCH + 1, WIDE)
    seen = NETWORKS[INCEPTION].load(tmp_path, CPU)(frames, sight())["frames"]
    assert [tuple(each.shape) for each in asked] == [(networks.BATCH, 3, *WIDE), (1, 3, *WIDE)]
    assert all(each.dtype == torch.uint8 for each in asked)
    assert abs(seen - 255 * frames.mean((1, 2)).numpy()).max() < 1e-3


class Looking(torch.nn.Module):
    """A network that is a function."""

    def __init__(self, look):
        super().__init__()
        self.look = look

    def forward(self, shown):
        return self.look(shown)


def test_inception_is_shown_frames_as_torch_fidelity_shows_files(tmp_path, monkeypatch):
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3",
                                 reason="torch-fidelity isn't installed")
    kind = module.FeatureExtractorInceptionV3
    path = keep(INCEPTION, {"fc.bias": torch.zeros(1)}, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(kind, "load_state_dict", lambda self, weights: None)
        known = kind("random", ["2048"], feature_extractor_weights_path=str(path))
    keep(INCEPTION, known.state_dict(), tmp_path)
    frames = video(2, WIDE)
    seen = NETWORKS[INCEPTION].load(tmp_path, CPU)(frames, sight())["frames"]
    bytes_ = (255 * frames).round().byte().movedim(-1, 1)
    assert seen.shape == (2, 2048) and abs(seen - known(bytes_)[0].numpy()).max() < 1e-4


@pytest.mark.parametrize("size", [WIDE, TALL, (300, 280)])
def test_pieces_are_cut_and_shown_as_cd_fvd_does(size):
    i3d = pytest.importorskip("cdfvd.third_party.i3d.utils", reason="cd-fvd isn't installed")
    from cdfvd.third_party.VideoMAEv2.utils import preprocess_videomae
    from cdfvd.utils.data_utils import preprocess

    frames = video(16, size)
    read = preprocess((255 * frames).round().byte(), 256, 16)["video"]  # [3, T, H, W]
    known = (read.movedim(0, -1) * 255).byte().numpy()[None]  # as cd-fvd hands it to its networks
    piece = cut_piece(frames)
    assert (piece.movedim(1, -1).numpy() == known[0]).all()
    assert (2 * show_piece(piece, 255.0) / 255 - 1 - i3d.preprocess_i3d(known)).abs().max() < 1e-5
    assert (show_piece(piece, 1.0) - preprocess_videomae(known)).abs().max() < 1e-5


def test_i3d_tells_of_every_whole_piece_what_it_tells_cd_fvd(tmp_path):
    module = pytest.importorskip("cdfvd.third_party.i3d.pytorch_i3d", reason="cd-fvd isn't installed")
    from cdfvd.third_party.i3d.utils import preprocess_i3d

    known = module.InceptionI3d(400, in_channels=3).eval()
    keep(I3D, known.state_dict(), tmp_path)
    frames = video(17, WIDE)
    with torch.no_grad():
        seen = NETWORKS[I3D].load(tmp_path, CPU)(frames, sight())["pieces"]
        told = known(preprocess_i3d(cut_piece(frames[:16]).movedim(1, -1).numpy()[None]))
    assert seen.shape == (1, 400) and abs(seen - told.numpy()).max() < 1e-4


def test_videomae_tells_of_every_whole_piece_what_it_tells_cd_fvd(tmp_path, monkeypatch):
    module = pytest.importorskip("cdfvd.third_party.VideoMAEv2.videomaev2_finetune", reason="cd-fvd isn't installed")
    from cdfvd.third_party.VideoMAEv2.utils import preprocess_videomae

    def small(**layout):
        return module.VisionTransformer(patch_size=14, embed_dim=32, depth=2, num_heads=2, qkv_bias=True, **layout)

    monkeypatch.setattr(module, "vit_giant_patch14_224", small)
    known = small(**networks.VIDEOMAE_LAYOUT).half().float().eval()
    keep(VIDEOMAE, {"module": {name: value.half() for name, value in known.state_dict().items()}}, tmp_path)
    frames = video(17, TALL)
    with torch.no_grad():
        seen = NETWORKS[VIDEOMAE].load(tmp_path, CPU)(frames, sight())["pieces"]
        told = known.forward_features(preprocess_videomae(cut_piece(frames[:16]).movedim(1, -1).numpy()[None]))
    assert seen.shape == (1, 32) and abs(seen - told.numpy()).max() < 1e-4


@pytest.mark.parametrize("frames, pieces", [(15, 0), (16, 1), (31, 1), (49, 3)])
def test_every_whole_piece_of_a_video_is_looked_at(frames, pieces):
    told = networks.look_at_pieces(video(frames, WIDE), 3, lambda piece: piece.float().mean((0, 2, 3))[None])
    assert told.shape == (pieces, 3) and len({tuple(row) for row in told}) == pieces


# ---- pairs --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory) -> Path:
    torchvision = pytest.importorskip("torchvision", reason="torchvision isn't installed")
    pytest.importorskip("torchmetrics", reason="torchmetrics isn't installed")
    folder = tmp_path_factory.mktemp("alexnet")
    random = torchvision.models.alexnet(weights=None).features.state_dict()
    keep(ALEXNET, {f"features.{name}": value for name, value in random.items()} | {"classifier.6.bias": torch.ones(9)},
         folder)
    return folder


def compare(alexnet: Path, tmp_path: Path, seen: torch.Tensor, exact: bool) -> tuple[dict, torch.Tensor, torch.Tensor]:
    shown, wanted = video(3, (64, 80), 0), video(3, (64, 80), 1)
    files.write_video(tmp_path / "wanted.mkv", wanted, 15)
    files.write_video(tmp_path / "visible.mkv", seen, 15)
    see = NETWORKS[ALEXNET].load(alexnet, CPU)
    told = see(shown, Sight(tmp_path / "video", 3, (64, 80), tmp_path / "wanted.mkv", tmp_path / "visible.mkv", exact))
    return told, shown, wanted


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_lpips_is_that_of_its_authors(alexnet, tmp_path):
    lpips = pytest.importorskip("lpips", reason="lpips isn't installed")
    told, shown, wanted = compare(alexnet, tmp_path, torch.ones(3, 64, 80, dtype=torch.bool), True)
    known = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    weights = torch.load(file_of(alexnet, ALEXNET))
    known.net.load_state_dict({name: weights["features." + name.split(".", 1)[1]] for name in known.net.state_dict()})
    apart = known(shown.movedim(-1, 1), wanted.movedim(-1, 1), normalize=True).detach().flatten()
    assert abs(told["exact_lpips"] - apart.numpy()).max() < 1e-4 and told["exact_lpips"].min() > 0


def test_lpips_inside_does_not_see_what_was_painted_and_is_left_out_where_nothing_was_seen(alexnet, tmp_path):
    seen = torch.zeros(3, 64, 80, dtype=torch.bool)
    seen[:2, :, :40] = True
    told, shown, wanted = compare(alexnet, tmp_path, seen, False)
    assert set(told) == {"lpips"} and told["lpips"][0] > 0
    assert frame_figures(ALEXNET, [told])["lpips"][2] is None
    files.write_video(tmp_path / "wanted.mkv", shown.where(seen[..., None], wanted), 15)
    see = NETWORKS[ALEXNET].load(alexnet, CPU)
    same = see(shown, Sight(tmp_path / "video", 3, (64, 80), tmp_path / "wanted.mkv", tmp_path / "visible.mkv"))
    assert abs(same["lpips"][:2]).max() < 1e-6


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory) -> Path:
    """A CLIP model of transformers, tiny, its words letters."""
    transformers = pytest.importorskip("transformers", reason="transformers isn't installed")
    folder = tmp_path_factory.mktemp("clip") / CLIP
    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    config = transformers.CLIPConfig(
        text_config={**small, "vocab_size": len(words), "max_position_embeddings": 20, "bos_token_id": len(words) - 2,
                     "eos_token_id": len(words) - 1},
        vision_config={**small, "image_size": 32, "patch_size": 8}, projection_dim=16)
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=32).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({word: k for k, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt")).save_pretrained(folder)
    return folder.parent


def test_clip_compares_frames_with_the_next_the_source_and_the_prompt(clip_folder):
    import transformers

    frames, source = video(3, WIDE, 0), video(3, WIDE, 1)
    see = NETWORKS[CLIP].load(clip_folder, CPU)
    with torch.no_grad():
        told = see(frames, sight(prompt="a wolf"))
        figures = frame_figures(CLIP, [told, see(source, sight())])
        assert frame_figures(CLIP, [told, told])["clip_source"] == [1, 1, 1]
        model = transformers.CLIPModel.from_pretrained(str(clip_folder / CLIP)).eval()
        both = transformers.CLIPProcessor.from_pretrained(str(clip_folder / CLIP))(
            text=["a wolf"], images=list((255 * frames).round().byte().numpy()), return_tensors="pt")
        known = model(**both).logits_per_image[:, 0] / model.logit_scale.exp()
    assert figures["clip_text"] == pytest.approx(known.tolist(), abs=1e-5)
    assert figures["clip_frames"][2] is None and None not in figures["clip_source"]
    assert figures["clip_frames"][:2] == pytest.approx((told["frames"][:-1] * told["frames"][1:]).sum(1), abs=1e-5)
    assert "clip_text" not in frame_figures(CLIP, [see(frames, sight()), told])


# ---- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, package", [(INCEPTION, "torch_fidelity"), (I3D, "cdfvd"), (VIDEOMAE, "cdfvd"),
                                           (ALEXNET, "torchmetrics"), (CLIP, "transformers")])
@pytest.mark.parametrize("content", [b"", b"no weights", None])
def test_weights_of_another_network_are_refused_in_one_sentence(tmp_path, monkeypatch, name, package, content):
    pytest.importorskip(package, reason=f"{package} isn't installed")
    if name == VIDEOMAE:  # a billion numbers otherwise
        from cdfvd.third_party.VideoMAEv2 import videomaev2_finetune as module

        monkeypatch.setattr(module, "vit_giant_patch14_224", lambda **layout: torch.nn.Linear(2, 2))
    path = file_of(tmp_path, name) / ("model.safetensors" if name == CLIP else "")
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        torch.save({"other.weight": torch.ones(3)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        NETWORKS[name].load(tmp_path, CPU)
    assert EVALUATORS[name].place in str(caught.value)


def test_a_package_that_is_missing_is_named_as_pip_calls_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cdfvd.third_party.i3d.pytorch_i3d", None)
    with pytest.raises(ValueError, match="install it with: pip install cd-fvd"):
        NETWORKS[I3D].load(tmp_path, CPU)
