"""Pictures in a row, whatever they come from: a video file, an animation, a folder of images, one image."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..clip import resize_frame

MAX_PIXELS = 2**26  # 8192 x 8192; a damaged header can ask for gigabytes
TRUSTED_PIXELS = 2**25  # 8K; more are believed of files only that are large enough to hold them
PIXELS_PER_BYTE = 256  # in a large picture; photos have some 10
TRUSTED_BYTES = 2**30  # what a file claims to hold is allocated at once up to here, beyond as it is decoded
HELD_BYTES = 2**31  # of pictures shown for longer than one frame
HELD_SHARE = 4  # or so many times those decoded
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
        raise ValueError(f"{path}: there is no such file or folder")
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
        raise ValueError(f"{path}: {reason} after {count} frames; read fewer frames, or repair the file") from reason


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
                tell_resampled(path, fps)
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


def most_pixels(path: Path) -> int:
    """How many pixels a file may claim for a picture, to be asked before anything is allocated."""
    return min(MAX_PIXELS, max(TRUSTED_PIXELS, PIXELS_PER_BYTE * path.stat().st_size))


def over_black(picture: np.ndarray) -> np.ndarray:
    """RGB or RGBA [H, W, 3 or 4] of uint8 or uint16 as RGB float32 in [0, 1], laid over black."""
    scaled = picture.astype(np.float32)
    scaled /= np.iinfo(picture.dtype).max
    return scaled if scaled.shape[2] == 3 else scaled[..., :3] * scaled[..., 3:]


def squared(picture: np.ndarray, aspect: Fraction, exact: bool) -> np.ndarray:
    """A picture [H, W] or [H, W, 3] whose pixels are so many times as wide as high, larger, with square pixels.

    exact: its numbers are kept, each pixel takes that of the nearest.
    """
    if aspect == 1:
        return picture
    height, width = picture.shape[:2]
    size = max(1, round(height * max(1, 1 / aspect))), max(1, round(width * max(1, aspect)))
    if not exact:
        return resampled(picture, size)
    rows, columns = ((np.arange(new) + 0.5) * old // new for new, old in zip(size, (height, width)))
    return picture[rows.astype(int)][:, columns.astype(int)]


def resampled(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture [H, W, 3] float32 resampled to size (H, W)."""
    return resize_frame(torch.from_numpy(np.ascontiguousarray(picture)), size).numpy()


def tell_resampled(path: Path, fps: float) -> None:
    log.warning("%s: variable frame rate, resampled to %.4g frames per second", path, fps)


def gray_of(path: Path, picture: np.ndarray) -> np.ndarray:
    """The gray value of RGB [H, W, 3], [H, W] float32. Raises ValueError where it is colored."""
    white = np.iinfo(picture.dtype).max
    if np.ptp(picture, axis=2).max() > COLOR_SPREAD * white:
        raise ValueError(f"{path}: is in color, and depth cannot be read from a color map; use a gray video")
    return picture[..., 1].astype(np.float32)


def of_one_size(path: Path, pictures: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Pictures as they come. Raises ValueError where there is none, and where one has another size than the first."""
    first = next(pictures, None)
    if first is None:
        raise ValueError(f"{path}: has ended before the frame to start at; start earlier")
    for count, picture in enumerate(chain([first], pictures)):
        if picture.shape != first.shape:
            raise ValueError(f"{path}: picture {count} from the start is {picture.shape[1]}x{picture.shape[0]}, "
                             f"but those before it are {first.shape[1]}x{first.shape[0]}; all must be of one size")
        yield picture


def stack_pictures(path: Path, pictures: Iterator[np.ndarray], expected: int) -> Tensor:
    """Stack pictures into one tensor [T, ...], growing it in place: the clip is never held twice.

    expected: about how many, which is not trusted far. A picture that is shown for longer comes as the same array
    again; where that makes most of the clip, ValueError, as where memory ends.
    """
    pictures = of_one_size(path, pictures)
    first = next(pictures)
    count, held, last = 0, 0, None
    try:
        stack = np.empty((max(1, min(expected, TRUSTED_BYTES // first.nbytes)), *first.shape), np.float32)
        for picture in chain([first], pictures):
            held += picture is last
            if held * first.nbytes > max(HELD_BYTES, HELD_SHARE * (count - held) * first.nbytes):
                raise ValueError(f"{path}: its timestamps show {count - held} pictures for {count} frames or more; "
                                 "read fewer frames, or cut out the pauses")
            if count == len(stack):
                stack.resize((count + count // 4 + 1, *first.shape), refcheck=False)
            stack[count] = last = picture
            count += 1
        stack.resize((count, *first.shape), refcheck=False)
    except MemoryError as error:
        raise ValueError(f"{path}: more than {count} frames of {first.shape[1]}x{first.shape[0]} do not fit into "
                         "memory; read fewer frames, or a smaller size") from error
    return torch.from_numpy(stack)
