"""The encoders of `ex4d prepare`: ComfyUI's VAE for real; text and vision, whose weights can't be small, by proxy."""

from types import SimpleNamespace

import pytest
import torch

from ex4d_ops.adapter import encode_prior
from ex4d_ops.dataset import LATENT_NAMES, encode_clip
from ex4d_ops.prior import Prior
from ex4d_ops.wan import load_encoders, load_vae


@pytest.fixture
def encoders(comfy, tmp_path, monkeypatch):
    """Encoders of a tiny random VAE in a file."""
    import comfy.clip_vision
    import comfy.sd
    from comfy.ldm.wan.vae import WanVAE
    from safetensors.torch import save_file

    vae = WanVAE(dim=8, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2, attn_scales=[],
                 temperal_downsample=[False, True, True], dropout=0.0)
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(weight.shape, generator=generator) / max(weight[0].numel(), 1) ** 0.5
               for name, weight in vae.state_dict().items()}
    save_file(weights, tmp_path / "vae.safetensors")
    text = SimpleNamespace(tokenize=len, encode_from_tokens=lambda tokens: torch.full((1, 512, 4096), float(tokens)))
    vision = SimpleNamespace(encode_image=lambda image: SimpleNamespace(
        penultimate_hidden_states=image.mean().expand(1, 257, 1280)))
    monkeypatch.setattr(comfy.sd, "load_clip", lambda paths, clip_type: text)
    monkeypatch.setattr(comfy.clip_vision, "load", lambda path: vision)
    with torch.no_grad():
        yield load_encoders(tmp_path / "vae.safetensors", tmp_path / "text", tmp_path / "vision")


def test_a_clip_becomes_the_latents_that_training_reads(encoders):
    frames = torch.rand(9, 64, 48, 3, generator=torch.Generator().manual_seed(0))
    visible = frames[..., 0] > 0.3
    prior = Prior(frames * visible[..., None], visible)
    latents = encode_clip(frames, prior, "a cat", encoders)
    assert tuple(latents) == LATENT_NAMES
    shapes = {"video_latent": (16, 3, 8, 6), "prior_latent": (32, 3, 8, 6), "image_latent": (16, 3, 8, 6),
              "context": (512, 4096), "clip_fea": (257, 1280)}
    assert {name: tuple(tensor.shape) for name, tensor in latents.items()} == shapes
    assert torch.equal(latents["prior_latent"], encode_prior(prior, encoders.video)[0])
    assert (latents["context"] == 5).all()


def test_the_vae_tells_black_from_the_released_mask_value(encoders):
    black, hidden = (encoders.video(torch.full((5, 32, 32, 3), value)) for value in (0.0, -1.0))
    assert (black - hidden).abs().mean() > 1e-4  # a VAE that clamps its input would not


def test_latents_are_normalised_as_wan_s(encoders, tmp_path):
    from comfy.latent_formats import Wan21

    frames = torch.rand(1, 32, 32, 3, generator=torch.Generator().manual_seed(1))
    plain, wan = load_vae(tmp_path / "vae.safetensors").encode(frames), Wan21()
    expected = (plain - wan.latents_mean) / wan.latents_std
    assert (encoders.video(frames) - expected).abs().max() < 1e-4


def weights_of(tensors: dict) -> bytes:
    from safetensors.torch import save

    return save(tensors)


BROKEN = {"text": b"x" * 64, "empty": b"", "a short header": b"\x10",
          "a header of nonsense": b"\x08" + bytes(7) + b"{\"a\": 1}",
          "cut short": weights_of({"a": torch.zeros(99)})[:-50], "no tensors": weights_of({}),
          "another's": weights_of({"model.layers.0.weight": torch.zeros(3)}),
          "a part of one": weights_of({"decoder.middle.0.residual.0.gamma": torch.zeros(3)})}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("name", ["a.safetensors", "a.pth"])
def test_every_broken_weights_file_is_named_in_one_line(comfy, tmp_path, monkeypatch, kind, name):
    from ex4d_ops import wan
    from ex4d_ops.bases import load_base

    path = tmp_path / name
    path.write_bytes(BROKEN[kind])
    wan.open_comfyui()
    calls = [lambda: wan.load_vae(path), lambda: load_base(path), lambda: load_encoders(path, path, path)]
    for call in calls:
        with pytest.raises(ValueError) as refused:
            call()
        assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)
    monkeypatch.setattr(wan, "load_vae", lambda path: None)
    with pytest.raises(ValueError, match=f"{name}: cannot be read as a CLIP vision model"):
        load_encoders(path, path, path)
