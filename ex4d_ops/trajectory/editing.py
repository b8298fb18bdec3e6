"""Editing camera paths: chain, blend, reverse, ping-pong, retime, fit, freeze.

Every frame of a path is a camera and the source frame it shows. Edits act on the cameras and let the clip play on;
retime, fit and freeze are the ones that change its time. Lengths may change: render_prior refuses a path that shows
source frames the clip lacks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from ..camera import CameraPath, invert_rigid, move_to, rigid
from ..rotation import rotate_between
from .moves import EASES

Retimed = Literal["both", "cameras", "source"]
CPU = torch.device("cpu")  # where float64 steps are taken: not every device has it

SAME_WAY = 0.5  # share of the clip camera's way that a path may miss and still tell its scale


def chain(paths: Sequence[CameraPath], join: bool = True) -> CameraPath:
    """Several paths, one after another.

    join: each path goes on from the last frame of the one before, in place, heading, focal length and source frame,
    and does not repeat that frame; its moves are then relative to that camera (an orbit circles the point `radius`
    in front of it). Without it the paths are cut together as they are. Raises ValueError where sizes differ.
    """
    check_one_size(paths)
    parts = [paths[0]]
    for path in paths[1:]:
        parts.append(continue_path(parts[-1], path) if join else path)
    new = [slice(None), *[slice(int(join), None)] * len(paths[1:])]  # the first frame of a joined path is there already
    return CameraPath(torch.cat([part.cam_from_world[frames] for part, frames in zip(parts, new)]),
                      torch.cat([part.intrinsics[frames] for part, frames in zip(parts, new)]),
                      paths[0].size, torch.cat([part.source_frame[frames] for part, frames in zip(parts, new)]))


def continue_path(before: CameraPath, path: CameraPath) -> CameraPath:
    """path laid onto the last frame of the path before it, which its first frame then is."""
    cameras = path.cam_from_world.cpu().double()
    moved = (cameras @ invert_rigid(cameras[0]) @ before.cam_from_world[-1].cpu().double()).float()
    intrinsics = path.intrinsics.clone()
    intrinsics[:, :2, :2] *= before.intrinsics[-1, 0, 0] / path.intrinsics[0, 0, 0]
    source = before.source_frame[-1] + path.source_frame - path.source_frame[0]
    return CameraPath(moved.to(intrinsics.device), intrinsics, path.size, source)


def reverse(path: CameraPath) -> CameraPath:
    """The cameras from last to first, while the clip still plays forwards."""
    return CameraPath(path.cam_from_world.flip(0), path.intrinsics.flip(0), path.size, path.source_frame)


def ping_pong(path: CameraPath) -> CameraPath:
    """There and back in 2 T - 1 frames, while the clip plays on."""
    return chain([path, reverse(path)])


def blend(first: CameraPath, second: CameraPath, weight: float | Tensor) -> CameraPath:
    """A path between two of one length: all first where weight (a number or [T]) is 0, all second where it is 1.

    Places go straight, headings the shortest arc, source frames to the nearest. Raises ValueError where lengths or
    sizes differ.
    """
    check_one_size([first, second])
    if len(first) != len(second):
        raise ValueError(f"blend: the paths have {len(first)} and {len(second)} frames; fit one to the length of the "
                         "other")
    weight = torch.as_tensor(weight).cpu().double().expand(len(first))
    return mix(first, second, weight, weight)


def mix(first: CameraPath, second: CameraPath, weight: Tensor, source_weight: Tensor) -> CameraPath:
    """Frame by frame between two paths, [T] float64 weights on the CPU for cameras and for source frames."""
    device = first.cam_from_world.device
    first, second = move_to(first, CPU), move_to(second, CPU)
    eye = lerp(invert_rigid(first.cam_from_world.double())[:, :3, 3],
               invert_rigid(second.cam_from_world.double())[:, :3, 3], weight)
    rotation = rotate_between(first.cam_from_world[:, :3, :3], second.cam_from_world[:, :3, :3], weight)
    cam_from_world = rigid(rotation, -(rotation @ eye[..., None])[..., 0])
    intrinsics = lerp(first.intrinsics.double(), second.intrinsics.double(), weight)
    source = lerp(first.source_frame.double(), second.source_frame.double(), source_weight)
    nearest = (source + 0.5 + 1e-6).floor().long()  # halves go up, whatever the rounding of the weights
    return move_to(CameraPath(cam_from_world.float(), intrinsics.float(), first.size, nearest), device)


def lerp(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """first + weight (second - first) along the first dimension, weight [T]."""
    return torch.lerp(first, second, weight.reshape(-1, *[1] * (first.ndim - 1)))


def retime(path: CameraPath, frames: int | None = None, speed: str | Sequence[float] = "linear",
           what: Retimed = "both") -> CameraPath:
    """The same way at another speed or length: resampled to so many frames, by default as many as it has.

    speed: a name in EASES, or relative speeds at even steps from start to end, e.g. [1, 0.2, 1] to linger in the
    middle. what: bend the time of the cameras, of the clip, or of both; the other keeps an even pace.
    """
    if what not in ("both", "cameras", "source"):
        raise ValueError(f"retime: '{what}' cannot be retimed; use both, cameras or source")
    even = torch.linspace(0, 1, frames or len(path), dtype=torch.float64)
    bent = bend_time(even, speed)
    return resample(path, even if what == "source" else bent, even if what == "cameras" else bent)


def bend_time(even: Tensor, speed: str | Sequence[float]) -> Tensor:
    """Progress [T] in 0..1 of a run at this speed, at even times [T] in 0..1."""
    if isinstance(speed, str):
        if speed not in EASES:
            raise ValueError(f"retime: '{speed}' is not a speed; use {', '.join(EASES)} or relative speeds")
        return EASES[speed](even)
    speeds = torch.as_tensor(speed, dtype=torch.float64)
    if not (torch.isfinite(speeds).all() and (speeds >= 0).all() and speeds.sum() > 0):
        raise ValueError("retime: speeds must be numbers from 0 up, and not all 0, e.g. 1, 0.2, 1")
    if len(speeds) == 1:
        return even
    steps = torch.cat([speeds.new_zeros(1), ((speeds[1:] + speeds[:-1]) / 2).cumsum(0)])  # trapezoids
    at = even * (len(speeds) - 1)
    left = at.long().clamp(max=len(speeds) - 2)
    part = at - left
    # Speed is linear within a step, so the way is quadratic.
    covered = steps[left] + part * speeds[left] + part * part * (speeds[left + 1] - speeds[left]) / 2
    return covered / steps[-1]


def resample(path: CameraPath, camera_at: Tensor, source_at: Tensor) -> CameraPath:
    """The cameras and the source frames of a path at these shares [N] of its length, between frames too."""
    camera, source = (at * (len(path) - 1) for at in (camera_at, source_at))
    left, source_left = camera.long(), source.long()

    def pick(step: int) -> CameraPath:
        at = (left + step).clamp(max=len(path) - 1)
        source_frame = path.source_frame[(source_left + step).clamp(max=len(path) - 1)]
        return CameraPath(path.cam_from_world[at], path.intrinsics[at], path.size, source_frame)

    return mix(pick(0), pick(1), camera - left, source - source_left)


def fit(path: CameraPath, frames: int) -> CameraPath:
    """The same cameras over a clip of another length, which plays on from the path's first source frame."""
    played = path.source_frame[0] + torch.arange(frames, device=path.source_frame.device)
    return replace(retime(path, frames), source_frame=played)


def freeze(path: CameraPath, frame: int = 0) -> CameraPath:
    """The same cameras around one held source frame: bullet time."""
    return CameraPath(path.cam_from_world, path.intrinsics, path.size, torch.full_like(path.source_frame, frame))


def arrive(path: CameraPath, camera: CameraPath, frame: int, ease: str = "ease-in-out") -> CameraPath:
    """A path that leaves for one camera (a path of one frame), reaches it at this frame and rests there.

    Source frames stay the path's own. Raises ValueError where the path lacks that frame or sizes differ.
    """
    if not 0 < frame < len(path):
        raise ValueError(f"arrive: frame {frame} is not within the path; use 1..{len(path) - 1}")
    progress = torch.arange(len(path), dtype=torch.float64) / frame
    at_rest = retime(camera, len(path))
    held = CameraPath(at_rest.cam_from_world, at_rest.intrinsics, camera.size, path.source_frame)
    return blend(path, held, bend_time(progress.clamp(max=1), ease))


def scale_places(path: CameraPath, factor: float) -> CameraPath:
    """The same headings at places that lie factor times as far from the world's origin."""
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"scale: got {factor:g}, must be a number above 0")
    cam_from_world = path.cam_from_world.cpu().double().clone()
    cam_from_world[:, :3, 3] *= factor
    return replace(path, cam_from_world=cam_from_world.float().to(path.cam_from_world.device))


def lay_on(path: CameraPath, world_from_cam: Tensor) -> CameraPath:
    """The path turned, moved and scaled onto cameras [S, 4, 4] of a clip: a similarity, least squares over its frames.

    Every camera of the path belongs to the source frame it shows. Raises ValueError where the clip has no such frame,
    where either stands still, and where the two don't go the same way.
    """
    if int(path.source_frame.max()) >= len(world_from_cam):
        raise ValueError(f"scale: the path shows source frame {int(path.source_frame.max())}, but the clip has "
                         f"{len(world_from_cam)} frames; make it as long as the clip")
    target = world_from_cam.cpu().double()[path.source_frame.cpu()]
    cameras = invert_rigid(path.cam_from_world.cpu().double())
    u, _, v = torch.linalg.svd((target[:, :3, :3] @ cameras[:, :3, :3].mT).sum(0))
    u[:, 2] *= torch.linalg.det(u @ v)  # a rotation, never a mirror
    turn = u @ v  # the world's, the mean over the frames
    goal, own = target[:, :3, 3].mean(0), cameras[:, :3, 3].mean(0)
    way, own_way = target[:, :3, 3] - goal, (cameras[:, :3, 3] - own) @ turn.mT
    if min(way.norm(), own_way.norm()) < 1e-6:
        raise ValueError("scale: cannot be found, because the clip's camera or the path stands still; give a number")
    factor = (way * own_way).sum() / own_way.square().sum()
    missed = (factor * own_way - way).norm() / way.norm()
    if factor <= 0 or missed > SAME_WAY:
        raise ValueError(f"scale: cannot be found, because the path does not follow the clip's camera ({missed:.0%} of "
                         "it is missed); give a number")
    place = goal + factor * own_way
    rotation = turn @ cameras[:, :3, :3]
    laid = invert_rigid(rigid(rotation, place)).float()
    return replace(path, cam_from_world=laid.to(path.cam_from_world.device))


def check_one_size(paths: Sequence[CameraPath]) -> None:
    """Raise ValueError unless all paths are for one picture size."""
    for path in paths[1:]:
        if path.size != paths[0].size:
            (height, width), (other_height, other_width) = paths[0].size, path.size
            raise ValueError(f"paths: their sizes are {width}x{height} and {other_width}x{other_height}; make both "
                             "with the same size")
