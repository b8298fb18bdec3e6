"""Nuke's chan: a line a frame, place and angles, y up and z back."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...camera import CameraPath, flip_yz_of_rigid, invert_rigid, rigid, view_from_focal
from ...rotation import rotate_about
from ..parsing import number_row, read_lines, read_text
from ..path_settings import ROTATION_ORDERS
from .request import Request, make_path, pinhole_row, tell_gaps, text_file, viewed_lens

log = logging.getLogger(__name__)
USUAL_ORDER = "ZXY"  # Nuke's own; Blender's exporter writes XYZ


def read_chan(path: Path, request: Request) -> CameraPath:
    """Nuke's chan: frame, place, angles about x, y and z, and mostly the vertical field of view; degrees.

    The order of the rotations is the caller's, that of a comment (rot_order XYZ), or Nuke's own.
    """
    lines = read_lines(path)
    columns = (8,) if len(lines[0].split()) == 8 else (7,)
    layout = "frame tx ty tz rx ry rz [vertical field of view]"
    rows = torch.tensor(sorted(number_row(line, columns, layout) for line in lines), dtype=torch.float64)
    if (rows[:, 0].diff() == 0).any():
        raise ValueError("has two lines for one frame; keep one of them")
    tell_gaps(path, rows[:, 0].tolist())
    order = request.rotation_order or noted_order(read_text(path))
    if order is None:
        order = USUAL_ORDER
        if ((rows[:, 4:7] != 0).sum(1) > 1).any():
            log.warning("%s: the file does not say in which order its angles turn, so it is read in Nuke's, %s; if "
                        "another program wrote it, give its rotation order (Blender: XYZ)", path, USUAL_ORDER)
    turn = rotate_in_order(torch.deg2rad(rows[:, 4:7]), order)
    cameras = invert_rigid(flip_yz_of_rigid(rigid(turn, rows[:, 1:4])))  # y up and z back, both world and camera
    lens = request.lens() if columns == (7,) else viewed_lens(torch.deg2rad(rows[:, 7]), request.needed_size())
    return make_path(cameras, lens, request.needed_size())


def noted_order(text: str) -> str | None:
    """The rotation order that a comment of the file names, e.g. "# rot_order XYZ"."""
    found = re.search(r"^#.*rot(?:ation)?[_ ]order\W+([XYZxyz]{3})\b", text, re.MULTILINE)
    return found[1].upper() if found and found[1].upper() in ROTATION_ORDERS else None


def rotate_in_order(angles: Tensor, order: str) -> Tensor:
    """Rotations [T, 3, 3] of angles [T, 3] about x, y and z, radians: the first axis of the order turns first."""
    first, second, third = (rotate_about(axis.lower(), angles[:, "XYZ".index(axis)]) for axis in order)
    return third @ second @ first


def write_chan(cameras: CameraPath) -> dict[str, bytes]:
    """Nuke's chan from frame 1, angles unwound so that they run on between frames."""
    height, width = cameras.size
    fx, fy, cx, cy = pinhole_row(cameras).unbind(-1)
    if ((fx / fy - 1).abs() > 1e-4).any() or ((cx - width / 2).abs() + (cy - height / 2).abs() > 0.01).any():
        raise ValueError("a chan file can only describe a centered lens with square pixels; use json")
    world_from_cam = flip_yz_of_rigid(invert_rigid(cameras.cam_from_world.double()))
    angles = np.unwrap(torch.rad2deg(zxy_angles(world_from_cam[:, :3, :3])).numpy(), axis=0, period=360.0)
    view = torch.rad2deg(fy.new_tensor([view_from_focal(focal, height) for focal in fy.tolist()]))
    rows = torch.cat([world_from_cam[:, :3, 3], torch.from_numpy(angles), view[:, None]], 1).tolist()
    return {"": text_file([" ".join(map(repr, [frame, *row])) for frame, row in enumerate(rows, 1)])}


def zxy_angles(rotation: Tensor) -> Tensor:
    """(x, y, z) [T, 3] in radians with rotation = Ry @ Rx @ Rz; z is 0 where the camera looks straight up or down."""
    level = torch.hypot(rotation[:, 0, 2], rotation[:, 2, 2])
    upright = level > 1e-7
    x = torch.atan2(-rotation[:, 1, 2], level)
    y = torch.where(upright, torch.atan2(rotation[:, 0, 2], rotation[:, 2, 2]),
                    torch.atan2(-rotation[:, 2, 0], rotation[:, 0, 0]))
    z = torch.where(upright, torch.atan2(rotation[:, 1, 0], rotation[:, 1, 1]), torch.zeros_like(x))
    return torch.stack([x, y, z], -1)
