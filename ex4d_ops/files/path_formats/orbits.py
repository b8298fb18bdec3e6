"""Angles and distances around the target: TrajectoryCrafter's and ViewCrafter's txt, CrossViewWarp's keyframes."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...camera import CameraPath, invert_rigid, rigid
from ...rotation import rotate_about
from ...trajectory.keyframes import TARGET, Keyframe, keyframe_path
from ..parsing import number_row, read_json, read_lines
from .request import Request, make_path

log = logging.getLogger(__name__)
TRAJECTORYCRAFTER_FRAMES = 49  # its default video_length
VIEWCRAFTER_FRAMES = 25  # its default video_length


def read_trajectorycrafter(path: Path, request: Request) -> CameraPath:
    """TrajectoryCrafter's txt: three lines, theta (up) and phi (right) in degrees and r (forward, share of the radius).

    As its code does: the camera first moves r along the source's axis, then theta and then phi turn around the target.
    """
    theta, phi, r = read_three_lines(path, request.frames or TRAJECTORYCRAFTER_FRAMES, "theta, phi, r")
    cameras = circle_target(torch.deg2rad(theta), torch.deg2rad(phi), r, request.needed_radius())
    return make_path(cameras, request.lens(), request.needed_size())


def circle_target(theta: Tensor, phi: Tensor, r: Tensor, radius: float) -> Tensor:
    """cam_from_world [T, 4, 4] of TrajectoryCrafter's orbit: theta [T] up, phi [T] right, radians, r [T] ahead."""
    turn = rotate_about("y", phi) @ rotate_about("x", theta)
    forward = along_axis(radius + radius * r)
    return rigid(turn, along_axis(torch.full_like(r, radius)) - (turn @ forward[..., None])[..., 0])


def read_viewcrafter(path: Path, request: Request) -> CameraPath:
    """ViewCrafter's txt: three lines, phi (right) and theta (down) in degrees and r (back, share of the radius).

    As its code does, for a source camera of elevation 0: the camera first moves r along the source's axis, then theta
    and then phi turn it around the target.
    """
    phi, theta, r = read_three_lines(path, request.frames or VIEWCRAFTER_FRAMES, "phi, theta, r")
    radius = request.needed_radius()
    turn = rotate_about("y", -torch.deg2rad(phi)) @ rotate_about("x", torch.deg2rad(theta))
    from_target = (turn @ along_axis(-(radius + radius * r))[..., None])[..., 0]
    world_from_cam = rigid(turn, along_axis(torch.full_like(r, radius)) + from_target)
    return make_path(invert_rigid(world_from_cam), request.lens(), request.needed_size())


def along_axis(distance: Tensor) -> Tensor:
    """Points [T, 3] at these distances [T] in front of the source camera."""
    return torch.stack([torch.zeros_like(distance), torch.zeros_like(distance), distance], -1)


def read_three_lines(path: Path, frames: int, layout: str) -> list[Tensor]:
    """The values [T] of the three lines of a txt, run through so many frames."""
    lines = read_lines(path)
    if len(lines) != 3:
        raise ValueError(f"has {len(lines)} lines, but must have three: {layout}")
    return [run_through(number_row(line, (len(line.split()),), "numbers"), frames) for line in lines]


def run_through(values: list[float], frames: int) -> Tensor:
    """Values at even steps made one a frame: beyond three a smoothing spline that keeps both ends, else lines."""
    if not np.isfinite(values).all() or np.abs(values).max() > 1e6:
        raise ValueError("every entry must be a number within +-1e6")
    knots, at = np.linspace(0, 1, len(values)), np.linspace(0, 1, frames)
    if len(values) <= 3:
        return torch.from_numpy(np.interp(at, knots, values))
    from scipy.interpolate import UnivariateSpline

    smooth = UnivariateSpline(knots, values, k=3)(at)
    smooth[0], smooth[-1] = values[0], values[-1]
    return torch.from_numpy(smooth)


def read_crossviewwarp(path: Path, request: Request) -> CameraPath:
    """CrossViewWarp's keyframes: [{"f": 1, "az": -30, "el": 20, "dist": 1.0}, ...], straight between them.

    f counts from 1; az (right) and el (up) are degrees around the target, dist is a share of the radius, vs shifts the
    picture down by a share of its height. A pivot on the source's axis (pz) is the target, as far as the radius.
    """
    frames, entries = request.needed_frames(), read_json(path)
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError('must be a list of keyframes {"f": ..., "az": ..., "el": ..., "dist": ...}')
    rows = sorted([crossviewwarp_row(index, entry, frames) for index, entry in enumerate(entries)])
    at, turned, raised, distance, shift, pivot = (list(column) for column in zip(*rows))
    if len(set(at)) < len(at):
        raise ValueError("two keyframes have the same f; keep one of them")
    if len(set(pivot)) > 1:
        raise ValueError("moves its pivot (pz), but a path must circle one target; give pz the same value throughout")
    keyframes = [Keyframe(frame, None, (yaw, pitch, share), TARGET, None, 0.0, 1.0, None, "linear")
                 for frame, yaw, pitch, share in zip(at, np.unwrap(turned, period=360.0).tolist(), raised, distance)]
    size = request.needed_size()
    cameras = keyframe_path(keyframes, frames, request.needed_radius(), request.lens(), size, smooth=False)
    intrinsics = cameras.intrinsics.clone()
    intrinsics[:, 1, 2] += size[0] * torch.from_numpy(np.interp(np.arange(frames), at, shift)).float()
    return CameraPath(cameras.cam_from_world, intrinsics, size)


def crossviewwarp_row(index: int, entry: dict, frames: int) -> tuple[float, ...]:
    """(frame from 0, azimuth, elevation, distance, shift, pivot) of one keyframe, or ValueError."""
    limits = {"f": (1, frames), "az": (-3600, 3600), "el": (-90, 90), "dist": (0.1, 3), "vs": (-1, 1), "px": (0, 0),
              "py": (0, 0), "pz": (0.01, 1000)}
    usual = {"vs": 0.0, "px": 0.0, "py": 0.0, "pz": 1.05}
    values = []
    for field, (low, high) in limits.items():
        value = entry.get(field, usual.get(field))
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(f"keyframe {index}: {field} must be a number in {low:g}..{high:g}")
        values.append(float(value))
    at, turned, raised, distance, shift, _, _, pivot = values
    return at - 1, turned, raised, distance, shift, pivot
