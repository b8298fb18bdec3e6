"""Laws of points: which pixels of a depth grid become one, and what each of them covers."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops.camera import default_intrinsics, lift, project, transform
from ex4d_ops.mesh import build_dw_mesh, open_surface
from ex4d_ops.prior import RenderRules, render_prior
from ex4d_ops.raster.points import POINT_RULES, PointRules, draw_points, keep_points
from ex4d_ops.scene import sample_clip
from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves

SIZE = (24, 32)
LENS = default_intrinsics(SIZE)
every_program = pytest.mark.parametrize("rules", POINT_RULES.values(), ids=POINT_RULES)
PLAIN = {"nearest": PointRules(3, painted=False), "painted": PointRules(5, painted=True)}


def some_depth(seed: int) -> torch.Tensor:
    return 2 + 3 * torch.rand(SIZE, generator=torch.Generator().manual_seed(seed))


def moved(x: float, y: float, z: float) -> torch.Tensor:
    camera = torch.eye(4)
    camera[:3, 3] = torch.tensor([x, y, z])
    return camera


def draw(depth: torch.Tensor, rgb: torch.Tensor, camera: torch.Tensor, rules: PointRules):
    return draw_points(depth, rgb, LENS, camera, LENS, SIZE, rules)


def laid_down(depth: torch.Tensor, rgb: torch.Tensor, camera: torch.Tensor, rules: PointRules) -> torch.Tensor:
    """The same picture, drawn point by point as the programs do it; NaN where nothing is."""
    points = transform(camera, lift(depth, LENS)).reshape(-1, 3)
    pixels = (project(points, LENS) - 0.5).round().long()
    order, reach = points[:, 2].argsort(descending=True, stable=True), rules.side // 2
    picture = torch.full((*SIZE, 3), torch.nan)
    offsets = [(down, right) for down in range(-reach, reach + 1) for right in range(-reach, reach + 1)]
    squares = [(k, offset) for offset in offsets for k in order.tolist()] if rules.painted else \
        [(k, offset) for k in order.tolist() for offset in offsets]
    for k, (down, right) in squares:
        x, y = int(pixels[k, 0]) + right, int(pixels[k, 1]) + down
        if 0 <= x < SIZE[1] and 0 <= y < SIZE[0]:
            picture[y, x] = rgb.reshape(-1, 3)[k]
    return picture


@pytest.mark.parametrize("rules", PLAIN.values(), ids=PLAIN)
@given(seed=st.integers(0, 99), x=st.floats(-1, 1), y=st.floats(-1, 1), z=st.floats(-0.5, 0.5))
@settings(deadline=None, max_examples=12)
def test_every_picture_is_the_one_that_is_laid_down_point_by_point(rules, seed, x, y, z):
    depth, camera = some_depth(seed), moved(x, y, z)
    rgb = torch.rand(*SIZE, 3, generator=torch.Generator().manual_seed(seed + 1000))
    seen, wanted = draw(depth, rgb, camera, rules), laid_down(depth, rgb, camera, rules)
    assert ((seen.rgba[..., 3] == 1) == ~wanted[..., 0].isnan()).float().mean() > 0.99  # rounding at half a pixel
    same = (seen.rgba[..., :3] - wanted.nan_to_num()).abs().amax(-1) < 1e-6
    assert same.float().mean() > 0.97


def test_a_camera_that_stays_sees_the_picture_itself():
    depth, rgb = torch.full(SIZE, 3.0), torch.rand(*SIZE, 3)
    seen = draw(depth, rgb, torch.eye(4), PLAIN["nearest"])
    assert seen.rgba[..., 3].all() and torch.allclose(seen.depth, depth)


def test_painted_squares_end_two_pixels_to_the_lower_right_as_in_the_program():
    rgb = torch.rand(*SIZE, 3)
    seen = draw(torch.full(SIZE, 3.0), rgb, torch.eye(4), PLAIN["painted"])
    assert torch.equal(seen.rgba[2:, 2:, :3], rgb[:-2, :-2])


@every_program
def test_no_point_that_lies_nowhere_is_drawn(rules):
    depth = torch.full(SIZE, torch.inf)
    seen = draw(depth, torch.rand(*SIZE, 3), torch.eye(4), rules)
    assert not seen.rgba.any() and torch.isinf(seen.depth).all() and (seen.face == -1).all()


@given(share=st.floats(0.001, 0.5), seed=st.integers(0, 99))
@settings(deadline=None)
def test_every_share_of_the_farthest_points_is_left_out(share, seed):
    depth = some_depth(seed)
    kept = keep_points(depth, PointRules(5, True, farthest=share))
    assert abs(float((~kept).float().mean()) - share) < 2 / depth.numel()
    assert depth[kept].max() < depth[~kept].min()


@pytest.mark.parametrize("jump, pruned", [(1.2, False), (1.29, False), (1.45, True), (3.0, True)])
def test_points_are_left_out_exactly_along_edges_of_more_than_a_share(jump, pruned):
    depth = torch.full((512, 512), 2.0)
    depth[:, 256:] *= jump
    kept = keep_points(depth, POINT_RULES["meridian-points"])
    assert kept[:, :254].all() and kept[:, 258:].all()
    assert bool(kept[:, 255].any()) != pruned and bool(kept[:, 256].any()) != (jump > 1.3)


@pytest.fixture(scope="module")
def clip():
    images, depth = sample_clip("gallery", 3, (96, 128), seed=1)
    return build_dw_mesh(images, depth), depth


@pytest.mark.parametrize("surface", POINT_RULES)
def test_every_surface_of_points_shows_what_the_mesh_shows(clip, surface):
    mesh, depth = clip
    path = move_path(parse_moves("orbit:yaw=15"), 3, automatic_radius(depth), depth.intrinsics, depth.size)
    faces, points = (render_prior(mesh, path, RenderRules(anchor_first=False, erosion=0, surface=surface))
                     for surface in ("mesh", surface))
    both = faces.visible & points.visible
    shifted = torch.roll(points.color, (-2, -2), (1, 2)) if "crossview" in surface else points.color
    assert both.float().mean() > 0.4 and (shifted - faces.color).abs()[both].mean() < 0.06
    assert (points.color[~points.visible] == 0).all()


def test_the_open_surface_lacks_only_what_closes_the_mesh(clip):
    mesh, depth = clip
    surface = open_surface(mesh, 1)
    inside = (slice(1, -1), slice(1, -1))
    assert torch.equal(surface[inside], depth.depth[1][inside]) and torch.equal(surface[0, 1:-1], surface[1, 1:-1])
    sky = replace(depth, depth=depth.depth.clone())
    sky.depth[:, :20] = torch.inf
    assert torch.isinf(open_surface(build_dw_mesh(mesh.colors, sky), 0)[:20]).all()
