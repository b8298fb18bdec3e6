"""Depth of a clip frame by frame: as depth.py reads it whole, in the memory of one frame."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..depth import (
    DepthUnits,
    VideoDepth,
    check_depth,
    check_normalized,
    depth_of_frame,
    fill_frame,
    finite_ends,
    make_video_depth,
    normalized_ends,
    released_ends,
)
from ..doubts import Glances, doubt_look, plain_kind
from .depth import find_numbers
from .depth_arrays import Numbers
from .footage import of_one_size

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DepthStream:
    """Depth of a clip, gone through once and found sound.

    outline: its cameras and its length, each frame with the depth of frame 0; frames(): depth [H, W] of one frame
    after the other, as often as asked for.
    """

    outline: VideoDepth
    frames: Callable[[], Iterator[Tensor]]


def open_depth(path: str | Path, units: DepthUnits | None = None, start: int = 0, frames: int | None = None,
               fill: bool = False, clip: str | Path | None = None, channel: str | None = None) -> DepthStream:
    """Depth of a clip as read_depth reads it, with the same settings and refusals, but without its confidence."""
    path = Path(path)
    numbers, said, units, shown = find_numbers(path, units, start, frames, clip, channel)
    read = partial(read_numbers, path, numbers, shown, numbers.white if units.kind.startswith("normalized") else 1.0)
    try:
        count, ends, doubt = survey(read, units, fill)
        if doubt:
            log.warning("%s: %s", path, doubt)
        first = next(as_depth(read(), units, ends, fill))
        outline = make_video_depth(first.expand(count, *first.shape), said.intrinsics, said.world_from_cam,
                                   units.metric)
    except ValueError as error:
        raise ValueError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error
    return DepthStream(outline, lambda: as_depth(read(), units, ends, fill))


def survey(read: Callable[[], Iterator[Tensor]], units: DepthUnits,
           fill: bool) -> tuple[int, tuple[Tensor, Tensor] | None, str | None]:
    """How many frames there are, the ends that "released" depth needs, and what is to be doubted.

    Goes through the clip once, or twice where all of it says what its numbers mean. Raises ValueError where read_depth
    does.
    """
    glances = Glances()

    def watched() -> Iterator[Tensor]:
        for values in read():
            glances.add(values)
            yield values

    found = None
    if units.kind == "released":
        found = released_ends([finite_ends(values) for values in watched()])
        check_depth(as_depth(read(), units, found, fill))
    elif units.kind.startswith("normalized"):
        check_normalized([normalized_ends(values) for values in watched()])
        check_depth(as_depth(read(), units, found, fill))
    else:
        check_depth(as_depth(watched(), units, found, fill))
    return len(glances), found, doubt_look(glances.choose(), plain_kind(units))


def as_depth(numbers: Iterator[Tensor], units: DepthUnits, ends: tuple[Tensor, Tensor] | None,
             fill: bool) -> Iterator[Tensor]:
    """Depth of frames of numbers, without holes where they are to be filled."""
    for t, values in enumerate(numbers):
        depth = depth_of_frame(values, units, ends)
        yield fill_frame(depth, t) if fill else depth


def read_numbers(path: Path, numbers: Numbers, shown: Tensor | None, white: float) -> Iterator[Tensor]:
    """The numbers from the first frame on, by white. shown: which of them each frame has, None for all in turn."""
    pictures = map(np.ascontiguousarray, of_one_size(path, numbers.frames()))
    values = (torch.from_numpy(picture) for picture in pictures)
    return (frame / white for frame in (values if shown is None else repeat(values, shown.tolist())))


def repeat(frames: Iterator[Tensor], shown: list[int]) -> Iterator[Tensor]:
    """The frames of these numbers, which never fall."""
    numbered = enumerate(frames)
    t, frame = next(numbered)
    for wanted in shown:
        while t < wanted:
            t, frame = next(numbered)
        yield frame
