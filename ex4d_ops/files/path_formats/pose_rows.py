"""RealEstate10K's rows of cameras, which CameraCtrl, Wan-Fun and ComfyUI's camera nodes use too."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from ...camera import CameraPath, rigid
from ..parsing import are_numbers, number_row, read_lines
from .request import Request, make_path, pinhole_row, shared_lens, text_file, whole_size

COLUMNS = 19
LAYOUT = "time fx fy cx cy k1 k2 and 12 numbers of a 3x4 matrix"
FARTHEST_CENTER = 8.0  # sides of the picture; a center that seems farther off is in pixels
SMALLEST_SIDE = 16  # pixels; distortions are far smaller, so that larger numbers in their columns are a picture's size


def read_realestate(path: Path, request: Request) -> CameraPath:
    """RealEstate10K and CameraCtrl: mostly a line with the clip's address, then a line a frame.

    Its time, fx fy cx cy as shares of width and height, two zeros or the picture's width and height, cam_from_world 3x4
    row by row. The shares belong to the file's own picture: of the size it names, else of square pixels.
    """
    lines = read_lines(path)
    header = lines.pop(0) if is_header(lines[0]) else ""
    rows = torch.tensor([number_row(line, (COLUMNS,), LAYOUT) for line in lines], dtype=torch.float64)
    if not len(rows):
        raise ValueError("does not contain a camera")
    named = named_size(header, rows)
    size = request.size or named or request.needed_size()
    shares = rows[:, 1:5]
    if not ((shares[:, :2] > 1e-4) & (shares[:, :2] < 1e4)).all():
        raise ValueError("fx and fy must be shares of the picture's width and height, above 0.0001 and below 10000")
    if (shares[:, 2:].abs() > FARTHEST_CENTER).any():
        raise ValueError("fx fy cx cy are in pixels, but must be shares: divide fx and cx by the picture's width, fy "
                         "and cy by its height")
    own = named or (1.0, float(shares[0, 1] / shares[0, 0]))
    poses = rows[:, 7:].unflatten(-1, (3, 4))
    return make_path(rigid(poses[:, :, :3], poses[:, :, 3]), shared_lens(shares, own, size), size)


def is_header(line: str) -> bool:
    """Whether a line is not a camera but a header: an address, a name, a few words."""
    words = line.split()
    return len(words) == 1 or sum(are_numbers([word]) for word in words) < len(words) / 2


def named_size(header: str, rows: Tensor) -> tuple[int, int] | None:
    """(H, W) of the picture where the header (ours) or the columns of the distortion (ComfyUI's nodes) name it."""
    extra = rows[:, 5:7]
    if (extra >= SMALLEST_SIDE).all():
        if (extra != extra[0]).any():
            raise ValueError("names pictures of several widths and heights; resize them to one size")
        return whole_size(extra[0].flip(0).tolist())
    if extra.any():
        raise ValueError("has lens distortion (k1, k2); undistort the clip and set them to 0")
    found = re.search(r"\bwidth=(\d{1,6}) height=(\d{1,6})\b", header)
    return whole_size([int(found[2]), int(found[1])]) if found else None


def write_realestate(cameras: CameraPath) -> dict[str, bytes]:
    """RealEstate10K and CameraCtrl; the time column counts frames, the first line says the size."""
    height, width = cameras.size
    lens = pinhole_row(cameras) / cameras.intrinsics.new_tensor([width, height, width, height]).double()
    lines = [f"ex4d width={width} height={height}"]
    for t, (shares, pose) in enumerate(zip(lens.tolist(), cameras.cam_from_world[:, :3].flatten(1).tolist())):
        lines.append(" ".join(map(repr, [t, *shares, 0, 0, *pose])))
    return {"": text_file(lines)}
