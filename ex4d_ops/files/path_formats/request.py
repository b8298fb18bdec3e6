"""What every format shares: what the caller says beside the file, sizes, lenses, and a path of them."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...camera import CameraPath, cover_intrinsics, default_intrinsics, focal_from_view
from ..parsing import number_array

log = logging.getLogger(__name__)
Size = tuple[int, int]
LARGEST_SIDE = 2**16  # pixels


@dataclass(frozen=True)
class Request:
    """What the caller says beside the file: see read_path."""

    size: Size | None = None
    frames: int | None = None
    radius: float | None = None
    camera: str | None = None
    intrinsics: Tensor | None = None
    rotation_order: str | None = None
    source: Tensor | None = None

    def needed_size(self) -> Size:
        if self.size is None:
            raise ValueError("does not store a picture size; give the size (height, width)")
        return self.size

    def needed_radius(self) -> float:
        if self.radius is None:
            raise ValueError("contains distances as shares of the radius; give the radius, which is the distance to "
                             "the target")
        return self.radius

    def needed_frames(self) -> int:
        if self.frames is None:
            raise ValueError("is a list of keyframes; give the number of frames of the path")
        return self.frames

    def lens(self) -> Tensor:
        """Intrinsics [3, 3] for a format that stores none: the caller's, or the released focal length."""
        return default_intrinsics(self.needed_size()) if self.intrinsics is None else self.intrinsics.cpu()


def make_path(cam_from_world: Tensor, intrinsics: Tensor, size: Size, source_frame: Tensor | None = None) -> CameraPath:
    """A CameraPath of doubles [T, 4, 4] and [T, 3, 3] or [3, 3], or ValueError where it has no frame."""
    frames = len(cam_from_world)
    if not frames:
        raise ValueError("does not contain a camera")
    shown = torch.arange(frames, device=cam_from_world.device) if source_frame is None else source_frame
    return CameraPath(cam_from_world.float(), intrinsics.float().expand(frames, 3, 3), size, shown)


def tell_gaps(path: Path, numbers: list[float]) -> None:
    """Log where the numbers of frames, which rise, leave some out: cameras come one after the other all the same."""
    if numbers[-1] - numbers[0] > len(numbers) - 1:
        log.warning("%s: has %d cameras for the frames %g to %g, and they are read as frames that follow each other; "
                    "export a camera for every frame", path, len(numbers), numbers[0], numbers[-1])


def whole_size(value: object) -> Size:
    height, width = number_array("size", value, (2,)).tolist()
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE) or height % 1 or width % 1:
        raise ValueError(f"size is {height:g} by {width:g}, but must be whole pixels, 1 to {LARGEST_SIDE}")
    return int(height), int(width)


def centered_size(intrinsics: Tensor) -> Size:
    """(H, W) of a picture whose centre intrinsics [T, 3, 3] put into its middle."""
    return whole_size((2 * intrinsics[:1, [1, 0], 2]).round()[0].tolist())


def pinhole(fx: Tensor, fy: Tensor, cx: Tensor, cy: Tensor) -> Tensor:
    """Intrinsics [T, 3, 3] of focal lengths and centres [T]."""
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    return torch.stack([fx, zero, cx, zero, fy, cy, zero, zero, one], -1).unflatten(-1, (3, 3))


def pinhole_row(cameras: CameraPath) -> Tensor:
    """(fx, fy, cx, cy) of every camera, [T, 4]."""
    return cameras.intrinsics.double()[:, [0, 1, 0, 1], [0, 1, 2, 2]]


def shared_lens(shares: Tensor, own: tuple[float, float], size: Size) -> Tensor:
    """Intrinsics [T, 3, 3] at size of lenses [T, 4], (fx, fy, cx, cy) as shares of the sides of their own picture.

    own: (H, W) of that picture, in any unit: only its shape counts. It covers the new size and is not stretched.
    """
    height, width = own
    lens = pinhole(*(shares * shares.new_tensor([width, height, width, height])).unbind(-1))
    return cover_intrinsics(lens, own, size)


def viewed_lens(view: Tensor, size: Size) -> Tensor:
    """Intrinsics [T, 3, 3] of vertical fields of view [T], radians."""
    if not ((view > 0) & (view < math.pi)).all():
        raise ValueError("the field of view must lie between 0 and 180 degrees")
    height, width = size
    focal, middle = view.new_tensor([focal_from_view(angle, height) for angle in view.tolist()]), torch.ones_like(view)
    return pinhole(focal, focal, middle * width / 2, middle * height / 2)


def text_file(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()
