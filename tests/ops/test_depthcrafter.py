"""DepthCrafter on a tiny random Stable Video Diffusion in the public folder layout: the public program's answers."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

diffusers = pytest.importorskip("diffusers", reason="pip install diffusers to test DepthCrafter")
pytest.importorskip("transformers", reason="pip install transformers to test DepthCrafter")

from ex4d_ops.estimators.depthcrafter import (  # noqa: E402
    SVD_FOLDER,
    UNET_FOLDER,
    DepthCrafterRules,
    load_depthcrafter,
    network_size,
    window_spans,
)
from ex4d_ops.estimators.estimate import place_on  # noqa: E402
from tests.tiny_depth_models import save_depthcrafter  # noqa: E402

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "depthcrafter.npz")
CPU = place_on(torch.device("cpu"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("depthcrafter")
    save_depthcrafter(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return load_depthcrafter(folder)


def clip(frames: int, size=(64, 64)) -> torch.Tensor:
    return torch.rand(frames, *size, 3, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("name, frames, rules", [
    ("one_window", 5, DepthCrafterRules(steps=3)),
    ("windows", 14, DepthCrafterRules(steps=3, window=6, overlap=2)),
    ("guided", 9, DepthCrafterRules(steps=3, window=6, overlap=2, guidance=1.5)),
])
def test_it_comes_out_as_from_the_public_program(model, name, frames, rules):
    estimate = model.estimate(clip(frames), CPU, rules)
    assert estimate.kind == "disparity"
    assert (estimate.values[:, ::4, ::4] - torch.from_numpy(GOLDEN[name])).abs().max() < 1e-5


def test_every_frame_is_shown_its_own_embedding(model):
    unet = model.unet
    latents = torch.randn(1, 3, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    embeddings = torch.randn(1, 3, 32, generator=torch.Generator().manual_seed(1))
    time_ids = torch.tensor([[7.0, 127.0, 0.02]])
    with torch.no_grad():
        shared = diffusers.UNetSpatioTemporalConditionModel.forward(
            unet, latents, torch.tensor(1.0), embeddings[:, :1], time_ids, return_dict=False)[0]
        same = unet(latents, torch.tensor(1.0), embeddings[:, :1].expand(1, 3, -1), time_ids, return_dict=False)[0]
        own = unet(latents, torch.tensor(1.0), embeddings, time_ids, return_dict=False)[0]
    assert torch.allclose(shared, same, atol=1e-5), "one embedding for all is Stable Video Diffusion itself"
    assert (own - same).abs().mean() > 1e-4


class FrameLocal(torch.nn.Module):
    """Stands for the UNet: whatever the noise, it finds the latents of the picture shown."""

    dtype = torch.float32

    def forward(self, sample, timestep, embeddings, time_ids, return_dict):
        scaled, shown = sample.chunk(2, 2)
        sigma = (4 * timestep).exp()
        size = (sigma**2 + 1).sqrt()
        return ((scaled / size - shown) * size / sigma,)


def test_windows_equal_one_window_where_the_model_is_frame_local(model):
    local = replace(model, unet=FrameLocal())
    one, several = (local.estimate(clip(17), CPU, DepthCrafterRules(steps=2, window=window, overlap=2)).values
                    for window in (17, 6))
    assert one.std() > 0.01 and (one - several).abs().max() < 1e-3


def test_the_same_seed_gives_the_same_and_another_something_else(model):
    first, again, other = (model.estimate(clip(2), CPU, DepthCrafterRules(steps=1, seed=seed)).values
                           for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_windows_cover_every_frame_with_their_overlap():
    assert window_spans(49, 110, 25) == [(0, 49)]
    assert window_spans(196, 110, 25) == [(0, 110), (85, 195), (170, 196)]
    for count in range(1, 60):
        spans = window_spans(count, 10, 3)
        assert spans[0][0] == 0 and spans[-1][1] == count
        assert all(end - begin == 3 for (_, end), (begin, _) in zip(spans, spans[1:]))


def test_networks_see_multiples_of_64():
    assert network_size((512, 512), 1024) == (512, 512) and network_size((1080, 1920), 1024) == (576, 1024)
    assert network_size((30, 30), 1024) == (64, 64)
    assert network_size((674, 1030), 1024) == (704, 1024) and network_size((1030, 674), 1024) == (1024, 704)


@pytest.mark.parametrize("resolution", [512, 1024, 1536])
def test_every_size_is_rounded_first_and_shrunk_where_that_exceeds_the_resolution(resolution):
    for height in range(32, 2200, 7):
        for width in (*range(32, 2200, 61), resolution, resolution + 31, resolution + 33):
            sides = network_size((height, width), resolution)
            rounded = tuple(max(64 * round(side / 64), 64) for side in (height, width))
            assert all(side % 64 == 0 for side in sides) and max(sides) <= resolution
            if max(rounded) <= resolution:
                assert sides == rounded
            else:
                exact = [side * resolution / max(height, width) for side in (height, width)]
                assert max(sides) == resolution
                assert all(abs(side - was) <= 32 or side == 64 for side, was in zip(sides, exact))


@pytest.mark.parametrize("size", [(40, 72), (64, 65)])
def test_any_size_comes_back_at_its_size(model, size):
    values = model.estimate(clip(2, size), CPU, DepthCrafterRules(steps=1)).values
    assert values.shape == (2, *size) and values.min() >= 0 and values.max() <= 1


def test_parts_come_to_the_device_one_after_the_other(model):
    placed = []

    def place(part):
        placed.append(part)
        return torch.device("cpu")
    model.estimate(clip(2), place, DepthCrafterRules(steps=1))
    assert placed == [model.image_encoder, model.vae, model.unet, model.vae]


def test_progress_counts_frames_and_cancels(model):
    told = []
    model.estimate(clip(9), CPU, DepthCrafterRules(steps=2), lambda done, total: told.append((done, total)))
    assert told == sorted(told) and told[-1] == (9, 9)

    def cancel(done, total):
        raise InterruptedError
    with pytest.raises(InterruptedError):
        model.estimate(clip(2), CPU, DepthCrafterRules(steps=1), cancel)


def test_a_missing_tensor_is_refused(folder, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, tmp_path / "spoilt")
    weights = tmp_path / "spoilt" / UNET_FOLDER / "diffusion_pytorch_model.safetensors"
    save_file({name: tensor for name, tensor in load_file(weights).items() if name != "conv_in.bias"}, weights)
    with pytest.raises(ValueError, match="lacks 1 tensors, the first is conv_in.bias"):
        load_depthcrafter(tmp_path / "spoilt")


def test_parts_in_the_older_form_are_the_same_parts(folder, tmp_path):
    from safetensors.torch import load_file

    shutil.copytree(folder, tmp_path / "older")
    for file in (tmp_path / "older").rglob("*.safetensors"):
        older = file.name.replace("model.fp16.safetensors", "model.fp16.bin").replace("model.safetensors", "model.bin")
        name = older if older.startswith("diffusion") else f"pytorch_{older}"
        torch.save(load_file(file), file.with_name(name))
        file.unlink()
    new, old = load_depthcrafter(folder), load_depthcrafter(tmp_path / "older")
    for part in ("unet", "vae", "image_encoder"):
        found, expected = getattr(old, part).state_dict(), getattr(new, part).state_dict()
        assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_missing_part_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "spoilt")
    shutil.rmtree(tmp_path / "spoilt" / SVD_FOLDER / "vae")
    with pytest.raises(ValueError, match="vae: cannot be loaded") as refusal:
        load_depthcrafter(tmp_path / "spoilt")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("wrong, sentence", [(dict(steps=0), "steps: got 0"), (dict(overlap=110), "overlap: got 110")])
def test_rules_that_mean_nothing_are_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        DepthCrafterRules(**wrong)
