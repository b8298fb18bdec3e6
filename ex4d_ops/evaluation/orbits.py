"""The orbit nearest to a path, for programs that take no other path, in their own words.

Facts from their public code: TrajectoryCrafter's --traj_txt (files/path_formats/orbits.py reads it), and the options of
TrajectoryAttention's trajectory_extraction.py, whose camera runs along one circle at even speed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..camera import CameraPath, invert_rigid
from ..files.path_formats.orbits import circle_target, run_through
from ..files.paths import anchor_at_first
from ..rotation import rotate_about

ROUNDS = 20  # in which two angles settle
MOST_VALUES = 49  # that a line of a txt is given
DIGITS = 4  # behind the point
CIRCLE = 200  # units of TrajectoryAttention's depth from its camera to the point that it circles, by default


class Orbit(NamedTuple):
    """What a program is told, and the cameras [T, 4, 4] that it makes of it around a target one radius ahead."""

    text: str
    cam_from_world: Tensor


class Off(NamedTuple):
    """How far an orbit leaves a path at most: degrees, and share of the radius."""

    degrees: float
    share: float


def fit_orbit(cameras: CameraPath, radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """TrajectoryCrafter's theta and phi [T], degrees, and r [T], a share of the radius, nearest to a path."""
    turn, ahead = nearest_angles(cameras.cam_from_world[:, :3, :3].double())
    places = invert_rigid(cameras.cam_from_world.double())[:, 2, 3]
    theta, phi = (torch.from_numpy(np.unwrap(np.degrees(angle.numpy()), period=360.0)) for angle in turn)
    return theta, phi, places / radius + ahead[:, 2] - 1


def nearest_angles(rotation: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """(theta, phi) [T] of the turns about y after x that are nearest to rotations [T, 3, 3], and where they look."""
    theta = torch.zeros(len(rotation), dtype=torch.float64)
    phi = theta
    for _ in range(ROUNDS):  # one angle has its best value for a given other
        rest = rotation @ rotate_about("x", theta).mT
        phi = torch.atan2(rest[:, 0, 2] - rest[:, 2, 0], rest[:, 0, 0] + rest[:, 2, 2])
        rest = rotate_about("y", phi).mT @ rotation
        theta = torch.atan2(rest[:, 2, 1] - rest[:, 1, 2], rest[:, 1, 1] + rest[:, 2, 2])
    return (theta, phi), (rotate_about("y", phi) @ rotate_about("x", theta))[:, 2]


def tell_trajectorycrafter(cameras: CameraPath, radius: float) -> Orbit:
    """Three lines: theta, phi and r, each of as many values as are smoothed into the nearest curve."""
    lines = [nearest_values(values) for values in fit_orbit(cameras, radius)]
    theta, phi, r = (run_through(line, len(cameras)) for line in lines)
    text = "".join(f"{' '.join(f'{value:g}' for value in line)}\n" for line in lines)
    return Orbit(text, circle_target(torch.deg2rad(theta), torch.deg2rad(phi), r, radius))


def nearest_values(wanted: Tensor) -> list[float]:
    """The fewest values at even steps that run_through makes the curve nearest to wanted [T] of."""
    frames = len(wanted)
    tried = [np.interp(np.linspace(0, 1, count), np.linspace(0, 1, frames), wanted.numpy()).round(DIGITS)
             for count in range(min(2, frames), min(frames, MOST_VALUES) + 1)]
    apart = [round(float((run_through(values, frames) - wanted).abs().max()), DIGITS) for values in tried]
    return (tried[apart.index(min(apart))] + 0.0).tolist()  # + 0.0: no -0


def tell_trajectoryattention(cameras: CameraPath, radius: float) -> Orbit:
    """Options of trajectory_extraction.py: a circle to the side or upwards; its positive angles go left and down."""
    frames = len(cameras)
    theta, phi, _ = fit_orbit(cameras, radius)
    steps = torch.arange(frames, dtype=torch.float64)
    up, right = (float((steps * angle).sum() / steps.square().sum().clamp(min=1)) for angle in (theta, phi))
    sideways = abs(right) >= abs(up)
    mode, speed = ("horizontal", right) if sideways else ("vertical", up)
    turned, still = torch.deg2rad(speed * steps), torch.zeros_like(steps)
    angles = (still, turned) if sideways else (turned, still)
    return Orbit(f"--camera_motion_mode {mode} --degrees_per_frame {-speed:.6g} --major_radius {CIRCLE} "
                 f"--num_frames {frames}\n", circle_target(*angles, still, radius))


ORBITS: dict[str, Callable[[CameraPath, float], Orbit]] = {
    "trajectorycrafter": tell_trajectorycrafter,
    "trajectoryattention": tell_trajectoryattention,
}


def tell_orbit(program: str, cameras: CameraPath, radius: float) -> tuple[str, Off]:
    """The text that a program of ORBITS takes of a path in the world of its first camera, and how far off it is."""
    cameras = anchor_at_first(cameras)
    orbit = ORBITS[program](cameras, radius)
    told, asked = invert_rigid(orbit.cam_from_world), invert_rigid(cameras.cam_from_world.double())
    cosine = ((told[:, :3, :3].mT @ asked[:, :3, :3]).diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    apart = (told - asked)[:, :3, 3].norm(dim=-1).max() / radius
    return orbit.text, Off(float(torch.rad2deg(cosine.clamp(-1, 1).acos()).max()), float(apart))
