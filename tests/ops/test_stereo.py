"""Laws of two eyes: where each sees a point, how hard that is to look at, and how the pictures are packed."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ex4d_ops import CameraPath, DWMesh, VideoDepth
from ex4d_ops.camera import default_intrinsics, lift, project, transform
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.preflight import HARD_PARALLAX, Parallax, doubt_parallax, measure_parallax
from ex4d_ops.prior import Prior, RenderRules, render_prior
from ex4d_ops.rotation import rotate_about
from ex4d_ops.rules import Layout
from ex4d_ops.trajectory.stereo import eye_distance_of_share, stereo_paths
from ex4d_ops.two_eyes import pack_eyes, render_eyes, render_hemisphere

SIZE = (72, 128)
PLAIN = RenderRules("face", False, 0)
distances = st.floats(0.01, 0.3)
planes = st.floats(1.5, 8.0)


def still(frames: int = 1, size=SIZE) -> CameraPath:
    intrinsics = default_intrinsics(size).expand(frames, 3, 3)
    return CameraPath(torch.eye(4).repeat(frames, 1, 1), intrinsics, size)


def scene_of(depth: torch.Tensor) -> tuple[DWMesh, VideoDepth]:
    """A frame of this depth [H, W] whose red and green say which pixel of the source is seen."""
    height, width = depth.shape
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    video = VideoDepth(depth[None], default_intrinsics((height, width))[None], torch.eye(4)[None])
    return build_dw_mesh(torch.stack([x, y, torch.zeros_like(x)], -1)[None], video), video


def hills(near: float = 2.0, far: float = 5.0) -> torch.Tensor:
    """Smooth depth, of which both eyes see everything."""
    x = torch.linspace(-1, 1, SIZE[1])
    return (near + (far - near) * (0.5 + 0.5 * torch.sin(2 * x + torch.linspace(-1, 1, SIZE[0])[:, None])))


@given(distance=distances, plane=planes)
@settings(deadline=None, max_examples=15)
def test_every_disparity_is_the_one_of_theory_within_a_tenth_of_a_pixel(distance, plane):
    mesh, video = scene_of(hills())
    focal, width = float(video.intrinsics[0, 0, 0]), SIZE[1]
    seen = []
    for eye, side in zip(stereo_paths(still(), distance, plane), (1, -1)):
        prior = render_prior(mesh, eye, PLAIN)
        shown = prior.color[0, ..., 0] * width  # the x in the source of what each pixel shows
        row = torch.arange(SIZE[0])[:, None].expand(SIZE)
        depth = torch.nn.functional.grid_sample(
            mesh.depth[:, None], torch.stack([2 * shown / width - 1, (2 * row + 1) / SIZE[0] - 1], -1)[None],
            align_corners=False)[0, 0]
        wanted = shown + side * focal * distance / 2 * (1 / depth - 1 / plane)
        off = (wanted - (torch.arange(width) + 0.5)).abs()
        inside = prior.visible[0] & (shown > 2) & (shown < width - 2)
        inside[:2], inside[-2:] = False, False
        assert inside.float().mean() > 0.4 and off[inside].max() < 0.1
        seen.append(inside)


@given(distance=distances, plane=planes, turn=st.floats(-0.5, 0.5))
@settings(deadline=None, max_examples=20)
def test_every_point_on_the_plane_of_convergence_is_at_one_place(distance, plane, turn):
    camera = torch.eye(4)
    camera[:3, :3] = rotate_about("y", torch.tensor(turn))
    middle = replace(still(), cam_from_world=camera[None])
    points = lift(torch.full(SIZE, plane), middle.intrinsics[0]).reshape(-1, 3)
    world = transform(torch.linalg.inv(camera), points)
    pixels = [project(transform(eye.cam_from_world[0], world), eye.intrinsics[0])
              for eye in (middle, *stereo_paths(middle, distance, plane))]
    assert (pixels[0] - pixels[1]).abs().max() < 0.01 and (pixels[0] - pixels[2]).abs().max() < 0.01


@given(share=st.floats(0.001, 0.2), plane=planes)
@settings(deadline=None)
def test_every_share_of_the_width_is_the_parallax_of_the_far(share, plane):
    distance = eye_distance_of_share(still(), share, plane)
    left, right = stereo_paths(still(), distance, plane)
    far = torch.tensor([[0.0, 0.0, 1e5]])
    x = [project(transform(eye.cam_from_world[0], far), eye.intrinsics[0])[0, 0] for eye in (left, right)]
    assert float(x[1] - x[0]) / SIZE[1] == pytest.approx(share, rel=1e-2, abs=1e-5)


@given(distance=distances, plane=planes)
@settings(deadline=None, max_examples=15)
def test_every_parallax_measured_is_that_of_the_nearest_and_the_farthest(distance, plane):
    mesh, video = scene_of(hills())
    eyes = stereo_paths(still(), distance, plane)
    focal, width = float(video.intrinsics[0, 0, 0]), SIZE[1]
    theory = focal * distance * (1 / hills() - 1 / plane) / width
    for scene in (mesh, video):
        parallax = measure_parallax(scene, *eyes)
        lowest, highest = min(float(theory.min()), 0), max(float(theory.max()), 0)
        assert lowest - 1e-3 <= parallax.farthest <= min(lowest + 0.02, 0)
        assert max(highest - 0.02, 0) <= parallax.nearest <= highest + 1e-3


@pytest.mark.parametrize("nearest, farthest", [(0.06, -0.01), (0.01, -0.2), (0.0, 0.0), (0.05, -0.05)])
def test_every_parallax_that_is_hard_on_the_eyes_is_doubted(nearest, farthest):
    doubt = doubt_parallax(Parallax(nearest, farthest))
    assert (doubt is not None) == (max(nearest, -farthest) > HARD_PARALLAX)
    assert doubt is None or f"{max(nearest, -farthest):.1%} of the width" in doubt


def test_a_scene_that_is_only_sky_has_no_parallax():
    _, video = scene_of(torch.full(SIZE, torch.inf))
    assert measure_parallax(video, *stereo_paths(still(), 0.1, 3.0)).largest == 0


# ---- packing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout, size", [("side by side", (72, 256)), ("half side by side", (72, 128)),
                                          ("over and under", (144, 128)), ("half over and under", (72, 128)),
                                          ("VR180", (96, 192))])
def test_every_layout_has_its_size_and_the_left_eye_first(layout: Layout, size):
    mesh, _ = scene_of(hills())
    left, right = stereo_paths(still(), 0.2, 3.0)
    told = []
    both = render_eyes(mesh, left, right, layout, PLAIN, progress=lambda *done: told.append(done), side=96)
    assert both.visible.shape[1:] == size and told[-1][0] == told[-1][1] and told == sorted(told)
    alone = render_hemisphere(mesh, left, 96, PLAIN, "auto", lambda *_: None) if layout == "VR180" else \
        render_prior(mesh, left, PLAIN)
    if not layout.startswith("half"):
        height, width = alone.visible.shape[1:]
        assert torch.equal(both.color[:, :height, :width], alone.color)


def test_no_black_of_a_hole_mixes_into_a_squashed_picture():
    seen = torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(0)) < 0.6
    white = Prior(seen[..., None].float().expand(-1, -1, -1, 3).contiguous(), seen)
    for layout in ("half side by side", "half over and under"):
        both = pack_eyes(white, white, layout)
        assert (both.color[both.visible] > 0.999).all() and (both.color[~both.visible] == 0).all()


@given(latitude=st.floats(-1.2, 1.2), longitude=st.floats(-1.2, 1.2), tilt=st.floats(0, math.pi))
@settings(deadline=None, max_examples=12)
def test_every_straight_line_is_a_great_circle(latitude, longitude, tilt):
    """A plane through the eye cuts the scene into two colors; in the hemisphere the cut is that plane's circle."""
    side, size = 128, (128, 128)
    ahead = torch.tensor([math.sin(longitude) * math.cos(latitude), math.sin(latitude),
                          math.cos(longitude) * math.cos(latitude)], dtype=torch.float64)
    across = torch.tensor([math.cos(tilt), math.sin(tilt), 0.0], dtype=torch.float64)
    normal = torch.linalg.cross(ahead, across)
    normal = normal / normal.norm()
    lens = torch.tensor([[30.0, 0, 64], [0, 30, 64], [0, 0, 1]])  # sees 130 degrees
    pixels = lift(torch.full(size, 2.0), lens).double()
    colors = ((pixels @ normal) / 0.08 + 0.5).clamp(0, 1).float()[..., None].expand(*size, 3)
    video = VideoDepth(torch.full((1, *size), 2.0), lens[None], torch.eye(4)[None])
    eye = CameraPath(torch.eye(4)[None], lens[None], size)
    seen = render_hemisphere(build_dw_mesh(colors[None], video), eye, side, PLAIN, "auto", lambda *_: None)
    angle = (torch.arange(side, dtype=torch.float64) + 0.5) / side * math.pi - math.pi / 2
    lat, lon = torch.meshgrid(angle, angle, indexing="ij")
    rays = torch.stack([lon.sin() * lat.cos(), lat.sin(), lon.cos() * lat.cos()], -1)
    off = (rays @ normal).abs().asin()  # radians from the circle
    pixel = math.pi / side
    shown, wanted = seen.color[0, ..., 0] > 0.5, rays @ normal > 0
    judged = seen.visible[0] & (off > 1.5 * pixel)
    assert judged.any() and torch.equal(shown[judged], wanted[judged])


def test_a_hemisphere_shows_every_direction_where_it_is():
    mesh, video = scene_of(torch.full(SIZE, 3.0))
    side = 256
    seen = render_hemisphere(mesh, still(), side, PLAIN, "auto", lambda *_: None)
    angle = (torch.arange(side) + 0.5) / side * math.pi - math.pi / 2
    lat, lon = torch.meshgrid(angle, angle, indexing="ij")
    rays = torch.stack([lon.sin() * lat.cos(), lat.sin(), lon.cos() * lat.cos()], -1)
    wanted = project(rays, video.intrinsics[0])
    shown = seen.color[0, ..., :2] * torch.tensor([SIZE[1], SIZE[0]])
    assert seen.visible.float().mean() > 0.04
    assert (shown - wanted)[seen.visible[0]].abs().max() < 0.6
