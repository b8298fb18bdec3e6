"""Which clips of a video to train on: long enough, without a cut, with something moving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..clip import Clip, Fit, box_size, fit_boxes, fit_frame, resize_frame, size_of, without_bars
from ..files.footage import frame_span
from ..files.video import open_footage

THUMBNAIL = (32, 32)  # pixels; small enough that motion hardly shows, large enough that a cut does
CUT_DIFFERENCE = 0.06  # mean difference of two thumbnails, of white
CUT_RATIO = 5.0  # times what is usual within the clip
STILL_DIFFERENCE = 0.004  # of white; a clip whose frames differ less from its first is a picture
BLANK_DEVIATION = 0.02  # of white; a clip whose pixels differ less shows nothing


def select_clip(path: Path, frames: int, size: tuple[int, int],
                fit: Fit = "crop") -> tuple[int, Clip, tuple[int, int]]:
    """The frame at which the first clip of so many frames in a video begins, the clip, and the size it was filmed at.

    It is cropped at its centre or stretched to size (H, W), or as large as fits into it where bars are to be added.
    Raises ValueError with the reason where there is none: the file is damaged, no stretch between two cuts is long
    enough, or nothing moves in those that are. Reads no further than the clip, and holds no more than one.
    """
    footage = open_footage(path, frame_span(path, 0, None))
    shot, thumbnails, longest, doubt = [], [], 0, None
    for index, picture in enumerate(footage.pictures):
        whole = torch.from_numpy(np.ascontiguousarray(picture))
        filmed = size_of(whole[None])
        _, filled = fit_boxes(filmed, size, fit)
        frame = fit_frame(whole, box_size(filled), without_bars(fit))
        thumbnail = resize_frame(frame, THUMBNAIL)
        if is_cut(thumbnails, thumbnail):
            shot, thumbnails = [], []
        shot.append(frame)
        thumbnails.append(thumbnail)
        longest = max(longest, len(shot))
        if len(shot) == frames:
            found_doubt = doubt_clip(torch.stack(thumbnails))
            if found_doubt is None:
                return index + 1 - frames, Clip(torch.stack(shot), footage.fps), filmed
            doubt = doubt or found_doubt
            shot, thumbnails = [], []
    raise ValueError(doubt or f"{longest} frames without a cut, but {frames} are needed")


def is_cut(before: list[Tensor], thumbnail: Tensor) -> bool:
    """Whether a thumbnail [h, w, 3] begins a new shot after those before it.

    It compares thumbnails, which costs little beside reading the video. estimators.steadiness.find_cuts follows pixels
    instead: it finds milder cuts, and needs both whole frames.
    """
    if not before:
        return False
    step = float((thumbnail - before[-1]).abs().mean())
    if step < CUT_DIFFERENCE:
        return False
    usual = torch.stack([(a - b).abs().mean() for a, b in zip(before, before[1:])]).median() if len(before) > 1 else 0
    return step > CUT_RATIO * float(usual)


def doubt_clip(thumbnails: Tensor) -> str | None:
    """Why a clip of these thumbnails [T, h, w, 3] is not worth training on; None where it is."""
    if thumbnails.std((1, 2)).amax() < BLANK_DEVIATION:
        return "one color throughout"
    if (thumbnails - thumbnails[0]).abs().mean((1, 2, 3)).max() < STILL_DIFFERENCE:
        return "nothing moves"
    return None
