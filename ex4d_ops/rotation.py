"""Rotations [..., 3, 3] in float64: about an axis, along a direction, as unit quaternions, and between two others."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate_about(axis: str, angle: Tensor) -> Tensor:
    """Right-handed rotation [..., 3, 3] by angle [...], radians, about "x", "y" or "z"."""
    cos, sin = angle.cos(), angle.sin()
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = {"x": [one, zero, zero, zero, cos, -sin, zero, sin, cos],
            "y": [cos, zero, sin, zero, one, zero, -sin, zero, cos],
            "z": [cos, -sin, zero, sin, cos, zero, zero, zero, one]}[axis]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def aim(direction: Tensor) -> Tensor:
    """Rotation [..., 3, 3] of a level camera that looks along direction [..., 3]; straight down it keeps yaw 0."""
    x, y, z = direction.unbind(-1)
    return rotate_about("x", torch.atan2(y, torch.hypot(x, z))) @ rotate_about("y", torch.atan2(-x, z))


def quaternion_of(rotation: Tensor) -> Tensor:
    """Unit quaternion [..., 4] as (w, x, y, z), w >= 0, of a rotation; the nearest one where it is a little off."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in rotation.double().unbind(-2))
    # The eigenvector of its largest eigenvalue is the quaternion (Bar-Itzhack 2000); exact near 180 degrees too.
    matrix = torch.stack([xx + yy + zz, zy - yz, xz - zx, yx - xy,
                          zy - yz, xx - yy - zz, xy + yx, xz + zx,
                          xz - zx, xy + yx, yy - xx - zz, yz + zy,
                          yx - xy, xz + zx, yz + zy, zz - xx - yy], -1).unflatten(-1, (4, 4))
    quaternion = torch.linalg.eigh(matrix).eigenvectors[..., -1]
    return torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)


def rotation_of(quaternion: Tensor) -> Tensor:
    """The rotation [..., 3, 3] of a quaternion [..., 4] as (w, x, y, z) of any length but zero."""
    w, x, y, z = torch.nn.functional.normalize(quaternion.double(), dim=-1).unbind(-1)
    rows = [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def rotate_between(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """The rotation [..., 3, 3] at weight [...] of the shortest arc from first (0) to second (1), at even speed."""
    start, end = quaternion_of(first), quaternion_of(second)
    cosine = (start * end).sum(-1, keepdim=True)
    end = torch.where(cosine < 0, -end, end)  # q and -q are one rotation: take the nearer
    angle = torch.atan2((end - start).norm(dim=-1, keepdim=True), (end + start).norm(dim=-1, keepdim=True)) * 2
    weight = weight[..., None]
    share = torch.where(angle < 1e-8, weight, torch.sin(weight * angle) / torch.sin(angle).clamp(min=1e-12))
    rest = torch.where(angle < 1e-8, 1 - weight, torch.sin((1 - weight) * angle) / torch.sin(angle).clamp(min=1e-12))
    return rotation_of(rest * start + share * end)
