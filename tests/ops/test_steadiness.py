"""Laws of steadiness: noise of scale and shift goes, truth stays; cuts are found, edges kept, flying pixels landed."""

from functools import cache

import pytest
import torch

from ex4d_ops.estimators.flying_pixels import land_flying_pixels
from ex4d_ops.estimators.steadiness import SteadyRules, align, find_cuts, split_shots, steady, warped_error
from ex4d_ops.optical_flow import find_flow, shrink, warp
from ex4d_ops.scene import SCENES, sample_clip

EVERY_SCENE = pytest.mark.parametrize("name", SCENES)
SIZE, FRAMES = (72, 96), 13


@cache
def filmed(name: str, frames: int = FRAMES, seed: int = 0):
    """A clip, the disparity of its exact depth with NaN for sky, and the intrinsics. Things move in all of them, and in
    colonnade the camera too.
    """
    clip, depth = sample_clip(name, frames, SIZE, seed)
    return clip, (1 / depth.depth).masked_fill(depth.depth.isinf(), torch.nan), depth.intrinsics[0]


def jittered(disparity, scale=0.1, shift=0.1, seed=1):
    """Disparity as a model returns it that looks at every frame alone: each in a scale and with a shift of its own."""
    generator = torch.Generator().manual_seed(seed)
    scales, shifts = (torch.randn(len(disparity), 1, 1, generator=generator) for _ in range(2))
    return disparity * (scale * scales).exp() + shift * disparity.nanmean() * shifts


def jitter(disparity, truth) -> float:
    """How much the error changes from frame to frame, relative to the truth."""
    error = disparity - truth
    return float(error.diff(dim=0).abs().nanmean() / truth.nanmean())


def error(disparity, truth) -> float:
    return float((disparity - truth).abs().nanmean() / truth.nanmean())


# ---- alignment ----------------------------------------------------------------------------------


@EVERY_SCENE
@pytest.mark.parametrize("scale, shift", [(0.1, 0.1), (0.3, 0.1), (0.1, 0.3)])
def test_alignment_leaves_a_tenth_of_the_jitter_and_no_larger_error(name, scale, shift):
    clip, truth, intrinsics = filmed(name)
    noisy = jittered(truth, scale, shift)
    aligned = steady(clip, noisy, SteadyRules(), intrinsics)
    assert jitter(aligned, truth) < 0.1 * jitter(noisy, truth)
    assert error(aligned, truth) < error(noisy, truth)


@EVERY_SCENE
def test_alignment_survives_errors_that_no_scale_or_shift_explains(name):
    clip, truth, intrinsics = filmed(name)
    coarse = torch.randn(FRAMES, 1, 9, 12, generator=torch.Generator().manual_seed(3))
    dented = truth * (1 + 0.05 * torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear")[:, 0])
    noisy = jittered(dented, 0.2, 0.2)
    aligned = steady(clip, noisy, SteadyRules(), intrinsics)
    assert jitter(aligned, truth) < 0.25 * jitter(noisy, truth)
    assert error(aligned, truth) < error(noisy, truth)


@EVERY_SCENE
def test_depth_that_is_steady_stays_what_it_is(name):
    clip, truth, intrinsics = filmed(name)
    aligned = steady(clip, truth, SteadyRules(), intrinsics)
    assert error(aligned, truth) < 0.01


@EVERY_SCENE
def test_scale_alone_keeps_zero_where_it_is(name):
    clip, truth, intrinsics = filmed(name)
    noisy = jittered(truth, 0.2, 0.0)
    solved = align(clip, noisy, "scale", intrinsics)
    assert solved[:, 1].abs().max() < 1e-6 and solved[:, 0].mean().sub(1).abs() < 1e-3
    aligned = noisy * solved[:, 0, None, None]
    assert jitter(aligned, truth) < 0.1 * jitter(noisy, truth)


def test_alignment_does_not_care_about_units():
    clip, truth, intrinsics = filmed("gallery")
    noisy = jittered(truth)
    small, large = (align(clip, noisy * unit, "scale and shift", intrinsics) for unit in (1.0, 1e4))
    assert torch.allclose(small * torch.tensor([1.0, 1e4]), large, rtol=1e-3, atol=1.0)


def test_alignment_off_changes_nothing():
    clip, truth, _ = filmed("gallery")
    assert torch.equal(steady(clip, truth, SteadyRules("none")), truth)


def test_pixels_without_disparity_stay_so():
    clip, truth, intrinsics = filmed("garden")
    assert truth.isnan().any()
    assert torch.equal(steady(clip, jittered(truth), SteadyRules(smoothing=1), intrinsics).isnan(), truth.isnan())


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("size", [(5, 7), (40, 30)])
def test_short_and_small_clips_come_back_whole(frames, size):
    clip, depth = sample_clip("gallery", frames, size)
    aligned = steady(clip, 1 / depth.depth, SteadyRules(smoothing=2))
    assert aligned.shape == depth.depth.shape and torch.isfinite(aligned).all()


def test_frames_that_match_nothing_keep_their_scale():
    noise = torch.rand(4, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    disparity = 1 + torch.rand(4, 64, 64, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(align(noise, disparity, "scale and shift"), torch.tensor([1.0, 0.0]))


def test_cancelling_stops_within_a_frame():
    clip, truth, _ = filmed("gallery")

    def cancel(done, total):
        if done == 3:
            raise InterruptedError
    with pytest.raises(InterruptedError):
        steady(clip, truth, SteadyRules(), progress=cancel)


# ---- cuts ---------------------------------------------------------------------------------------


@EVERY_SCENE
def test_no_cut_is_found_within_a_shot(name):
    assert find_cuts(filmed(name)[0]) == []


def test_cuts_are_found_where_they_are():
    clip = torch.cat([filmed(name)[0][:4] for name in SCENES])
    assert find_cuts(clip) == [4, 8, 12]
    assert split_shots(clip, "split") == [slice(0, 4), slice(4, 8), slice(8, 12), slice(12, 16)]
    assert split_shots(clip, "ignore") == [slice(0, 16)]
    with pytest.raises(ValueError, match="cuts to another shot at frame 4, 8, 12"):
        split_shots(clip, "refuse")


def test_fades_and_flashes_are_no_cuts():
    clip = filmed("street")[0]
    light = torch.ones(FRAMES)
    light[5], light[9:] = 1.4, torch.tensor([0.9, 0.8, 0.7, 0.6])
    assert find_cuts((clip * light[:, None, None, None]).clamp(0, 1)) == []


def test_each_shot_is_aligned_by_itself():
    parts = [filmed(name) for name in ("gallery", "street")]
    clip, truth = (torch.cat([part[k][:7] for part in parts]) for k in range(2))
    noisy = jittered(truth)
    shots = split_shots(clip, "split")
    aligned = torch.cat([steady(clip[shot], noisy[shot], SteadyRules(), parts[0][2]) for shot in shots])
    for shot in shots:
        assert jitter(aligned[shot], truth[shot]) < 0.1 * jitter(noisy[shot], truth[shot])


# ---- smoothing ----------------------------------------------------------------------------------


@EVERY_SCENE
def test_smoothing_calms_pixels_and_keeps_edges(name):
    clip, truth, _ = filmed(name)
    noisy = truth * (1 + 0.02 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(5)))
    smoothed = steady(clip, noisy, SteadyRules("none", 2))
    assert jitter(smoothed, truth) < 0.8 * jitter(noisy, truth)
    assert error(smoothed, truth) < error(noisy, truth)
    assert error(steady(clip, truth, SteadyRules("none", 2)), truth) < 0.01
    low, high = (-torch.nn.functional.max_pool2d(-truth.nan_to_num(torch.inf), 3, 1, 1),
                 torch.nn.functional.max_pool2d(truth.nan_to_num(0.0), 3, 1, 1))
    smeared = (smoothed < 0.85 * low) | (smoothed > 1.15 * high)
    assert not smeared.any(), "nothing may come to lie off the surfaces around it"


def test_jitter_is_seen_by_the_warped_error():
    clip, truth, _ = filmed("gallery")
    assert warped_error(clip, truth) < 0.2 * warped_error(clip, jittered(truth))


def test_flow_follows_known_motion():
    clip = filmed("gallery")[0][0]
    moved = torch.roll(clip, (2, -3), (0, 1))
    flow = find_flow(shrink(clip, 96), shrink(moved, 96))
    inner = (slice(12, -12), slice(12, -12))
    offset = (flow.target[inner] - find_flow(shrink(clip, 96), shrink(clip, 96)).target[inner])[flow.trusted[inner]]
    assert (offset - torch.tensor([-3.0, 2.0])).norm(dim=-1).median() < 0.1
    back = warp(moved[..., 1], flow)
    assert (back - clip[..., 1])[flow.trusted].abs().mean() < 0.02


# ---- flying pixels ------------------------------------------------------------------------------


@EVERY_SCENE
def test_flying_pixels_land_on_a_surface_beside_them(name):
    truth = filmed(name)[1][:1].nan_to_num(0.0)
    blurred = torch.nn.functional.avg_pool2d(truth[:, None], 3, 1, 1, count_include_pad=False)[:, 0]
    landed = land_flying_pixels(blurred)
    assert error(landed, truth) < 0.8 * error(blurred, truth)
    assert error(land_flying_pixels(truth), truth) < 0.01


def test_a_smeared_edge_becomes_a_step_and_a_slope_stays():
    edge = torch.tensor([1.0, 1, 1, 1, 1, 1.6, 2.6, 3.4, 4, 4, 4, 4, 4]).expand(1, 13, 13)
    expected = torch.where(edge < 2.5, 1.0, 4.0)
    assert torch.equal(land_flying_pixels(edge)[:, 4:-4], expected[:, 4:-4])
    slope = torch.linspace(1, 9, 30).expand(1, 30, 30)
    assert torch.equal(land_flying_pixels(slope), slope)
    assert land_flying_pixels(edge, 0) is edge
