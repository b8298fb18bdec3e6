"""Laws of the adapter's encoder, and of what a prior becomes before it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ex4d_ops import Prior
from ex4d_ops.adapter import PriorEncoder, build_encoder, choose_frames, doubt_mask, encode_prior, fit_prior
from ex4d_ops.clip import center_crop

from ..golden import recipe


def encoder_weights(dtype=torch.float32) -> dict[str, torch.Tensor]:
    return {name: weight.to(dtype) for name, weight in recipe.adapter_weights().items() if ".lora_" not in name}


def random_prior(frames: int = 9, height: int = 32, width: int = 48) -> Prior:
    generator = torch.Generator().manual_seed(0)
    visible = torch.rand(frames, height, width, generator=generator) > 0.5
    return Prior(torch.rand(frames, height, width, 3, generator=generator) * visible[..., None], visible)


# ---- the encoder --------------------------------------------------------------------------------


def test_prior_tokens_are_the_released_ones():
    tokens = build_encoder(encoder_weights())(recipe.inputs()["prior_latent"])
    assert (tokens - recipe.golden("prior_tokens")).abs().max() <= 1e-6


def test_an_encoder_has_the_released_keys_shapes_and_size():
    weights = PriorEncoder(1024, 5120).state_dict()
    assert {name: tuple(weight.shape) for name, weight in weights.items()} == {
        name: shape for name, shape in recipe.adapter_shapes(dim=5120, hidden=1024).items() if ".lora_" not in name}
    assert sum(weight.numel() for weight in weights.values()) == 23_109_632


@pytest.mark.parametrize("hidden, out, channels", [(8, 24, 16), (64, 256, 16), (5, 7, 4)])
def test_sizes_are_read_from_the_weights(hidden, out, channels):
    built = build_encoder(PriorEncoder(hidden, out, channels).state_dict())
    assert built(torch.randn(1, 2 * channels, 3, 4, 6)).shape == (1, out, 3, 2, 3)


def test_frames_are_encoded_each_by_itself():
    encoder, latents = build_encoder(encoder_weights()), recipe.inputs()["prior_latent"]
    alone = torch.cat([encoder(latents[:, :, t:t + 1]) for t in range(latents.shape[2])], 2)
    assert (alone - encoder(latents)).abs().max() <= 1e-6


def test_an_encoder_shares_its_weights_and_is_frozen():
    weights = encoder_weights(torch.bfloat16)
    encoder = build_encoder(weights)
    for name, parameter in encoder.named_parameters():
        assert parameter.data_ptr() == weights[name].data_ptr() and parameter.dtype == torch.bfloat16
        assert not parameter.requires_grad


# ---- what the VAE sees --------------------------------------------------------------------------


@pytest.mark.parametrize("mask_range, hidden", [("released", -3), ("paper", -1)])
def test_the_vae_sees_the_mask_in_the_chosen_range(mask_range, hidden):
    prior = random_prior()
    seen = []

    def encode(pictures):
        seen.append(2 * pictures - 1)  # what a VAE makes of pictures
        return pictures.new_zeros(1, 16, 3, 4, 6)

    encode_prior(prior, encode, mask_range)
    color, mask = seen
    assert torch.equal(color, 2 * prior.color - 1)
    assert mask.shape == (9, 32, 48, 3)
    assert torch.equal(mask, torch.where(prior.visible, 1.0, float(hidden))[..., None].expand_as(mask))


def test_the_released_range_is_the_default():
    ranges = []
    encode_prior(random_prior(), lambda pictures: ranges.append(pictures.min()) or torch.zeros(1, 16, 3, 4, 6))
    assert ranges[1] == -1  # which a VAE reads as -3


def test_color_comes_before_mask():
    values = iter([1.0, 2.0])
    latents = encode_prior(random_prior(), lambda pictures: torch.full((1, 16, 3, 4, 6), next(values)))
    assert latents.shape == (1, 32, 3, 4, 6)
    assert (latents[:, :16] == 1).all() and (latents[:, 16:] == 2).all()


# ---- size and length ----------------------------------------------------------------------------


def test_a_prior_of_the_right_size_and_length_is_left_alone():
    prior = random_prior()
    fitted = fit_prior(prior.color, prior.visible.float(), (32, 48), 9)
    assert torch.equal(fitted.color, prior.color) and torch.equal(fitted.visible, prior.visible)


def test_color_is_black_wherever_it_was_not_seen():
    prior = random_prior()
    fitted = fit_prior(torch.ones_like(prior.color), prior.visible.float(), (32, 48), 9)
    assert torch.equal(fitted.color, prior.visible[..., None].expand(-1, -1, -1, 3).float())


def test_resizing_keeps_what_lies_in_the_middle_in_the_middle():
    color = torch.zeros(1, 40, 96, 3)
    color[:, 10:30, 38:58] = 1  # a square around the centre
    fitted = fit_prior(color, torch.ones(1, 20, 48), (80, 80), 1)
    rows, columns = (fitted.color[0, ..., 0].amax(axis) > 0.5 for axis in (1, 0))
    assert abs(int(rows.sum()) - 40) <= 1 and abs(int(columns.sum()) - 40) <= 1
    assert torch.equal(rows, rows.flip(0)) and torch.equal(columns, columns.flip(0))


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 20), st.integers(1, 20))
def test_a_crop_has_the_proportions_asked_for_and_fills_one_side(height, width, rows, columns):
    part = torch.zeros(height, width, 1)[center_crop((height, width), (16 * rows, 16 * columns))]
    assert part.shape[0] == height or part.shape[1] == width
    exact = max(1.0, min(height, width * rows / columns)), max(1.0, min(width, height * columns / rows))
    assert all(abs(got - want) <= 1 for got, want in zip(part.shape, exact))


@pytest.mark.parametrize("frames, length, rule, chosen", [
    (5, 5, "refuse", [0, 1, 2, 3, 4]), (7, 5, "trim", [0, 1, 2, 3, 4]), (5, 5, "trim", [0, 1, 2, 3, 4]),
    (3, 5, "pad", [0, 1, 2, 2, 2]), (1, 5, "pad", [0, 0, 0, 0, 0]),
])
def test_the_length_rule_says_which_frames_are_shown(frames, length, rule, chosen):
    assert choose_frames(frames, length, rule) == chosen


@pytest.mark.parametrize("frames, length, rule, sentence", [
    (7, 5, "refuse", "7 frames, but 5 are to be generated; generate more, or choose trim"),
    (7, 5, "pad", "choose trim"),
    (3, 5, "refuse", "3 frames, but 5 are to be generated; generate fewer, or choose pad"),
    (3, 5, "trim", "choose pad"),
])
def test_lengths_that_the_rule_does_not_mend_are_refused(frames, length, rule, sentence):
    with pytest.raises(ValueError, match=sentence):
        choose_frames(frames, length, rule)


@pytest.mark.parametrize("size, length, masks, sentence", [
    ((40, 48), 9, 9, "size: got 48x40, Wan needs multiples of 16; use 48x48"),
    ((32, 48), 10, 9, "Wan needs 4k\\+1; use 9 or 13"),
    ((32, 48), 9, 1, "visible: 1 frames, but color has 9; give one mask per frame"),
])
def test_sizes_and_lengths_that_wan_does_not_take_are_refused(size, length, masks, sentence):
    with pytest.raises(ValueError, match=sentence):
        fit_prior(torch.zeros(9, 32, 48, 3), torch.ones(masks, 32, 48), size, length)


# ---- doubtful masks -----------------------------------------------------------------------------


def rendered_clip() -> tuple[torch.Tensor, torch.Tensor]:
    """A color video, black where the source saw nothing, and its mask; frame 0 is all seen."""
    visible = torch.ones(5, 32, 48)
    for t in range(1, 5):
        visible[t, :, :6 * t] = 0
    return (0.2 + 0.6 * torch.rand(5, 32, 48, 3)) * visible[..., None], visible


def test_a_rendered_prior_raises_no_doubt():
    assert doubt_mask(*rendered_clip()) is None


@pytest.mark.parametrize("black_outside", [True, False])
def test_an_inverted_mask_is_told_with_its_coverage(black_outside):
    color, visible = rendered_clip()
    color = color if black_outside else torch.rand_like(color)
    doubt = doubt_mask(color, 1 - visible)
    assert "looks inverted" in doubt and f"{float((1 - visible).mean()):.0%}" in doubt


def test_a_mask_of_another_size_is_judged_alike():
    color, visible = rendered_clip()
    smaller = (1 - visible)[:, ::2, ::2]
    assert "looks inverted" in doubt_mask(color, smaller) and doubt_mask(color, 1 - smaller) is None


def test_an_empty_mask_is_told_with_its_coverage():
    color, visible = rendered_clip()
    assert "all zero, 0% of the video" in doubt_mask(color, torch.zeros_like(visible))


def test_a_dark_clip_raises_no_doubt():
    _, visible = rendered_clip()
    assert doubt_mask(torch.zeros(5, 32, 48, 3), visible) is None
