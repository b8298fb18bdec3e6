"""Cameras of radiance fields: nerfstudio's and Blender's transforms.json, 3D Gaussian Splatting's cameras.json."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from ...camera import FLIP_YZ, CameraPath, cover_intrinsics, focal_from_view, invert_rigid, rigid
from ..damage import quote
from ..parsing import natural_order, number_array, read_json
from .request import Request, Size, make_path, pinhole, whole_size

# nerfstudio's and Blender's world has z up and y ahead.
OPENCV_FROM_Z_UP = torch.tensor([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=torch.float64)
PINHOLE_MODELS = {None, "OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "PERSPECTIVE"}
DISTORTIONS = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")


def read_nerfstudio(path: Path, request: Request) -> CameraPath:
    """nerfstudio, instant-ngp and Blender: frames with transform_matrix, OpenGL's world_from_cam, sorted by file_path.

    The lens stands above the frames or in each: fl_x, fl_y, cx, cy, w, h in pixels, or camera_angle_x in radians.
    """
    content = read_json(path)
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise ValueError("has no list of frames, as nerfstudio's transforms.json has")
    frames = in_order_of_names([content | frame for frame in frames], "file_path")
    lenses = [nerfstudio_lens(frame, request) for frame in frames]
    if len({size for _, size in lenses}) > 1:
        raise ValueError("has pictures of several sizes; resize them to one")
    cameras = torch.stack([matrix_of(frame) for frame in frames])
    return make_path(invert_rigid(OPENCV_FROM_Z_UP @ cameras @ FLIP_YZ), torch.stack([lens for lens, _ in lenses]),
                     lenses[0][1])


def in_order_of_names(frames: list[dict], field: str) -> list[dict]:
    """Frames in the order of their names, numbers by value; as listed where not every one has a name of its own."""
    names = [frame.get(field) for frame in frames]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        return frames
    return sorted(frames, key=lambda frame: natural_order(frame[field]))


def matrix_of(frame: dict) -> Tensor:
    """The transform_matrix [4, 4] of a frame; some write its three rows alone."""
    stored = frame.get("transform_matrix")
    if isinstance(stored, list) and len(stored) == 3:
        stored = [*stored, [0, 0, 0, 1]]
    return number_array("transform_matrix", stored, (4, 4))


def nerfstudio_lens(frame: dict, request: Request) -> tuple[Tensor, Size]:
    """Intrinsics [3, 3] and size of one frame, or ValueError where the lens is not a pinhole."""
    model = frame.get("camera_model")
    odd = next((kind for kind in ("is_fisheye", "orthographic") if frame.get(kind)), None)
    if odd or not isinstance(model, (str, type(None))) or model not in PINHOLE_MODELS:
        said = f"{odd} is {quote(frame[odd], '')}, so it" if odd else f"camera_model {quote(model, '')}"
        raise ValueError(f"{said} is not a pinhole; undistort the pictures first")
    listed = number_array("distortion_params", frame.get("distortion_params", [0]), (None,))
    if listed.any() or any(number_in(frame, name, 0.0) for name in DISTORTIONS):
        raise ValueError(f"has lens distortion ({', '.join(DISTORTIONS)}); undistort the pictures first")
    size = picture_size(frame, request)
    fx, fy = (focal_length(frame, f"fl_{axis}", f"camera_angle_{axis}", side) for axis, side in zip("xy", size[::-1]))
    if fx is None and fy is None:
        raise ValueError("has neither fl_x nor camera_angle_x")
    lens = (fx or fy, fy or fx, number_in(frame, "cx", size[1] / 2), number_in(frame, "cy", size[0] / 2))
    return pinhole(*torch.tensor(lens, dtype=torch.float64)[:, None])[0], size


def picture_size(frame: dict, request: Request) -> Size:
    """(H, W) of a frame's picture: as it says, else 2 cx by 2 cy where its lens is in pixels, else as asked for."""
    if "h" in frame and "w" in frame:
        return whole_size([frame["h"], frame["w"]])
    if {"fl_x", "fl_y"} & set(frame) and {"cx", "cy"} <= set(frame):
        return whole_size([round(2 * number_in(frame, "cy")), round(2 * number_in(frame, "cx"))])
    return request.needed_size()


def focal_length(frame: dict, pixels: str, angle: str, side: int) -> float | None:
    """The focal length along one axis, whose side of the picture is so long; None where the frame doesn't say it."""
    if pixels in frame:
        return number_in(frame, pixels)
    if angle not in frame:
        return None
    view = number_in(frame, angle)
    if not 0 < view < math.pi:
        raise ValueError(f"{angle} is {view:g}, must be above 0 and below pi, radians")
    return focal_from_view(view, side)


def number_in(frame: dict, field: str, default: float | None = None) -> float:
    return float(number_array(field, frame.get(field, default), ()))


def read_gaussians(path: Path, request: Request) -> CameraPath:
    """3D Gaussian Splatting's cameras.json: position and rotation of world_from_cam in OpenCV's axes, and the lens.

    Frames are sorted by img_name; fx, fy, width and height are pixels, the lens is centred.
    """
    entries = read_json(path)
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("has no list of cameras, as Gaussian Splatting's cameras.json has")
    entries = in_order_of_names(entries, "img_name")
    sizes = [whole_size([number_in(entry, "height"), number_in(entry, "width")]) for entry in entries]
    lens = torch.tensor([[number_in(entry, "fx"), number_in(entry, "fy"), width / 2, height / 2]
                         for entry, (height, width) in zip(entries, sizes)], dtype=torch.float64)
    intrinsics = torch.stack([cover_intrinsics(matrix, size, sizes[0])
                              for matrix, size in zip(pinhole(*lens.unbind(-1)), sizes)])
    rotation = torch.stack([number_array("rotation", entry.get("rotation"), (3, 3)) for entry in entries])
    position = torch.stack([number_array("position", entry.get("position"), (3,)) for entry in entries])
    return make_path(invert_rigid(rigid(rotation, position)), intrinsics, sizes[0])
