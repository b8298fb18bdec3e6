"""Video-Depth-Anything on tiny random weights: the public layout and answers, windows, bad files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ex4d_ops.estimators.estimate import place_on
from ex4d_ops.estimators.registry import ESTIMATORS
from ex4d_ops.estimators.video_depth_anything import (
    OVERLAP,
    WINDOW,
    load_video_depth_anything,
    network_size,
    released_size,
    window_frames,
)
from ex4d_ops.estimators.windows import fit_scale_shift
from tests.tiny_depth_models import save_video_depth_anything

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "video_depth_anything.npz")
CPU = place_on(torch.device("cpu"))


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "video_depth_anything_tiny.pth"
    save_video_depth_anything(path)
    return path


@pytest.fixture(scope="module")
def frame_local(weights_file, tmp_path_factory) -> Path:
    """The same without the layers that look along time, so that no frame depends on another."""
    weights = torch.load(weights_file, weights_only=True)
    for name in weights:
        if "motion_modules" in name and "proj_out" in name:
            weights[name] = torch.zeros_like(weights[name])
    path = tmp_path_factory.mktemp("weights") / "frame_local.pth"
    torch.save(weights, path)
    return path


def clip(frames: int, size=(28, 42), seed: int = 7) -> torch.Tensor:
    numbers = torch.rand(frames, *size, 3, generator=torch.Generator().manual_seed(seed))
    return (numbers * 255).round() / 255


def test_keys_and_shapes_are_the_public_ones(weights_file):
    weights = load_video_depth_anything(weights_file).state_dict()
    assert sorted(weights) == GOLDEN["keys"].tolist()
    assert [str(list(weights[key].shape)) for key in sorted(weights)] == GOLDEN["shapes"].tolist()


def test_a_clip_of_three_windows_comes_out_as_from_the_public_program(weights_file):
    estimate = load_video_depth_anything(weights_file).estimate(clip(50), CPU, 42)
    expected = torch.from_numpy(GOLDEN["depth"])
    assert estimate.kind == "disparity" and not estimate.metric
    assert (estimate.values[::7] - expected).abs().max() < 1e-5 * expected.max()


@pytest.mark.parametrize("frames", [1, 5, 22, 23, 50, 77])
def test_windows_equal_one_look_at_each_frame_where_the_model_is_frame_local(frame_local, frames):
    model = load_video_depth_anything(frame_local)
    shown = clip(frames)
    alone = torch.cat([model.estimate(shown[t:t + 1], CPU, 28).values for t in range(0, frames, 7)])
    assert (model.estimate(shown, CPU, 28).values[::7] - alone).abs().max() < 1e-4


def test_the_backbone_sees_every_frame_once(weights_file):
    model, seen = load_video_depth_anything(weights_file), []
    model.pretrained.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    model.estimate(clip(60), CPU, 28)
    assert sum(seen) == 60


def test_windows_cover_every_frame_and_share_ten():
    for count in range(1, 200):
        windows = window_frames(count)
        assert all(len(window) == WINDOW for window in windows)
        assert set().union(*windows) == set(range(count))
        assert len(windows) == -(-count // (WINDOW - OVERLAP))


@pytest.mark.parametrize("size, resolution, expected", [
    ((480, 640), 518, (518, 686)), ((640, 480), 518, (686, 518)), ((1080, 1920), 518, (518, 924)),
    ((512, 512), 518, (518, 518)), ((400, 1600), 518, (224, 896)), ((30, 30), 14, (14, 14)),
])
def test_the_network_sees_multiples_of_14(size, resolution, expected):
    assert network_size(size, resolution) == expected


def test_every_clip_is_shrunk_to_1280_at_most_in_even_sides_and_never_enlarged():
    for height in range(1, 4400, 13):
        for width in (*range(1, 4400, 211), 1280, 1281, 1282, 1920, 3840):
            size, shown = (height, width), released_size((height, width))
            if max(size) <= 1280:
                assert shown == size
            else:
                assert max(shown) == 1280 and all(side % 2 == 0 and side >= 2 for side in shown)
                exact = [side * 1280 / max(size) for side in size]
                assert all(-0.5 <= side - was <= 1.5 or side == 2 for side, was in zip(shown, exact))


@pytest.mark.parametrize("size, shown", [((1080, 1920), (720, 1280)), ((2160, 3840), (720, 1280)),
                                         ((1920, 1080), (1280, 720)), ((858, 2048), (536, 1280)),
                                         ((805, 1920), (538, 1280))])  # 536.25 and 536.67: rounded, then made even
def test_a_large_clip_is_shown_as_the_public_program_shows_it(size, shown):
    assert released_size(size) == shown


def test_a_large_clip_is_averaged_before_the_network_resizes_it(weights_file):
    stripes = torch.zeros(1, 20, 2560, 3)
    stripes[:, :, ::2] = 1  # finer than the network can see: their mean is gray
    gray = torch.full((1, 20, 2560, 3), 0.5)
    model = load_video_depth_anything(weights_file)
    found, expected = (model.estimate(frames, CPU, 28).values for frames in (stripes, gray))
    assert (found - expected)[..., 200:-200].abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize("name, meaning, metric", [
    ("metric_video_depth_anything_vits.pth", "as it says", True), ("VDA-Metric-small.pth", "as it says", True),
    ("vits_METRIC.safetensors", "as it says", True), ("video_depth_anything_vits.pth", "as it says", False),
    ("symmetric.pth", "as it says", False), ("mine.pth", "depth", True),
    ("metric_video_depth_anything_vits.pth", "disparity", False),
])
def test_metres_are_known_by_a_word_of_the_name_or_chosen(weights_file, tmp_path, name, meaning, metric):
    path = tmp_path / name
    if path.suffix == ".pth":
        path.symlink_to(weights_file)
    else:
        save_file(torch.load(weights_file, weights_only=True), path)
    model = ESTIMATORS["Video-Depth-Anything"].read(path, torch.float32, meaning)
    assert model.metric == metric


@pytest.mark.parametrize("size", [(1, 1), (7, 120), (33, 31)])
def test_any_size_comes_back_at_its_size(weights_file, size):
    values = load_video_depth_anything(weights_file).estimate(clip(2, size), CPU, 28).values
    assert values.shape == (2, *size) and torch.isfinite(values).all()


def test_metres_are_neither_scaled_nor_shifted(weights_file, tmp_path):
    metric = tmp_path / "metric_video_depth_anything_tiny.pth"
    metric.symlink_to(weights_file)
    model = load_video_depth_anything(metric)
    estimate = model.estimate(clip(30), CPU, 28)
    relative = load_video_depth_anything(weights_file).estimate(clip(30), CPU, 28)
    assert estimate.kind == "depth" and estimate.metric
    assert torch.equal(estimate.values[:24], relative.values[:24]), "the first window is the same"


def test_half_precision_stays_close(weights_file):
    full = load_video_depth_anything(weights_file).estimate(clip(3), CPU, 28).values
    half = load_video_depth_anything(weights_file, torch.float16).estimate(clip(3), CPU, 28).values
    assert half.dtype == torch.float32 and (half - full).abs().mean() < 0.05 * full.mean()


def test_least_squares_undoes_scale_and_shift():
    values = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(0))
    assert fit_scale_shift(values, 3 * values - 2) == pytest.approx((3, -2), abs=1e-6)
    assert fit_scale_shift(torch.ones(2, 3), values[0, :2, :3]) == (1.0, 0.0)


def test_progress_counts_frames_and_cancels(weights_file):
    model, told = load_video_depth_anything(weights_file), []
    model.estimate(clip(25), CPU, 28, lambda done, total: told.append((done, total)))
    assert told == sorted(told) and told[-1] == (25, 25) and len(told) > 6

    def cancel(done, total):
        raise InterruptedError
    with pytest.raises(InterruptedError):
        model.estimate(clip(25), CPU, 28, cancel)


@pytest.mark.parametrize("spoil, sentence", [
    (lambda weights: weights.pop("pretrained.cls_token"),
     "is not a Video-Depth-Anything model .it lacks pretrained.cls"),
    (lambda weights: weights.pop("pretrained.norm.bias"), "does not fit the model: no pretrained.norm.bias"),
    (lambda weights: weights.update(extra=torch.ones(1)), "unknown extra"),
    (lambda weights: weights.update({"head.projects.0.bias": torch.ones(3)}), "is .3., not .8."),
])
def test_weights_of_another_model_are_refused(weights_file, tmp_path, spoil, sentence):
    weights = torch.load(weights_file, weights_only=True)
    spoil(weights)
    torch.save(weights, tmp_path / "spoilt.pth")
    with pytest.raises(ValueError, match=sentence) as refusal:
        load_video_depth_anything(tmp_path / "spoilt.pth")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name, content", [("cut.pth", b"PK\x03\x04 not all of it"), ("empty.pth", b""),
                                           ("text.safetensors", b"hello")])
def test_damaged_files_get_one_sentence(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}: (is empty|cannot be read as a file of tensors alone)") as refusal:
        load_video_depth_anything(tmp_path / name)
    assert "\n" not in str(refusal.value)


def test_nothing_in_a_weights_file_is_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))
    torch.save({"pretrained.cls_token": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(ValueError, match="cannot be read as a file of tensors alone"):
        load_video_depth_anything(tmp_path / "trap.pth")
    assert not (tmp_path / "sprung").exists()
