"""Paths that follow: the moving source camera, smoothed or not, and a subject that the camera circles or looks at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from ..camera import CameraPath, invert_rigid, ray_of, rigid, transform, transform_each
from ..rotation import aim, quaternion_of, rotate_about, rotation_of
from ..rules import Relative, Smoothed

AHEAD = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)  # of the source camera


class Moving(Protocol):
    """What knows the cameras of a clip, [S, 4, 4]."""

    @property
    def world_from_cam(self) -> Tensor: ...


class Filmed(Moving, Protocol):
    """Depth of a clip or its mesh: what its own cameras saw."""

    @property
    def depth(self) -> Tensor: ...
    @property
    def intrinsics(self) -> Tensor: ...
    @property
    def size(self) -> tuple[int, int]: ...


# ---- the source camera --------------------------------------------------------------------------


def source_path(depth: Filmed, smoothing: int = 0, smoothed: Smoothed = "all") -> CameraPath:
    """The source camera's own path, stabilised over so many frames to either side; 0 leaves it as it was filmed.

    smoothed: places and headings, or headings alone. Every frame is the mean of as many frames before as after it, so
    that a path begins and ends where it did, and even motion stays what it is.
    """
    cameras = invert_rigid(depth.world_from_cam.cpu().double())
    if smoothing:
        world_from_cam = depth.world_from_cam.cpu().double()
        eye, headings = world_from_cam[:, :3, 3], quaternion_of(world_from_cam[:, :3, :3])
        rotation = rotation_of(smooth_evenly(continuous(headings), smoothing))
        place = smooth_evenly(eye, smoothing) if smoothed == "all" else eye
        cameras = invert_rigid(rigid(rotation, place))
    return CameraPath(cameras.float().to(depth.depth.device), depth.intrinsics, depth.size)


def continuous(quaternions: Tensor) -> Tensor:
    """The same rotations as quaternions [T, 4] of which each is near the one before: q and -q are one rotation."""
    turned = (quaternions[1:] * quaternions[:-1]).sum(-1) < 0
    odd = torch.cat([turned.new_zeros(1), turned]).long().cumsum(0) % 2 == 1
    return torch.where(odd[:, None], -quaternions, quaternions)


def smooth_evenly(values: Tensor, reach: int) -> Tensor:
    """Means of values [T, C] over up to `reach` frames to either side, fewer towards the ends; near ones count more."""
    count = len(values)
    frame = torch.arange(count)
    room = torch.minimum(frame, count - 1 - frame).clamp(max=reach)
    total, weights = values.clone(), torch.ones(count, dtype=values.dtype)
    for step in range(1, int(room.max()) + 1):
        weight = 0.5 + 0.5 * torch.cos(math.pi * step / (room + 1).to(values.dtype))
        weight = torch.where(step <= room, weight, 0.0)
        before, after = values[(frame - step).clamp(min=0)], values[(frame + step).clamp(max=count - 1)]
        total += weight[:, None] * (before + after)
        weights += 2 * weight
    return total / weights[:, None]


def follow_source(path: CameraPath, world_from_cam: Tensor) -> CameraPath:
    """A path made around a source camera at rest, around the one that moves: world_from_cam [S, 4, 4] of the clip."""
    cam_from_world = path.cam_from_world.cpu().double() @ invert_rigid(of_frames(world_from_cam, path))
    return replace(path, cam_from_world=cam_from_world.float().to(path.cam_from_world.device))


def of_frames(values: Tensor, path: CameraPath) -> Tensor:
    """What belongs to the source frame that every frame of a path shows, float64 on the CPU; one alone to all.

    Raises ValueError where the clip lacks a frame.
    """
    if len(values) == 1:
        return values.cpu().double().expand(len(path), *values.shape[1:])
    shown = path.source_frame.cpu()
    if int(shown.max()) >= len(values):
        raise ValueError(f"the path shows source frame {int(shown.max())}, but the clip has {len(values)} frames; make "
                         "it as long as the clip, or hold frames with a retime curve")
    return values.cpu().double()[shown]


# ---- a subject ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Subject:
    """What a path has in the place of its target. points: [S, 3] float64, world, of every source frame, or [1, 3] of
    one at rest; keep_aim: the camera keeps the source's direction, so that the subject stays where it is in the
    picture, and does not turn to it.
    """

    points: Tensor
    keep_aim: bool = False

    @property
    def distance(self) -> float:
        """From the source camera of frame 0, scene units."""
        return float(self.points[0].norm())

    @property
    def direction(self) -> Tensor:
        """Where it is seen from the source camera of frame 0, [3], of length 1."""
        return self.points[0] / self.points[0].norm()


def make_subject(target: Tensor, keep_aim: bool = False) -> Subject:
    """The subject at a world point [3] or at points [T, 3], see subject_target."""
    return Subject(target.cpu().double().reshape(-1, 3), keep_aim)


def subject_target(subject: Tensor | Sequence[float], depth: Filmed) -> Tensor:
    """The world point of a subject in the picture: [3] of what frame 0 shows, [T, 3] of a mask per frame.

    subject: a mask [H, W] or [T, H, W], above 0.5 where it is; a point (x, y) or a box (x, y, x, y) of frame 0, pixels.
    The depth is the median of what is seen there; where a frame shows nothing of it, the point runs evenly from the
    last place to the next. Raises ValueError where it is nowhere, outside the picture, or all sky.
    """
    if not isinstance(subject, Tensor):
        return subject_target(mask_of(subject, depth.size), depth)
    if subject.shape[-2:] != depth.depth.shape[-2:]:
        raise ValueError(f"subject: {describe(subject)}, but the scene is {describe(depth.depth)}; resize it")
    if subject.ndim == 2 or len(subject) == 1:
        point = masked_point(subject.reshape(depth.size), depth, 0)
        if point is None:
            raise ValueError("subject: frame 0 shows nothing of it but sky, or nothing at all; mark something that has "
                             "a surface there")
        return point.float()
    if len(subject) != len(depth.depth):
        raise ValueError(f"subject: {len(subject)} masks, but the scene has {len(depth.depth)} frames; use one mask of "
                         "frame 0, or one per frame")
    points = [masked_point(mask, depth, t) for t, mask in enumerate(subject)]
    known = [t for t, point in enumerate(points) if point is not None]
    if not known:
        raise ValueError("subject: no frame shows anything of it but sky; mark something that has a surface")
    return fill_between(torch.tensor(known), torch.stack([point for point in points if point is not None]),
                        len(points)).float()


def describe(planes: Tensor) -> str:
    return f"{planes.shape[-1]}x{planes.shape[-2]}"


def mask_of(place: Sequence[float], size: tuple[int, int]) -> Tensor:
    """The pixels [H, W] of a point (x, y) or a box (x, y, x, y), in pixels from the top left."""
    height, width = size
    if len(place) not in (2, 4) or not all(math.isfinite(value) for value in place):
        raise ValueError("subject: must be a point x,y or a box x,y,x,y, in pixels")
    x, y, right, bottom = map(math.floor, (*place, *place)[:4])
    if not (0 <= x <= right < width and 0 <= y <= bottom < height):
        raise ValueError(f"subject: {','.join(f'{value:g}' for value in place)} is not within the picture of "
                         f"{width}x{height}; count pixels from 0 at the top left")
    mask = torch.zeros(size, dtype=torch.bool)
    mask[y:bottom + 1, x:right + 1] = True
    return mask


def masked_point(mask: Tensor, depth: Filmed, t: int) -> Tensor | None:
    """The world point [3] float64 in the middle of a mask [H, W] of frame t, None where it shows no surface."""
    plane = depth.depth[t].cpu()
    shown = (mask.cpu() > 0.5) & torch.isfinite(plane)
    if not shown.any():
        return None
    middle = shown.nonzero().double().mean(0).flip(0) + 0.5
    ray = ray_of(middle, depth.intrinsics[t].cpu().double())
    return transform(depth.world_from_cam[t].cpu().double(), ray * plane[shown].double().median())


def fill_between(known: Tensor, points: Tensor, count: int) -> Tensor:
    """Points [T, 3] that run evenly between those [K, 3] of known frames [K], and rest before and after them."""
    at = torch.arange(count).clamp(int(known[0]), int(known[-1]))
    left = torch.searchsorted(known, at, right=True) - 1
    right = (left + 1).clamp(max=len(known) - 1)
    share = (at - known[left]).double() / (known[right] - known[left]).clamp(min=1)
    return torch.lerp(points[left], points[right], share[:, None])


def follow(path: CameraPath, scene: Moving | None, relative: Relative = "world", subject: Subject | None = None,
           radius: float | None = None) -> CameraPath:
    """A path as it is when it follows: its aim the subject, its cameras the moving source camera.

    path: made around the source camera of frame 0 and where the subject is then, radius away, by default as far as it
    is. Raises ValueError where there is no scene to follow.
    """
    if scene is None:
        if relative == "source":
            raise ValueError("relative: source follows the cameras of scene, which is not connected; connect depth or "
                             "a mesh to it, or choose world")
        return path
    if subject is not None:
        path = follow_subject(path, scene.world_from_cam, relative, subject, radius or subject.distance)
    return follow_source(path, scene.world_from_cam) if relative == "source" else path


def follow_subject(path: CameraPath, world_from_cam: Tensor, relative: Relative, subject: Subject,
                   radius: float) -> CameraPath:
    """The path, turned in place so that the subject is always seen where the one of frame 0 would be."""
    points = of_frames(subject.points, path)
    if relative == "source":
        points = transform_each(invert_rigid(of_frames(world_from_cam, path)), points)
    points = points * (radius / subject.distance)
    cameras = path.cam_from_world.cpu().double()
    eye = invert_rigid(cameras)[:, :3, 3]
    rotation = keep_in_view(cameras[:, :3, :3], radius * subject.direction - eye, points - eye)
    cam_from_world = rigid(rotation, -(rotation @ eye[..., None])[..., 0])
    return replace(path, cam_from_world=cam_from_world.float().to(path.cam_from_world.device))


def keep_in_view(rotation: Tensor, before: Tensor, now: Tensor) -> Tensor:
    """Rotations [T, 3, 3] that see direction now [T, 3] where these see direction before; their roll stays."""
    level = aim(rotation[:, 2])
    tilt = torch.asin(level[:, 2, 1].clamp(-1, 1))
    rise, turn = turn_onto(now, (level @ before[..., None])[..., 0], tilt)
    return rotation @ level.mT @ rotate_about("x", rise) @ rotate_about("y", turn)


def turn_onto(start: Tensor, end: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """Angles (a, b) [T], radians, by which Rx(a) Ry(b) turns directions start [T, 3] onto end; a is the closer to near.

    Where none does, as near the poles, the nearest.
    """
    start, end = (torch.nn.functional.normalize(direction, dim=-1) for direction in (start, end))
    x, y, z = end.unbind(-1)
    middle = torch.atan2(z, y)
    apart = torch.acos((start[:, 1] / torch.hypot(y, z).clamp(min=1e-12)).clamp(-1, 1))
    off = [torch.remainder(middle + sign * apart - near + math.pi, 2 * math.pi) - math.pi for sign in (-1, 1)]
    rise = near + torch.where(off[0].abs() <= off[1].abs(), off[0], off[1])
    level = (rotate_about("x", -rise) @ end[..., None])[..., 0]
    return rise, torch.atan2(level[:, 0], level[:, 2]) - torch.atan2(start[:, 0], start[:, 2])
