"""Every image-to-video Wan that an adapter can be trained on, and what its file says of it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from ex4d_ops import wan as seam
from ex4d_ops.checkpoint import BASES, RELEASED_BASE, load_adapter, save_adapter, save_parts
from ex4d_ops.training import TrainingRules, adapter_file, train
from ex4d_ops.training.objective import EXPERT_BOUNDARY, LEVELS, levels_of, noise_levels
from ex4d_ops.wan import base_of, build_wan, name_base
from headless.tiny_wan import draw_tiny_wan

from .test_training import make_clip

pytest.importorskip("peft", reason="needs the packages of the extra `train`")
pytest.importorskip("accelerate", reason="needs the packages of the extra `train`")
LAYOUTS = {"Wan 2.1 I2V": "i2v", "Wan 2.2 I2V": "t2v"}  # and what ComfyUI calls their kind
RULES = TrainingRules(steps=3, rank=4, hidden_channels=8, learning_rate=1e-2, save_every=2, tensorboard=False)
every_base = pytest.mark.parametrize("base", LAYOUTS)


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
        wan = build_wan(draw_tiny_wan(kind=LAYOUTS[base]), torch.float32)
        return train(wan, clips, folder, replace(RULES, steps=steps, **rules), cpu=True)


def test_every_base_has_a_layout_here():
    assert set(LAYOUTS) == set(BASES)


@every_base
def test_every_base_is_told_from_its_weights(base):
    assert base_of(build_wan(draw_tiny_wan(kind=LAYOUTS[base]), torch.float32)) == base


@every_base
def test_every_base_trains_an_adapter_that_says_so(base, tmp_path):
    state = run(base, tmp_path)
    adapter = load_adapter(adapter_file(tmp_path, state.step))
    assert adapter.base == base and len(state.losses) == 3 and all(loss > 0 for loss in state.losses)
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
def test_every_base_is_kept_by_every_file(base, trained, tmp_path):
    adapter = replace(load_adapter(trained), base=base)
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
])
def test_every_wan_has_its_name(config, name):
    assert name_base(config) == name


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
