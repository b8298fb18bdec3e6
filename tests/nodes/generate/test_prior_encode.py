"""EX4DPriorEncode: the latents that ComfyUI's VAE of Wan or CogVideoX makes of what the library hands it."""

import logging
from functools import partial
from pathlib import Path

import pytest
import torch

from ex4d_ops.bases import load_decoder, load_encoders
from ex4d_ops.wan import read_vae

from ... import tiny_models

TILES = {"tiling": "on", "tile_size": 64, "overlap": 32, "frames": 64, "frame_overlap": 8}


def clip(frames: int = 9, height: int = 32, width: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    """A color video whose left side gets unseen, and its mask; frame 0 is all seen."""
    visible = torch.ones(frames, height, width)
    for t in range(1, frames):
        visible[t, :, :2 * t] = 0
    colors = 0.1 + 0.8 * torch.rand(frames, height, width, 3, generator=torch.Generator().manual_seed(2))
    return colors * visible[..., None], visible


@pytest.fixture
def encode(nodes, vae):
    """Encode through the node at the clip's own size; settings are the node's."""

    def run(color, visible, **settings):
        frames, height, width = visible.shape
        given = dict(vae=vae, width=width, height=height, length=frames) | settings
        return nodes.run("EX4DPriorEncode", color=color, visible=visible, **given)

    return run


def through_network(vae, values: torch.Tensor) -> torch.Tensor:
    """Normalised latents of what the VAE's network is to see [T, H, W, 3]."""
    import comfy.latent_formats

    with torch.inference_mode():
        latents = vae.first_stage_model.encode(values.movedim(-1, 0)[None].to(vae.vae_dtype))
    return comfy.latent_formats.Wan21().process_in(latents.float())


@pytest.mark.parametrize("mask_range, hidden", [("released", -3.0), ("paper", -1.0)])
def test_the_network_sees_color_and_mask_in_their_ranges(encode, vae, mask_range, hidden):
    color, visible = clip()
    latents, _ = encode(color, visible, mask_range=mask_range)
    mask = torch.where(visible > 0.5, 1.0, hidden)[..., None].expand(-1, -1, -1, 3)
    want = torch.cat([through_network(vae, 2 * color - 1), through_network(vae, mask)], 1)
    assert latents.shape == (1, 32, 3, 4, 6) and (latents - want).abs().max() <= 1e-5


def test_latents_lie_on_the_cpu_in_float32(encode):
    latents, _ = encode(*clip())
    assert latents.dtype == torch.float32 and latents.device.type == "cpu"


def test_frame_0_comes_out_at_the_size_generated(encode):
    color, visible = clip()
    _, first = encode(color, visible)
    assert torch.equal(first, color[:1])
    _, first = encode(color, visible, width=64, height=64)
    assert first.shape == (1, 64, 64, 3)


@pytest.mark.parametrize("fit, words", [("crop", "33% of its width is lost"), ("stretch", "shrinks by 33%"),
                                        ("pad", "33% of the new height is black bars")])
@pytest.mark.parametrize("erosion, rule", [({"erosion": "none"}, 0), ({"erosion": "released", "seed": 5}, "released"),
                                           ({"erosion": "fixed", "pixels": 3}, 3)])
def test_another_shape_is_fitted_and_eroded_as_asked_for_and_said(nodes, vae, caplog, fit, words, erosion, rule):
    from ex4d_ops.adapter import encode_prior, fit_prior

    color, visible = clip()
    given = dict(vae=vae, color=color, visible=visible, width=32, height=32, length=9, fit=fit, erosion=erosion)
    with caplog.at_level(logging.WARNING):
        latents, first = nodes.run("EX4DPriorEncode", **given)
    assert words in caplog.text
    prior = fit_prior(color, visible, (32, 32), 9, fit=fit, erosion=rule, seed=5)
    want = encode_prior(prior, lambda pictures: through_network(vae, 2 * pictures - 1))
    assert torch.equal(first, prior.color[:1]) and (latents - want).abs().max() <= 1e-5


def test_prompts_saved_before_there_was_a_fit_give_what_they_gave(nodes, vae):
    color, visible = clip()
    given = dict(vae=vae, color=color, visible=visible, width=32, height=32, length=9, other_length="refuse",
                 tiling={"tiling": "off"}, mask_range="released")
    with torch.inference_mode():
        old = nodes.by_id["EX4DPriorEncode"].execute(**given).result
    new = nodes.run("EX4DPriorEncode", **given, fit="crop", erosion={"erosion": "none"})
    assert all(torch.equal(*pair) for pair in zip(old, new))


def test_outputs_have_memory_of_their_own_and_no_more(encode):
    color, visible = clip()
    for output in encode(color, visible):
        assert output.untyped_storage().nbytes() == output.numel() * output.element_size()
        assert output.untyped_storage().data_ptr() not in (color.untyped_storage().data_ptr(),
                                                           visible.untyped_storage().data_ptr())


def test_color_outside_the_mask_changes_nothing(encode):
    color, visible = clip()
    masked, _ = encode(color, visible)
    unmasked, _ = encode(color + 0.3 * (1 - visible[..., None]), visible)
    assert torch.equal(masked, unmasked)


def test_one_tile_is_the_whole(encode):
    whole, _ = encode(*clip())
    tiled, _ = encode(*clip(), tiling=TILES)
    assert (tiled - whole).abs().max() <= 1e-5


def test_many_tiles_make_latents_of_the_same_size(encode):
    color, visible = clip(height=96, width=128)
    whole, _ = encode(color, visible)
    tiled, _ = encode(color, visible, tiling=TILES)
    assert tiled.shape == whole.shape and not torch.equal(tiled, whole)
    assert (tiled - whole).abs().mean() < 0.1 * whole.std()


def test_memory_is_freed_between_the_two_encodes(encode, vae, monkeypatch):
    import comfy.model_management

    events = []
    encode_pictures = vae.encode
    monkeypatch.setattr(vae, "encode", lambda pictures: events.append("encode") or encode_pictures(pictures))
    monkeypatch.setattr(comfy.model_management, "soft_empty_cache", lambda *_: events.append("free"))
    encode(*clip())
    assert events == ["encode", "free", "encode", "free"]


@pytest.mark.parametrize("length, rule", [(5, "trim"), (9, "refuse"), (13, "pad")])
def test_lengths_follow_the_rule(encode, length, rule):
    latents, _ = encode(*clip(), length=length, other_length=rule)
    assert latents.shape[2] == (length - 1) // 4 + 1


# ---- doubts and refusals ------------------------------------------------------------------------


@pytest.mark.parametrize("spoil, words", [
    (torch.zeros_like, "all zero, 0% of the video counts as seen"),
    (lambda visible: 1 - visible, "looks inverted, 17% of the video counts as seen"),
])
def test_doubtful_masks_are_told_with_their_coverage(encode, caplog, spoil, words):
    color, visible = clip()
    with caplog.at_level(logging.WARNING):
        encode(color, spoil(visible))
    assert words in caplog.text


def test_a_good_mask_is_no_matter_for_words(encode, caplog):
    with caplog.at_level(logging.WARNING):
        encode(*clip())
    assert "visible" not in caplog.text


@pytest.mark.parametrize("settings, sentence", [
    ({"vae": None}, "vae: the checkpoint does not contain a VAE; load wan_2.1_vae.safetensors"),
    ({"length": 13}, "color: 9 frames, but 13 are to be generated; generate fewer, or choose pad"),
    ({"length": 5}, "color: 9 frames, but 5 are to be generated; generate more, or choose trim"),
    ({"length": 10, "other_length": "pad"}, "frames: T=10, but Wan needs 4k\\+1; use 9 or 13"),
    ({"width": 50}, "size: got 50x32, Wan needs multiples of 16; use 48x32"),
    ({"visible": torch.ones(9, 32, 48) * torch.nan}, "visible: contains NaN"),
    ({"visible": torch.ones(1, 32, 48)}, "visible: 1 frames, but color has 9"),
    ({"color": torch.full((9, 32, 48, 3), torch.nan)}, "color: contains NaN"),
])
def test_bad_input_gets_one_sentence(nodes, vae, settings, sentence):
    color, visible = clip()
    given = dict(vae=vae, color=color, visible=visible, width=48, height=32, length=9) | settings
    with pytest.raises(ValueError, match=sentence):
        nodes.run("EX4DPriorEncode", **given)


def test_another_vae_is_refused_by_name(nodes, vae):
    class AutoencoderKL(torch.nn.Module):
        pass

    class OtherVAE:
        first_stage_model, latent_channels = AutoencoderKL(), 4

    color, visible = clip()
    sentence = "vae: this is AutoencoderKL with 4 latent channels, but EX-4D needs the Wan 2.1 VAE"
    with pytest.raises(ValueError, match=sentence):
        nodes.run("EX4DPriorEncode", vae=OtherVAE(), color=color, visible=visible, width=48, height=32, length=9)


# ---- CogVideoX ----------------------------------------------------------------------------------


@pytest.fixture
def cogvideox_file(comfy, monkeypatch, tmp_path) -> Path:
    """The file of ComfyUI's own CogVideoX VAE, tiny, with random weights."""
    import comfy.ldm.cogvideo.vae as networks
    from safetensors.torch import save_file

    make = partial(networks.AutoencoderKLCogVideoX, block_out_channels=(8, 8, 8, 8), layers_per_block=1, groups=4)
    monkeypatch.setattr(networks, "AutoencoderKLCogVideoX", make)
    shapes = {name: tuple(weight.shape) for name, weight in make(latent_channels=16).state_dict().items()}
    save_file(tiny_models.draw("cogvideox", shapes), tmp_path / "cogvideox_vae.safetensors")
    return tmp_path / "cogvideox_vae.safetensors"


def test_the_vae_of_cogvideox_encodes_and_decodes_by_its_own_factor(nodes, cogvideox_file):
    vae, (color, visible) = read_vae(cogvideox_file), clip()
    prior, _ = nodes.run("EX4DPriorEncode", vae=vae, color=color, visible=visible, width=48, height=32, length=9)
    assert prior.shape == (1, 32, 3, 4, 6)
    shown = color * (visible > 0.5)[..., None]
    assert prior.abs().max() > 0.1 and (prior[:, :16] - 0.7 * vae.encode(shown).float()).abs().max() < 1e-4
    decoded = vae.decode(prior[:, :16] / 0.7)[0]
    assert (load_decoder(cogvideox_file)(prior[0, :16]) - decoded).abs().max() < 1e-3


def test_neither_vae_is_taken_for_the_other(comfy, cogvideox_file, tmp_path):
    from safetensors.torch import save_file

    save_file(tiny_models.vae(), tmp_path / "wan.safetensors")
    with pytest.raises(ValueError, match="is not the VAE of CogVideoX; use that, or give --clip-vision too for Wan"):
        load_encoders(tmp_path / "wan.safetensors", "text.safetensors", None)
    with pytest.raises(ValueError, match="is not the VAE of Wan 2.1; use wan_2.1_vae.safetensors"):
        load_encoders(cogvideox_file, "text.safetensors", "vision.safetensors")
