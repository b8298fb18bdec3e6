"""Laws of depth from parallax: right order where the camera moves, a refusal where it doesn't, nothing across edges."""

import pytest
import torch

from ex4d_ops.camera import CameraPath, default_intrinsics, invert_rigid, rigid
from ex4d_ops.estimators.parallax import estimate_parallax, fill_along_edges
from ex4d_ops.rotation import rotation_of
from ex4d_ops.scene import make_scene, sample_clip

SIZE, FRAMES = (144, 192), 17


def film(scene: str, world_from_cam):
    """A clip and its exact depth from cameras of our own; the scene stands still in its first moment."""
    cameras = CameraPath(invert_rigid(world_from_cam), default_intrinsics(SIZE).repeat(len(world_from_cam), 1, 1), SIZE,
                         torch.zeros(len(world_from_cam), dtype=torch.int64))
    return make_scene(scene).render(cameras)


def order(first, second) -> float:
    """Rank correlation of two sets of numbers."""
    ranks = torch.stack([numbers.argsort().argsort().double() for numbers in (first, second)])
    return float(torch.corrcoef(ranks)[0, 1])


def orders(clip, depth) -> torch.Tensor:
    found = estimate_parallax(clip)
    assert found.kind == "disparity" and found.values.shape == depth.shape and (found.values >= 0).all()
    seen = depth.isfinite()
    return torch.tensor([order(value[mask], 1 / truth[mask]) for value, truth, mask in zip(found.values, depth, seen)])


@pytest.mark.parametrize("scene", ["gallery", "street"])
def test_what_is_nearer_is_found_nearer_where_the_camera_moves_sideways(scene):
    sideways = torch.eye(4).repeat(FRAMES, 1, 1)
    sideways[:, 0, 3] = torch.linspace(0, 0.6, FRAMES)
    found = orders(*film(scene, sideways))
    assert found.mean() > 0.7 and found.min() > 0.5


def test_a_walking_camera_among_moving_things_gives_the_order_of_most_of_it():
    clip, truth = sample_clip("colonnade", 21, SIZE)
    assert orders(clip, truth.depth).mean() > 0.6


@pytest.mark.parametrize("scene", ["gallery", "garden", "street"])
def test_a_camera_at_rest_is_refused_although_things_move(scene):
    with pytest.raises(ValueError, match="around frame . the camera stands still or only turns"):
        estimate_parallax(sample_clip(scene, 5, (72, 96))[0])


def test_a_camera_that_only_turns_is_refused():
    half = torch.linspace(0, 0.06, 9) / 2
    turns = rotation_of(torch.stack([half.cos(), 0 * half, half.sin(), 0 * half], -1))
    turning = rigid(turns, torch.zeros(9, 3).double()).float()
    with pytest.raises(ValueError, match="only turns"):
        estimate_parallax(film("gallery", turning)[0])


def test_one_frame_has_no_parallax():
    with pytest.raises(ValueError, match="around frame 0"):
        estimate_parallax(sample_clip("colonnade", 1, (72, 96))[0])


def test_filling_stops_at_edges_of_the_picture():
    guide = torch.where(torch.arange(96) < 48, 0.2, 0.8).expand(64, 96)
    truth = torch.where(guide > 0.5, 4.0, 1.0)
    weight = (torch.rand(64, 96, generator=torch.Generator().manual_seed(0)) < 0.2).float()
    filled = fill_along_edges(truth * weight, weight, guide)
    assert (filled - truth).abs().max() < 0.2
