"""Laws of what is said of a mesh: closed means closed, and every number is what it names."""

import pytest
import torch

from ex4d_ops.depth import make_video_depth
from ex4d_ops.inspection import border_gap, count_open_edges, inspect_mesh
from ex4d_ops.mesh import MeshRules, build_dw_mesh, grid_faces, occluded_share


def make_mesh(rules: MeshRules = MeshRules(), far: float = 30.0):
    depth = torch.full((2, 12, 16), 5.0)
    depth[:, 4:8, 5:10] = 2.0
    depth[1, 6, 12] = far
    return build_dw_mesh(torch.rand(2, 12, 16, 3), make_video_depth(depth), rules)


def test_a_closed_ring_has_no_open_edge():
    report = inspect_mesh(make_mesh(), 0, closed_ring=True)
    assert report.open_edges == 0 and report.closed and "every edge is in exactly two faces" in str(report)


def test_the_released_topology_closes_in_space_along_its_border():
    report = inspect_mesh(make_mesh(), 0)
    assert report.open_edges == 2 * (11 + 15) + 4 and report.gap < 1e-3 and report.closed
    assert "watertight in space" in str(report)


def test_content_behind_the_border_breaks_it_unless_clamped():
    clamped, released = (inspect_mesh(make_mesh(MeshRules(clamp=clamp), far=400.0), 1) for clamp in (True, False))
    assert clamped.closed and clamped.behind_border == 0
    assert not released.closed and released.behind_border == 1 and "not watertight" in str(released)
    assert released.farthest == 400


def test_counts_are_those_of_the_grid():
    mesh = make_mesh()
    report = inspect_mesh(mesh, 0)
    assert (report.vertices, report.faces) == (12 * 16, 2 * 11 * 15 + 2)
    assert (report.nearest, report.farthest) == (2, 5)
    assert report.hidden == pytest.approx(mesh.occluded[0].float().mean().item()) and 0 < report.hidden < 0.5


def test_a_missing_face_opens_its_three_edges():
    faces = grid_faces((5, 6), closed_ring=True)
    assert count_open_edges(faces, 30) == 0 and count_open_edges(faces[1:], 30) == 3


def test_a_border_that_strays_is_measured():
    points = torch.stack(torch.meshgrid(torch.arange(4.0), torch.arange(5.0), indexing="ij"), -1)
    points = torch.cat([points, torch.full_like(points[..., :1], 7.0)], -1)
    assert border_gap(points) < 1e-6
    points[0, 2, 2] += 0.25
    assert border_gap(points) == pytest.approx(0.25)


def test_hidden_shares_count_the_quads_around_a_vertex():
    occluded = torch.zeros(3, 4, 2, dtype=torch.bool)
    occluded[1, 2, 0] = True
    shares = occluded_share(occluded)
    assert shares.shape == (4, 5) and shares[1, 2] == shares[2, 3] == 1 / 8 and shares.sum() == 4 / 8
    assert occluded_share(~occluded)[0, 0] == 1
