"""Laws of source cameras: found where they moved, at rest where they didn't, refused where nothing tells."""

from dataclasses import replace
from functools import cache

import pytest
import torch

from ex4d_ops.camera import CameraPath
from ex4d_ops.estimators.source_camera import AT_REST, find_camera, track_source_camera
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.prior import RenderRules, render_prior
from ex4d_ops.scene import make_scene, sample_clip

FRAMES, SIZE = 13, (144, 192)


@cache
def filmed(name: str):
    """A clip, its exact depth with the cameras that filmed it, and the same as from a camera at rest."""
    clip, depth = sample_clip(name, FRAMES, SIZE)
    return clip, depth, replace(depth, world_from_cam=torch.eye(4).repeat(FRAMES, 1, 1))


def degrees_between(first, second):
    trace = (first[:, :3, :3].mT @ second[:, :3, :3]).diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.rad2deg(((trace - 1) / 2).clamp(-1, 1).acos())


@cache
def tracked(name: str):
    return track_source_camera(filmed(name)[0], filmed(name)[2])


@pytest.mark.parametrize("name, metres, degrees", [("colonnade", 0.05, 0.4), ("gallery", 0.03, 0.3),
                                                   ("garden", 0.03, 0.3), ("street", 0.03, 0.3)])
def test_the_camera_is_found_where_it_was_although_things_move(name, metres, degrees):
    truth, found = filmed(name)[1].world_from_cam, tracked(name).world_from_cam
    assert (truth[:, :3, 3] - found[:, :3, 3]).norm(dim=-1).max() < metres
    assert degrees_between(truth, found).max() < degrees
    assert torch.equal(found[0], torch.eye(4))


def test_depth_in_other_units_gives_the_same_path_in_those_units():
    clip, _, still = filmed("colonnade")
    larger = track_source_camera(clip, replace(still, depth=10 * still.depth)).world_from_cam
    assert (larger[:, :3, 3] - 10 * tracked("colonnade").world_from_cam[:, :3, 3]).abs().max() < 0.05


def test_the_residual_is_told():
    track = tracked("colonnade")
    assert 0 < track.residual < 0.004 and 0.5 < track.still <= 1
    assert "matched points are off by " in str(track)


def test_frames_that_share_nothing_are_refused():
    noise = torch.rand(FRAMES, *SIZE, 3, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match="points of frame 1 are found"):
        track_source_camera(noise, filmed("colonnade")[2])


def test_depth_that_no_motion_explains_is_refused():
    clip, _, still = filmed("colonnade")
    coarse = torch.rand(FRAMES, 1, 6, 8, generator=torch.Generator().manual_seed(0))
    depth = 1 + 5 * torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear")[:, 0]
    with pytest.raises(ValueError, match="no camera motion fits the frames and their depth .points are off"):
        track_source_camera(clip, replace(still, depth=depth))


def test_one_frame_is_at_rest():
    clip, _, still = filmed("gallery")
    one = replace(still, depth=still.depth[:1], intrinsics=still.intrinsics[:1], world_from_cam=torch.eye(4)[None])
    assert torch.equal(track_source_camera(clip[:1], one).world_from_cam, torch.eye(4)[None])


def test_cancelling_stops_within_a_frame():
    def cancel(done, total):
        raise InterruptedError
    with pytest.raises(InterruptedError):
        track_source_camera(filmed("gallery")[0], filmed("gallery")[2], cancel)


def view_errors(depth, clip):
    """Mean difference, frame by frame, between what a camera at rest sees of a mesh and what it sees of the scene."""
    rest = CameraPath(torch.eye(4).repeat(FRAMES, 1, 1), depth.intrinsics, SIZE)
    exact = make_scene("colonnade").render(rest)[0]
    prior = render_prior(build_dw_mesh(clip, depth), rest, RenderRules(anchor_first=False, erosion=0))
    return torch.stack([(color - truth)[seen].abs().mean()
                        for color, truth, seen in zip(prior.color, exact, prior.visible)])


def test_a_target_at_rest_stays_still_in_the_world_while_the_source_camera_moves():
    clip, depth, still = filmed("colonnade")
    known, ignored = view_errors(depth, clip), view_errors(still, clip)
    found = view_errors(replace(depth, world_from_cam=tracked("colonnade").world_from_cam), clip)
    assert known.max() < 0.02 and found.max() < 0.03
    assert ignored[-1] > 3 * found[-1] and ignored[-1] > 0.06, "without the cameras the view drifts"


def test_the_start_of_the_search_is_not_written_into():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(60, 3, generator=generator).double() + torch.tensor([-0.5, -0.5, 2.0])
    moved = points + torch.tensor([0.05, 0.0, 0.1])
    find_camera(points.numpy(), (moved[:, :2] / moved[:, 2:]).numpy(), 1 / 200, AT_REST, 1)
    assert (AT_REST[0] == torch.eye(3).numpy()).all() and not AT_REST[1].any()
