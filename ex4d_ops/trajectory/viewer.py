"""One camera to and from the dict of ComfyUI's 3D viewers (LOAD3D_CAMERA).

The viewer's world is right-handed with y up, its cameras look down their -z: our world turned half around x, as
exported meshes are. Viewers also move, turn and scale a model to fit their view; the model's transform undoes that.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..camera import (
    CameraPath,
    default_intrinsics,
    flip_yz,
    flip_yz_of_rigid,
    focal_from_view,
    intrinsics_from_focal,
    invert_rigid,
    look_at,
    rigid,
    view_from_focal,
)
from ..rotation import quaternion_of, rotation_of

FOCALS = (1e-6, 1e6)  # pixels, the shortest and the longest
LARGEST_PLACE = 1e12  # units of the viewer


def camera_from_load3d(info: dict, size: tuple[int, int], model: dict | None = None) -> CameraPath:
    """The viewer's camera as a path of one frame, for pictures of this size (H, W).

    model: the entry of LOAD3D_MODEL_INFO of the mesh that is viewed. Without a quaternion the camera looks at its
    target, level. Raises ValueError for an orthographic camera and where places or angles are not numbers.
    """
    if info.get("cameraType", "perspective") != "perspective":
        raise ValueError("camera_info: the camera is orthographic; switch the viewer to perspective")
    eye = read_vector(info, "position", "xyz")
    if info.get("quaternion"):
        rotation = read_rotation(info)
    else:
        level = look_at(flip_yz(eye), flip_yz(read_vector(info, "target", "xyz")))
        rotation = flip_yz_of_rigid(invert_rigid(level))[:3, :3]
    if model is not None:
        turned, scale = read_rotation(model), uniform_scale(model)
        eye = turned.mT @ (eye - read_vector(model, "position", "xyz")) / scale
        rotation = turned.mT @ rotation
    world_from_cam = flip_yz_of_rigid(rigid(rotation, eye))
    return CameraPath(invert_rigid(world_from_cam).float()[None], viewer_intrinsics(info, size)[None], size)


def load3d_from_camera(cameras: CameraPath, frame: int, target_distance: float) -> dict:
    """One frame of a path as the viewer's camera; it turns around the point target_distance in front, scene units."""
    world_from_cam = invert_rigid(cameras.cam_from_world[frame].cpu().double())
    eye, forward = world_from_cam[:3, 3], world_from_cam[:3, 2]
    height, width = cameras.size
    view = view_from_focal(float(cameras.intrinsics[frame, 1, 1]), height)
    return {"position": name_axes("xyz", flip_yz(eye)),
            "target": name_axes("xyz", flip_yz(eye + target_distance * forward)),
            "quaternion": name_axes("wxyz", quaternion_of(flip_yz_of_rigid(world_from_cam)[:3, :3])),
            "fov": math.degrees(view), "aspect": width / height, "zoom": 1.0, "cameraType": "perspective"}


def viewer_intrinsics(info: dict, size: tuple[int, int]) -> Tensor:
    """Intrinsics [3, 3] of the viewer's vertical field of view, degrees, and its digital zoom."""
    fov, zoom = info.get("fov"), info.get("zoom", 1.0)
    if fov is None:
        return default_intrinsics(size)
    if not (isinstance(fov, (int, float)) and 0 < fov < 180 and isinstance(zoom, (int, float)) and 0 < zoom < math.inf):
        raise ValueError(f"camera_info: fov={fov!r:.20} and zoom={zoom!r:.20} must be numbers, fov between 0 and 180 "
                         "degrees, zoom above 0")
    focal = zoom * focal_from_view(math.radians(fov), size[0])
    if not FOCALS[0] <= focal <= FOCALS[1]:
        raise ValueError(f"camera_info: fov={fov:g} and zoom={zoom:g} make a focal length of {focal:g} pixels; keep it "
                         f"within {FOCALS[0]:g}..{FOCALS[1]:g}")
    return intrinsics_from_focal(focal, size)


def read_vector(info: dict, field: str, axes: str) -> Tensor:
    """A named vector {"x": ..., ...} as doubles, or ValueError."""
    vector = info.get(field)
    values = [vector.get(axis) for axis in axes] if isinstance(vector, dict) else []
    if not values or not all(isinstance(value, (int, float)) and abs(value) <= LARGEST_PLACE for value in values):
        raise ValueError(f"camera_info: {field} must have the numbers {', '.join(axes)}, within +-{LARGEST_PLACE:g}")
    return torch.tensor(values, dtype=torch.float64)


def read_rotation(info: dict) -> Tensor:
    """The rotation [3, 3] of a quaternion {"w": ..., "x": ...}, or ValueError."""
    quaternion = read_vector(info, "quaternion", "wxyz")
    if quaternion.norm() < 1e-6:
        raise ValueError("camera_info: quaternion has length 0; use (w=1, x=0, y=0, z=0) for no rotation")
    return rotation_of(quaternion)


def uniform_scale(model: dict) -> float:
    scale = read_vector(model, "scale", "xyz")
    if (scale - scale[0]).abs().max() > 1e-4 * scale[0] or scale[0] <= 0:
        raise ValueError("model_3d_info: the model is stretched or mirrored; scale it alike along x, y and z")
    return float(scale[0])


def name_axes(axes: str, values: Tensor) -> dict[str, float]:
    return dict(zip(axes, values.tolist()))
