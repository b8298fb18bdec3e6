"""Laws of the watertight mesh, and the released code's answers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops import DWMesh, VideoDepth
from ex4d_ops.camera import default_intrinsics
from ex4d_ops.mesh import MeshRules, build_dw_mesh, grid_faces, torn_faces
from ex4d_ops.reach import GAP

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "mesh.npz")
RELEASED = MeshRules(clamp=False)


def clip_depth(depth: torch.Tensor, intrinsics: torch.Tensor | None = None) -> VideoDepth:
    frames, height, width = depth.shape
    intrinsics = default_intrinsics((height, width)) if intrinsics is None else intrinsics
    return VideoDepth(depth, intrinsics.expand(frames, 3, 3), torch.eye(4).expand(frames, 4, 4))


def golden_mesh(scene: str, rules: MeshRules) -> DWMesh:
    """The golden scene lifted as the released code does: through integer pixels, so with the centre half a pixel on."""
    intrinsics = torch.from_numpy(GOLDEN[f"{scene}_K"].copy())
    intrinsics[:2, 2] += 0.5
    depth = torch.from_numpy(GOLDEN[f"{scene}_depth"])[None]
    colors = torch.from_numpy(GOLDEN[f"{scene}_rgb"])[None] / 255
    return build_dw_mesh(colors, clip_depth(depth, intrinsics), rules)


def random_mesh(seed: int, height: int = 9, width: int = 12, frames: int = 2, rules: MeshRules = MeshRules()) -> DWMesh:
    generator = torch.Generator().manual_seed(seed)
    depth = 2 + 6 * torch.rand(frames, height, width, generator=generator)
    return build_dw_mesh(torch.rand(frames, height, width, 3, generator=generator), clip_depth(depth), rules)


def smallest_angles(vertices: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """Smallest angle of every face in degrees, by arccosine in double: the method as the paper writes it."""
    a, b, c = vertices.double()[faces.long()].unbind(1)

    def angle(u, v):
        return torch.rad2deg(torch.arccos(torch.nn.functional.cosine_similarity(u, v, dim=-1, eps=1e-30).clamp(-1, 1)))

    return torch.stack([angle(b - a, c - a), angle(a - b, c - b), angle(a - c, b - c)]).amin(0)


def edge_counts(faces: torch.Tensor) -> torch.Tensor:
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).sort(dim=1).values
    return edges.unique(dim=0, return_counts=True)[1]


@pytest.mark.parametrize("scene", ["a", "b"])
def test_faces_are_the_released_ones(scene):
    assert np.array_equal(golden_mesh(scene, RELEASED).faces().numpy(), GOLDEN[f"{scene}_faces"])


@pytest.mark.parametrize("scene", ["a", "b"])
def test_vertices_are_the_released_ones(scene):
    vertices = golden_mesh(scene, RELEASED).vertices(0).numpy()
    assert np.abs(vertices - GOLDEN[f"{scene}_vertices"]).max() <= 1e-5


@pytest.mark.parametrize("scene", ["a", "b"])
@pytest.mark.parametrize("rule", ["angle", "boundary"])
def test_hidden_vertices_are_the_released_ones(scene, rule):
    mesh = golden_mesh(scene, MeshRules(filter=rule, clamp=False))
    differs = mesh.vertex_visible(0).reshape(-1) != torch.from_numpy(GOLDEN[f"{scene}_rgba_{rule}"][:, 3] > 0)
    if rule == "angle":  # a face this close to the threshold may fall either way
        faces = mesh.faces()
        doubtful = (smallest_angles(mesh.vertices(0), faces) - 2.5).abs() < 1e-3
        differs[faces[doubtful].long().reshape(-1)] = False
    assert not differs.any()


def test_goldens_hide_and_show_vertices():
    for scene in "ab":
        share = golden_mesh(scene, RELEASED).vertex_visible(0).float().mean()
        assert 0.1 < share < 0.99


@given(st.integers(0, 10_000), st.integers(3, 14), st.integers(3, 14))
@settings(max_examples=40, deadline=None)
def test_squared_sides_hide_what_arccosines_hide(seed, height, width):
    mesh = random_mesh(seed, height, width)
    for t in range(len(mesh)):
        angles = smallest_angles(mesh.vertices(t), mesh.faces())[:-2]
        hidden = mesh.occluded[t].permute(2, 0, 1).reshape(-1)
        clear = (angles - 2.5).abs() > 1e-3
        assert torch.equal(hidden[clear], angles[clear] < 2.5)


@given(st.integers(3, 20), st.integers(3, 20))
@settings(max_examples=40, deadline=None)
def test_closed_ring_gives_every_edge_exactly_two_faces(height, width):
    faces = grid_faces((height, width), closed_ring=True)
    assert (edge_counts(faces) == 2).all()
    directed = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    assert len(directed.unique(dim=0)) == len(directed), "two faces run along an edge in the same direction"


def test_closed_ring_has_no_flat_faces():
    mesh = random_mesh(0, 9, 12)
    ring = mesh.faces(closed_ring=True)[2 * 8 * 11 :]
    a, b, c = mesh.vertices(0)[ring.long()].unbind(1)
    assert (torch.linalg.cross(b - a, c - a).norm(dim=-1) > 0).all()


def test_released_topology_is_open_only_along_the_border():
    height, width = 9, 12
    inside = edge_counts(grid_faces((height, width))[:-2])
    assert int((inside == 1).sum()) == 2 * (height - 1) + 2 * (width - 1)


def test_border_lies_at_border_depth():
    mesh = random_mesh(3, rules=MeshRules(border_depth=40.0))
    for edge in (mesh.depth[:, 0], mesh.depth[:, -1], mesh.depth[:, :, 0], mesh.depth[:, :, -1]):
        assert (edge == 40.0).all()


def test_clamped_interior_and_sky_stay_before_the_border():
    depth = torch.full((1, 8, 8), 5.0)
    depth[0, 4, 4], depth[0, 5, 5] = 500.0, float("inf")
    colors = torch.zeros(1, 8, 8, 3)
    clamped = build_dw_mesh(colors, clip_depth(depth)).depth[0]
    released = build_dw_mesh(colors, clip_depth(depth), RELEASED).depth[0]
    assert 99.9 < clamped[4, 4] == clamped[5, 5] < 100
    assert released[4, 4] == 500 and 99.9 < released[5, 5] < 100


def test_depth_jump_hides_more_than_the_angle_alone():
    depth = torch.full((1, 10, 10), 3.0)
    depth[0, :, 5:] = 3.02  # too shallow for the angle rule at this size, more than 1.3 % of the range
    depth[0, 5, 2] = 4.0
    colors = torch.zeros(1, 10, 10, 3)
    by_angle = build_dw_mesh(colors, clip_depth(depth)).occluded[0, 2:4, 4]
    by_jump = build_dw_mesh(colors, clip_depth(depth), MeshRules(depth_jump=0.013)).occluded[0, 2:4, 4]
    assert not by_angle.any() and by_jump.all()


def test_every_frame_is_built_alone():
    mesh = random_mesh(5, frames=3)
    depth = clip_depth(mesh.depth[1:2])
    assert torch.equal(build_dw_mesh(mesh.colors[1:2], depth).occluded[0], mesh.occluded[1])


def test_building_leaves_its_inputs_alone():
    depth, colors = torch.full((1, 6, 6), 200.0), torch.rand(1, 6, 6, 3)
    before = colors.clone()
    build_dw_mesh(colors, clip_depth(depth))
    assert (depth == 200).all() and torch.equal(colors, before)


def test_frames_of_another_size_are_refused_by_name():
    with pytest.raises(ValueError, match="2 frames of 6x8, but the frames are 3 frames of 6x8"):
        build_dw_mesh(torch.zeros(3, 8, 6, 3), clip_depth(torch.ones(2, 8, 6)))


# ---- gaps too small for the angle ----------------------------------------------------------------

TILT = st.tuples(st.floats(0.2, 1.0), st.floats(-0.0125, 0.0125), st.floats(-0.0125, 0.0125))  # before the camera


def tilted_plane(tilt: tuple[float, float, float], size: tuple[int, int] = (14, 17)) -> torch.Tensor:
    """Its 1 / depth [H, W], which is linear in a picture."""
    middle, down, across = tilt
    return (middle + down * (torch.arange(size[0]) - 7.0)[:, None] + across * (torch.arange(size[1]) - 8.0)).double()


@settings(deadline=None, max_examples=60)
@given(TILT, TILT, st.booleans())
def test_every_plane_and_every_edge_where_two_meet_is_without_a_gap(first, second, ridge):
    planes = torch.stack([tilted_plane(first), tilted_plane(second)])
    assert not torn_faces(1 / (planes.amax(0) if ridge else planes.amin(0))).any()


@settings(deadline=None, max_examples=60)
@given(st.floats(0.1, 50), st.floats(0.001, 0.04), st.integers(1, 11), st.booleans())
def test_every_step_is_a_gap_where_it_is_larger_than_its_share_of_the_depth(near, step, column, upright):
    depth = torch.full((9, 13), near, dtype=torch.float64)
    depth[:, column + 1:] *= 1 + step
    torn = torn_faces(depth if upright else depth.T)
    torn = torn if upright else torn.transpose(0, 1)
    if abs(step / GAP - 1) > 1e-3 and 0 < column < 11:
        assert torn[:, column].all() == torn[:, column].any() == (step > GAP)
    assert not torn[:, :column].any() and not torn[:, column + 1:].any()


@pytest.mark.parametrize("seed", range(4))
def test_gaps_are_found_beside_what_the_angle_finds(seed):
    by_angle, by_gap = (random_mesh(seed, 20, 20, rules=MeshRules(filter=name)).occluded for name in ("angle", "gap"))
    assert (by_gap | by_angle == by_gap).all() and by_gap.sum() > by_angle.sum()
