"""Every image-to-video model that an adapter can be trained on, and what its file says of it."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from ex4d_ops import wan as seam
from ex4d_ops.bases import as_video, base_of, build_base, name_base, patch_layer
from ex4d_ops.checkpoint import BASES, COGVIDEOX, LAYOUTS, RELEASED_BASE, load_adapter, save_adapter, save_parts
from ex4d_ops.cogvideox import nearest_timesteps, signal_shares
from ex4d_ops.training import TrainingRules, adapt, adapter_file, train
from ex4d_ops.training.clips import stack_clips
from ex4d_ops.training.objective import EXPERT_BOUNDARY, LEVELS, levels_of, mix, noise_levels
from headless.tiny_wan import draw_tiny_cogvideox, draw_tiny_wan

from .test_training import make_clip

pytest.importorskip("peft", reason="needs the packages of the extra `train`")
pytest.importorskip("accelerate", reason="needs the packages of the extra `train`")
DRAW = {"Wan 2.1 I2V": draw_tiny_wan, "Wan 2.2 I2V": partial(draw_tiny_wan, kind="t2v"),
        "CogVideoX I2V": draw_tiny_cogvideox}
RULES = TrainingRules(steps=3, rank=4, hidden_channels=8, learning_rate=1e-2, save_every=2, tensorboard=False)
every_base = pytest.mark.parametrize("base", DRAW)


@pytest.fixture(autouse=True, scope="module")
def comfyui(comfy) -> None:
    seam.open_comfyui()


@pytest.fixture(scope="module")
def trained(comfyui, tmp_path_factory) -> Path:
    """The file of an adapter of the released base."""
    folder = tmp_path_factory.mktemp("released")
    return adapter_file(folder, run(RELEASED_BASE, folder, steps=1).step)


def run(base: str, folder, steps: int = RULES.steps, **rules):
    clips = [make_clip(number) for number in range(2)]
    with seam.differentiable():
        return train(build(base), clips, folder, replace(RULES, steps=steps, **rules), cpu=True)


def build(base: str) -> torch.nn.Module:
    return build_base(DRAW[base](), torch.float32)


def test_every_base_is_tested_here():
    assert set(DRAW) == set(BASES)


@every_base
def test_every_base_is_told_from_its_weights(base):
    assert base_of(build(base)) == base


@every_base
def test_every_base_trains_an_adapter_that_says_so(base, tmp_path):
    state = run(base, tmp_path)
    adapter = load_adapter(adapter_file(tmp_path, state.step))
    assert adapter.base == base and len(state.losses) == 3 and all(loss > 0 for loss in state.losses)
    layers = {name.split(".", 2)[2].rpartition(".")[0] for name in adapter.lora}
    assert layers == set(LAYOUTS[base].layers) and adapter.blocks == 3
    assert any(weight.abs().max() > 0 for name, weight in adapter.lora.items() if name.endswith("lora_B"))
    assert adapter.encoder["latent_patch_embedding.weight"].abs().max() > 0


@every_base
def test_every_run_goes_on_as_if_it_had_not_stopped(base, tmp_path):
    whole = run(base, tmp_path / "whole")
    run(base, tmp_path / "parts", steps=1)
    assert run(base, tmp_path / "parts").losses == whole.losses


def test_a_run_does_not_go_on_with_another_base(tmp_path):
    run("Wan 2.2 I2V", tmp_path, steps=1)
    with pytest.raises(ValueError, match="was started differently"):
        run("Wan 2.1 I2V", tmp_path)


def test_the_file_of_the_released_base_is_as_ever(trained):
    stored = torch.load(trained, weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in stored.values())
    asked = torch.load(trained.parent / "state.pt", weights_only=True)["asked"]
    assert "expert" not in asked and "base" not in asked


# ---- what files say -----------------------------------------------------------------------------


@every_base
def test_every_base_is_kept_by_every_file(base, tmp_path):
    adapter = load_adapter(adapter_file(tmp_path, run(base, tmp_path, steps=1).step))
    save_adapter(tmp_path / "whole.safetensors", adapter)
    assert load_adapter(tmp_path / "whole.safetensors").base == base
    save_parts(tmp_path / "lora.safetensors", tmp_path / "encoder.safetensors", adapter)
    for part in ("lora", "encoder"):
        with safe_open(tmp_path / f"{part}.safetensors", "pt") as file:
            assert file.metadata()["base"].startswith(base)


@pytest.mark.parametrize("said", ["", "Wan 9", "another program's", None, 7])
def test_a_file_that_says_nothing_we_know_is_of_the_released_base(trained, tmp_path, said):
    torch.save(torch.load(trained, weights_only=True) | {"base": said}, tmp_path / "other.ckpt")
    assert load_adapter(tmp_path / "other.ckpt").base == RELEASED_BASE


@pytest.mark.parametrize("config, name", [
    ({}, ""), ({"image_model": "flux"}, ""),
    ({"image_model": "wan2.1", "model_type": "i2v", "in_dim": 36, "out_dim": 16}, "Wan 2.1 I2V"),
    ({"image_model": "wan2.1", "model_type": "t2v", "in_dim": 36, "out_dim": 16}, "Wan 2.2 I2V"),
    ({"image_model": "wan2.1", "model_type": "t2v", "in_dim": 48, "out_dim": 48}, "Wan 2.2 TI2V"),
    ({"image_model": "wan2.1", "model_type": "t2v", "in_dim": 16, "out_dim": 16}, "Wan 2.1 T2V"),
    ({"image_model": "wan2.1", "model_type": "i2v", "in_dim": 48, "out_dim": 16}, "Wan 2.1 FUN CONTROL"),
    ({"image_model": "wan2.1", "model_type": "vace", "in_dim": 16, "out_dim": 16}, "Wan 2.1 VACE"),
    ({"image_model": "cogvideox", "in_channels": 16}, "CogVideoX T2V"),
    ({"image_model": "cogvideox", "in_channels": 32}, "CogVideoX I2V"),
    ({"image_model": "cogvideox", "in_channels": 48}, "CogVideoX Inpaint"),
    ({"image_model": "cogvideox", "in_channels": 32, "patch_size_t": 2}, "CogVideoX 1.5 I2V"),
])
def test_every_model_has_its_name(config, name):
    assert name_base(config) == name


# ---- CogVideoX ----------------------------------------------------------------------------------


@pytest.mark.parametrize("channels, name", [(16, "CogVideoX T2V"), (48, "CogVideoX Inpaint")])
def test_every_other_cogvideox_is_refused_by_its_name(channels, name):
    with pytest.raises(ValueError, match=f"is {name}, but the adapter is trained on the first CogVideoX"):
        build_base(draw_tiny_cogvideox(channels=channels), torch.float32)


def test_every_signal_share_has_the_nearest_timestep():
    shares = signal_shares()
    assert shares.shape == (1000,) and (shares.diff() < 0).all() and shares[-1] < 1e-3
    assert torch.equal(nearest_timesteps(shares), torch.arange(1000))
    assert nearest_timesteps(torch.tensor([1.0, 0.0])).tolist() == [0, 999]


def test_a_right_answer_of_cogvideox_is_a_right_velocity_at_every_level():
    """It says a e - b x of the video x and noise e, and is shown the first frame alone."""
    level = torch.linspace(0, 1, 9)
    clip = stack_clips([make_clip(seed) for seed in range(9)], torch.device("cpu"))
    video = clip["video_latent"]
    noise = torch.randn(video.shape, generator=torch.Generator().manual_seed(0))
    shown = []

    def answer(x: torch.Tensor, timestep: torch.Tensor, context: torch.Tensor, **options) -> torch.Tensor:
        shown.append(x)
        a, b = ((share / torch.hypot(1 - level, level))[:, None, None, None, None] for share in (1 - level, level))
        return a * noise - b * video

    adapted = adapt(build(COGVIDEOX), 2, 4, 0, False)
    adapted.base.forward = answer
    assert (adapted(mix(video, noise, level), level, clip) - (noise - video)).abs().max() < 1e-4
    assert torch.equal(shown[0][:, 16:, :1], clip["image_latent"][:, :, :1]) and not shown[0][:, 16:, 1:].any()


@every_base
def test_every_token_stands_where_its_patch_does(base):
    """What the patch layer makes of a video with one bright patch is bright there alone."""
    model, video = build(base), torch.zeros(2, 36 if base != COGVIDEOX else 32, 3, 4, 6)
    video[1, :, 2, 2:4, 4:6] = 1
    layer = patch_layer(model)
    shaped = video.transpose(1, 2).flatten(0, 1) if base == COGVIDEOX else video
    tokens = as_video(layer(shaped), 3)
    lit = (tokens.abs().amax(1) > 1e-3).nonzero().tolist()
    assert tokens.shape == (2, 256, 3, 2, 3) and lit == [[1, 2, 1, 2]]


# ---- the levels of an expert --------------------------------------------------------------------


@given(shift=st.floats(0.5, 20))
def test_every_expert_is_trained_at_its_own_levels_alone(shift):
    levels = noise_levels(shift)
    high, low, both = (levels[levels_of(expert, shift)] for expert in ("high", "low", "both"))
    assert (high >= EXPERT_BOUNDARY).all() and (low < EXPERT_BOUNDARY).all() and torch.equal(both, levels)
    assert len(high) == len(low) == LEVELS
    assert set(high.tolist()) | set(low.tolist()) <= set(levels.tolist())
    assert (high.diff() <= 0).all() and (low.diff() <= 0).all()


@pytest.mark.parametrize("expert", ["high", "low"])
def test_every_expert_can_be_trained(tmp_path, expert):
    state = run("Wan 2.2 I2V", tmp_path, expert=expert)
    assert state.asked["expert"] == expert and len(state.losses) == 3
