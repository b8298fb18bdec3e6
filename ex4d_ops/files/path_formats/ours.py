"""Our own formats: the fields of CameraPath as JSON, and keyframes."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from ...camera import CameraPath
from ...trajectory.keyframes import text_path
from ..damage import quote
from ..parsing import number_array, read_json, read_text
from .request import Request, make_path, whole_size

CONVENTION = ("OpenCV: x right, y down, z forward; p_cam = cam_from_world @ p_world, the world is the camera of source "
              "frame 0; intrinsics in pixels, the first pixel's center at (0.5, 0.5); size is [height, width]")


def read_ex4d(path: Path, request: Request) -> CameraPath:
    """Our own JSON: the fields of CameraPath."""
    content = read_json(path)
    if not isinstance(content, dict) or "cam_from_world" not in content:
        raise ValueError("lacks cam_from_world; a camera path in JSON must be ours, ReCamMaster's, nerfstudio's, "
                         "NeoVerse's or a list of keyframes")
    if content.get("version") != 1:
        raise ValueError(f"is version {quote(content.get('version'))}, but only version 1 can be read")
    for field in ("intrinsics", "size", "source_frame"):
        if field not in content:
            raise ValueError(f"has no {field}")
    cam_from_world = number_array("cam_from_world", content["cam_from_world"], (None, 4, 4))
    frames = len(cam_from_world)
    return make_path(cam_from_world, number_array("intrinsics", content["intrinsics"], (frames, 3, 3)),
                     whole_size(content["size"]), whole_frames(content["source_frame"], frames))


def write_ex4d(cameras: CameraPath) -> dict[str, bytes]:
    """Our own JSON, a field a line; float32 values come back to the bit."""
    fields = {"format": "ex4d-cameras", "version": 1, "convention": CONVENTION, "size": list(cameras.size),
              "source_frame": cameras.source_frame.tolist(), "intrinsics": cameras.intrinsics.tolist(),
              "cam_from_world": cameras.cam_from_world.tolist()}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items())
    return {"": f"{{\n{lines}\n}}\n".encode()}


def whole_frames(value: object, frames: int) -> Tensor:
    numbers = number_array("source_frame", value, (frames,))
    if not (numbers.abs() <= 2**31).all() or (numbers % 1).any():
        raise ValueError("source_frame must be whole frame numbers")
    return numbers.to(torch.int64)


def read_keyframes(path: Path, request: Request) -> CameraPath:
    """Our keyframes: see keyframes.py."""
    frames = request.needed_frames()
    return text_path(read_text(path), frames, request.needed_radius(), request.lens(), request.needed_size())
