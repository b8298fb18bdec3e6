"""When the frames of a clip appear, and which pictures of its depth belong to them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .footage import PICTURE_SUFFIXES, tell_resampled

log = logging.getLogger(__name__)


def follow_clip(path: Path, count: Callable[[Path], int], clip: Path, span: slice) -> tuple[slice, Tensor | None]:
    """What to read of a depth file for those pictures of a clip, and which of it each shows; None: one after the other.

    Where the frame rate varies, read_video shows frames for longer or leaves some out, and depth tools do not. count:
    tells how many pictures the depth file holds. Raises ValueError where that is neither one per frame nor one per
    picture shown.
    """
    times, fps = clip_times(clip, span.stop)
    if len(times) < 2:
        return span, None
    steps = picture_steps(times, fps)
    pictures = range(steps[-1] + 1)[span]
    frames = np.searchsorted(steps, np.arange(pictures.start, pictures.stop), side="right") - 1
    if len(frames) == 0 or np.array_equal(frames, pictures):
        return span, None
    steps = picture_steps(*clip_times(clip, None))
    decoded, shown, held = len(steps), int(steps[-1]) + 1, count(path)
    if held == shown != decoded:
        return span, None
    if held != decoded or decoded == shown:
        raise ValueError(f"{path}: has {held} pictures, but {clip.name} has {decoded} frames at a variable rate, shown "
                         f"as {shown}: they cannot be matched; make its rate constant first (ffmpeg -i "
                         f"{clip.name} -vf fps={fps:.4g} constant.mp4), then estimate the depth of that")
    tell_resampled(clip, fps)  # which comes first, though frames may be read after their depth
    log.warning("%s: variable frame rate, each frame is shown with its own depth, one of the %d in %s",
                clip, held, path)
    return slice(int(frames[0]), int(frames[-1]) + 1), torch.from_numpy(frames - frames[0])


def picture_steps(times: list[float], fps: float) -> np.ndarray:
    """The first picture of a constant rate that shows each frame, [N] int."""
    return np.rint((np.array(times) - times[0]) * fps).astype(int)


def clip_times(path: Path, limit: int | None) -> tuple[list[float], float]:
    """When the frames of a clip's file appear, in seconds, none where it doesn't say; and the rate it is read at.

    limit: how many pictures are read of it, as the rate depends on that; None: all.
    """
    if path.is_dir() or path.suffix.lower() in PICTURE_SUFFIXES:
        from .pictures import picture_times

        return picture_times(path)
    from .decode import frame_times

    return frame_times(path, limit)
