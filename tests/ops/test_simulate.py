"""Laws of simulated masks: rendering masks against exact visibility, tracking masks over time, crops that glide."""

from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import max_pool2d

from ex4d_ops import CameraPath
from ex4d_ops.camera import lift, pixel_centers, project
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.prior import RenderRules, render_prior
from ex4d_ops.scene import SCENES, make_scene, sample_clip
from ex4d_ops.simulate import (
    CROP_SHARE,
    GRID_POINTS,
    SWEEP,
    crop_depth,
    crop_frames,
    draw_points,
    draw_windows,
    hide_rectangles,
    mask_frames,
    pair_faces,
    random_mask,
    rendering_mask,
    sweep_path,
    tracking_mask,
)
from ex4d_ops.tracking import Tracks, track_lk

SIZE = (96, 112)
EVERY_SCENE = pytest.mark.parametrize("name", SCENES)


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def scene_mesh(name: str, frames: int = 3):
    return build_dw_mesh(*sample_clip(name, frames, SIZE))


@cache
def exact_visibility(name: str, degrees: float) -> torch.Tensor:
    scene, cameras = make_scene(name), sweep_path(scene_mesh(name), degrees)
    return scene.seen_from_source(cameras, scene.source_cameras(len(cameras), SIZE))


def grown(mask: torch.Tensor, pixels: int = 1) -> torch.Tensor:
    """A mask [T, H, W] with its true pixels grown to all sides."""
    return max_pool2d(mask.float(), 2 * pixels + 1, 1, pixels) > 0


# ---- rendering masks ----------------------------------------------------------------------------


@EVERY_SCENE
@pytest.mark.parametrize("degrees", [15, 45, 90])
def test_what_a_rendering_mask_shows_the_source_has_seen(name, degrees):
    mesh = scene_mesh(name)
    cameras = sweep_path(mesh, degrees)
    shown, exact = rendering_mask(mesh, cameras, dilation=0), exact_visibility(name, degrees)
    wrong = shown & ~exact
    assert wrong.sum() < 0.03 * shown.sum()
    assert (wrong & ~grown(exact)).sum() < 0.01 * shown.sum()  # away from the edges of what is seen
    dilated = rendering_mask(mesh, cameras)
    assert (dilated & ~exact).sum() < 0.02 * dilated.sum()


@EVERY_SCENE
@pytest.mark.parametrize("degrees", [15, 90])
def test_most_of_what_the_source_has_seen_a_rendering_mask_shows(name, degrees):
    mesh = scene_mesh(name)
    cameras = sweep_path(mesh, degrees)
    exact = exact_visibility(name, degrees)
    watertight, open_mesh = (rendering_mask(mesh, cameras, 0, surface) for surface in ("watertight", "visible"))
    assert (watertight & exact).sum() > (0.75 if degrees == 15 else 0.6) * exact.sum()
    assert (open_mesh & exact).sum() > (0.9 if degrees == 15 else 0.8) * exact.sum()


@EVERY_SCENE
def test_without_hidden_faces_more_is_shown_never_less(name):
    mesh = scene_mesh(name)
    cameras = sweep_path(mesh, 60)
    watertight, open_mesh = (rendering_mask(mesh, cameras, 0, surface) for surface in ("watertight", "visible"))
    assert (watertight & ~open_mesh).sum() <= 1e-4 * watertight.numel()
    assert (open_mesh & ~watertight).any()


def test_from_the_source_camera_all_but_hidden_faces_are_shown():
    mesh = scene_mesh("gallery")
    still = CameraPath(torch.eye(4).repeat(3, 1, 1), mesh.intrinsics, SIZE)
    shown = rendering_mask(mesh, still, dilation=0)
    away = ~grown(torch.nn.functional.pad(pair_faces(mesh.occluded)[..., 0], (0, 1, 0, 1)), 2)
    assert shown[away].all() and not shown.all()


def test_nothing_is_shown_to_a_camera_that_looks_away():
    mesh = scene_mesh("gallery")
    away = CameraPath(torch.diag(torch.tensor([-1.0, 1, -1, 1])).repeat(3, 1, 1), mesh.intrinsics, SIZE)
    assert not rendering_mask(mesh, away, dilation=0).any()


def test_a_mask_is_the_released_one_where_quads_agree():
    mesh = scene_mesh("street")
    cameras = sweep_path(mesh, 30)
    rules = RenderRules(texture="face", anchor_first=False, erosion=0)
    single = render_prior(mesh, cameras, rules).visible
    paired = rendering_mask(mesh, cameras, dilation=0)
    assert not (paired & ~single).any() and (single & ~paired).any()


def test_both_faces_of_a_quad_share_one_attribute():
    occluded = torch.tensor([[[True, False], [False, False]], [[False, True], [True, True]]])
    assert pair_faces(occluded).tolist() == [[[True, True], [False, False]], [[True, True], [True, True]]]


@pytest.mark.parametrize("dilation", [3, 5])
def test_hidden_areas_grow_as_kornia_dilates(dilation):
    morphology = pytest.importorskip("kornia.morphology")
    mesh = scene_mesh("garden")
    cameras = sweep_path(mesh)
    hidden = ~rendering_mask(mesh, cameras, dilation=0)
    expected = morphology.dilation(hidden[:, None].float(), torch.ones(dilation, dilation))[:, 0] > 0.5
    assert torch.equal(~rendering_mask(mesh, cameras, dilation), expected)


def test_a_sweep_goes_from_side_to_side_around_what_is_near():
    mesh = scene_mesh("gallery", 5)
    cameras = sweep_path(mesh)
    radius = mesh.nearest + 0.15
    expected = torch.tensor([[-radius, 0, radius], [0, 0, 0], [radius, 0, radius]])
    assert SWEEP == 90 and torch.allclose(cameras.eye[[0, 2, 4]], expected, atol=1e-5)


def test_masked_frames_are_the_clip_s_own():
    frames, _ = sample_clip("gallery", 3, SIZE)
    visible = random_mask(3, SIZE, drawn())
    prior = mask_frames(frames, visible)
    assert torch.equal(prior.color[visible], frames[visible]) and not prior.color[~visible].any()


# ---- tracking masks -----------------------------------------------------------------------------


def moving_point(frames: int = 20) -> Tracks:
    """One point that crosses the picture, hidden in frames 8 to 11."""
    points = torch.stack([torch.linspace(20, 90, frames), torch.linspace(30, 70, frames)], -1)[:, None]
    visible = torch.ones(frames, 1, dtype=torch.bool)
    visible[8:12] = False
    return Tracks(points, visible)


def middle(hidden: torch.Tensor) -> torch.Tensor:
    """The middle (x, y) of the hidden pixels [H, W]."""
    y, x = hidden.nonzero(as_tuple=True)
    return torch.stack([x.min() + x.max() + 1, y.min() + y.max() + 1]) / 2


@settings(max_examples=50, deadline=None)
@given(x=st.floats(-20, 130), y=st.floats(-20, 110), width=st.floats(1, 30), height=st.floats(1, 30))
def test_a_rectangle_hides_the_pixels_whose_centres_lie_in_it(x, y, width, height):
    center, sides = torch.tensor([[[x, y]]]), torch.tensor([[width, height]])
    hidden = ~hide_rectangles(center, sides, torch.ones(1, 1, dtype=torch.bool), SIZE)[0]
    off = (pixel_centers(SIZE) - center[0, 0]).abs() * 2 - sides[0]
    assert torch.equal(hidden, (off <= 0).all(-1)) or off.abs().amin() < 1e-4  # on its very edge, rounding decides


def test_a_rectangle_follows_its_point():
    tracks = moving_point()
    hidden = ~hide_rectangles(tracks.points, torch.tensor([[12.0, 8.0]]), tracks.visible, SIZE)
    for t in tracks.visible[:, 0].nonzero()[:, 0].tolist():
        assert (middle(hidden[t]) - tracks.points[t, 0]).abs().max() <= 0.5
        assert abs(hidden[t].sum() - 96) <= 20


def test_rectangles_of_surfaces_stay_on_them():
    frames, depth = sample_clip("colonnade", 9, SIZE)
    tracks = track_lk(frames, draw_points(SIZE, drawn(), 50, 50))
    shown = tracking_mask(tracks, SIZE, drawn())
    at = tracks.points.floor().long()
    column, row = at[..., 0].clamp(0, SIZE[1] - 1), at[..., 1].clamp(0, SIZE[0] - 1)
    hidden = ~shown[torch.arange(9)[:, None], row, column]
    assert hidden[-1, tracks.visible[-1]].all()  # every one has begun by then
    assert (hidden[1:] >= (hidden[:-1] & tracks.visible[1:])).all()  # and none is given up while its point is seen
    assert shown[0].all()


@pytest.mark.parametrize("seed", range(5))
def test_a_rectangle_stays_from_its_first_frame_on_but_for_frames_that_do_not_see_its_point(seed):
    tracks = moving_point()
    shown = tracking_mask(tracks, SIZE, drawn(seed)).flatten(1).all(1)
    first = int((~shown).nonzero()[0])
    assert first >= 1
    assert torch.equal(~shown[first:], tracks.visible[first:, 0])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), height=st.integers(16, 300), width=st.integers(16, 300))
def test_points_lie_on_a_grid_in_the_picture(seed, height, width):
    points = draw_points((height, width), drawn(seed))
    assert GRID_POINTS[0] <= len(points) <= GRID_POINTS[1]
    assert len(points.unique(dim=0)) == len(points)
    assert ((points > 0) & (points < torch.tensor([width, height]))).all()
    columns, rows = points[:, 0].unique(), points[:, 1].unique()
    assert len(columns) * len(rows) < 2 * len(points) + len(columns) + len(rows)


def test_every_number_of_points_is_drawn_and_a_seed_draws_one():
    counts = {len(draw_points(SIZE, drawn(seed))) for seed in range(400)}
    assert counts == set(range(GRID_POINTS[0], GRID_POINTS[1] + 1))
    assert torch.equal(draw_points(SIZE, drawn(3)), draw_points(SIZE, drawn(3)))


def test_random_masks_do_not_follow_anything():
    visible = random_mask(8, SIZE, drawn())
    assert all(0.2 < share < 0.95 for share in visible.flatten(1).float().mean(1))
    same = [(visible[t] == visible[t + 1]).float().mean() for t in range(7)]
    assert max(same) < 0.8
    assert torch.equal(visible, random_mask(8, SIZE, drawn()))


# ---- smooth crops -------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), frames=st.integers(2, 60))
def test_windows_stay_inside_and_keep_their_size(seed, frames):
    windows = draw_windows(frames, SIZE, drawn(seed))
    assert (windows[:, 2:] == windows[0, 2:]).all()
    share = windows[0, 2:] / torch.tensor([SIZE[1], SIZE[0]])
    assert torch.allclose(share[0], share[1]) and CROP_SHARE[0] <= share[0] <= CROP_SHARE[1]
    assert (windows[:, :2] >= 0).all()
    assert (windows[:, :2] + windows[:, 2:] <= torch.tensor([SIZE[1], SIZE[0]]) + 1e-9).all()


@pytest.mark.parametrize("seed", range(5))
def test_windows_set_out_and_arrive_gently(seed):
    corner = draw_windows(49, (512, 512), drawn(seed))[:, :2]
    speed = corner.diff(dim=0).norm(dim=-1)
    assert max(speed[0], speed[-1]) < 0.15 * speed.max()
    assert speed.diff().abs().max() < 0.25 * speed.max()


def test_a_window_as_large_as_the_picture_changes_nothing():
    frames, depth = sample_clip("gallery", 2, SIZE)
    whole = torch.tensor([0.0, 0, SIZE[1], SIZE[0]], dtype=torch.float64).expand(2, 4)
    assert (crop_frames(frames, whole) - frames).abs().max() < 1e-4
    cropped = crop_depth(depth, whole)
    assert torch.equal(cropped.depth, depth.depth) and torch.allclose(cropped.intrinsics, depth.intrinsics)


def test_a_crop_of_whole_pixels_and_doubled_is_plain_indexing():
    frames, depth = sample_clip("gallery", 1, (64, 64))
    window = torch.tensor([[8.0, 4.0, 32.0, 32.0]], dtype=torch.float64)
    expected = frames[:, 4:36, 8:40]
    shrunk = torch.nn.functional.avg_pool2d(crop_frames(frames, window).movedim(-1, 1), 2).movedim(1, -1)
    assert (shrunk - expected)[:, 1:-1, 1:-1].abs().mean() < 0.02
    assert torch.equal(crop_depth(depth, window).depth[:, ::2, ::2], depth.depth[:, 4:36, 8:40])


def test_cropped_depth_lifts_to_the_points_it_had():
    _, depth = sample_clip("colonnade", 3, SIZE)
    windows = draw_windows(3, SIZE, drawn(4))
    cropped = crop_depth(depth, windows)
    for t in range(3):
        points = lift(cropped.depth[t], cropped.intrinsics[t]).reshape(-1, 3)
        known = torch.isfinite(points).all(-1)
        pixels = project(points[known], depth.intrinsics[t])
        column, row = pixels.floor().long().unbind(-1)
        assert torch.equal(depth.depth[t, row.clamp(0, SIZE[0] - 1), column.clamp(0, SIZE[1] - 1)], points[known, 2])
