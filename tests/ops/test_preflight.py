"""Laws of coverage: the map says beforehand what the prior will show."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops.mesh import MeshRules, build_dw_mesh
from ex4d_ops.plot import plot_coverage
from ex4d_ops.preflight import angles_around, coverage_map, widest_angles
from ex4d_ops.prior import RenderRules, render_prior
from ex4d_ops.scene import sample_clip
from ex4d_ops.trajectory import automatic_radius, make_move, move_path


@pytest.fixture(scope="module")
def take():
    frames, depth = sample_clip("gallery", 1, (96, 128))
    return depth, build_dw_mesh(frames, depth)


@pytest.mark.parametrize("yaw, pitch", [(0, 0), (40, 0), (-60, 0), (0, 25), (30, -20), (90, 10)])
def test_every_view_is_covered_as_the_prior_of_that_orbit(take, yaw, pitch):
    depth, mesh = take
    share = coverage_map(mesh, torch.tensor([math.radians(yaw)]), torch.tensor([math.radians(pitch)]))
    move = make_move("orbit", {"yaw": (yaw, yaw), "pitch": (pitch, pitch)})
    path = move_path([move], 1, automatic_radius(depth), depth.intrinsics, depth.size)
    prior = render_prior(mesh, path, RenderRules(anchor_first=False, erosion=0))
    assert float(share) == pytest.approx(float(prior.coverage), abs=0.02)


def test_rows_are_pitch_and_columns_yaw(take):
    yaw, pitch = angles_around(1.0, 0.5), angles_around(0.4, 0.4)
    shares = coverage_map(take[1], yaw, pitch)
    assert shares.shape == (3, 5)
    assert float(shares[2, 1]) == pytest.approx(float(coverage_map(take[1], yaw[1:2], pitch[2:])), abs=1e-6)
    assert shares[1, 2] == shares.max()


def test_a_bounded_surface_covers_no_less_of_any_view(take):
    frames, depth = sample_clip("gallery", 1, (96, 128))
    bounded = build_dw_mesh(frames, depth, MeshRules(hidden_reach=0.1))
    yaw, pitch = angles_around(1.2, 0.6), angles_around(0.4, 0.4)
    face = RenderRules("face")
    assert (coverage_map(bounded, yaw, pitch) >= coverage_map(take[1], yaw, pitch, rules=face) - 1e-6).all()


@given(st.floats(5, 180), st.floats(1, 45))
@settings(max_examples=40, deadline=None)
def test_every_row_of_angles_holds_0_and_both_ends(limit, step):
    angles = torch.rad2deg(angles_around(math.radians(limit), math.radians(step)))
    assert angles[0] == -angles[-1] and float(angles[-1]) == pytest.approx(limit, rel=1e-5)
    assert angles.abs().min() < 1e-4 and float(angles.diff().max()) <= step * 1.001 + 1e-4


@given(st.lists(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.8, 1.0]), min_size=5, max_size=5),
       st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9]))
@settings(max_examples=60, deadline=None)
def test_every_widest_angle_keeps_the_share_and_any_beyond_may_not(values, share):
    yaw = angles_around(1.0, 0.5)
    shares = torch.tensor(values).expand(3, 5)
    widest = widest_angles(shares, yaw, angles_around(0.5, 0.5), share)
    for side, outward in (("right", [2, 3, 4]), ("left", [2, 1, 0])):
        reach = math.radians(getattr(widest, side))
        kept = [float(yaw[k].abs()) for k in outward if float(yaw[k].abs()) <= reach + 1e-6]
        if values[2] < share:
            assert reach == 0
        else:
            assert all(values[k] >= share - 1e-5 for k in outward[:len(kept)])
            assert len(kept) == 3 or values[outward[len(kept)]] < share
    assert f"{share:.0%}" in str(widest)


def test_the_map_is_drawn_whatever_was_seen(take):
    yaw, pitch = angles_around(1.5, 0.5), angles_around(0.8, 0.4)
    for shares in (coverage_map(take[1], yaw, pitch), torch.zeros(5, 7), torch.ones(5, 7)):
        picture = plot_coverage(shares, yaw, pitch, widest_angles(shares, yaw, pitch, 0.6))
        assert picture.ndim == 3 and picture.shape[-1] == 3 and 0 <= picture.min() < picture.max() <= 1
