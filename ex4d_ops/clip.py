"""Clips: frames with a rate, and the lengths and sizes Wan takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # lengths, sizes and names are asked for before torch is
    from torch import Tensor

WAN_STRIDE = 4  # source frames per latent frame, after the first; Wan 2.1 VAE
WAN_GRID = 16  # pixels per token and side: VAE 8, patch 2
LATENT_CHANNELS = 16  # of one video; Wan 2.1 VAE
SAME_SHAPE = 0.02  # relative; sides rounded to multiples of 16 change a picture's shape by about as much

# (H, W) that video models were trained on: EX-4D, and Wan 2.1 at 480p.
CLIP_SIZES = {"512x512": (512, 512), "832x480": (480, 832), "480x832": (832, 480)}

# How a picture gets another shape: its sides are cut off, it is squashed as released, or bars are added.
Fit = Literal["crop", "stretch", "pad"]
FITS: dict[Fit, str] = {"crop": "cuts off its sides", "stretch": "distorts it", "pad": "adds black bars"}
Box = tuple[slice, slice]  # rows and columns
Progress = Callable[[int, int], None]  # called with what is done and how much there is; what it raises cancels


def no_progress(done: int, total: int) -> None:
    """The Progress of who does not ask for any."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames shown at a constant rate. frames: [T, H, W, 3] float32 in [0, 1], sRGB; fps: frames per second."""

    frames: Tensor
    fps: float

    def __len__(self) -> int:
        return self.frames.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        return size_of(self.frames)


def nearest_wan_lengths(frames: int) -> tuple[int, int]:
    """The closest numbers of frames 4k+1 not above and not below this one; equal where it is one itself."""
    below = (frames - 1) // WAN_STRIDE * WAN_STRIDE + 1
    return max(below, 1), below if below == frames else below + WAN_STRIDE


def check_wan_length(frames: int) -> None:
    """Raise ValueError, naming the lengths to use, unless Wan takes this number of frames."""
    below, above = nearest_wan_lengths(frames)
    if below != above or frames < 1:
        raise ValueError(f"frames: T={frames}, but Wan needs 4k+1; use {below} or {below + WAN_STRIDE}")


def wan_size(size: tuple[int, int]) -> tuple[int, int]:
    """The closest size (H, W) in multiples of 16, each side for itself.

    Resize frames, depth and intrinsics to it: nothing is cropped, and no side changes by more than 8 pixels.
    """
    height, width = (max(WAN_GRID, (side + WAN_GRID // 2) // WAN_GRID * WAN_GRID) for side in size)
    return height, width


def resize_frame(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """Resample a frame [H, W, 3] to size (H, W), averaging where it shrinks."""
    if tuple(frame.shape[:2]) == tuple(size):
        return frame
    from torch.nn.functional import interpolate

    planes = frame.movedim(-1, 0)[None]
    resized = interpolate(planes, size=size, mode="bilinear", antialias=True)
    return resized[0].movedim(0, -1)


def size_of(frames: Tensor) -> tuple[int, int]:
    """The size (H, W) of frames [T, H, W, ...]."""
    height, width = frames.shape[1:3]
    return height, width


def center_crop(size: tuple[int, int], shape: tuple[int, int]) -> Box:
    """Rows and columns of the largest part around the centre of a picture of size (H, W) that is shaped like shape."""
    height, width = size
    inner = (min(height, max(round(width * shape[0] / shape[1]), 1)),
             min(width, max(round(height * shape[1] / shape[0]), 1)))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    return slice(top, top + inner[0]), slice(left, left + inner[1])


def fit_boxes(size: tuple[int, int], new_size: tuple[int, int], fit: Fit) -> tuple[Box, Box]:
    """The part of a picture of size (H, W) that is kept, and the part of one of new_size that it fills."""
    if fit == "crop":
        return center_crop(size, new_size), whole_box(new_size)
    return whole_box(size), center_crop(new_size, size) if fit == "pad" else whole_box(new_size)


def without_bars(fit: Fit) -> Fit:
    """The fit that brings a picture to the part of the new one which it fills."""
    return "crop" if fit == "crop" else "stretch"


def whole_box(size: tuple[int, int]) -> Box:
    """All of a picture of size (H, W)."""
    height, width = size
    return slice(0, height), slice(0, width)


def box_size(box: Box) -> tuple[int, int]:
    """(H, W) of a part of a picture."""
    rows, columns = box
    return rows.stop - rows.start, columns.stop - columns.start


def fit_frame(frame: Tensor, size: tuple[int, int], fit: Fit) -> Tensor:
    """A frame [h, w, C] at size (H, W), resampled as by resize_frame; bars that are added are 0."""
    kept, filled = fit_boxes(size_of(frame[None]), size, fit)
    part = resize_frame(frame[kept], box_size(filled))
    if tuple(part.shape[:2]) == tuple(size):
        return part
    padded = frame.new_zeros(*size, frame.shape[2])
    padded[filled] = part
    return padded


def lost_share(size: tuple[int, int], new_size: tuple[int, int]) -> float:
    """The share of a picture of size (H, W) that a crop to the proportions of new_size cuts off."""
    ratio = size[1] * new_size[0] / (size[0] * new_size[1])  # above 1: it is wider than what it becomes
    return 1 - min(ratio, 1 / ratio)


def nearest_clip_size(size: tuple[int, int]) -> tuple[int, int]:
    """The one of CLIP_SIZES that cuts off the least of a picture of size (H, W)."""
    return min(CLIP_SIZES.values(), key=lambda fixed: lost_share(size, fixed))


def describe_fit(size: tuple[int, int], new_size: tuple[int, int], fit: Fit) -> str | None:
    """What a picture of size (H, W) loses by getting new_size, in one sentence; None where it keeps its shape."""
    share = lost_share(size, new_size)
    if share < SAME_SHAPE:
        return None
    across, along = ("width", "height") if size[1] * new_size[0] > size[0] * new_size[1] else ("height", "width")
    change = {"crop": f"is cropped: {share:.0%} of its {across} is lost",
              "stretch": f"is stretched: its {across} shrinks by {share:.0%} against its {along}",
              "pad": f"is padded: {share:.0%} of the new {along} is black bars"}[fit]
    return f"the picture of {size[1]}x{size[0]} becomes {new_size[1]}x{new_size[0]} and {change}"
