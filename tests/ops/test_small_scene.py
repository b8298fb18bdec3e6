"""Laws of the small scene: it is drawn as the scene itself is, in picture and coverage, one frame at a time."""

from dataclasses import replace

import pytest
import torch

from ex4d_ops.camera import CameraPath, resize_intrinsics
from ex4d_ops.mesh import MeshRules, build_dw_mesh
from ex4d_ops.prior import RenderRules, render_prior
from ex4d_ops.scene import SCENES, sample_clip
from ex4d_ops.small_scene import (
    LONGER_SIDE,
    SmallScene,
    look,
    point_at,
    sample_points,
    small_size,
    spread,
    write_small_scene,
)
from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves
from ex4d_ops.trajectory.editing import freeze

FRAMES = 4


def kept(tmp_path, scene, subject=None) -> SmallScene:
    write_small_scene(tmp_path / "scene.safetensors", scene, subject)
    return SmallScene(tmp_path / "scene.safetensors")


def orbit(depth, size=None, moves: str = "orbit:yaw=40,pitch=8", frames: int = FRAMES) -> CameraPath:
    size = size or depth.size
    lens = resize_intrinsics(depth.intrinsics[:1], depth.size, size).expand(frames, 3, 3)
    return move_path(parse_moves(moves), frames, automatic_radius(depth), lens, size)


@pytest.fixture(scope="module")
def clip():
    frames, depth = sample_clip("colonnade", FRAMES, (96, 128))
    return frames, depth, build_dw_mesh(frames, depth)


RULES = [RenderRules(), RenderRules(erosion=0), RenderRules(erosion=5, anchor_first=False), RenderRules("face", seed=3)]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("size", [None, (96, 96), (48, 64), (192, 256)])
def test_every_picture_is_the_renderers(tmp_path, clip, rules, size):
    _, depth, mesh = clip
    path = orbit(depth, size)
    prior, small = render_prior(mesh, path, rules), kept(tmp_path, mesh)
    for t in range(FRAMES):
        seen = look(small, path, t, rules)
        assert torch.equal(seen.visible, prior.visible[t]) and seen.coverage == pytest.approx(float(prior.coverage[t]))
        assert (seen.color - prior.color[t]).abs().max() <= 1 / 255


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("size", [(512, 512), (480, 832)])
def test_a_larger_scene_is_covered_as_the_renderer_covers_it(tmp_path, scene, size):
    frames, depth = sample_clip(scene, 1, size)
    mesh = build_dw_mesh(frames, depth)
    path = freeze(orbit(depth, moves="orbit:yaw=-30..45"))
    prior, small = render_prior(mesh, path), kept(tmp_path, mesh)
    for t in range(FRAMES):
        seen = look(small, path, t)
        assert max(seen.visible.shape) == LONGER_SIDE
        assert abs(seen.coverage - float(prior.coverage[t])) < 0.02


def test_faces_hidden_by_other_rules_stay_hidden(tmp_path):
    frames, depth = sample_clip("gallery", 1, (400, 600))
    mesh = build_dw_mesh(frames, depth, MeshRules(min_angle=20, hidden_reach=0.1))
    path = freeze(orbit(depth))
    shares = [look(kept(tmp_path, mesh), path, t, RenderRules(erosion=0)).coverage for t in (1, 3)]
    wanted = render_prior(mesh, path, RenderRules(erosion=0)).coverage[[1, 3]]
    assert torch.allclose(torch.tensor(shares), wanted, atol=0.05)
    assert kept(tmp_path, mesh).hidden_reach == 0.1


def test_depth_alone_is_drawn_in_gray(tmp_path, clip):
    _, depth, mesh = clip
    seen = look(kept(tmp_path, depth), orbit(depth), 1)
    assert torch.equal(seen.visible, render_prior(mesh, orbit(depth)).visible[1])
    shown = seen.color[seen.visible]
    assert torch.allclose(shown[:, 0], shown[:, 1], atol=1e-5) and shown.std() > 0.02


def test_the_scene_comes_back_as_it_was(tmp_path, clip):
    _, depth, mesh = clip
    subject = torch.tensor([[0.1, 0.2, 3.0]])
    small = kept(tmp_path, mesh, subject)
    assert len(small) == FRAMES and small.shot.size == (96, 128) and small.shot.nearest == mesh.nearest
    assert torch.equal(small.shot.world_from_cam, mesh.world_from_cam) and torch.equal(small.shot.subject, subject)
    for t in range(FRAMES):
        assert torch.equal(small.frame(t).depth[0], mesh.depth[t])
        assert torch.equal(small.frame(t).occluded[0], mesh.occluded[t])


@pytest.mark.parametrize("size", [(96, 128), (384, 384), (512, 512), (480, 832), (4096, 16), (2, 9000)])
def test_nothing_is_kept_or_drawn_larger_than_it_should_be(size):
    height, width = small_size(size)
    assert max(height, width) <= LONGER_SIDE and min(height, width) >= 2
    assert (height, width) == size or max(size) > LONGER_SIDE


@pytest.mark.parametrize("x, y", [(0.5, 0.5), (0.2, 0.8), (0.75, 0.6)])
def test_a_point_of_the_source_picture_is_its_depth(tmp_path, clip, x, y):
    _, depth, mesh = clip
    point = point_at(kept(tmp_path, mesh), orbit(depth, moves="static"), 0, x, y)
    assert point is not None
    assert float(point[2]) == pytest.approx(float(depth.depth[0, int(y * 96), int(x * 128)]), rel=1e-3)


def test_a_hole_and_the_sky_have_no_place(tmp_path, clip):
    _, depth, mesh = clip
    behind = orbit(depth, moves="pan:angle=180..180")
    assert point_at(kept(tmp_path, mesh), behind, 0, 0.5, 0.5) is None
    sky = replace(depth, depth=torch.where(depth.depth > 6, torch.inf, depth.depth))
    small, path = kept(tmp_path, sky), orbit(depth, moves="static")
    row, column = (depth.depth[0, 10:-10, 10:-10] > 6).nonzero()[0].tolist()
    assert point_at(small, path, 0, (column + 10.5) / 128, (row + 10.5) / 96) is None


def test_sample_points_are_of_the_scene(tmp_path, clip):
    points, colors = sample_points(kept(tmp_path, clip[2]))
    assert 200 < len(points) <= 1500 and points.shape == colors.shape
    assert (points[:, 2] >= clip[1].depth[0].min() - 1e-4).all() and points[:, 2].max() < 99


def test_a_frame_that_the_clip_lacks_is_named(tmp_path, clip):
    with pytest.raises(ValueError, match="frame 6 shows source frame 6, but the clip has 4 frames"):
        look(kept(tmp_path, clip[2]), orbit(clip[1], frames=9), 6)


@pytest.mark.parametrize("count, most", [(1, 5), (5, 5), (9, 5), (10000, 128)])
def test_frames_are_spread_from_the_first_to_the_last(count, most):
    frames = list(spread(count, most))
    assert len(frames) == min(count, most) and frames[0] == 0 and frames[-1] == count - 1
    assert frames == sorted(set(frames))
