"""Cameras: the pixel grid, intrinsics, rigid transforms and CameraPath.

OpenCV axes: x right, y down, z forward. The world is the camera of source frame 0. Column vectors:
``p_cam = cam_from_world @ p_world``. Pixel (u, v) has its centre at (u + 0.5, v + 0.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from .clip import Box, Fit, box_size, fit_boxes
from .rotation import quaternion_of, rotation_of

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

RELEASED_FOCAL = 500.0  # pixels at a width of RELEASED_WIDTH; released code
RELEASED_WIDTH = 512
RIGID_TOLERANCE = 1e-3  # files store rotations with as few as four digits
HALF_TOLERANCE = 0.05  # and models compute them in half precision
FLIP_YZ = torch.diag(torch.tensor([1.0, -1, -1, 1], dtype=torch.float64))  # between OpenCV's and OpenGL's axes
Record = TypeVar("Record", bound="DataclassInstance")


@dataclass(frozen=True, eq=False)
class CameraPath:
    """One camera per output frame, at least one, and which source frame each output frame shows.

    cam_from_world: [T, 4, 4] float32; intrinsics: [T, 3, 3] float32, pixels; both finite; size: (H, W);
    source_frame: [T] int64, by default 0, 1, 2, ...
    """

    cam_from_world: Tensor
    intrinsics: Tensor
    size: tuple[int, int]
    source_frame: Tensor = None  # pyright: ignore[reportAssignmentType]  # filled in below

    def __post_init__(self) -> None:
        frames = self.cam_from_world.shape[0]
        if self.source_frame is None:
            object.__setattr__(self, "source_frame", torch.arange(frames, device=self.cam_from_world.device))
        check_tensor("cam_from_world", self.cam_from_world, (frames, 4, 4))
        check_tensor("intrinsics", self.intrinsics, (frames, 3, 3), like=self.cam_from_world)
        check_tensor("source_frame", self.source_frame, (frames,), torch.int64, like=self.cam_from_world)
        if not frames:
            raise ValueError("camera path: does not contain a camera; give it one per frame")
        check_finite("cam_from_world", self.cam_from_world)
        check_finite("intrinsics", self.intrinsics)

    def __len__(self) -> int:
        return self.cam_from_world.shape[0]

    @property
    def eye(self) -> Tensor:
        """Camera centres in the world, [T, 3]."""
        return invert_rigid(self.cam_from_world)[:, :3, 3]


def check_tensor(name: str, tensor: Tensor, shape: tuple, dtype=torch.float32, like: Tensor | None = None) -> None:
    """Raise ValueError unless tensor has this shape and dtype and lies on the device of `like`."""
    if tuple(tensor.shape) != tuple(shape) or tensor.dtype != dtype:
        got = f"{list(tensor.shape)} {tensor.dtype}".replace("torch.", "")
        raise ValueError(f"{name}: got {got}, needs {list(shape)} {dtype}".replace("torch.", ""))
    if like is not None and tensor.device != like.device:
        raise ValueError(f"{name}: is on {tensor.device}, but the rest is on {like.device}; move it with .to()")


def check_finite(name: str, tensor: Tensor) -> None:
    """Raise ValueError where an entry is NaN or infinite."""
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name}: contains NaN or infinity; every entry must be a number")


def move_to(record: Record, device: torch.device) -> Record:
    """The same VideoDepth, DWMesh, CameraPath or Prior with its tensors on another device."""
    tensors = {field.name: getattr(record, field.name) for field in fields(record)}
    return replace(record, **{name: value.to(device) for name, value in tensors.items() if isinstance(value, Tensor)})


def check_rigid(name: str, matrices: Tensor, tolerance: float = RIGID_TOLERANCE) -> None:
    """Raise ValueError unless every [..., 4, 4] matrix is finite, a rotation (det +1) and a translation."""
    check_finite(name, matrices)
    rotation = matrices[..., :3, :3].cpu().double()  # Apple's GPUs and others have no float64
    identity = torch.eye(3, dtype=torch.float64)
    error = (rotation @ rotation.mT - identity).abs().amax((-1, -2)).reshape(-1)
    if (error > tolerance).any():
        worst = int(error.argmax())
        raise ValueError(f"{name}: frame {worst} is not rigid (R @ R.T is off the identity by {error[worst]:.3g}); "
                         "remove the scale and shear")
    mirrored = (torch.linalg.det(rotation).reshape(-1) < 0).nonzero()
    if len(mirrored):
        raise ValueError(f"{name}: frame {int(mirrored[0])} is mirrored (determinant -1); negate one axis of it")
    last_row = matrices.new_tensor([0, 0, 0, 1])
    if (matrices[..., 3, :] - last_row).abs().max() > tolerance:
        raise ValueError(f"{name}: the last row must be 0 0 0 1")


def intrinsics_from_focal(focal: float, size: tuple[int, int]) -> Tensor:
    """Pinhole intrinsics [3, 3] with square pixels, the centre in the middle of the image. focal in pixels."""
    height, width = size
    return torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def focal_from_view(view: float, side: float) -> float:
    """Focal length in pixels of a field of view, radians, that a side of so many pixels spans."""
    return side / 2 / math.tan(view / 2)


def view_from_focal(focal: float, side: float) -> float:
    """The field of view, radians, that a side of so many pixels spans at a focal length in pixels."""
    return 2 * math.atan(side / 2 / focal)


def default_intrinsics(size: tuple[int, int]) -> Tensor:
    """The released focal length, 500 px at a width of 512, scaled to this width. [3, 3]"""
    return intrinsics_from_focal(RELEASED_FOCAL * size[1] / RELEASED_WIDTH, size)


def resize_intrinsics(intrinsics: Tensor, size: tuple[float, float], new_size: tuple[float, float]) -> Tensor:
    """Intrinsics [..., 3, 3] of the same view sampled at new_size, both (H, W)."""
    (height, width), (new_height, new_width) = size, new_size
    return intrinsics * intrinsics.new_tensor([[new_width / width], [new_height / height], [1.0]])


def fit_intrinsics(intrinsics: Tensor, size: tuple[int, int], new_size: tuple[int, int], fit: Fit) -> Tensor:
    """Intrinsics [..., 3, 3] of pictures of size (H, W) that clip.fit_frame brings to new_size."""
    kept, filled = fit_boxes(size, new_size, fit)
    resized = resize_intrinsics(shift_center(intrinsics, kept, -1), box_size(kept), box_size(filled))
    return shift_center(resized, filled, 1)


def unfit_intrinsics(intrinsics: Tensor, size: tuple[int, int], new_size: tuple[int, int], fit: Fit) -> Tensor:
    """What fit_intrinsics was given, of what it gave."""
    kept, filled = fit_boxes(size, new_size, fit)
    resized = resize_intrinsics(shift_center(intrinsics, filled, -1), box_size(filled), box_size(kept))
    return shift_center(resized, kept, 1)


def shift_center(intrinsics: Tensor, box: Box, sign: int) -> Tensor:
    """Intrinsics [..., 3, 3] whose centre is moved by where a box begins."""
    shifted = intrinsics.clone()
    shifted[..., :2, 2] += sign * intrinsics.new_tensor([box[1].start, box[0].start])
    return shifted


def cover_intrinsics(intrinsics: Tensor, size: tuple[float, float], new_size: tuple[float, float]) -> Tensor:
    """Intrinsics [..., 3, 3] of a view at new_size that the one at size fills, both (H, W).

    Of another shape, it is cropped around the middle and not stretched.
    """
    scale = max(new_size[0] / size[0], new_size[1] / size[1])
    covering = resize_intrinsics(intrinsics, size, (scale * size[0], scale * size[1]))
    covering[..., 0, 2] -= (scale * size[1] - new_size[1]) / 2
    covering[..., 1, 2] -= (scale * size[0] - new_size[0]) / 2
    return covering


def pixel_centers(size: tuple[int, int], device=None, dtype=torch.float32) -> Tensor:
    """Image coordinates (x, y) of every pixel's centre, [H, W, 2]."""
    height, width = size
    y, x = torch.meshgrid(torch.arange(height, device=device, dtype=dtype),
                          torch.arange(width, device=device, dtype=dtype), indexing="ij")
    return torch.stack([x, y], -1) + 0.5


def lift(depth: Tensor, intrinsics: Tensor) -> Tensor:
    """Lift depth [..., H, W] to points [..., H, W, 3] of its camera. depth is z, not ray length. Paper eq. 1."""
    height, width = depth.shape[-2:]
    pixels = pixel_centers((height, width), depth.device, depth.dtype)
    return ray_of(pixels, intrinsics) * depth[..., None]


def ray_of(pixels: Tensor, intrinsics: Tensor) -> Tensor:
    """Directions [..., 3] in which image coordinates [..., 2] are seen, their z being 1. intrinsics: [3, 3]."""
    focal, center = intrinsics[[0, 1], [0, 1]], intrinsics[:2, 2]
    return torch.cat([(pixels - center) / focal, torch.ones_like(pixels[..., :1])], -1)


def project(points: Tensor, intrinsics: Tensor) -> Tensor:
    """Image coordinates [..., 2] of points [..., 3] in front of the camera."""
    image = points @ intrinsics.mT
    return image[..., :2] / image[..., 2:]


def transform(target_from_source: Tensor, points: Tensor) -> Tensor:
    """Apply a rigid transform [4, 4] to points [..., 3]."""
    return points @ target_from_source[:3, :3].mT + target_from_source[:3, 3]


def transform_each(target_from_source: Tensor, points: Tensor) -> Tensor:
    """Apply rigid transforms [T, 4, 4], each to its own point of [T, 3]."""
    return (target_from_source[:, :3, :3] @ points[..., None])[..., 0] + target_from_source[:, :3, 3]


def invert_rigid(target_from_source: Tensor) -> Tensor:
    """source_from_target of rigid transforms [..., 4, 4]."""
    rotation = target_from_source[..., :3, :3].mT
    translation = -rotation @ target_from_source[..., :3, 3:]
    return rigid(rotation, translation[..., 0])


def rigid(rotation: Tensor, translation: Tensor) -> Tensor:
    """Rigid transforms [..., 4, 4] of rotations [..., 3, 3] and translations [..., 3]."""
    last_row = rotation.new_tensor([0.0, 0.0, 0.0, 1.0]).expand(*rotation.shape[:-2], 1, 4)
    return torch.cat([torch.cat([rotation, translation[..., None]], -1), last_row], -2)


def flip_yz(points: Tensor) -> Tensor:
    """Points [..., 3] from OpenCV's axes to OpenGL's (y up, z back), or from those to OpenCV's."""
    return points * points.new_tensor([1.0, -1.0, -1.0])


def flip_yz_of_rigid(transforms: Tensor) -> Tensor:
    """Rigid transforms [..., 4, 4] between OpenCV's axes as the same ones between OpenGL's, or back."""
    flip = FLIP_YZ.diagonal().to(transforms)
    return flip[:, None] * transforms * flip


def look_at(eye: Tensor, target: Tensor) -> Tensor:
    """cam_from_world [..., 4, 4] of a level camera at eye that sees target in its centre, both [..., 3].

    Raises ValueError where the camera would look straight up or down, or stand in its target: its
    heading is undefined there.
    """
    forward = torch.nn.functional.normalize(target - eye, dim=-1)
    down = eye.new_tensor([0.0, 1.0, 0.0]).expand_as(eye)
    right = torch.linalg.cross(down, forward)
    if (right.norm(dim=-1) < 1e-6).any():
        raise ValueError("look_at: a camera looks straight up or down, or is at its target; move it or the target a "
                         "little, e.g. keep the pitch within -89..89 degrees")
    right = torch.nn.functional.normalize(right, dim=-1)
    rotation = torch.stack([right, torch.linalg.cross(forward, right), forward], -2)
    return rigid(rotation, -(rotation @ eye[..., None])[..., 0])


def anchor(name: str, cam_from_world: Tensor) -> Tensor:
    """world_from_cam [T, 4, 4] in the world of the first camera, exactly rigid, of cameras [T, 3 or 4, 4] in any world.

    Raises ValueError where they are not rigid but for the rounding of half precision.
    """
    cameras = cam_from_world.cpu().double()  # Apple's GPUs and others have no float64
    if cameras.shape[1] == 3:
        cameras = rigid(cameras[:, :, :3], cameras[:, :, 3])
    check_rigid(name, cameras, HALF_TOLERANCE)
    cameras = rigid(rotation_of(quaternion_of(cameras[:, :3, :3])), cameras[:, :3, 3])
    return (cameras[0] @ invert_rigid(cameras)).float()
