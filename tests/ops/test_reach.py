"""Laws of hidden faces that end: what they cover, what they let through, and how they are handed on."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ex4d_ops import CameraPath, DWMesh
from ex4d_ops.camera import default_intrinsics, intrinsics_from_focal, look_at
from ex4d_ops.depth import VideoDepth, make_video_depth
from ex4d_ops.inspection import inspect_mesh
from ex4d_ops.mesh import MeshRules, build_dw_mesh, drawn_surface
from ex4d_ops.prior import RenderRules, render_prior
from ex4d_ops.reach import THIN
from ex4d_ops.simulate import rendering_mask

SIZE = (24, 30)
PLAIN = RenderRules(anchor_first=False, erosion=0)
BY_FACE = replace(PLAIN, texture="face")
REACHES = st.floats(1e-3, 20)
ANGLES = st.floats(-100, 100)
EVERY_ENGINE = pytest.mark.parametrize("engine", ["torch", "warp"])


def rough_mesh(seed: int, reach: float | None = None) -> DWMesh:
    """A wall with boxes before it, depth and colors drawn."""
    generator = torch.Generator().manual_seed(seed)
    depth = 6 + torch.rand(1, *SIZE, generator=generator)
    for _ in range(4):
        top, left = (int(torch.randint(1, side - 6, (), generator=generator)) for side in SIZE)
        depth[0, top:top + 5, left:left + 5] = 1.5 + 3 * torch.rand((), generator=generator)
    colors = 0.2 + 0.8 * torch.rand(1, *SIZE, 3, generator=generator)
    return build_dw_mesh(colors, make_video_depth(depth), MeshRules(min_angle=6.0, hidden_reach=reach))


def seen_from(degrees: float) -> CameraPath:
    """One camera on a circle around what is 3 ahead of the source camera."""
    angle = torch.deg2rad(torch.tensor(degrees))
    eye = torch.stack([3 * angle.sin(), -0.1 * angle.sin().abs(), 3 - 3 * angle.cos()])
    return CameraPath(look_at(eye, torch.tensor([0.0, 0.0, 3.0]))[None], default_intrinsics(SIZE)[None], SIZE)


def limits_of(mesh: DWMesh) -> tuple[Tensor, Tensor, Tensor]:
    """Of every face but the back: where it ends, the depth of its nearest vertex, and whether it is hidden."""
    nearest = mesh.depth[0].reshape(-1)[mesh.faces()[:-2].long()].amin(1)
    return mesh.limits(0).permute(2, 0, 1).reshape(-1), nearest, mesh.occluded[0].permute(2, 0, 1).reshape(-1)


def visible(mesh: DWMesh, cameras: CameraPath, engine: str = "warp", rules: RenderRules = PLAIN) -> Tensor:
    return render_prior(mesh, cameras, rules, engine).visible


@EVERY_ENGINE
@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**31), degrees=ANGLES, reaches=st.tuples(REACHES, REACHES))
def test_a_larger_reach_never_shows_more(engine, seed, degrees, reaches):
    short, long = sorted(reaches)
    mesh, cameras = rough_mesh(seed), seen_from(degrees)
    more, less = (visible(replace(mesh, hidden_reach=reach), cameras, engine) for reach in (short, long))
    assert not (less & ~more).any()


@EVERY_ENGINE
@pytest.mark.parametrize("reach", [1e9, float("inf")])
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**31), degrees=ANGLES)
def test_reach_without_end_is_the_released_surface_painted_by_face(engine, reach, seed, degrees):
    mesh, cameras = rough_mesh(seed), seen_from(degrees)
    bounded = render_prior(replace(mesh, hidden_reach=reach), cameras, PLAIN, engine)
    released = render_prior(mesh, cameras, BY_FACE, engine)
    assert torch.equal(bounded.visible, released.visible) and torch.equal(bounded.color, released.color)


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**31), degrees=ANGLES, reach=REACHES)
def test_what_a_bounded_surface_shows_has_the_color_of_a_visible_face(seed, degrees, reach):
    """Whatever texture is asked for: no rim darkened by the vertices of hidden faces, whose colors are 0.2 or more."""
    mesh, cameras = rough_mesh(seed, reach), seen_from(degrees)
    drawn, by_face = (render_prior(mesh, cameras, rules) for rules in (PLAIN, BY_FACE))
    assert torch.equal(drawn.visible, by_face.visible) and torch.equal(drawn.color, by_face.color)
    assert (drawn.color[drawn.visible] > 0.19).all()


def test_between_the_end_of_a_hidden_face_and_the_far_side_more_is_seen():
    mesh, cameras = rough_mesh(3), seen_from(50)
    seen = [int(visible(replace(mesh, hidden_reach=reach), cameras).sum()) for reach in (0.05, 0.3, 20.0)]
    assert seen[0] > seen[1] > seen[2]


@given(st.integers(0, 2**31), REACHES)
@settings(deadline=None, max_examples=20)
def test_every_hidden_face_ends_at_its_share_behind_its_nearest_vertex(seed, reach):
    mesh = rough_mesh(seed, reach)
    limits, nearest, hidden = limits_of(mesh)
    assert torch.allclose(limits[hidden], nearest[hidden] * (1 + reach)) and limits[~hidden].isinf().all()


POST = st.tuples(st.integers(1, 30), st.floats(1.0, 8.0), st.floats(1.3, 10.0), st.booleans())


@given(POST, REACHES)
@settings(deadline=None, max_examples=40)
def test_the_hidden_faces_of_a_thin_thing_reach_as_much_less_as_it_is_narrower(post, reach):
    """A post or rail of some pixels' width, at some depth, so many times nearer than the wall behind it."""
    width, near, ratio, upright = post
    depth = torch.full((1, 44, 44), near * ratio)
    depth[0, :, 7:7 + width] = near
    depth = depth if upright else depth.transpose(1, 2).contiguous()
    intrinsics = intrinsics_from_focal(400.0, (44, 44))[None]
    rules = MeshRules(border_depth=1000.0, hidden_reach=reach)
    mesh = build_dw_mesh(torch.ones(1, 44, 44, 3), VideoDepth(depth, intrinsics, torch.eye(4)[None], False), rules)
    limits, nearest, hidden = limits_of(mesh)
    rims = hidden & (nearest < near * 1.001)
    share = min(1, width / 400 / THIN)
    assert rims.sum() >= 4 * (44 - 3) and torch.allclose(limits[rims], near * (1 + reach * limits.new_tensor(share)))


@given(st.integers(0, 2**31), st.tuples(REACHES, REACHES))
@settings(deadline=None, max_examples=20)
def test_every_hidden_face_reaches_some_way_but_not_beyond_its_share(seed, reaches):
    """Of grainy depth, where most things are a pixel wide."""
    depth = 1 + 9 * torch.rand(1, *SIZE, generator=torch.Generator().manual_seed(seed))
    short, long = sorted(reaches)
    mesh = build_dw_mesh(torch.ones(1, *SIZE, 3), make_video_depth(depth), MeshRules(hidden_reach=long))
    limits, nearest, hidden = limits_of(mesh)
    shorter, _, _ = limits_of(replace(mesh, hidden_reach=short))
    assert (limits[hidden] <= nearest[hidden] * (1 + long) * (1 + 1e-6)).all() and (limits > nearest).all()
    assert (shorter <= limits).all()


def test_a_mesh_is_released_unless_asked():
    assert MeshRules().hidden_reach is None and rough_mesh(0).hidden_reach is None and rough_mesh(0).limits(0) is None


# ---- training masks ------------------------------------------------------------------------------


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**31), degrees=ANGLES, reach=REACHES)
def test_a_rendering_mask_of_a_bounded_mesh_lies_between_the_two_surfaces(seed, degrees, reach):
    mesh, cameras = rough_mesh(seed), seen_from(degrees)
    watertight, visible_only = (rendering_mask(mesh, cameras, 1, surface) for surface in ("watertight", "visible"))
    bounded = rendering_mask(replace(mesh, hidden_reach=reach), cameras, 1)
    assert not (watertight & ~bounded).any() and not (bounded & ~visible_only).any()


# ---- what is handed on ---------------------------------------------------------------------------


@pytest.mark.parametrize("closed_ring", [False, True])
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**31), reach=REACHES)
def test_the_surface_handed_on_is_the_visible_faces_and_the_bounded_part_of_the_others(closed_ring, seed, reach):
    mesh = rough_mesh(seed, reach)
    points, rgba, faces = drawn_surface(mesh, 0, closed_ring)
    transparent = (rgba[:, 3] == 0)[faces.long()]
    assert (transparent.all(1) | ~transparent.any(1)).all(), "a face is whole or hidden, never both"
    shown = {tuple(face) for face in faces[~transparent.any(1)].tolist()}
    assert shown == {tuple(face) for face in mesh.visible_faces(0).tolist()}
    assert torch.equal(rgba[:mesh.depth[0].numel(), :3], mesh.colors[0].reshape(-1, 3))
    back = len(mesh.faces(closed_ring)) - 2 * (SIZE[0] - 1) * (SIZE[1] - 1)
    bounded = points[faces[transparent.all(1)].long(), 2]
    ends = mesh.limits(0)[mesh.occluded[0]]
    before_border = bounded[bounded.amin(1) < 100 * (1 - 1e-6)]
    assert (before_border <= ends.max() * (1 + 1e-6)).all() and len(bounded) - len(before_border) >= back


def test_the_surface_handed_on_of_a_released_mesh_is_the_released_one():
    mesh = rough_mesh(4)
    points, rgba, faces = drawn_surface(mesh, 0)
    assert torch.equal(points, mesh.vertices(0)) and torch.equal(faces, mesh.faces())
    assert torch.equal(rgba[:, 3] == 1, mesh.vertex_visible(0).reshape(-1))


def test_a_report_says_where_hidden_faces_end():
    assert "0.1 of the depth" in str(inspect_mesh(rough_mesh(0, 0.1), 0))
    assert "nearest corner" not in str(inspect_mesh(rough_mesh(0), 0))
