"""Where pixels of one frame lie in another: dense flow, and which of it can be believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .clip import size_of
from .opencv import need_opencv

Gray = np.ndarray[tuple[int, int], np.dtype]  # [H, W]

RETURN_PIXELS = 1.0  # a match followed there and back must end this close to where it began
SAME_COLOR = 26  # of 255; a match may change so much beyond the change of the whole picture


@dataclass(frozen=True, eq=False)
class Flow:
    """Where the centre of each pixel of one frame is in another. target: [H, W, 2] pixels; trusted: [H, W] bool."""

    target: Tensor
    trusted: Tensor

    @property
    def size(self) -> tuple[int, int]:
        return size_of(self.trusted[None])


def shrink(frame: Tensor, side: int) -> Gray:
    """A frame [H, W, 3] in [0, 1] as gray uint8 [h, w], its longer side at most `side` pixels."""
    cv2 = need_opencv()
    gray = (frame.float() @ frame.new_tensor([0.299, 0.587, 0.114])).mul(255).round().byte().cpu().numpy()
    scale = side / max(gray.shape)
    if scale >= 1:
        return gray
    size = [max(1, round(length * scale)) for length in reversed(gray.shape)]
    return cv2.resize(gray, size, interpolation=cv2.INTER_AREA)


def find_flow(source: np.ndarray, target: np.ndarray) -> Flow:
    """Dense flow between gray frames of one size.

    Trusted where it ends inside the frame, at the same brightness, and the way back ends at the start.
    """
    forward, backward = displacement(source, target), displacement(target, source)
    height, width = source.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x, y = x + forward[..., 0], y + forward[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    miss = np.linalg.norm(forward + sample(backward, x, y), axis=-1)
    change = sample(target.astype(np.float32), x, y) - source
    same = np.abs(change - np.median(change)) < SAME_COLOR  # fades and flashes change the whole picture
    return Flow(torch.from_numpy(np.stack([x, y], -1)) + 0.5, torch.from_numpy(inside & same & (miss < RETURN_PIXELS)))


def displacement(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """How far each pixel of a gray frame moves to the other one, [H, W, 2] pixels, by dense inverse search."""
    cv2 = need_opencv()
    if min(source.shape) < 16:  # smaller than the search's patches
        return np.zeros((*source.shape, 2), np.float32)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return search.calc(source, target, None)  # pyright: ignore[reportCallIssue, reportArgumentType]  # nothing to begin with


def sample(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values of a picture [H, W, ...] at positions counted from its first pixel, linear between pixels."""
    cv2 = need_opencv()
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def warp(picture: Tensor, flow: Flow) -> Tensor:
    """What a picture [H, W] of the flow's target frame shows at each pixel of its source frame."""
    x, y = (flow.target - 0.5).unbind(-1)
    return torch.from_numpy(sample(picture.cpu().numpy(), x.numpy(), y.numpy())).to(picture)


def enlarge(flow: Flow, size: tuple[int, int]) -> Flow:
    """The same flow between frames of another size (H, W)."""
    height, width = flow.trusted.shape
    scale = torch.tensor([size[1] / width, size[0] / height])
    planes = torch.cat([flow.target.movedim(-1, 0), flow.trusted[None].float()])[None]
    planes = torch.nn.functional.interpolate(planes, size=tuple(size), mode="bilinear")[0]
    return Flow(planes[:2].movedim(0, -1) * scale, planes[2] > 0.99)
