"""Laws of guide videos: what every style promises of holes, mask, length, rate and size."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops.generators import MERIDIAN_SIZES, STYLES, Lengths
from ex4d_ops.guide import (
    Guide,
    accompany,
    choose_moments,
    doubt_first_frame,
    guide_video,
    join_in_time,
    nearest_frames,
    trained_size,
)
from ex4d_ops.prior import Prior

HOLES = {"ex-4d": 0.0, "vace": 0.5, "uni3c": 0.5, "crossview-ltx": (1.0, 0.0, 1.0), "crossview-h3": (1.0, 0.0, 1.0),
         "meridian": 128 / 255, "black": 0.0}
RATES = {"ex-4d": None, "vace": 16, "uni3c": 16, "crossview-ltx": 24, "crossview-h3": 24, "meridian": 24, "black": None,
         "hold": None}
every_style = pytest.mark.parametrize("style", STYLES)
every_small_style = pytest.mark.parametrize("style", [style for style, look in STYLES.items() if not look.sizes])


def prior_of(frames: int = 9, size=(48, 64), seed: int = 0, share: float = 0.7) -> Prior:
    generator = torch.Generator().manual_seed(seed)
    visible = torch.rand(frames, *size, generator=generator) < share
    color = (0.1 + 0.8 * torch.rand(frames, *size, 3, generator=generator)) * visible[..., None]
    return Prior(color, visible)


def enough_for(style: str, size=(64, 96)) -> Prior:
    """A small prior of 24 frames per second that is long enough for a style."""
    shortest = next(iter(STYLES[style].lengths)) + 5
    return prior_of(math.ceil(shortest * 24 / (STYLES[style].fps or 24)) + 2, size)


def small_guide(style: str, prior: Prior | None = None, **asked) -> Guide:
    """A guide of the size of its prior, where the generator takes small ones."""
    size = None if STYLES[style].sizes else (64, 96)
    return guide_video(prior or enough_for(style), style, 24.0, size=size, **asked)


@pytest.mark.parametrize("style, holes", HOLES.items())
def test_every_hole_has_exactly_the_color_of_its_style(style, holes):
    guide = small_guide(style)
    resized = guide.paint if STYLES[style].joined == 1 else guide.paint & (guide.color == 0.5).all(-1)
    assert resized.any() and torch.equal(guide.color[resized], torch.tensor(holes).expand(int(resized.sum()), 3))


@every_style
def test_every_guide_has_a_length_a_rate_and_a_size_that_its_generator_takes(style):
    look, prior = STYLES[style], enough_for(style)
    guide = guide_video(prior, style, 24.0)
    assert guide.fps == (RATES[style] or 24.0) and guide.seconds <= len(prior) / 24.0 + 1e-6
    assert look.lengths.longest(len(guide)) == len(guide)
    assert all(side % look.multiple == 0 for side in guide.size)
    assert not look.sizes or guide.size in look.sizes


@every_small_style
def test_every_pixel_that_was_seen_stays_as_it_is_where_nothing_is_resized(style):
    prior = enough_for(style)
    guide = small_guide(style, prior, rate="as given")
    seen = prior.visible[guide.shown]
    assert torch.equal(guide.color[seen], prior.color[guide.shown][seen])
    assert torch.equal(guide.paint, join_in_time(~seen, STYLES[style].joined))


@given(frames=st.integers(1, 400), fps=st.floats(5, 60), fps_out=st.sampled_from([15.0, 16.0, 24.0, 30.0]))
@settings(deadline=None)
def test_every_moment_shows_the_nearest_frame(frames, fps, fps_out):
    shown = nearest_frames(frames, fps, fps_out)
    moments = torch.arange(len(shown), dtype=torch.float64) / fps_out
    off = (shown.double() / fps - moments).abs()
    assert (off[shown < frames - 1] <= 0.5 / fps + 1e-9).all() and (off < 1 / fps).all()  # the last frame lasts longer
    assert shown[0] == 0 and (shown.diff() >= 0).all() and len(shown) <= max(frames * fps_out / fps + 1e-6, 1)


@given(frames=st.integers(1, 120), fps=st.sampled_from([12.0, 23.976, 24.0, 25.0, 29.97, 30.0, 60.0]))
@settings(deadline=None)
def test_every_rate_that_is_nearly_the_same_shows_every_frame_once(frames, fps):
    assert torch.equal(nearest_frames(frames, fps, fps), torch.arange(frames))
    near = nearest_frames(frames, fps, fps * 1.001)
    assert torch.equal(near, torch.arange(len(near))) and len(near) >= frames - 1


@pytest.mark.parametrize("lengths", [Lengths(4, 1), Lengths(8, 1), Lengths(17, 5), Lengths(only=(73, 90, 107))])
@given(frames=st.integers(0, 500))
def test_every_nearest_length_is_the_nearest(lengths, frames):
    known = [length for length, _ in zip(lengths, range(600))]
    assert lengths.longest(frames) == max((n for n in known if n <= frames), default=None)
    assert lengths.shortest(frames) == min((n for n in known if n >= frames), default=None)


@every_style
def test_every_length_asked_for_is_given_or_refused_with_those_that_can_be_had(style):
    look, prior = STYLES[style], enough_for(style)
    most = len(choose_moments(style, len(prior), 24.0)[0])
    assert len(choose_moments(style, len(prior), 24.0, most)[0]) == most
    other = most + 1 if look.lengths.longest(most + 1) != most + 1 else most + 2
    with pytest.raises(ValueError, match=rf"^length: {other} is not a length of {style}, .* use {most} or \d+$"):
        choose_moments(style, len(prior), 24.0, other)
    longer = look.lengths.shortest(most + 1)
    with pytest.raises(ValueError, match=rf"^length: {longer} frames are asked for, but .*; use {most} or"):
        choose_moments(style, len(prior), 24.0, longer)


@pytest.mark.parametrize("style, frames, takes", [("meridian", 72, "73, 90"), ("crossview-h3", 4, r"17k\+5 \(22, 39")])
def test_every_clip_that_is_too_short_is_refused(style, frames, takes):
    with pytest.raises(ValueError, match=f"^length: the clip gives {frames} frames at 24 .* {style} takes {takes}.*; "
                                         "use a longer clip"):
        choose_moments(style, frames, 24.0)


@every_style
@given(height=st.integers(64, 1200), width=st.integers(64, 1200))
@settings(deadline=None, max_examples=30)
def test_every_trained_size_is_shaped_like_the_prior_and_of_its_area(style, height, width):
    look = STYLES[style]
    high, wide = trained_size(look, (height, width))
    if look.sizes:
        assert (high, wide) in look.sizes
        return
    scale = math.sqrt((look.area or height * width) / (height * width))
    assert abs(high - height * scale) <= look.multiple and abs(wide - width * scale) <= look.multiple


def test_meridian_s_sizes_are_those_of_its_ladder():
    assert trained_size(STYLES["meridian"], (720, 1280)) == (480, 832)
    assert trained_size(STYLES["meridian"], (1920, 1080)) == (832, 480)
    assert trained_size(STYLES["meridian"], (512, 512)) == (640, 640)
    assert trained_size(STYLES["crossview-h3"], (1080, 1920)) == trained_size(STYLES["crossview-ltx"], (720, 1280))
    assert trained_size(STYLES["crossview-h3"], (1080, 1920)) == (544, 960)
    assert {(w, h) for h, w in MERIDIAN_SIZES} == set(MERIDIAN_SIZES)


@pytest.mark.parametrize("style, size, said", [
    ("vace", (100, 64), "64x100, but vace takes multiples of 16; use 64x96"),
    ("crossview-ltx", (48, 64), "64x48, but crossview-ltx takes multiples of 32; use 64x64"),
    ("meridian", (512, 512), "512x512 is not a size of meridian; use one of 416x960"),
])
def test_every_size_that_a_generator_does_not_take_is_refused(style, size, said):
    with pytest.raises(ValueError, match=f"^width, height: {said}"):
        guide_video(enough_for(style), style, 24.0, size=size)


def test_no_black_of_a_hole_mixes_into_what_was_seen():
    prior = prior_of(5, (64, 64))
    white = Prior(prior.visible[..., None].float().expand(-1, -1, -1, 3).contiguous(), prior.visible)
    guide = guide_video(white, "crossview-ltx", 24.0, size=(32, 32))
    assert (guide.color[~guide.paint] > 0.999).all() and guide.paint.any() and not guide.paint.all()


@pytest.mark.parametrize("fit, share", [("crop", 0.0), ("stretch", 0.0), ("pad", 0.5)])
def test_every_bar_that_is_added_is_a_hole(fit, share):
    whole = Prior(torch.ones(5, 32, 64, 3), torch.ones(5, 32, 64, dtype=torch.bool))
    guide = guide_video(whole, "black", 24.0, size=(64, 64), fit=fit)
    assert guide.paint.float().mean() == share


# ---- the mask in time ---------------------------------------------------------------------------


@given(latents=st.integers(1, 40), seed=st.integers(0, 99))
@settings(deadline=None)
def test_every_latent_is_read_as_the_union_of_its_frames(latents, seed):
    frames = 4 * (latents - 1) + 1
    paint = torch.rand(frames, 3, 5, generator=torch.Generator().manual_seed(seed)) < 0.2
    joined = join_in_time(paint, 4)
    # How WanVaceToVideo reads it.
    read = torch.nn.functional.interpolate(joined.float()[None, None], (latents, 3, 5), mode="nearest-exact")[0, 0] > 0
    wanted = torch.stack([paint[:1].any(0), *(paint[4 * k + 1 : 4 * k + 5].any(0) for k in range(latents - 1))])
    assert torch.equal(read, wanted)


def test_only_vace_reads_masks_in_groups():
    assert {style for style, look in STYLES.items() if look.joined > 1} == {"vace"}


# ---- the rest -----------------------------------------------------------------------------------


def test_every_hole_holds_what_its_pixel_showed_last():
    prior = prior_of(9, (16, 16))
    guide = guide_video(prior, "hold", 24.0)
    for y, x in ((0, 0), (7, 3), (15, 15)):
        last = torch.zeros(3)
        for t in range(9):
            last = prior.color[t, y, x] if prior.visible[t, y, x] else last
            assert torch.equal(guide.color[t, y, x], last)


@every_small_style
def test_every_prior_is_left_as_it_was(style):
    prior = enough_for(style)
    color, visible = prior.color.clone(), prior.visible.clone()
    small_guide(style, prior)
    assert torch.equal(prior.color, color) and torch.equal(prior.visible, visible)


def test_the_source_goes_along_frame_by_frame():
    prior = prior_of(40, (32, 32))
    frames = torch.arange(40.0)[:, None, None, None].expand(40, 32, 32, 3) / 40
    guide = guide_video(prior, "crossview-ltx", 30.0, size=(32, 64))
    along = accompany(guide, frames)
    assert along.shape == guide.color.shape
    assert torch.allclose(along[:, 0, 0, 0] * 40, guide.shown.float(), atol=1e-4)
    assert (accompany(guide, frames[:3])[4:] == accompany(guide, frames[:3])[4]).all()


@every_style
def test_every_style_that_begins_with_the_source_doubts_a_first_frame_with_holes(style):
    doubt = doubt_first_frame(prior_of(5), style)
    assert (doubt is not None) == STYLES[style].source_first
    assert doubt_first_frame(prior_of(5, share=1.1), style) is None


@every_style
def test_every_style_says_where_its_facts_come_from(style):
    look = STYLES[style]
    assert look.origin and (style in ("ex-4d", "hold") or "read 2026-" in look.origin or "0.33" in look.origin)
