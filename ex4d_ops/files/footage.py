"""Pictures in a row, whatever they come from: a video file, an animation, a folder of images, one image."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

MAX_PIXELS = 2**26  # 8192 x 8192; a damaged header can ask for gigabytes
UNTIMED_FPS = 15.0  # pictures carry no rate; that of the released example
SAME_RATE = 0.01  # relative; a rate this close to what the file states is what it states
COLOR_SPREAD = 0.1  # of white; compression tints gray by less
MAX_HELD = 1000  # frames shown for one; a longer hole in the timestamps is damage, not a pause
PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".apng", ".pgm", ".ppm", ".pnm",
                    ".pfm", ".hdr"}

log = logging.getLogger(__name__)


class CutShort(Exception):
    """Why nothing more can be read where the file should go on."""


@dataclass(frozen=True, eq=False)
class Footage:
    """A stream of pictures at a constant rate.

    pictures: float32, [H, W, 3] in [0, 1], or where gray was asked for [H, W], the file's own numbers 0..white;
    length: about how many.
    """

    pictures: Iterator[np.ndarray]
    fps: float
    white: float
    length: int


def frame_span(path: Path, start: int, frames: int | None) -> slice:
    """The frames to read of what stands at path. Raises ValueError where nothing does, or they can be none."""
    if start < 0 or frames is not None and frames < 1:
        raise ValueError(f"{path}: start={start}, frames={frames}; start must be 0 or more, frames 1 or more")
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder")
    return slice(start, None if frames is None else start + frames)


def estimate_rate(times: list[float], stated: float | None) -> float | None:
    """Frames per second of sorted times in seconds, None where they are of no use.

    The most common step is one frame, longer ones are several. A rate the file states is preferred where it agrees,
    for timestamps are often rounded to milliseconds.
    """
    steps = np.diff(times)
    steps = steps[steps > 0]
    if len(steps) < max(1, len(times) // 2):
        return None
    rate = float(np.maximum(np.rint(steps / np.median(steps)), 1).sum() / steps.sum())
    return stated if stated and abs(rate / stated - 1) < SAME_RATE else rate


def at_rate(path: Path, timed: Iterable[tuple[float, object]], fps: float) -> Iterator:
    """Pictures at a constant rate from (seconds, picture): see hold_pictures.

    Raises ValueError, after the last good picture, where the file is cut short.
    """
    count = 0
    try:
        for picture in hold_pictures(path, timed, fps):
            yield picture
            count += 1
    except CutShort as reason:
        raise ValueError(f"{path}: {reason} after {count} frames; read no more, or mend the file") from reason


def hold_pictures(path: Path, timed: Iterable[tuple[float, object]], fps: float) -> Iterator:
    """Hold the picture on screen where the next comes late, drop it where the next comes early.

    A picture off its time by less than half a step is shown once. Logs one line where the rate varies.
    """
    held, begin, count, steady = None, 0.0, 0, True  # count: the step at which held is shown
    try:
        for seconds, picture in timed:
            begin = seconds if held is None else begin
            step = round((seconds - begin) * fps)
            if step - count > MAX_HELD:
                raise CutShort(f"its timestamps jump by {seconds - begin - count / fps:.0f} s")
            if steady and held is not None and step != count + 1:
                log.warning("%s: variable frame rate, resampled to %.4g frames per second", path, fps)
                steady = False
            for _ in range(count, step):
                yield held
            count, held = max(count, step), picture
    except CutShort:
        if held is not None:
            yield held
        raise
    if held is not None:
        yield held


def over_black(picture: np.ndarray) -> np.ndarray:
    """RGB or RGBA [H, W, 3 or 4] of uint8 or uint16 as RGB float32 in [0, 1], laid over black."""
    scaled = picture.astype(np.float32) / np.iinfo(picture.dtype).max
    return scaled if scaled.shape[2] == 3 else scaled[..., :3] * scaled[..., 3:]


def gray_of(path: Path, picture: np.ndarray) -> np.ndarray:
    """The gray value of RGB [H, W, 3], [H, W] float32. Raises ValueError where it is coloured."""
    white = np.iinfo(picture.dtype).max
    if np.ptp(picture, axis=2).max() > COLOR_SPREAD * white:
        raise ValueError(f"{path}: is in colour, and depth cannot be read back from a colour map; use a gray one")
    return picture[..., 1].astype(np.float32)


def stack_pictures(path: Path, pictures: Iterator[np.ndarray], expected: int) -> Tensor:
    """Stack pictures into one tensor [T, ...], growing it in place: the clip is never held twice."""
    first = next(pictures, None)
    if first is None:
        raise ValueError(f"{path}: holds no frame to start at; start earlier")
    stack = np.empty((max(expected, 1), *first.shape), np.float32)
    count = 0
    for picture in chain([first], pictures):
        if picture.shape != first.shape:
            raise ValueError(f"{path}: picture {count} from the start is {picture.shape[1]}x{picture.shape[0]}, "
                             f"those before {first.shape[1]}x{first.shape[0]}; all must be of one size")
        if count == len(stack):
            stack.resize((count + count // 4 + 1, *first.shape), refcheck=False)
        stack[count] = picture
        count += 1
    stack.resize((count, *first.shape), refcheck=False)
    return torch.from_numpy(stack)
