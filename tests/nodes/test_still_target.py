"""A target camera at rest stays where it is in the world while the source camera moves, through the nodes."""

from dataclasses import replace

import pytest
import torch

from ex4d_ops.camera import invert_rigid, lift, pixel_centers, project, transform
from ex4d_ops.scene import sample_clip

FRAMES, SIZE = 9, (96, 128)
DOT = 2.5  # pixels, radius of a mark


def mark_point(depth, row, column):
    """A black clip with a white dot wherever the source camera sees the point that frame 0 shows there; its way."""
    point = lift(depth.depth[0], depth.intrinsics[0])[row, column]
    cam_from_world = invert_rigid(depth.world_from_cam)
    places = torch.stack([project(transform(cam_from_world[t], point), depth.intrinsics[t]) for t in range(FRAMES)])
    dots = (pixel_centers(SIZE) - places[:, None, None]).norm(dim=-1) < DOT
    return dots[..., None].float().expand(-1, -1, -1, 3), places


def find_dots(frames):
    """The middle of what is white in every frame, [T, 2] pixels."""
    light = frames.mean(-1, keepdim=True)
    return (light * pixel_centers(SIZE)).sum((1, 2)) / light.sum((1, 2))


def look_from_rest(nodes, images, depth):
    mesh, _ = nodes.run("BuildDWMesh", images=images, depth=depth)
    path, _ = nodes.run("CameraTrajectory", move={"move": "static"}, frames=FRAMES, scene=mesh)
    return nodes.run("RenderDWMesh", mesh=mesh, cameras=path, erosion={"erosion": "none"})[0]


@pytest.mark.parametrize("row, column", [(80, 30), (80, 100), (88, 110), (20, 20)])
def test_a_point_of_the_world_stays_at_its_pixel(nodes, row, column):
    depth = sample_clip("colonnade", FRAMES, SIZE)[1]
    images, places = mark_point(depth, row, column)
    assert (places[-1] - places[0]).norm() > 8, "the source camera moves past it"
    there = torch.tensor([column + 0.5, row + 0.5])
    assert (find_dots(look_from_rest(nodes, images, depth)) - there).norm(dim=-1).max() < 1
    unknown = replace(depth, world_from_cam=torch.eye(4).repeat(FRAMES, 1, 1))
    drifting = find_dots(look_from_rest(nodes, images, unknown))
    assert (drifting - places).norm(dim=-1).max() < 1, "without its cameras it goes with the source camera"
