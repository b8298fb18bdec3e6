"""The clip's own time along a path: play, hold, resume, as a curve from output frames to source frames.

    [{"frame": 20, "source": 20}, {"frame": 40, "source": 20}]

plays to frame 20, holds it for 20 frames and plays on. Between two moments time runs by the first one's ease; before
the first and after the last the clip plays at its own speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .entries import LARGEST, Entry
from .moves import EASES

MOMENT_FIELDS = ("frame", "time", "source", "ease")


@dataclass(frozen=True)
class Moment:
    """A point of the curve: at this output frame this source frame is shown, which may lie between two."""

    frame: float
    source: float
    ease: str


def read_moments(entries: Sequence[Entry], frames: int) -> tuple[Moment, ...]:
    """The moments that entries say of a path of so many frames, checked."""
    moments: list[Moment] = []
    for entry in entries:
        entry.refuse_others(MOMENT_FIELDS)
        entry.refuse_both("frame", "time")
        if "source" not in entry.fields:
            raise entry.error("source", "is missing; give the source frame to show, counted from 0")
        moment = Moment(entry.frame_number(frames), entry.number("source", 0.0, 0, LARGEST), entry.ease())
        if moments and moment.frame <= moments[-1].frame:
            raise entry.error("frame" if "frame" in entry.fields else "time", "must come after the moment before it")
        moments.append(moment)
    return tuple(moments)


def played_frames(moments: Sequence[Moment], frames: int, clip: int | None = None) -> Tensor:
    """The source frame that every output frame shows, [T] int64; halves go up.

    clip: number of frames of the clip, within which it plays on; None where it is not known. Raises ValueError where a
    moment shows a frame that the clip lacks.
    """
    at = torch.arange(frames, dtype=torch.float64)
    if not moments:
        return at.long()
    if clip is not None and (beyond := [moment for moment in moments if moment.source > clip - 1]):
        raise ValueError(f"retime: source frame {beyond[0].source:g} is not in the clip; use 0..{clip - 1}")
    first, last = moments[0], moments[-1]
    shown = torch.where(at < first.frame, first.source + at - first.frame, last.source + at - last.frame)
    for start, end in zip(moments, moments[1:]):
        share = EASES[start.ease](((at - start.frame) / (end.frame - start.frame)).clamp(0, 1))
        within = (at >= start.frame) & (at <= end.frame)
        shown = torch.where(within, start.source + share * (end.source - start.source), shown)
    nearest = (shown + 0.5 + 1e-6).floor().long()  # as where paths are mixed: halves go up, whatever the rounding
    return nearest.clamp(0, None if clip is None else clip - 1)
