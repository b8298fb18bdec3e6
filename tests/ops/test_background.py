"""Laws of motion and background: what stands still fills what a frame does not see, and nothing else changes."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops import CameraPath, VideoDepth
from ex4d_ops.background import Background, BackgroundRules, find_motion, make_background
from ex4d_ops.camera import default_intrinsics, invert_rigid, look_at
from ex4d_ops.mesh import MeshRules, build_dw_mesh
from ex4d_ops.motion import THICK, fill_pockets, number_surfaces
from ex4d_ops.prior import RenderRules, describe_origin, origin_shares, render_prior
from ex4d_ops.scene import sample_clip

SIZE = (72, 96)
FRAMES = 9
PLAIN = RenderRules(anchor_first=False, erosion=0)
BOUNDED = MeshRules(hidden_reach=0.1)


def wall_and_square(step: int = 6, frames: int = FRAMES) -> tuple[torch.Tensor, VideoDepth, torch.Tensor]:
    """A painted wall at 8, a square at 3 that moves `step` pixels a frame before it, and where the square is."""
    height, width = SIZE
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    colors = torch.stack([x, y, 0.5 + 0.3 * torch.sin(30 * x) * torch.cos(23 * y)], -1).repeat(frames, 1, 1, 1)
    moving = torch.zeros(frames, height, width, dtype=torch.bool)
    for t in range(frames):
        left = 20 + (step * t if step else 0)
        moving[t, 24:48, left:left + 14] = True
    depth = torch.where(moving, 3.0, 8.0)
    colors[moving] = torch.tensor([0.9, 0.1, 0.1])
    intrinsics = default_intrinsics(SIZE).expand(frames, 3, 3)
    return colors, VideoDepth(depth, intrinsics, torch.eye(4).repeat(frames, 1, 1)), moving


def around(degrees: float, frames: int = FRAMES) -> CameraPath:
    angles = torch.deg2rad(torch.linspace(0, degrees, frames))
    target = torch.tensor([0.0, 0.0, 3.0])
    eyes = target - 3 * torch.stack([-angles.sin(), torch.zeros(frames), angles.cos()], -1)
    return CameraPath(look_at(eyes, target.expand(frames, 3)), default_intrinsics(SIZE).expand(frames, 3, 3), SIZE)


def render_both(colors, depth, moving, cameras, rules=PLAIN, mesh_rules=BOUNDED):
    mesh = build_dw_mesh(colors, depth, mesh_rules)
    background = make_background(mesh, moving)
    return render_prior(mesh, cameras, rules), render_prior(mesh, cameras, rules, background=background)


# ---- motion -------------------------------------------------------------------------------------


def test_every_pixel_of_what_leaves_its_place_is_found_and_little_else():
    colors, depth, moving = wall_and_square()
    found = find_motion(colors, depth)
    assert (found & moving).sum() >= 0.98 * moving.sum()
    beside = torch.nn.functional.max_pool2d(moving.float(), 5, 1, 2) > 0  # an object of 14 pixels is mostly rim
    assert (found & beside).sum() >= 0.98 * found.sum()


@pytest.mark.parametrize("smear, right", [(3, 0.98), (7, 0.75)])
def test_rims_whose_depth_is_smeared_go_to_what_they_look_like(smear, right):
    colors, depth, moving = wall_and_square()
    edges = torch.nn.functional.pad(depth.depth[:, None], (smear // 2,) * 4, mode="replicate")
    found = find_motion(colors, replace(depth, depth=torch.nn.functional.avg_pool2d(edges, smear, 1)[:, 0]))
    assert (found & moving).sum() >= 0.98 * moving.sum()
    assert (found & moving).sum() >= right * found.sum()


def test_what_lies_between_parts_that_move_moves_if_it_is_as_deep():
    """A bar without paint, that no other frame tells from the wall's shade behind it, and a hole beside it."""
    depth = torch.full((40, 40), 8.0)
    depth[10:30, 10:30] = 3.0
    depth[15:25, 21:25] = 8.0
    seen = torch.zeros(40, 40, dtype=torch.bool)
    seen[10:30, 10:30] = True
    seen[15:25, 14:18] = seen[15:25, 21:25] = False
    whole = fill_pockets(seen, depth)
    assert whole[10:30, 10:20].all() and not whole[15:25, 21:25].any() and not whole[:10].any()


def test_a_clip_at_rest_holds_no_motion():
    colors, depth, _ = wall_and_square(step=0)
    assert not find_motion(colors, depth).any()


def test_what_is_painted_anew_in_place_moves():
    colors, depth, _ = wall_and_square(step=0)
    spot = (slice(50, 62), slice(60, 80))
    for t in range(FRAMES):
        colors[t][spot] = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.2, 0.9]])[t % 3]
    found = find_motion(colors, depth)
    assert found[:, 51:61, 61:79].float().mean() > 0.9
    assert found.float().mean() < 0.06


@given(st.floats(0.6, 1.5))
@settings(max_examples=5, deadline=None)
def test_every_change_of_light_alone_is_not_motion(light):
    colors, depth, _ = wall_and_square(step=0)
    dimmed = 0.6 * colors
    dimmed[1::2] *= light
    assert find_motion(dimmed, depth).float().mean() < 0.02


@pytest.mark.parametrize("seed", [0, 1])
def test_motion_is_found_from_a_walking_camera_with_depth_as_estimated(seed):
    frames, depth = sample_clip("colonnade", 25, (96, 96), seed)
    generator = torch.Generator().manual_seed(seed)
    smooth = torch.nn.functional.interpolate(torch.randn(25, 1, 4, 4, generator=generator), (96, 96), mode="bicubic")
    exact, noisy = (find_motion(frames, replace(depth, depth=depth.depth * (1 + share * smooth[:, 0])))
                    for share in (0.0, 0.03))
    assert 0.005 < exact.float().mean() < 0.2
    assert (noisy & exact).sum() > 0.8 * exact.sum() and noisy.float().mean() < 3 * exact.float().mean()


@given(width=st.integers(1, 12), upright=st.booleans())
@settings(max_examples=20, deadline=None)
def test_what_is_narrow_joins_no_surfaces_and_every_pixel_is_of_one(width, upright):
    """Two fields at one depth, a bridge of some width between them before what is far away: a stem, or a wall."""
    depth = torch.full((40, 60), 20.0)
    depth[:, :20] = depth[:, 40:] = 3.0
    depth[20:20 + width, 20:40] = 3.0
    number = number_surfaces(depth if upright else depth.T)
    number = number if upright else number.T
    assert (number[:, 40:] == number[0, 59]).all() and (number[:, :20] == number[0, 0]).all() and number.min() > 0
    assert (number[0, 0] == number[0, 59]) == (width > 2 * (THICK + 1))
    assert number[0, 30] != number[0, 0]


def test_a_shadow_on_the_ground_that_a_swaying_flower_stands_on_is_not_motion():
    """The head moves; the ground, joined to it by its stem, holds still under a soft shadow that moves."""
    colors, depth, _ = wall_and_square(step=0)
    y, x = torch.meshgrid(torch.arange(SIZE[0]).float(), torch.arange(SIZE[1]).float(), indexing="ij")
    grain = 0.5 + 0.1 * torch.sin(0.9 * x) * torch.sin(0.7 * y)
    plane = depth.depth.clone()
    for t in range(FRAMES):
        plane[t] = torch.where(y >= 44, 3.0, 8.0)
        colors[t] = torch.where(y >= 44, grain, 0.8)[..., None]
        colors[t] *= 1 - 0.4 * torch.exp(-((x - 20 - 5 * t) ** 2 + 2 * (y - 60) ** 2) / 50)[..., None]
        for part in ((x - 40).abs() < 1.5) & (y < 44) & (y > 20), (x - 37 - 2 * (t % 4)) ** 2 + (y - 15) ** 2 < 81:
            plane[t][part] = 3.0
            colors[t][part] = torch.tensor([0.9, 0.1, 0.1])
    found = find_motion(colors, replace(depth, depth=plane))
    assert found[:, 50:].float().mean() < 0.02
    assert found[:, 9:21, 36:45].float().mean() > 0.9


def test_one_frame_does_not_move():
    colors, depth, _ = wall_and_square(frames=1)
    assert not find_motion(colors, depth).any()


def test_motion_does_not_depend_on_threads_and_reports_every_frame():
    colors, depth, _ = wall_and_square()
    seen, before = [], torch.get_num_threads()
    first = find_motion(colors, depth, lambda done, total: seen.append((done, total)))
    try:
        torch.set_num_threads(1)
        assert torch.equal(first, find_motion(colors, depth))
    finally:
        torch.set_num_threads(before)
    assert seen == [(t, FRAMES) for t in range(1, FRAMES + 1)]


# ---- background ---------------------------------------------------------------------------------


@given(degrees=st.floats(-80, 80), step=st.integers(0, 6), erosion=st.sampled_from([0, 3, "released"]),
       texture=st.sampled_from(["vertex", "face"]), reach=st.sampled_from([None, 0.05, 0.3]), seed=st.integers(0, 99))
@settings(max_examples=8, deadline=None)
def test_the_fill_never_changes_a_pixel_that_the_frame_itself_shows(degrees, step, erosion, texture, reach, seed):
    colors, depth, moving = wall_and_square(step)
    rules = RenderRules(texture, anchor_first=False, erosion=erosion, seed=seed)
    alone, filled = render_both(colors, depth, moving, around(degrees), rules, MeshRules(hidden_reach=reach))
    assert filled.visible[alone.visible].all()
    assert torch.equal(filled.color[alone.visible], alone.color[alone.visible])
    assert (filled.color[~filled.visible] == 0).all() and ((filled.origin >= 0) == filled.visible).all()


@given(degrees=st.floats(-180, 180), lens=st.floats(0.02, 2))
@settings(max_examples=8, deadline=None)
def test_nothing_is_filled_from_the_back_of_what_another_frame_saw(degrees, lens):
    """From wherever and through whatever lens: the wall's blue is 0.2 or more, the back is black."""
    colors, depth, moving = wall_and_square()
    cameras = around(degrees)
    intrinsics = cameras.intrinsics.clone()
    intrinsics[:, [0, 1], [0, 1]] *= lens
    alone, filled = render_both(colors, depth, moving, replace(cameras, intrinsics=intrinsics))
    assert (filled.color[filled.visible & ~alone.visible][:, 2] > 0.15).all()


def test_the_wall_behind_what_moves_is_filled_with_itself():
    colors, depth, moving = wall_and_square()
    alone, filled = render_both(colors, depth, moving, around(25))
    wall = build_dw_mesh(*wall_alone(), BOUNDED)
    exact = render_prior(wall, around(25), PLAIN)
    added = filled.visible & ~alone.visible
    assert added[2:7].float().mean((1, 2)).min() > 0.01
    both = added & exact.visible
    assert (filled.color - exact.color)[both].abs().mean() < 0.01
    red = (filled.color - torch.tensor([0.9, 0.1, 0.1])).abs().amax(-1) < 0.1
    assert not (red & added).any(), "what moves leaves no ghost"


def wall_alone() -> tuple[torch.Tensor, VideoDepth]:
    colors, depth, _ = wall_and_square()
    height, width = SIZE
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    painted = torch.stack([x, y, 0.5 + 0.3 * torch.sin(30 * x) * torch.cos(23 * y)], -1).repeat(FRAMES, 1, 1, 1)
    return painted, replace(depth, depth=torch.full_like(depth.depth, 8.0))


@pytest.mark.parametrize("light", [0.7, 1.3])
def test_light_that_changes_from_frame_to_frame_is_evened_out(light):
    colors, depth, moving = wall_and_square()
    lights = torch.linspace(1, light, FRAMES)[:, None, None, None]
    colors = 0.6 * colors
    alone, filled = render_both(colors * lights, depth, moving, around(25))
    _, even = render_both(colors, depth, moving, around(25))
    added = filled.visible & ~alone.visible & even.visible
    assert (filled.color / lights - even.color)[added].abs().mean() < 0.02


def test_nothing_is_filled_where_everything_moves_and_it_is_said(caplog):
    colors, depth, moving = wall_and_square()
    alone, filled = render_both(colors, depth, torch.ones_like(moving), around(25))
    assert torch.equal(alone.color, filled.color) and torch.equal(alone.visible, filled.visible)
    assert "everything is said to move" in caplog.text


def test_where_nothing_is_said_to_move_all_may_fill_and_nothing_is_said(caplog):
    colors, depth, moving = wall_and_square()
    still = wall_and_square(step=0)[:2]
    alone, filled = render_both(*still, torch.zeros_like(moving), around(25))
    assert torch.equal(alone.color[alone.visible], filled.color[alone.visible])
    _, kept = render_both(colors, depth, moving, around(25))
    _, smeared = render_both(colors, depth, torch.zeros_like(moving), around(25))
    red = [(prior.color - torch.tensor([0.9, 0.1, 0.1])).abs().amax(-1) < 0.05 for prior in (kept, smeared)]
    assert red[1].sum() > red[0].sum()  # the square stands where it has been, as was asked for
    assert not caplog.text


def test_a_clip_of_one_frame_is_not_filled_and_it_is_said(caplog):
    colors, depth, moving = wall_and_square(frames=1)
    alone, filled = render_both(colors, depth, moving, replace(around(25, 2), source_frame=torch.tensor([0, 0])))
    assert torch.equal(alone.visible, filled.visible) and "one frame" in caplog.text


def test_a_walking_camera_that_is_said_to_rest_is_doubted_and_others_are_not(caplog):
    frames, depth = sample_clip("colonnade", 25, (96, 96))
    for known in (True, False):
        caplog.clear()
        cameras = depth.world_from_cam if known else torch.eye(4).repeat(25, 1, 1)
        mesh = build_dw_mesh(frames, replace(depth, world_from_cam=cameras), BOUNDED)
        make_background(mesh, torch.zeros(mesh.depth.shape, dtype=torch.bool))
        assert ("camera seems to move" in caplog.text) == (not known)


@pytest.mark.parametrize("scene", ["gallery", "garden", "street"])
def test_cameras_that_rest_are_not_doubted(scene, caplog):
    frames, depth = sample_clip(scene, 17, (96, 96))
    make_background(build_dw_mesh(frames, depth, BOUNDED), find_motion(frames, depth))
    assert not caplog.text


def test_hidden_surfaces_without_bound_are_said_to_cover_what_could_be_filled(caplog):
    colors, depth, moving = wall_and_square()
    make_background(build_dw_mesh(colors, depth), moving)
    assert "hidden_reach" in caplog.text


@pytest.mark.parametrize("shape", [(FRAMES - 1, *SIZE), (FRAMES, SIZE[0] // 2, SIZE[1])])
def test_masks_of_another_clip_are_refused(shape):
    colors, depth, _ = wall_and_square()
    with pytest.raises(ValueError, match=r"moving: .* the mesh has 9 frames of 96x72; use the mask of this clip"):
        make_background(build_dw_mesh(colors, depth, BOUNDED), torch.zeros(shape, dtype=torch.bool))


def test_frames_are_chosen_by_what_they_add():
    colors, depth, moving = wall_and_square()
    layers = make_background(build_dw_mesh(colors, depth, BOUNDED), moving, BackgroundRules(frames=3)).layers
    assert 2 <= len(layers) <= 3
    drawn = [int((layer.limits > 0).sum()) for layer in layers]
    assert drawn[0] > 5 * max(drawn[1:])


def test_origin_says_what_came_from_where():
    colors, depth, moving = wall_and_square()
    alone, filled = render_both(colors, depth, moving, around(25))
    shares = origin_shares(filled, around(25))
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["own frame"] == pytest.approx(float(alone.coverage.mean()), abs=1e-6)
    assert shares["other frames"] == pytest.approx(float((filled.coverage - alone.coverage).mean()), abs=1e-6)
    assert f"{shares['other frames']:.0%} from other frames" in describe_origin(filled, around(25))
    assert describe_origin(alone, around(25)) == alone.describe_coverage()


def test_a_background_made_of_a_mesh_and_a_mask_alone_is_the_chosen_one():
    colors, depth, moving = wall_and_square()
    mesh = build_dw_mesh(colors, depth, BOUNDED)
    chosen, alone = (render_prior(mesh, around(25), PLAIN, background=background)
                     for background in (make_background(mesh, moving), Background(mesh, moving)))
    assert torch.equal(chosen.origin, alone.origin) and torch.equal(chosen.color, alone.color)


def test_every_engine_fills_alike():
    colors, depth, moving = wall_and_square(frames=3)
    mesh = build_dw_mesh(colors, depth, BOUNDED)
    background = make_background(mesh, moving)
    torch_prior, warp_prior = (render_prior(mesh, around(25, 3), PLAIN, engine, background=background)
                               for engine in ("torch", "warp"))
    assert (torch_prior.origin == warp_prior.origin).float().mean() > 0.995
    same = torch_prior.origin == warp_prior.origin
    assert ((torch_prior.color - warp_prior.color)[same].abs().amax(-1) < 2e-3).float().mean() > 0.995


def test_the_world_is_filled_from_where_the_source_camera_was(caplog):
    """A camera that slides along a wall has seen more of it than any frame."""
    frames = FRAMES
    painted, depth = wall_alone()
    eyes = torch.stack([torch.linspace(0, 2, frames), torch.zeros(frames), torch.zeros(frames)], -1)
    world_from_cam = invert_rigid(look_at(eyes, eyes + torch.tensor([0.0, 0.0, 1.0])))
    mesh = build_dw_mesh(painted, replace(depth, world_from_cam=world_from_cam), BOUNDED)
    background = make_background(mesh, torch.zeros(mesh.depth.shape, dtype=torch.bool))
    cameras = CameraPath(torch.eye(4).repeat(2, 1, 1), mesh.intrinsics[:2], SIZE, torch.tensor([0, frames - 1]))
    alone, filled = (render_prior(mesh, cameras, PLAIN, background=given) for given in (None, background))
    assert filled.coverage[1] > alone.coverage[1] + 0.1
    assert not caplog.text
