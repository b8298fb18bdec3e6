"""Camera paths from keyframes, a JSON list:

    [{"frame": 0},
     {"frame": 24, "yaw": 60, "pitch": 10, "distance": 0.8, "ease": "ease-in-out"},
     {"frame": 48, "position": [0.4, 0, 0], "look_at": [0, 0, 1], "roll": 5, "zoom": 1.5}]

or an object of that list and what the clip does meanwhile, see retiming.py: {"keys": [...], "retime": [...]}.

when      frame (from 0) or time (0 at the first frame, 1 at the last)
where     yaw, pitch (degrees) and distance around look_at, or position [x, y, z]
heading   look_at [x, y, z], by default the target: [0, 0, 1] in front of the source camera, or the subject; or pan and
          tilt, degrees away from the source camera's heading; and roll, degrees
lens      zoom (factor of the source's focal length) or focal (pixels)
ease      of the way to the next keyframe

Lengths are shares of the radius, in the world's axes: x right, y down, z forward. Signs of the angles are those of
trajectory.py. Values run on Catmull-Rom splines (cubic Hermite, tangents from the two neighbours over their distance
in time) or straight. Where no keyframe gives a position, the angles and the distance run, so that the camera circles;
else positions motion. Where every keyframe looks at a point, the point runs and stays in the centre; else headings run
the shortest arc.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..camera import CameraPath, rigid
from ..rotation import aim, rotate_about, rotate_between
from .entries import Entry, read_text, split_list, split_object
from .follow import AHEAD, Subject, turn_onto
from .moves import EASES
from .retiming import Moment, played_frames, read_moments
from .rig import zoom_intrinsics

TARGET = (0.0, 0.0, 1.0)  # in front of the source camera, in radii
FIELDS = ("frame", "time", "position", "yaw", "pitch", "distance", "look_at", "pan", "tilt", "roll", "zoom", "focal",
          "ease")
PARTS = ("keys", "retime")  # of the object


@dataclass(frozen=True)
class Keyframe:
    """One keyframe, checked: degrees, lengths in radii, focal in pixels."""

    frame: float
    position: tuple[float, float, float] | None
    orbit: tuple[float, float, float] | None  # (yaw, pitch, distance), where there is no position
    look_at: tuple[float, float, float] | None  # also what the orbit circles; None for the target
    heading: tuple[float, float] | None  # (pan, tilt), in place of looking there
    roll: float
    zoom: float | None
    focal: float | None  # where there is no zoom
    ease: str


def parse_keyframes(text: str, frames: int) -> tuple[Keyframe, ...]:
    """Keyframes of a path of so many frames from JSON.

    Raises ValueError naming the keyframe, the field and the line.
    """
    return read_keyframes(split_text(text)[0], frames)


def check_keyframes(text: str, most: int) -> None:
    """Raise ValueError where a text is wrong for paths of every length up to `most` frames."""
    for entries, read in zip(split_text(text), (read_keyframes, read_moments)):
        kinds = {"time" in entry.fields for entry in entries}
        for part in [entries] if len(kinds) == 1 else [[entry] for entry in entries]:  # else the length orders them
            read(part, most)


def read_keyframes(entries: Sequence[Entry], frames: int) -> tuple[Keyframe, ...]:
    """The keyframes that entries say of a path of so many frames, checked."""
    keyframes: list[Keyframe] = []
    for entry in entries:
        keyframe = read_keyframe(entry, frames)
        if keyframes and keyframe.frame <= keyframes[-1].frame:
            raise entry.error("frame" if "frame" in entry.fields else "time", "must come after the keyframe before it")
        keyframes.append(keyframe)
    return tuple(keyframes)


def parse_retime(text: str, frames: int) -> tuple[Moment, ...]:
    """What the same text says of the clip's own time, nothing where it plays on."""
    return read_moments(split_text(text)[1], frames)


def split_text(text: str) -> tuple[list[Entry], list[Entry]]:
    """The keyframes of a text, and the moments of its retime curve."""
    content = read_text(text, "keyframes")
    if isinstance(content, list) and content:
        return split_list(text, text.index("["), "keyframe"), []
    if not isinstance(content, dict) or "keys" not in content:
        raise ValueError('keyframes: must be a list of objects, e.g. [{"frame": 0}, {"frame": 48, "yaw": 60}]')
    parts = split_object(text)
    for name, (value, _) in parts.items():
        if name not in PARTS:
            raise ValueError(f"keyframes: {repr(name)[1:-1]:.40} is unknown; use {' and '.join(PARTS)}")
        if not isinstance(value, list) or not value:
            raise ValueError(f"keyframes: {name} must be a list of objects; write at least one")
    moments = split_list(text, parts["retime"][1], "retime") if "retime" in parts else []
    return split_list(text, parts["keys"][1], "keyframe"), moments


def read_keyframe(entry: Entry, frames: int) -> Keyframe:
    """The keyframe that an object says, checked."""
    fields = entry.fields
    entry.refuse_others(FIELDS)
    entry.refuse_both("frame", "time")
    entry.refuse_both("position", "yaw", "pitch", "distance")
    if not {"yaw", "pitch", "distance"} & set(fields):  # what circles a point may head elsewhere
        entry.refuse_both("look_at", "pan", "tilt")
    entry.refuse_both("zoom", "focal")
    keyframe = Keyframe(
        frame=entry.frame_number(frames),
        position=entry.vector("position") if "position" in fields else None,
        orbit=None if "position" in fields else (
            entry.number("yaw", 0.0, -3600, 3600), entry.number("pitch", 0.0, -3600, 3600),
            entry.number("distance", 1.0, 1e-3, 1e3)),
        look_at=entry.vector("look_at") if "look_at" in fields else None,
        heading=(entry.number("pan", 0.0, -360, 360), entry.number("tilt", 0.0, -360, 360))
        if {"pan", "tilt"} & set(fields) else None,
        roll=entry.number("roll", 0.0, -3600, 3600),
        zoom=entry.number("zoom", 1.0, 0.01, 100) if "focal" not in fields else None,
        focal=entry.number("focal", 0.0, 1, 1e6) if "focal" in fields else None,
        ease=entry.ease())
    if keyframe.heading is None and keyframe.position == (keyframe.look_at or TARGET):
        raise entry.error("position", "is at the point that it looks at; move one of them")
    return keyframe


def text_path(text: str, frames: int, radius: float, intrinsics: Tensor, size: tuple[int, int], smooth: bool = True,
              subject: Subject | None = None, clip: int | None = None) -> CameraPath:
    """The path that a text of keyframes says, its retime curve included.

    clip: number of frames of the clip, None where it is not known; the rest as keyframe_path takes it.
    """
    path = keyframe_path(parse_keyframes(text, frames), frames, radius, intrinsics, size, smooth, subject)
    moments = parse_retime(text, frames)
    if not moments:
        return path
    return replace(path, source_frame=played_frames(moments, frames, clip).to(path.source_frame.device))


def keyframe_path(keyframes: Sequence[Keyframe], frames: int, radius: float, intrinsics: Tensor, size: tuple[int, int],
                  smooth: bool = True, subject: Subject | None = None) -> CameraPath:
    """The path through keyframes. intrinsics: [3, 3] or [T, 3, 3], pixels; size: (H, W).

    radius: scene units; smooth: Catmull-Rom splines, else straight; subject: what lies in the place of the target.
    Before the first keyframe and after the last the camera rests.
    """
    motion = camera_motion(keyframes, frames, float(intrinsics[..., 0, 0].reshape(-1)[0]), smooth, subject)
    cam_from_world = rigid(motion.rotation, -(motion.rotation @ (radius * motion.eye)[..., None])[..., 0])
    return CameraPath(cam_from_world.float().to(intrinsics.device), zoom_intrinsics(intrinsics, motion.zoom), size)


@dataclass(frozen=True, eq=False)
class CameraMotion:
    """What keyframes make of every frame, float64: places in radii, angles in degrees.

    eye, target, home: [T, 3], home being where the target stands as the source camera sees it; rotation: [T, 3, 3] of
    cam_from_world; zoom, roll: [T]; orbit: [T, 3], yaw, pitch and distance where the path circles; heads: whether it
    looks elsewhere than at the target.
    """

    eye: Tensor
    target: Tensor
    home: Tensor
    rotation: Tensor
    zoom: Tensor
    roll: Tensor
    orbit: Tensor | None
    heads: bool

    def orbit_or_like(self) -> Tensor:
        """Yaw, pitch and distance [T, 3] around the target, of places that do not circle too."""
        if self.orbit is not None:
            return self.orbit
        away = self.target - self.eye
        pitch, yaw = turn_onto(away, self.home, torch.zeros_like(self.zoom))
        return torch.stack([torch.rad2deg(yaw), torch.rad2deg(pitch), away.norm(dim=-1)], -1)

    def headings(self) -> Tensor:
        """Pan, tilt and roll [T, 3] of every frame."""
        level = aim(self.rotation[:, 2])
        pan, tilt = -torch.atan2(-level[:, 2, 0], level[:, 2, 2]), -torch.asin(level[:, 2, 1].clamp(-1, 1))
        leaning = self.rotation @ level.mT
        roll = self.roll if not self.heads else torch.rad2deg(torch.atan2(leaning[:, 0, 1], leaning[:, 0, 0]))
        return torch.stack([torch.rad2deg(pan), torch.rad2deg(tilt), roll], -1)


def camera_motion(keyframes: Sequence[Keyframe], frames: int, focal: float, smooth: bool = True,
                  subject: Subject | None = None) -> CameraMotion:
    """What keyframes make of every frame. focal: pixels, of zoom 1."""
    place = AHEAD if subject is None else subject.direction
    keep = subject is not None and subject.keep_aim
    views = [KeyView(key, place, keep) for key in keyframes]
    knots = torch.tensor([key.frame for key in keyframes], dtype=torch.float64)
    line = Timeline(knots, [key.ease for key in keyframes], frames, smooth)
    target = line.spline([view.target.tolist() for view in views])
    home = torch.nn.functional.normalize(line.spline([view.home.tolist() for view in views]), dim=-1)
    roll = line.spline([(key.roll,) for key in keyframes])[:, 0]
    orbits, orbit = [key.orbit for key in keyframes if key.orbit], None
    if len(orbits) == len(keyframes):
        orbit = line.spline(orbits)
        yaw, pitch, distance = orbit.unbind(-1)
        turned = circle(yaw, pitch)
        eye = target - distance[:, None] * (turned.mT @ home[..., None])[..., 0]
        level = turned if keep else aim(home) @ turned
    else:
        eye = line.spline([view.eye.tolist() for view in views])
        level = aim(target - eye)
    heads = any(view.heads for view in views)
    rotation = line.arc(torch.stack([view.rotation for view in views])) if heads else lean(level, roll)
    zooms = [(math.log(key.focal / focal if key.focal else key.zoom or 1.0),) for key in keyframes]
    return CameraMotion(eye, target, home, rotation, line.spline(zooms)[:, 0].exp(), roll, orbit, heads)


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


def lean(rotation: Tensor, roll: Tensor) -> Tensor:
    """A rotation after a roll in place, degrees."""
    return rotate_about("z", -torch.deg2rad(roll)) @ rotation


class KeyView:
    """What one keyframe says of its own frame: where its target is, where the camera stands and heads, in radii.

    place: [3], where the target stands that is meant by a keyframe without look_at; keep: whether the camera keeps the
    source's direction there.
    """

    def __init__(self, key: Keyframe, place: Tensor, keep: bool) -> None:
        self.target = place if key.look_at is None else torch.tensor(key.look_at, dtype=torch.float64)
        self.home = place if key.look_at is None else AHEAD
        self.heads = key.heading is not None or (keep and key.look_at is None and key.orbit is None)
        turned = torch.eye(3, dtype=torch.float64)
        if key.orbit:
            yaw, pitch, distance = torch.tensor(key.orbit, dtype=torch.float64)
            turned = circle(yaw, pitch)
            self.eye = self.target - distance * (turned.mT @ self.home)
        else:
            self.eye = torch.tensor(key.position, dtype=torch.float64)
        if key.heading:
            pan, tilt = torch.tensor(key.heading, dtype=torch.float64)
            turned = circle(-pan, -tilt)
        elif not key.orbit and not self.heads:
            turned = aim(self.target - self.eye)
        elif not keep:
            turned = aim(self.home) @ turned
        self.rotation = lean(turned, torch.tensor(key.roll, dtype=torch.float64))
