"""Laws of depth: what numbers mean, which pixels are refused, what resizing may and may not do."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops.camera import default_intrinsics, intrinsics_from_focal, lift
from ex4d_ops.clip import check_wan_length, nearest_wan_lengths, resize_frame, wan_size
from ex4d_ops.depth import (
    DepthUnits,
    check_depth,
    depth_from,
    depth_from_disparity,
    depth_from_disparity_released,
    fill_invalid,
    make_video_depth,
    match_depth,
    resize_depth,
)
from ex4d_ops.depth_units import DEPTH_KINDS

INF, NAN = math.inf, math.nan


def random_values(seed: int, *shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


# ---- what the numbers mean ----------------------------------------------------------------------


def test_released_rule_puts_the_nearest_at_10000_over_3900_and_the_farthest_at_10000():
    depth = depth_from_disparity_released(random_values(0, 3, 8, 9) * 70 - 20)
    assert float(depth.min()) == pytest.approx(10000 / 3900, rel=1e-6)
    assert float(depth.max()) == 10000


def test_released_rule_normalises_over_the_whole_clip():
    clip = torch.stack([torch.linspace(0, 1, 12).reshape(3, 4), torch.linspace(0, 2, 12).reshape(3, 4)])
    assert torch.allclose(depth_from_disparity_released(clip)[0].min(), torch.tensor(10000 / 1950))


@settings(deadline=None, max_examples=30)
@given(st.floats(0.01, 100), st.floats(-50, 50))
def test_released_rule_ignores_the_range_of_the_disparity(gain, offset):
    disparity = random_values(1, 2, 5, 6).double()
    expected = 1 / depth_from_disparity_released(disparity)
    assert torch.allclose(1 / depth_from_disparity_released(disparity * gain + offset), expected, rtol=1e-6, atol=1e-9)


def test_released_rule_matches_the_formula_of_the_released_code():
    disparity = torch.tensor([[[0.0, 1e-10, 0.25], [0.5, 0.75, 1.0]]])
    expected = [10000, 10000, 10000 / 975, 10000 / 1950, 10000 / 2925, 10000 / 3900]
    assert torch.allclose(depth_from_disparity_released(disparity).flatten(), torch.tensor(expected))


@pytest.mark.parametrize("values", [torch.full((2, 3, 4), 0.7), torch.full((2, 3, 4), NAN)])
def test_released_rule_refuses_a_clip_without_differences(values):
    with pytest.raises(ValueError, match="the same everywhere"):
        depth_from_disparity_released(values)


def test_released_rule_leaves_unknown_disparity_unknown():
    disparity = random_values(2, 1, 4, 4)
    disparity[0, 1, 2], disparity[0, 2, 2] = NAN, INF
    unknown = torch.isnan(depth_from_disparity_released(disparity))
    assert unknown.sum() == 2 and unknown[0, 1, 2] and unknown[0, 2, 2]


@settings(deadline=None, max_examples=30)
@given(st.floats(0.1, 10), st.floats(0, 2))
def test_metric_disparity_is_undone_by_its_scale_and_shift(scale, shift):
    depth = 0.5 + random_values(3, 2, 4, 5).double()
    assert torch.allclose(depth_from_disparity((1 / depth - shift) / scale, scale, shift), depth)


def test_zero_disparity_is_sky():
    assert torch.equal(depth_from_disparity(torch.tensor([0.0, 0.5])), torch.tensor([INF, 2.0]))


@pytest.mark.parametrize("kind, first, middle, last", [
    ("normalized-disparity", 8.0, 3.2, 2.0),
    ("normalized-depth", 2.0, 5.0, 8.0),
])
def test_normalised_values_run_between_near_and_far(kind, first, middle, last):
    depth = depth_from(torch.tensor([[[0.0, 0.5, 1.0]]]), DepthUnits(kind, near=2.0, far=8.0))
    assert torch.allclose(depth, torch.tensor([first, middle, last]))


def test_normalised_values_outside_0_to_1_are_refused():
    with pytest.raises(ValueError, match=r"0\.\.1, got 0\.\.255"):
        depth_from(torch.tensor([0.0, 255.0]), DepthUnits("normalized-depth", near=1.0, far=2.0))


def test_depth_as_given_is_scaled():
    assert torch.equal(depth_from(torch.tensor([3.0, INF]), DepthUnits("depth", 0.5)), torch.tensor([1.5, INF]))


@pytest.mark.parametrize("wrong, sentence", [
    (dict(kind="metres"), "use one of depth, disparity"),
    (dict(kind="depth", scale=0.0), "above 0"),
    (dict(kind="depth", scale=NAN), "above 0"),
    (dict(kind="normalized-depth"), "needs near and far"),
    (dict(kind="normalized-disparity", near=2.0, far=1.0), "0 < near < far"),
    (dict(kind="normalized-disparity", near=0.0, far=1.0), "0 < near < far"),
])
def test_units_that_mean_nothing_are_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        DepthUnits(**wrong)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(DEPTH_KINDS), st.lists(st.floats(width=32), min_size=12, max_size=12), st.booleans())
def test_every_source_becomes_valid_depth_or_one_sentence(kind, numbers, fill):
    try:
        depth = depth_from(torch.tensor(numbers).reshape(2, 2, 3), DepthUnits(kind, near=0.5, far=5.0))
        depth = fill_invalid(depth) if fill else depth
        check_depth(depth)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert (depth > 0).all()


# ---- holes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [NAN, 0.0, -1.0, -INF])
def test_pixels_without_depth_are_refused_with_their_number_and_frame(bad):
    depth = 1 + random_values(4, 3, 4, 5)
    depth[1, 2, 3] = depth[2, 0, 0] = bad
    with pytest.raises(ValueError, match="2 of 60 pixels are NaN, zero or negative, first in frame 1"):
        check_depth(depth)


@pytest.mark.parametrize("value, sentence", [(3.0, "3 everywhere"), (INF, "inf everywhere"), (NAN, "no pixel")])
def test_depth_without_a_shape_is_refused(value, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_depth(torch.full((2, 3, 4), value))


def test_sky_is_valid():
    depth = 1 + random_values(5, 2, 3, 4)
    depth[:, 0] = INF
    check_depth(depth)
    assert torch.equal(fill_invalid(depth), depth)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.floats(0.05, 0.95))
def test_filling_keeps_what_is_known_and_invents_no_depth(seed, share):
    depth = 1 + random_values(seed, 2, 9, 11)
    depth[:, :2] = INF
    invalid = random_values(seed + 1, 2, 9, 11) < share
    invalid[:, 0, 0] = False
    filled = fill_invalid(depth.masked_fill(invalid, NAN))
    assert torch.equal(filled[~invalid], depth[~invalid])
    for t in range(2):
        assert torch.isin(filled[t], depth[t][~invalid[t]]).all()


def test_a_hole_beside_a_near_surface_is_filled_with_the_far_one():
    depth = torch.full((1, 7, 12), 8.0)
    depth[..., :4] = 2.0
    holed = depth.clone()
    holed[:, 2:5, 4:7] = 0.0
    assert torch.equal(fill_invalid(holed), depth)


def test_a_frame_without_any_depth_is_not_filled():
    depth = 1 + random_values(6, 3, 4, 5)
    depth[2] = NAN
    with pytest.raises(ValueError, match="frame 2 does not have a valid pixel"):
        fill_invalid(depth)


# ---- sizes --------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(st.tuples(st.integers(2, 40), st.integers(2, 40)), st.tuples(st.integers(1, 50), st.integers(1, 50)))
def test_a_plane_stays_that_plane_at_any_size(size, new_size):
    normal, distance = torch.tensor([0.05, -0.04, 1.0]), 3.0

    def plane(height, width, intrinsics):
        return distance / (lift(torch.ones(height, width), intrinsics) @ normal)

    source = make_video_depth(plane(*size, default_intrinsics(size))[None])
    resized = resize_depth(source, new_size)
    assert torch.allclose(resized.depth[0], plane(*new_size, resized.intrinsics[0]), rtol=2e-5)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_no_depth_appears_between_two_surfaces(seed, new_size):
    surface = random_values(seed, 1, 13, 17) < 0.5
    depth = torch.where(surface, 2.0, 6.0)
    depth[:, :3] = INF
    resized = resize_depth(make_video_depth(depth), new_size).depth
    distinct = torch.tensor([2.0, 6.0])
    assert (torch.isinf(resized) | ((resized[..., None] - distinct).abs() < 1e-5).any(-1)).all()


def test_an_edge_stays_where_it_was():
    depth = torch.full((1, 20, 30), 9.0)
    depth[:, 4:16, 10:20] = 3.0
    for scale in (0.5, 2, 3):
        resized = resize_depth(make_video_depth(depth), (int(20 * scale), int(30 * scale))).depth
        expected = torch.nn.functional.interpolate(depth[None], scale_factor=scale, mode="nearest-exact")[0]
        assert torch.allclose(resized, expected)


def test_resizing_scales_the_intrinsics_along_and_keeps_the_rest():
    source = make_video_depth(1 + random_values(7, 2, 8, 12), metric=True)
    resized = resize_depth(source, (16, 6))
    focal, resized_focal = (clip.intrinsics[0, [0, 1], [0, 1]] for clip in (source, resized))
    assert torch.allclose(resized_focal, focal * torch.tensor([0.5, 2]))
    assert resized.metric and torch.equal(resized.world_from_cam, source.world_from_cam)
    assert resize_depth(source, (8, 12)) is source


def test_matching_says_both_sizes_and_resizes_only_when_told():
    depth = make_video_depth(1 + random_values(8, 3, 8, 12))
    with pytest.raises(ValueError, match="depth: 12x8, but the clip is 24x16"):
        match_depth(torch.zeros(3, 16, 24, 3), depth)
    assert match_depth(torch.zeros(3, 16, 24, 3), depth, resize=True).size == (16, 24)
    assert match_depth(torch.zeros(3, 8, 12, 3), depth) is depth


@pytest.mark.parametrize("size, said", [((8, 12), False), ((16, 24), False), ((18, 26), True), ((12, 9), True),
                                        ((40, 160), True)])
def test_depth_of_another_shape_is_stretched_and_that_is_said(caplog, size, said):
    depth = make_video_depth(1 + random_values(8, 3, 8, 12))
    matched = match_depth(torch.zeros(3, *size, 3), depth, resize=True)
    assert ("stretched over the clip" in caplog.text) == said
    assert torch.allclose(matched.intrinsics[0], default_intrinsics(size), rtol=1e-3)
    measured = match_depth(torch.zeros(3, *size, 3), replace(depth, intrinsics=depth.intrinsics * 0.999), resize=True)
    assert measured.intrinsics[0, 0, 0] / measured.intrinsics[0, 1, 1] == pytest.approx(size[1] / 12 / (size[0] / 8))


@pytest.mark.parametrize("size, advice", [((8, 100), "check that it is depth of this clip"),
                                          ((12, 8), "it lies on its side, so turn it a quarter"),
                                          ((120, 81), "it lies on its side, so turn it a quarter")])
def test_depth_that_cannot_be_that_of_its_frames_is_refused(size, advice):
    with pytest.raises(ValueError, match=f"depth: 12x8, but the clip is {size[1]}x{size[0]}; {advice}"):
        match_depth(torch.zeros(3, *size, 3), make_video_depth(1 + random_values(8, 3, 8, 12)), resize=True)


def test_depth_of_another_length_is_never_matched():
    with pytest.raises(ValueError, match="depth: 3 frames, but the clip has 5"):
        match_depth(torch.zeros(5, 8, 12, 3), make_video_depth(1 + random_values(9, 3, 8, 12)), resize=True)


# ---- cameras ------------------------------------------------------------------------------------


def test_missing_cameras_are_the_released_ones_at_rest():
    made = make_video_depth(1 + random_values(10, 2, 256, 256))
    assert made.intrinsics[1, 0, 0] == 250 and torch.equal(made.world_from_cam, torch.eye(4).expand(2, 4, 4))


def test_one_intrinsics_matrix_serves_every_frame():
    made = make_video_depth(1 + random_values(11, 3, 4, 5), intrinsics_from_focal(7.0, (4, 5)))
    assert made.intrinsics.shape == (3, 3, 3) and (made.intrinsics[:, 0, 0] == 7).all()


@pytest.mark.parametrize("intrinsics, sentence", [
    (torch.diag(torch.tensor([1.0, -1.0, 1.0])), "zero or negative"),
    (torch.diag(torch.tensor([1.0, NAN, 1.0])), "NaN"),
    (torch.diag(torch.tensor([1.0, 1.0, 2.0])), "last row"),
    (torch.ones(2, 2), "needs"),
    (torch.eye(3).expand(7, 3, 3), "needs"),
])
def test_intrinsics_that_are_no_camera_are_refused(intrinsics, sentence):
    with pytest.raises(ValueError, match=sentence):
        make_video_depth(1 + random_values(12, 2, 4, 5), intrinsics)


def test_source_cameras_that_are_not_rigid_are_refused():
    with pytest.raises(ValueError, match="not rigid"):
        make_video_depth(1 + random_values(13, 2, 4, 5), world_from_cam=2 * torch.eye(4).expand(2, 4, 4))


# ---- what Wan takes -----------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(1, 500))
def test_wan_lengths_are_4k_plus_1_and_closest(frames):
    below, above = nearest_wan_lengths(frames)
    assert below % 4 == above % 4 == 1 and below <= frames <= above and above - below in (0, 4)


def test_other_lengths_are_refused_with_the_ones_to_use():
    check_wan_length(49)
    with pytest.raises(ValueError, match="^frames: T=50, but Wan needs 4k\\+1; use 49 or 53$"):
        check_wan_length(50)


@settings(deadline=None)
@given(st.tuples(st.integers(1, 4000), st.integers(1, 4000)))
def test_wan_sizes_are_multiples_of_16_at_most_8_pixels_off(size):
    for side, wan_side in zip(size, wan_size(size)):
        assert wan_side % 16 == 0 and (abs(side - wan_side) <= 8 or wan_side == 16)


def test_resizing_a_frame_keeps_its_mean_and_its_range():
    frame = random_values(14, 32, 48, 3)
    for size in ((8, 12), (64, 96), (32, 48)):
        resized = resize_frame(frame, size)
        assert resized.shape == (*size, 3) and resized.min() >= 0 and resized.max() <= 1
        assert torch.allclose(resized.mean((0, 1)), frame.mean((0, 1)), atol=2e-2)
