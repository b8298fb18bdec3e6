"""Clips: frames with a rate, and the lengths and sizes Wan takes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

WAN_STRIDE = 4  # source frames per latent frame, after the first; Wan 2.1 VAE
WAN_GRID = 16  # pixels per token and side: VAE 8, patch 2


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames shown at a constant rate. frames: [T, H, W, 3] float32 in [0, 1], sRGB; fps: frames per second."""

    frames: Tensor
    fps: float

    def __len__(self) -> int:
        return self.frames.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        return tuple(self.frames.shape[1:3])


def nearest_wan_lengths(frames: int) -> tuple[int, int]:
    """The closest numbers of frames 4k+1 not above and not below this one; equal where it is one itself."""
    below = (frames - 1) // WAN_STRIDE * WAN_STRIDE + 1
    return max(below, 1), below if below == frames else below + WAN_STRIDE


def check_wan_length(frames: int) -> None:
    """Raise ValueError, naming the lengths to use, unless Wan takes this number of frames."""
    below, above = nearest_wan_lengths(frames)
    if below != above:
        raise ValueError(f"frames: T={frames}, Wan needs 4k+1; use {below} or {above}")


def wan_size(size: tuple[int, int]) -> tuple[int, int]:
    """The closest size (H, W) in multiples of 16, each side for itself.

    Resize frames, depth and intrinsics to it: nothing is cropped, and no side changes by more than 8 pixels.
    """
    return tuple(max(WAN_GRID, (side + WAN_GRID // 2) // WAN_GRID * WAN_GRID) for side in size)


def resize_frame(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """Resample a frame [H, W, 3] to size (H, W), averaging where it shrinks."""
    if tuple(frame.shape[:2]) == tuple(size):
        return frame
    planes = frame.movedim(-1, 0)[None]
    resized = torch.nn.functional.interpolate(planes, size=size, mode="bilinear", antialias=True)
    return resized[0].movedim(0, -1)
