"""Laws of bringing pictures, depth and cameras to another shape: cropped, stretched, padded, and what is said of it."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import max_pool2d

from ex4d_ops.adapter import fit_prior
from ex4d_ops.camera import fit_intrinsics, intrinsics_from_focal, pixel_centers, unfit_intrinsics
from ex4d_ops.clip import Fit, box_size, center_crop, describe_fit, fit_boxes, fit_frame, resize_frame
from ex4d_ops.depth import fit_depth, make_video_depth
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.prior import RenderRules, erosion_sizes, render_prior
from ex4d_ops.scene import sample_clip
from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves

SIDES = st.integers(1, 90)
SIZES = st.tuples(SIDES, SIDES)
FITS = get_args(Fit)
fits = st.sampled_from(FITS)


@given(SIZES, SIZES, fits)
def test_every_fit_gives_the_size_asked_for_and_keeps_or_fills_all(size, new_size, fit):
    kept, filled = fit_boxes(size, new_size, fit)
    for box, sides in ((kept, size), (filled, new_size)):
        assert all(0 <= part.start < part.stop <= side for part, side in zip(box, sides))
    assert box_size(kept) == size or fit == "crop"
    assert box_size(filled) == tuple(new_size) or fit == "pad"
    fitted = fit_frame(torch.ones(*size, 3), new_size, fit)
    assert fitted.shape == (*new_size, 3)
    assert torch.allclose(fitted[filled], torch.ones(()))
    fitted[filled] = 0
    assert not fitted.any(), "bars are black"


@given(SIZES, SIZES)
def test_crop_and_stretch_are_what_they_were(size, new_size):
    frame = torch.rand(*size, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(fit_frame(frame, new_size, "stretch"), resize_frame(frame, new_size))
    assert torch.equal(fit_frame(frame, new_size, "crop"), resize_frame(frame[center_crop(size, new_size)], new_size))


@given(SIZES, fits)
def test_the_same_size_changes_nothing(size, fit):
    frame = torch.rand(*size, 3)
    assert torch.equal(fit_frame(frame, size, fit), frame) and describe_fit(size, size, fit) is None


@given(st.tuples(st.integers(16, 60), st.integers(16, 60)), st.tuples(st.integers(16, 60), st.integers(16, 60)), fits)
def test_every_pixel_lies_where_the_lens_that_follows_sees_it(size, new_size, fit):
    lens = intrinsics_from_focal(40.0, size)
    new_lens = fit_intrinsics(lens, size, new_size, fit)
    assert torch.allclose(unfit_intrinsics(new_lens, size, new_size, fit), lens, atol=1e-4)
    rays = (pixel_centers(size) - lens[:2, 2]) / lens[[0, 1], [0, 1]]  # what every pixel sees, linear over the picture
    seen = fit_frame(torch.nn.functional.pad(rays, (0, 1)), new_size, fit)[..., :2]
    expected = (pixel_centers(new_size) - new_lens[:2, 2]) / new_lens[[0, 1], [0, 1]]
    _, (rows, columns) = fit_boxes(size, new_size, fit)
    margin = 2 + max(new_size) // min(size)  # at its rim resampling repeats the last pixel
    inside = (slice(rows.start + margin, rows.stop - margin), slice(columns.start + margin, columns.stop - margin))
    quarter = 0.25 / float(new_lens[[0, 1], [0, 1]].min())  # of a pixel, by which averaging moves a slope
    assert torch.allclose(seen[inside], expected[inside], atol=quarter)


@pytest.mark.parametrize("fit", FITS)
def test_a_plane_stays_that_plane_in_depth_of_every_fit(fit):
    size, new_size = (36, 64), (48, 48)
    lens = intrinsics_from_focal(50.0, size)

    def plane(lens, size):  # a floor that tilts to the right
        x, y = ((pixel_centers(size) - lens[:2, 2]) / lens[[0, 1], [0, 1]]).unbind(-1)
        return 1 / (0.2 + 0.05 * x + 0.1 * y)

    fitted = fit_depth(make_video_depth(plane(lens, size)[None], lens), new_size, fit)
    _, filled = fit_boxes(size, new_size, fit)
    expected = plane(fitted.intrinsics[0], new_size)
    assert torch.allclose(fitted.depth[0][filled], expected[filled], atol=1e-3)
    rest = fitted.depth[0].clone()
    rest[filled] = torch.inf
    assert torch.isinf(rest).all(), "bars are sky"


@pytest.mark.parametrize("size, new_size, share, across", [
    ((1080, 1920), (512, 512), "44%", "width"), ((1920, 1080), (512, 512), "44%", "height"),
    ((480, 640), (512, 512), "25%", "width"), ((512, 512), (480, 832), "42%", "height"),
    ((720, 1280), (480, 832), "2%", "width"),
])
def test_what_is_lost_is_said_with_its_share(size, new_size, share, across):
    along = {"width": "height", "height": "width"}[across]
    texts = {fit: describe_fit(size, new_size, fit) for fit in FITS}
    assert f"{share} of its {across} is lost" in texts["crop"]
    assert f"its {across} shrinks by {share}" in texts["stretch"]
    assert f"{share} of the new {along} is black bars" in texts["pad"]
    assert all(f"{size[1]}x{size[0]} becomes {new_size[1]}x{new_size[0]}" in text for text in texts.values())


@pytest.mark.parametrize("size", [(1080, 1920), (359, 641), (512, 512), (1031, 1029)])
def test_sides_rounded_to_multiples_of_16_are_no_loss_worth_a_line(size):
    rounded = tuple(round(side / 16) * 16 for side in size)
    assert all(describe_fit(size, rounded, fit) is None for fit in FITS)


# ---- a prior of another shape -------------------------------------------------------------------


@pytest.fixture(scope="module")
def wide():
    """A clip of 16:9, its mesh, and its prior without erosion."""
    frames, depth = sample_clip("gallery", 5, (90, 160), seed=1)
    mesh = build_dw_mesh(frames, depth)
    path = move_path(parse_moves("orbit:yaw=30"), 5, automatic_radius(depth), depth.intrinsics, depth.size)
    return mesh, path, render_prior(mesh, path, RenderRules(erosion=0))


@pytest.mark.parametrize("size", [(48, 48), (80, 80), (160, 160)])
def test_stretched_and_then_eroded_is_the_released_order(wide, size):
    import cv2

    prior = wide[2]
    ours = fit_prior(prior.color, prior.visible.float(), size, 5, fit="stretch", erosion="released", seed=7)
    for t, kernel in enumerate(erosion_sizes("released", 7, 5)):
        gray = resize_frame(prior.visible[t, ..., None].float(), size)[..., 0].numpy()
        eroded = cv2.erode(gray, np.ones((kernel, kernel), np.uint8))  # as released: the gray mask, then two values
        visible = torch.from_numpy(eroded > 0.5)
        assert torch.equal(ours.visible[t], visible)
        assert torch.equal(ours.color[t], resize_frame(prior.color[t], size) * visible[..., None])


@pytest.mark.parametrize("size", [(48, 48), (80, 80), (160, 160)])
def test_averaging_differs_from_the_released_resampling_at_the_rim_of_the_mask_only(wide, size):
    import cv2

    prior = wide[2]
    ours = fit_prior(prior.color, prior.visible.float(), size, 5, fit="stretch")
    for t in range(5):
        visible = torch.from_numpy(cv2.resize(prior.visible[t].byte().numpy() * 255, size[::-1]) / 255.0 > 0.5)
        unlike = ours.visible[t] ^ visible
        within, beyond = (max_pool2d(side[None].float(), 3, 1, 1)[0] == 0 for side in (~visible, visible))
        assert not (unlike & (within | beyond)).any() and unlike.float().mean() < 0.02


def test_the_kernel_means_pixels_of_the_size_to_generate(wide):
    mask = torch.ones(1, 90, 160)
    mask[:, :, 80:] = 0
    for pixels in range(1, 9):
        fitted = fit_prior(torch.ones(1, 90, 160, 3), mask, (48, 48), 1, fit="stretch", erosion=pixels)
        assert int(fitted.visible[0, 24].sum()) == 24 - (pixels - 1 - pixels // 2)


def test_at_one_size_it_does_not_matter_where_the_mask_is_eroded(wide):
    mesh, path, bare = wide
    eroded = render_prior(mesh, path, RenderRules(seed=3))
    cut = (slice(None), slice(0, 80), slice(0, 160))
    fitted = fit_prior(bare.color[cut], bare.visible[cut].float(), (80, 160), 5, erosion="released", seed=3)
    inside = (slice(None), slice(8, 72), slice(8, 152))  # the cut is a border of its own
    assert torch.equal(fitted.visible[inside], eroded.visible[cut][inside])


def test_bars_are_black_and_never_seen(wide):
    prior = wide[2]
    fitted = fit_prior(prior.color, prior.visible.float(), (160, 160), 5, fit="pad")
    assert not fitted.visible[:, :35].any() and not fitted.visible[:, 125:].any() and not fitted.color[:, :35].any()
    assert torch.equal(fitted.visible[:, 35:125], prior.visible)


def test_a_padded_path_shows_the_whole_source_frame_first_and_bars_beside_it(wide):
    mesh, path, _ = wide
    lens = fit_intrinsics(path.intrinsics, (90, 160), (160, 160), "pad")
    padded = render_prior(mesh, type(path)(path.cam_from_world, lens, (160, 160)), RenderRules(erosion=0))
    assert torch.equal(padded.color[0], fit_frame(mesh.colors[0], (160, 160), "pad"))
    assert padded.visible[0, 35:125].all() and not padded.visible[0, :35].any() and not padded.visible[0, 125:].any()
    middle, flat = padded.visible[1:, 35:125], wide[2].visible[1:]
    assert (middle ^ flat).float().mean() < 0.001, "in the middle it is the same view"
