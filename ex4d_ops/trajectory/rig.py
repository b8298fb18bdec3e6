"""The rig that moves animate, and the paths it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..camera import CameraPath, rigid
from ..rotation import aim, rotate_about
from .follow import AHEAD, Subject
from .moves import CHANNELS, EASES, MOVES, Channels, Move, make_move

RADIUS_MARGIN = 0.15  # scene units behind the nearest point of frame 0; released code
ZOOM_LIMIT = 1000.0  # factor, of all moves together


def move_path(moves: Sequence[Move], frames: int, radius: float, intrinsics: Tensor, size: tuple[int, int],
              subject: Subject | None = None) -> CameraPath:
    """The path that makes all moves at once. intrinsics: [3, 3] or [T, 3, 3], pixels; size: (H, W).

    radius: distance of the target from source frame 0, scene units; see automatic_radius. subject: what lies in the
    place of the target straight ahead.
    """
    progress = torch.linspace(0, 1, frames, dtype=torch.float64)  # on the CPU: not every device has float64
    rig = {channel: torch.zeros_like(progress) for channel in CHANNELS} | {"zoom": torch.ones_like(progress)}
    for move in moves:
        for channel, values in animate(move, progress).items():
            rig[channel] = rig[channel] * values if channel == "zoom" else rig[channel] + values
    if not ((rig["zoom"] >= 1 / ZOOM_LIMIT) & (rig["zoom"] <= ZOOM_LIMIT)).all():
        farthest = float(rig["zoom"][rig["zoom"].log().abs().argmax()])
        raise ValueError(f"move: the zooms together have a factor of {farthest:.3g}; keep it within "
                         f"{1 / ZOOM_LIMIT:g}..{ZOOM_LIMIT:g}")
    cam_from_world = place_rig(rig, radius, subject).to(intrinsics.device)
    return CameraPath(cam_from_world, zoom_intrinsics(intrinsics, rig["zoom"]), size)


def animate(move: Move, progress: Tensor) -> Channels:
    """The channels a move animates, [T] each, at progress [T] in 0..1."""
    kind, eased = MOVES[move.name], EASES[move.ease](progress)
    values = {}
    for parameter in kind.parameters:
        start, end = move.values[parameter.name]
        ramp = start + (end - start) * eased
        values[parameter.name] = torch.deg2rad(ramp) if parameter.unit == "degrees" else ramp
    return kind.animate(values, eased)


def place_rig(rig: Channels, radius: float, subject: Subject | None = None) -> Tensor:
    """cam_from_world [T, 4, 4] float32 of a rig that circles the point (0, 0, radius), or the subject's radius away."""
    direction = AHEAD if subject is None else subject.direction
    turned = aim(AHEAD if subject is None or subject.keep_aim else direction)
    circle = turned @ rotate_about("x", rig["pitch"]) @ rotate_about("y", rig["yaw"])
    in_place = rotate_about("z", -rig["roll"]) @ rotate_about("x", -rig["tilt"]) @ rotate_about("y", -rig["pan"])
    target = (radius * direction).expand_as(circle[:, :, 0])
    slide = radius * torch.stack([rig["truck"], -rig["pedestal"], rig["dolly"]], -1)
    # Of the world's origin, before turning in place.
    offset = ((turned - circle) @ target[..., None])[..., 0] - slide
    return rigid(in_place @ circle, (in_place @ offset[..., None])[..., 0]).float()


def zoom_intrinsics(intrinsics: Tensor, factor: Tensor) -> Tensor:
    """Intrinsics [T, 3, 3] with the focal length multiplied by factor [T], on the CPU; the centre stays."""
    frames = len(factor)
    if intrinsics.ndim == 3 and len(intrinsics) != frames:
        raise ValueError(f"intrinsics: {len(intrinsics)} matrices, but the path has {frames} frames; give one matrix "
                         f"or {frames}")
    zoomed = intrinsics.cpu().double().expand(frames, 3, 3).clone()
    zoomed[:, :2, :2] *= factor[:, None, None]
    return zoomed.float().to(intrinsics.device)


def released_path(preset: str, frames: int, radius: float, intrinsics: Tensor, size: tuple[int, int]) -> CameraPath:
    """The released camera path "30", "60", "90" or "180". intrinsics: [3, 3] or [T, 3, 3], pixels; size: (H, W)."""
    if f"preset-{preset}" not in MOVES:
        raise ValueError(f"preset: '{preset}' is not a preset; use 30, 60, 90 or 180")
    return move_path([make_move(f"preset-{preset}")], frames, radius, intrinsics, size)


class Scene(Protocol):
    """Depth of a clip or its mesh. nearest: the smallest depth of frame 0, scene units."""

    @property
    def nearest(self) -> float: ...


def automatic_radius(depth: Scene) -> float:
    """Distance of the target in front of source frame 0: its nearest point + 0.15 scene units. Released rule."""
    return depth.nearest + RADIUS_MARGIN
