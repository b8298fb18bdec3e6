"""Paths turned into keyframes: few that make the same path again, as people can edit them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..camera import CameraPath, default_intrinsics, invert_rigid
from ..rotation import aim
from .editing import resample
from .entries import SEGMENT_EASES
from .keyframes import TARGET, Keyframe, camera_motion
from .moves import parse_moves
from .retiming import Moment, played_frames
from .rig import move_path

MOST_KEYS = 120
EVEN_KEYS = (2, 3, 4, 5, 6, 7, 9, 11, 13)  # tried before keyframes are set where they are missed
MOST_LOOKED_AT = 241  # frames of a long path at which keyframes are fitted
OFF_PLACE = 0.004  # radii that a path of keyframes may be off
OFF_ANGLE = math.radians(0.25)
OFF_ZOOM = 0.004  # of the logarithm
ON_TARGET = math.radians(0.1)  # by which a camera that looks at the target may miss it
DIGITS = 4  # behind the point of what is written


@dataclass(frozen=True, eq=False)
class FittedTo:
    """What keyframes are for: radius, scene units; lens: [3, 3] of zoom 1; smooth: curves or straight lines; circles:
    whether they may circle the point one radius ahead.
    """

    radius: float
    lens: Tensor
    smooth: bool = True
    circles: bool = True


def preset_keyframes(moves: str, frames: int, smooth: bool = True) -> str:
    """The keyframes, as text, of moves written as parse_moves reads them."""
    size = (64, 64)
    path = move_path(parse_moves(moves), frames, 1.0, default_intrinsics(size), size)
    return keyframes_of(path, FittedTo(1.0, path.intrinsics[0] if "zoom" not in moves else default_intrinsics(size),
                                       smooth))


def keyframes_of(path: CameraPath, fitted: FittedTo) -> str:
    """A text of keyframes that make a path again, but for places below OFF_PLACE and angles below OFF_ANGLE.

    At most MOST_KEYS; a path that needs more is followed as closely as these can.
    """
    frames = len(path)
    count = min(frames, MOST_LOOKED_AT)
    looked_at = path if count == frames else resample(path, *[torch.linspace(0, 1, count, dtype=torch.float64)] * 2)
    fields = measure(looked_at, fitted)
    stretch = (frames - 1) / max(count - 1, 1)
    lines = [write_fields({"frame": tidy(key.frame * stretch)} | fields_of(key))
             for key in fit_keys(looked_at, fields, fitted)]
    moments = fit_moments(path.source_frame.tolist())
    keys = "[\n  " + ",\n  ".join(lines) + "\n]"
    if not moments:
        return keys
    retime = ", ".join(write_fields({"frame": tidy(moment.frame), "source": tidy(moment.source)}) for moment in moments)
    return f'{{"keys": {keys},\n"retime": [{retime}]}}'


def keyframe_of(path: CameraPath, t: int, fitted: FittedTo) -> dict:
    """The fields of the keyframe of one camera, less its time."""
    yaw, pitch, roll = continuous_angles(path.cam_from_world[t:t + 1, :3, :3].cpu().double())[0].tolist()
    x, y, z = place_of(path, fitted)[t].tolist()
    zoom = float(zoom_of(path, fitted)[t])
    return fields_of(Keyframe(0.0, (x, y, z), None, None, (-yaw, -pitch), roll, zoom, None, "linear"))


# ---- what a path does ---------------------------------------------------------------------------


def place_of(path: CameraPath, fitted: FittedTo) -> Tensor:
    """Where the cameras stand, [T, 3] float64, in radii."""
    return invert_rigid(path.cam_from_world.cpu().double())[:, :3, 3] / fitted.radius


def zoom_of(path: CameraPath, fitted: FittedTo) -> Tensor:
    return (path.intrinsics[:, 0, 0].cpu().double() / float(fitted.lens[0, 0])).clamp(0.01, 100)


def continuous_angles(rotation: Tensor) -> Tensor:
    """Yaw, pitch and roll [T, 3], degrees, of cameras that have circled by the first two: even where they pass a pole.

    Of the two ways to say a rotation, and of all turns, the one closest to the frame before.
    """
    level = aim(rotation[:, 2])
    leaning = rotation @ level.mT
    angles = torch.stack([torch.atan2(-level[:, 2, 0], level[:, 2, 2]), torch.asin(level[:, 2, 1].clamp(-1, 1)),
                          -torch.atan2(-leaning[:, 0, 1], leaning[:, 0, 0])], -1)
    rows, before = [], (0.0, 0.0, 0.0)
    for yaw, pitch, roll in torch.rad2deg(angles).tolist():
        ways = [(yaw, pitch, roll), (yaw + 180, 180 - pitch, roll + 180)]
        near = [tuple(value - 360 * round((value - old) / 360) for value, old in zip(way, before)) for way in ways]
        before = min(near, key=lambda way: sum(abs(value - old) for value, old in zip(way, before)))
        rows.append(before)
    return torch.tensor(rows, dtype=torch.float64)


def measure(path: CameraPath, fitted: FittedTo) -> list[Keyframe]:
    """The keyframe of every frame of a path: all of them circle the target, or none does."""
    place, zoom = place_of(path, fitted), zoom_of(path, fitted).tolist()
    rotation = path.cam_from_world[:, :3, :3].cpu().double()
    angles = continuous_angles(rotation)
    away = torch.tensor(TARGET, dtype=torch.float64) - place
    distance = away.norm(dim=-1)
    across = torch.linalg.cross(rotation[:, 2], away / distance.clamp(min=1e-9)[:, None])
    ahead = (rotation[:, 2] * away).sum(-1) > 0
    still = fitted.circles and bool((place.norm(dim=-1) < OFF_PLACE / 4).all())
    circles = fitted.circles and not still and bool((ahead & (across.norm(dim=-1) < ON_TARGET)).all())
    straight = circles or (still and bool((angles[:, :2].abs() < 0.01).all()))
    keys = []
    for t, ((yaw, pitch, roll), factor) in enumerate(zip(angles.tolist(), zoom)):
        x, y, z = place[t].tolist()
        orbit = (yaw, pitch, float(distance[t])) if circles else (0.0, 0.0, 1.0) if still else None
        keys.append(Keyframe(float(t), None if orbit else (x, y, z), orbit, None, None if straight else (-yaw, -pitch),
                             roll, factor, None, "linear"))
    return keys


# ---- few keyframes ------------------------------------------------------------------------------


def fit_keys(path: CameraPath, every: list[Keyframe], fitted: FittedTo) -> list[Keyframe]:
    """Few of the keyframes of every frame that make its path again."""
    last = len(every) - 1

    def miss(keys: Sequence[Keyframe]) -> Tensor:
        return misses(path, keys, fitted)

    if not last:
        return every
    if float(miss(every[:1]).max()) <= 1:  # it rests
        return every[:1]
    for count in EVEN_KEYS:
        spread = sorted({round(last * k / (count - 1)) for k in range(count)})
        for ease in SEGMENT_EASES if count < 4 else ("linear",):
            keys = [*[replace(every[t], ease=ease) for t in spread[:-1]], every[last]]
            if float(miss(keys).max()) <= 1:
                return keys
    return [every[t] for t in add_worst({0, last}, lambda chosen: miss([every[t] for t in chosen]))]


def add_worst(chosen: set[int], miss: Callable[[list[int]], Tensor]) -> list[int]:
    """Frames to which the one that is missed most is added until none is missed by more than 1."""
    while len(chosen) < MOST_KEYS:
        missed = miss(sorted(chosen))
        missed[sorted(chosen)] = 0
        worst = int(missed.argmax())
        if float(missed[worst]) <= 1:
            break
        chosen = chosen | {worst}
    return sorted(chosen)


def misses(path: CameraPath, keys: Sequence[Keyframe], fitted: FittedTo) -> Tensor:
    """By how much the path of some keyframes is off in every frame, [T], in what it may be off."""
    motion = camera_motion(keys, len(path), float(fitted.lens[0, 0]), fitted.smooth)
    rotation = path.cam_from_world[:, :3, :3].cpu().double()
    turned = (motion.rotation - rotation).square().sum((1, 2)).sqrt() / math.sqrt(2)  # of small angles, the angle
    zoomed = (motion.zoom / zoom_of(path, fitted)).log().abs()
    off = (motion.eye - place_of(path, fitted)).norm(dim=-1)
    return torch.stack([off / OFF_PLACE, turned / OFF_ANGLE, zoomed / OFF_ZOOM]).amax(0)


def fit_moments(shown: list[int]) -> list[Moment]:
    """The fewest moments of a retime curve that shows these source frames; none where the clip plays on."""
    frames = len(shown)
    if shown == list(range(frames)):
        return []
    wanted = torch.tensor(shown)

    def curve(chosen: list[int]) -> list[Moment]:
        return [Moment(float(t), float(shown[t]), "linear") for t in chosen]

    def miss(chosen: list[int]) -> Tensor:
        return 2.0 * (played_frames(curve(chosen), frames) - wanted).abs().double()

    return curve(add_worst({0, frames - 1}, miss))


# ---- text ---------------------------------------------------------------------------------------


def fields_of(key: Keyframe) -> dict:
    """What a keyframe is written as, less its time; what is as at the source camera is left out."""
    fields: dict = {}
    if key.position:
        fields["position"] = [tidy(value) for value in key.position]
    if key.orbit:
        fields |= {name: tidy(value) for name, value, rest in zip(("yaw", "pitch", "distance"), key.orbit, (0, 0, 1))
                   if tidy(value) != rest}
    if key.heading:
        fields |= {name: tidy(value) for name, value in zip(("pan", "tilt"), key.heading)}
    fields |= {name: tidy(value) for name, value, rest in (("roll", key.roll, 0), ("zoom", key.zoom or 1.0, 1))
               if tidy(value) != rest}
    return fields if key.ease == "linear" else fields | {"ease": key.ease}


def tidy(value: float) -> float:
    """A number with few digits, whole where it is one."""
    short = round(value, DIGITS)
    return int(short) if short == int(short) else short


def write_fields(fields: dict) -> str:
    return json.dumps(fields)
