"""Camera paths from keyframes, a JSON list:

    [{"frame": 0},
     {"frame": 24, "yaw": 60, "pitch": 10, "distance": 0.8, "ease": "ease-in-out"},
     {"frame": 48, "position": [0.4, 0, 0], "look_at": [0, 0, 1], "roll": 5, "zoom": 1.5}]

when      frame (from 0) or time (0 at the first frame, 1 at the last)
where     yaw, pitch (degrees) and distance around look_at, or position [x, y, z]
heading   look_at [x, y, z], by default [0, 0, 1], the target in front of the source camera; or pan and tilt,
          degrees away from the source camera's heading; and roll, degrees
lens      zoom (factor of the source's focal length) or focal (pixels)
ease      of the way to the next keyframe

Lengths are shares of the radius, in the world's axes: x right, y down, z forward. Signs of the angles are those of
trajectory.py. Values run on Catmull-Rom splines (cubic Hermite, tangents from the two neighbours over their distance
in time) or straight. Where no keyframe gives a position, the angles and the distance run, so that the camera circles;
else positions run. Where every keyframe looks at a point, the point runs and stays in the centre; else headings run
the shortest arc.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..camera import CameraPath, rigid
from ..rotation import rotate_about, rotate_between
from .moves import EASES, zoom_intrinsics

TARGET = (0.0, 0.0, 1.0)  # in front of the source camera, in radii
SEGMENT_EASES = [name for name in EASES if name != "there-and-back"]
FIELDS = ("frame", "time", "position", "yaw", "pitch", "distance", "look_at", "pan", "tilt", "roll", "zoom", "focal",
          "ease")


@dataclass(frozen=True)
class Keyframe:
    """One keyframe, checked: degrees, lengths in radii, focal in pixels."""

    frame: float
    position: tuple[float, float, float] | None
    orbit: tuple[float, float, float] | None  # (yaw, pitch, distance), where there is no position
    look_at: tuple[float, float, float]  # also what the orbit circles
    heading: tuple[float, float] | None  # (pan, tilt), in place of looking at look_at
    roll: float
    zoom: float | None
    focal: float | None  # where there is no zoom
    ease: str


def parse_keyframes(text: str, frames: int) -> tuple[Keyframe, ...]:
    """Keyframes of a path of so many frames from JSON.

    Raises ValueError naming the keyframe, the field and the line.
    """
    entries = split_entries(text)
    keyframes = []
    for entry in entries:
        keyframe = entry.read(frames)
        if keyframes and keyframe.frame <= keyframes[-1].frame:
            raise entry.error("frame" if "frame" in entry.fields else "time", "must come after the keyframe before it")
        keyframes.append(keyframe)
    return tuple(keyframes)


def split_entries(text: str) -> list[Entry]:
    """The objects of a JSON list, each with where it stands in the text."""
    try:
        fields = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"keyframes: line {error.lineno} is not JSON ({error.msg})") from None
    except RecursionError:
        raise ValueError("keyframes: nested too deep; write a flat list of objects") from None
    if not isinstance(fields, list) or not fields:
        raise ValueError('keyframes: must be a list of objects, e.g. [{"frame": 0}, {"frame": 48, "yaw": 60}]')
    decoder, entries, end = json.JSONDecoder(), [], text.index("[") + 1
    for index, value in enumerate(fields):
        start = next(re.compile(r"[^\s,]").finditer(text, end)).start()
        end = decoder.raw_decode(text, start)[1]
        if not isinstance(value, dict):
            raise ValueError(f"keyframe {index} (line {text.count(chr(10), 0, start) + 1}): must be an object {{...}}")
        entries.append(Entry(index, value, text[:end], start))
    return entries


@dataclass(frozen=True)
class Entry:
    """One object of the list as written; text ends with it and it begins at start."""

    index: int
    fields: dict
    text: str
    start: int

    def read(self, frames: int) -> Keyframe:
        """The keyframe it says, checked."""
        for field in self.fields:
            if field not in FIELDS:
                where = f"keyframe {self.index} (line {self.line_of(field)})"
                raise ValueError(f"{where}: {repr(field)[1:-1]:.40} is unknown; use {', '.join(FIELDS)}")
        self.refuse_both("frame", "time")
        self.refuse_both("position", "yaw", "pitch", "distance")
        self.refuse_both("look_at", "pan", "tilt")
        self.refuse_both("zoom", "focal")
        keyframe = Keyframe(
            frame=self.frame_number(frames),
            position=self.vector("position") if "position" in self.fields else None,
            orbit=None if "position" in self.fields else (
                self.number("yaw", 0.0, -3600, 3600), self.number("pitch", 0.0, -3600, 3600),
                self.number("distance", 1.0, 1e-3, 1e3)),
            look_at=self.vector("look_at") if "look_at" in self.fields else TARGET,
            heading=(self.number("pan", 0.0, -360, 360), self.number("tilt", 0.0, -360, 360))
            if {"pan", "tilt"} & set(self.fields) else None,
            roll=self.number("roll", 0.0, -3600, 3600),
            zoom=self.number("zoom", 1.0, 0.01, 100) if "focal" not in self.fields else None,
            focal=self.number("focal", 0.0, 1, 1e6) if "focal" in self.fields else None,
            ease=self.fields.get("ease", "linear"))
        if keyframe.ease not in SEGMENT_EASES:
            raise self.error("ease", f"must be one of {', '.join(SEGMENT_EASES)}")
        if keyframe.heading is None and keyframe.position == keyframe.look_at:
            raise self.error("position", "is at the point that it looks at; move one of them")
        return keyframe

    def frame_number(self, frames: int) -> float:
        """Where it stands in the path, in frames."""
        if "time" in self.fields:
            return self.number("time", 0.0, 0, 1) * (frames - 1)
        if "frame" not in self.fields:
            raise self.error("frame", "is missing; give frame (from 0) or time (0..1)")
        return self.number("frame", 0.0, 0, frames - 1)

    def number(self, field: str, default: float, low: float, high: float) -> float:
        value = self.fields.get(field, default)
        if not is_number(value) or not low <= value <= high:
            raise self.error(field, f"must be a number in {low:g}..{high:g}")
        return float(value)

    def vector(self, field: str) -> tuple[float, float, float]:
        value = self.fields[field]
        if not (isinstance(value, list) and len(value) == 3 and all(map(is_number, value))):
            raise self.error(field, "must be three numbers [x, y, z], in radii, within +-1e6")
        x, y, z = map(float, value)
        return x, y, z

    def refuse_both(self, field: str, *others: str) -> None:
        for other in others:
            if field in self.fields and other in self.fields:
                raise self.error(other, f"cannot be used with {field}; keep one of them")

    def error(self, field: str, message: str) -> ValueError:
        """A sentence that names the keyframe, the field and its line."""
        return ValueError(f"keyframe {self.index} (line {self.line_of(field)}): {field} {message}")

    def line_of(self, field: str) -> int:
        """The line of a field, or the object's where the field is missing."""
        found = re.compile(re.escape(json.dumps(field)) + r"\s*:").search(self.text, self.start)
        return self.text.count("\n", 0, found.start() if found else self.start) + 1


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= 1e6


def keyframe_path(keyframes: Sequence[Keyframe], frames: int, radius: float, intrinsics: Tensor, size: tuple[int, int],
                  smooth: bool = True) -> CameraPath:
    """The path through keyframes. intrinsics: [3, 3] or [T, 3, 3], pixels; size: (H, W).

    radius: scene units; smooth: Catmull-Rom splines, else straight. Before the first keyframe and after the last the
    camera rests.
    """
    knots = torch.tensor([key.frame for key in keyframes], dtype=torch.float64)
    line = Timeline(knots, [key.ease for key in keyframes], frames, smooth)
    target = line.spline([key.look_at for key in keyframes])
    orbits = [key.orbit for key in keyframes if key.orbit]
    if len(orbits) == len(keyframes):
        yaw, pitch, distance = line.spline(orbits).unbind(-1)
        level = circle(yaw, pitch)
        eye = target - distance[:, None] * level[:, 2]
    else:
        eye = line.spline([key_eye(key).tolist() for key in keyframes])
        level = aim(target - eye)
    if any(key.heading for key in keyframes):
        rotation = line.arc(torch.stack([key_rotation(key) for key in keyframes]))
    else:
        rotation = lean(level, line.spline([(key.roll,) for key in keyframes])[:, 0])
    focal = float(intrinsics[..., 0, 0].reshape(-1)[0])
    zooms = [(math.log(key.focal / focal if key.focal else key.zoom or 1.0),) for key in keyframes]
    zoom = line.spline(zooms)[:, 0].exp()
    cam_from_world = rigid(rotation, -(rotation @ (radius * eye)[..., None])[..., 0])
    return CameraPath(cam_from_world.float().to(intrinsics.device), zoom_intrinsics(intrinsics, zoom), size)


class Timeline:
    """What keyframes make of every frame of a path. knots: their frames, [K]; eases: of the ways between them."""

    def __init__(self, knots: Tensor, eases: list[str], frames: int, smooth: bool) -> None:
        at = torch.arange(frames, dtype=torch.float64).clamp(knots[0], knots[-1])
        self.knots, self.smooth = knots, smooth
        self.left = (torch.searchsorted(knots, at, right=True) - 1).clamp(0, max(len(knots) - 2, 0))  # [T]
        self.right = (self.left + 1).clamp(max=len(knots) - 1)
        self.span = (knots[self.right] - knots[self.left]).clamp(min=1e-9)  # a single keyframe has no way to go
        even = (at - knots[self.left]) / self.span
        self.weight = torch.stack([EASES[eases[k]](u) for k, u in zip(self.left.tolist(), even)])  # [T]

    def spline(self, values: Sequence[Sequence[float]]) -> Tensor:
        """Values [T, C] along the splines, or the straight lines, through values [K, C]."""
        knots = torch.tensor(values, dtype=torch.float64)
        start, end, u = knots[self.left], knots[self.right], self.weight[:, None]
        if not self.smooth:
            return torch.lerp(start, end, u)
        slope = self.slopes(knots)
        rise, fall = slope[self.left] * self.span[:, None], slope[self.right] * self.span[:, None]
        return (start * (1 + 2 * u) * (1 - u) ** 2 + rise * u * (1 - u) ** 2
                + end * u * u * (3 - 2 * u) + fall * u * u * (u - 1))

    def slopes(self, values: Tensor) -> Tensor:
        """Change per frame at every keyframe, [K, C]: between its neighbours, one-sided at the ends."""
        before = torch.arange(len(values)).sub(1).clamp(min=0)
        after = torch.arange(len(values)).add(1).clamp(max=len(values) - 1)
        return (values[after] - values[before]) / (self.knots[after] - self.knots[before]).clamp(min=1e-9)[:, None]

    def arc(self, rotations: Tensor) -> Tensor:
        """Rotations [T, 3, 3] along the shortest arcs from one of rotations [K, 3, 3] to the next."""
        return rotate_between(rotations[self.left], rotations[self.right], self.weight)


def circle(yaw: Tensor, pitch: Tensor) -> Tensor:
    """Rotation [..., 3, 3] of a level camera that has circled its target by these angles, degrees."""
    return rotate_about("x", torch.deg2rad(pitch)) @ rotate_about("y", torch.deg2rad(yaw))


def aim(direction: Tensor) -> Tensor:
    """Rotation [..., 3, 3] of a level camera that looks along direction [..., 3]; straight down it keeps yaw 0."""
    x, y, z = direction.unbind(-1)
    return rotate_about("x", torch.atan2(y, torch.hypot(x, z))) @ rotate_about("y", torch.atan2(-x, z))


def lean(rotation: Tensor, roll: Tensor) -> Tensor:
    """A rotation after a roll in place, degrees."""
    return rotate_about("z", -torch.deg2rad(roll)) @ rotation


def key_eye(key: Keyframe) -> Tensor:
    """Where the camera of a keyframe stands, [3], in radii."""
    if key.position:
        return torch.tensor(key.position, dtype=torch.float64)
    yaw, pitch, distance = torch.tensor(key.orbit, dtype=torch.float64)
    return torch.tensor(key.look_at, dtype=torch.float64) - distance * circle(yaw, pitch)[2]


def key_rotation(key: Keyframe) -> Tensor:
    """The heading of a keyframe, [3, 3], its roll included."""
    if key.heading:
        pan, tilt = torch.tensor(key.heading, dtype=torch.float64)
        level = circle(-pan, -tilt)
    elif key.orbit:
        yaw, pitch, _ = torch.tensor(key.orbit, dtype=torch.float64)
        level = circle(yaw, pitch)
    else:
        level = aim(torch.tensor(key.look_at, dtype=torch.float64) - key_eye(key))
    return lean(level, torch.tensor(key.roll, dtype=torch.float64))
