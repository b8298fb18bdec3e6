"""The whole circle: a clip is filmed and prepared, an adapter is trained on it, applied, and sampled with."""

from pathlib import Path

import pytest
import torch

from ex4d_ops import files
from ex4d_ops.bases import build_base, patch_layer
from ex4d_ops.dataset import open_dataset
from ex4d_ops.preparation import Recipe, list_sources, prepare
from ex4d_ops.scene import FPS, sample_clip
from ex4d_ops.training.clips import stack_clips
from ex4d_ops.training.model import AdaptedWan, adapt, added_to_output
from ex4d_ops.training.validation import validation_loss
from ex4d_ops.wan import build_wan
from headless.tiny_wan import draw_tiny_cogvideox, draw_tiny_wan, tiny_encoders

from .conftest import ClipVisionOutput

pytest.importorskip("peft", reason="needs the packages of the extra `train`")
pytest.importorskip("accelerate", reason="needs the packages of the extra `train`")
FRAMES, SIZE = 9, (64, 64)


@pytest.fixture
def prepared(folders, monkeypatch) -> str:
    """A folder in ComfyUI's input folder with one clip of a procedural scene, prepared as videos are."""
    import folder_paths

    monkeypatch.setitem(folder_paths.folder_names_and_paths, "ex4d", ([str(folders / "models")], {".safetensors"}))
    videos = folders / "videos"
    videos.mkdir()
    frames, depth = sample_clip("gallery", FRAMES, SIZE)
    files.write_video(videos / "gallery.mkv", frames, FPS)
    files.write_depth(videos / "gallery.npz", depth)
    prepare(list_sources(videos), Recipe(FRAMES, SIZE), Path(folders / "input" / "prepared"),
            make_encoders=tiny_encoders)
    return "prepared"


def sample(model, clip: dict[str, torch.Tensor]) -> torch.Tensor:
    """What the KSampler makes of a clip's conditions: 10 steps of euler, simple, shift 5. Normalised latents."""
    import comfy.sample
    from comfy.latent_formats import Wan21
    from comfy_extras.nodes_model_advanced import ModelSamplingSD3

    (model,) = ModelSamplingSD3().patch(model, 5.0)
    missing = torch.ones(1, 1, *clip["image_latent"].shape[2:])
    missing[:, :, 0] = 0
    prompt = [[clip["context"], {"concat_latent_image": Wan21().process_out(clip["image_latent"]),
                                 "concat_mask": missing, "clip_vision_output": ClipVisionOutput(clip["clip_fea"])}]]
    noise = torch.randn(clip["video_latent"].shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        latents = comfy.sample.sample(model, noise, 10, 1.0, "euler", "simple", prompt, prompt,
                                      torch.zeros_like(noise), disable_pbar=True, seed=1)
    return Wan21().process_in(latents)


def clip_of(folder: Path) -> dict[str, torch.Tensor]:
    """The latents and conditions of the first clip of a prepared folder."""
    clip = stack_clips([open_dataset(folder)[0]], torch.device("cpu"))
    return {name: latent.float() for name, latent in clip.items()}


def test_an_adapter_trained_on_a_prepared_clip_reproduces_it_when_applied(nodes, load_model, folders, prepared):
    base = load_model(draw_tiny_wan())
    adapter, _, _ = nodes.run("EX4DTrainAdapter", model=base, clips=prepared, name="circle", steps=300, batch=2,
                              rank=16, hidden_channels=64, learning_rate=3e-3, save_every=300, base_dtype="float32",
                              gradient_checkpointing=False)
    clips = open_dataset(folders / "input" / prepared)
    weights = torch.load(folders / "output" / "ex4d_training" / "circle" / "ex4d-000300.ckpt")
    models = [AdaptedWan(build_wan(draw_tiny_wan(), torch.float32), 16, 64) for _ in range(2)]
    with torch.no_grad():
        for name, weight in models[1].trained().items():
            weight.copy_(weights[name])
    before, after = (validation_loss(model, clips, 5.0, 0, torch.device("cpu")) for model in models)
    assert before >= 10 * after

    clip = clip_of(folders / "input" / prepared)
    applied = nodes.run("ApplyEX4DLoRA", model=base, adapter=adapter, prior=clip["prior_latent"])[0]
    lost, kept = ((sample(model, clip) - clip["video_latent"]).square().mean() for model in (base, applied))
    assert kept < 0.1 * lost


# ---- other bases than the released one ----------------------------------------------------------


@pytest.fixture
def train(nodes, load_model, prepared):
    """train(name, draw, **of): the file of an adapter that was trained a little on draw(**of)."""

    def run(name: str, draw=draw_tiny_wan, **of) -> str:
        return nodes.run("EX4DTrainAdapter", model=load_model(draw(**of)), clips=prepared, name=name, steps=3,
                         rank=4, hidden_channels=8, learning_rate=1e-2, base_dtype="float32")[0]

    return run


def test_an_adapter_of_an_expert_applies_to_both_experts(nodes, load_model, train, prepared, folders, caplog):
    adapter = train("expert", kind="t2v")
    clip = clip_of(folders / "input" / prepared)
    caplog.clear()
    for seed in (0, 1):  # the high-noise and the low-noise expert: same layers, other weights
        expert = load_model(draw_tiny_wan(seed, "t2v"))
        applied = nodes.run("ApplyEX4DLoRA", model=expert, adapter=adapter, prior=clip["prior_latent"])[0]
        assert len(applied.patches) == 10 * 3 and not torch.equal(sample(applied, clip), sample(expert, clip))
    assert "was trained on" not in caplog.text


@pytest.mark.parametrize("kind", ["i2v", "t2v"])
def test_an_adapter_of_a_smaller_base_applies_to_it_and_to_no_other(nodes, load_model, train, kind):
    """As those of Wan 2.1 Fun 1.3B InP, which has the layers of I2V 14B in other sizes."""
    small = {"kind": kind, "dim": 384, "blocks": 2}
    adapter = train("small", **small)
    applied = nodes.run("ApplyEX4DLoRA", model=load_model(draw_tiny_wan(1, **small)), adapter=adapter)[0]
    assert len(applied.patches) == 10 * 2
    base = {"i2v": "Wan 2.1 I2V", "t2v": "Wan 2.2 I2V"}[kind]
    sentence = f"this is Wan 2.1 I2V of 3 blocks of 256; the adapter was made for {base} of 2 blocks of 384"
    with pytest.raises(ValueError, match=sentence):
        nodes.run("ApplyEX4DLoRA", model=load_model(draw_tiny_wan()), adapter=adapter)


# ---- CogVideoX ----------------------------------------------------------------------------------


def answer(model, x: torch.Tensor, clip: dict[str, torch.Tensor], timestep: float = 400.0) -> torch.Tensor:
    """What the network of a model of ComfyUI, with all that is on it, says of x [B, 32, t, h, w]."""
    import comfy.model_management

    with torch.inference_mode():
        comfy.model_management.load_models_gpu([model, *model.get_nested_additional_models()])
        return model.model.diffusion_model(x, torch.full((len(x),), timestep), clip["context"].expand(len(x), -1, -1),
                                           transformer_options={"wrappers": model.wrappers})


def sample_cogvideox(model, clip: dict[str, torch.Tensor]) -> torch.Tensor:
    """What SamplerCustom with VOIDSampler makes of a clip's conditions in two steps."""
    import comfy.sample
    from comfy_extras.nodes_void import VOID_DDIM

    prompt = [[clip["context"], {"concat_latent_image": clip["image_latent"][:, :, :1]}]]
    noise = torch.randn(clip["video_latent"].shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return comfy.sample.sample_custom(model, noise, 1.0, VOID_DDIM(), torch.tensor([4.0, 1.0, 0.0]), prompt, prompt,
                                          torch.zeros_like(noise), disable_pbar=True)


def test_an_adapter_of_cogvideox_is_applied_as_it_was_trained(nodes, load_model, train, prepared, folders):
    base, clip = load_model(draw_tiny_cogvideox()), clip_of(folders / "input" / prepared)
    adapter = train("cogvideox", draw_tiny_cogvideox)
    applied = nodes.run("ApplyEX4DLoRA", model=base, adapter=adapter, prior=clip["prior_latent"])[0]
    assert len(applied.patches) == 6 * 3
    x = torch.cat([clip["video_latent"], clip["image_latent"]], 1).repeat(2, 1, 1, 1, 1)
    before, after = answer(base, x, clip), answer(applied, x, clip)

    trained = adapt(build_base(draw_tiny_cogvideox(), torch.float32), 4, 8, 0, False)
    weights = torch.load(folders / "output" / "ex4d_training" / "cogvideox" / "ex4d-000003.ckpt")
    with torch.no_grad():
        for name, weight in trained.trained().items():
            weight.copy_(weights[name])
        tokens = trained.encoder(clip["prior_latent"]).transpose(1, 2).flatten(0, 1).repeat(2, 1, 1, 1)
        with added_to_output(patch_layer(trained.base), tokens):
            expected = trained.base(x, torch.full((2,), 400.0), clip["context"].expand(2, -1, -1))
    assert (after - expected).abs().max() < 1e-4 < (before - expected).abs().max()
    sampled = [sample_cogvideox(model, clip) for model in (base, applied)]
    assert torch.isfinite(sampled[1]).all() and not torch.equal(*sampled)


@pytest.mark.parametrize("base, draw, other, sentence", [
    ("Wan 2.1 I2V", draw_tiny_wan, draw_tiny_cogvideox, "CogVideoX I2V of 3 blocks of 256, but the adapter needs Wan"),
    ("CogVideoX I2V", draw_tiny_cogvideox, draw_tiny_wan, "Wan 2.1 I2V of 3 blocks of 256, but the adapter needs Cog"),
])
def test_every_adapter_is_refused_on_the_other_kind_of_model(nodes, load_model, save_adapter_as, base, draw, other,
                                                             sentence):
    weights = {name: weight.detach() for name, weight in
               adapt(build_base(draw(), torch.float32), 2, 4, 0, False).trained().items()}
    adapter = save_adapter_as(f"{base}.ckpt", weights | {"base": base})
    with pytest.raises(ValueError, match=f"this is {sentence}"):
        nodes.run("ApplyEX4DLoRA", model=load_model(other()), adapter=adapter)
