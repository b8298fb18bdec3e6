"""Depth of a clip: VideoDepth, conversions from disparity, resizing."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .camera import check_tensor


@dataclass(frozen=True, eq=False)
class VideoDepth:
    """Depth of a source clip, seen from its own cameras.

    depth: [T, H, W] float32 > 0, z along the optical axis, inf = no surface (sky);
    intrinsics: [T, 3, 3] float32, pixels; world_from_cam: [T, 4, 4] float32, all identity where the
    source camera's motion is unknown; metric: True where scene units are metres.
    """

    depth: Tensor
    intrinsics: Tensor
    world_from_cam: Tensor
    metric: bool = False

    def __post_init__(self) -> None:
        frames, height, width = self.depth.shape
        check_tensor("depth", self.depth, (frames, height, width))
        check_tensor("intrinsics", self.intrinsics, (frames, 3, 3), like=self.depth)
        check_tensor("world_from_cam", self.world_from_cam, (frames, 4, 4), like=self.depth)

    def __len__(self) -> int:
        return self.depth.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        return tuple(self.depth.shape[1:])

    @property
    def nearest(self) -> float:
        """The smallest depth of frame 0, in scene units: the released radius is this + 0.15."""
        return float(self.depth[0].min())
