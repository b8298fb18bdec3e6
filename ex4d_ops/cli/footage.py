"""A clip and its depth as `ex4d prior` takes them: frame by frame, brought to one size and one length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from .. import files
from ..camera import fit_intrinsics, intrinsics_from_focal, move_to
from ..clip import (
    WAN_GRID,
    Clip,
    Fit,
    box_size,
    describe_fit,
    fit_boxes,
    fit_frame,
    nearest_wan_lengths,
    size_of,
    wan_size,
    without_bars,
)
from ..depth import VideoDepth, check_length, fit_depth, lay_over, resize_depth, shape_over
from ..files.footage import frame_span
from ..files.video import open_footage
from ..mesh import DWMesh, MeshRules, build_dw_mesh
from ..parallel import alone
from ..trajectory import RELEASED_FRAMES
from .estimate import estimate_depth
from .options import depth_units
from .terminal import describe_size, say


class Source:
    """One source frame, brought to the size to work at when first asked for, and its mesh."""

    def __init__(self, make: Callable[[], tuple[Tensor, VideoDepth]], rules: MeshRules, first: Tensor) -> None:
        self.make, self.rules, self.first = make, rules, first

    @cached_property
    def made(self) -> tuple[Tensor, VideoDepth]:
        """The frame [1, H, W, 3] and its depth."""
        return self.make()

    @cached_property
    def mesh(self) -> DWMesh:
        frame, depth = self.made
        return build_dw_mesh(frame.to(depth.depth.device), depth, self.rules, first=self.first)


@dataclass(frozen=True, eq=False)
class Taken:
    """A clip and its depth.

    size: (H, W) to render. outline: the cameras of the clip, every frame with the depth of frame 0; its size is smaller
    where bars are to be added. sources(): its frames, one after the other, as often as asked for.
    """

    fps: float
    size: tuple[int, int]
    outline: VideoDepth
    sources: Callable[[], Iterator[Source]]

    def __len__(self) -> int:
        return len(self.outline)


class OtherLength(Exception):
    """The clip ends before the frame that its timestamps promise. args: how many frames it has."""


def take(options, rules: MeshRules, count: int | None = None) -> Taken:
    """Open what the options name, and say what is changed of it.

    count: how many frames the clip has, None to find out. Where what a file states is believed and turns out wrong,
    its sources end with OtherLength.
    """
    start = options.start + (options.freeze or 0)
    most = 1 if options.freeze is not None else options.frames or RELEASED_FRAMES
    filmed, found, fps = look_at(options, start, most)
    size = options.size or wan_size(filmed)
    if loss := describe_fit(filmed, size, options.fit):
        say(f"{options.input}: {loss}")
    elif size != filmed and not options.size:
        say(f"{options.input}: {describe_size(filmed)}, works at {describe_size(size)} (Wan needs multiples of "
            f"{WAN_GRID})")
    length = 1 if options.freeze is not None else choose_length(options, found if count is None else count)
    size_inside = box_size(fit_boxes(filmed, size, options.fit)[1])
    lens = None if options.focal is None else intrinsics_from_focal(options.focal, size_inside)
    whole = options.depth_model is not None or options.min_confidence is not None
    open_depth = hold_depth if whole else stream_depth
    outline, depths = open_depth(options, start, length, filmed, size_inside, lens)
    if len(outline) < length and (exact := look_at(options, start, most, believe=False)[1]) < length:
        raise OtherLength(exact)
    check_length(outline, length)

    def frames() -> Iterator[Callable[[], Tensor]]:
        ended = 0
        footage = open_footage(options.input, frame_span(options.input, start, most))  # whose rate depends on the most
        for picture in islice(footage.pictures, length):
            ended += 1
            yield lambda picture=picture: fit_picture(picture, size_inside, options.fit)
        if ended < length:
            raise OtherLength(ended)

    def sources() -> Iterator[Source]:
        for frame, depth in zip(frames(), depths()):
            yield Source(lambda frame=frame, depth=depth: (frame()[None], depth()), rules, outline.depth[0])

    return Taken(fps, size, outline, sources)


def look_at(options, start: int, most: int, believe: bool = True) -> tuple[tuple[int, int], int, float]:
    """The size (H, W) of a clip's pictures, how many there are, no more than most, and their rate.

    believe: take a file's own word for there being most of them; fewer are counted.
    """
    footage = open_footage(options.input, frame_span(options.input, start, most))
    first = next(footage.pictures, None)
    if first is None:
        raise ValueError(f"{options.input}: has ended before the frame to start at; start earlier")
    count = most if believe and footage.length >= most else 1 + sum(1 for _ in footage.pictures)
    return size_of(torch.empty(1, *first.shape[:2])), count, footage.fps


def fit_picture(picture: np.ndarray, size: tuple[int, int], fit: Fit) -> Tensor:
    """A picture as a frame [H, W, 3] of this size, to which no bars are added yet."""
    return fit_frame(torch.from_numpy(np.ascontiguousarray(picture)), size, without_bars(fit))


def choose_length(options, count: int) -> int:
    """The length that Wan takes of so many frames: the one asked for, or the most there is; 1 is to be held."""
    if count == 1:
        say(f"{options.input}: only one frame, which is held while the camera moves")
        return 1
    if options.frames and count < options.frames:
        raise ValueError(f"{options.input}: has only {count} frames from frame {options.start} on, but --frames is "
                         f"{options.frames}; use fewer, or hold one with --freeze N")
    length, _ = nearest_wan_lengths(count)
    if length < count:
        say(f"{options.input}: {count} frames, but Wan needs 4k+1; uses the first {length}")
    return length


Depths = Callable[[], Iterator[Callable[[], VideoDepth]]]  # of one frame after the other, made when asked for


def stream_depth(options, start: int, length: int, filmed: tuple[int, int], size: tuple[int, int],
                 lens: Tensor | None) -> tuple[VideoDepth, Depths]:
    """The outline and the depth of just these frames, resized to them, on the device to work on.

    filmed, size: (H, W) of the clip, and of what it is brought to.
    """
    device, fit = torch.device(options.device), without_bars(options.fit)
    with alone():
        stream = files.open_depth(options.depth, depth_units(options), start, length, options.fill_depth,
                                  clip=options.input, channel=options.depth_channel)
    found = stream.outline
    length = len(found)
    say_resized(options, found, size)
    shape, shaped = shape_over(found, filmed, size, str(options.depth))
    intrinsics = fit_intrinsics(shaped, shape, size, fit) if lens is None else lens.expand(length, 3, 3)

    def at_size(depth: Tensor, t: int) -> VideoDepth:
        one = VideoDepth(depth[None], found.intrinsics[t : t + 1], found.world_from_cam[t : t + 1], found.metric)
        fitted = fit_depth(resize_depth(one, shape), size, fit)
        return move_to(replace(fitted, intrinsics=intrinsics[t : t + 1].contiguous()), device)

    def depths() -> Iterator[Callable[[], VideoDepth]]:
        for t, depth in enumerate(stream.frames()):
            yield lambda depth=depth, t=t: at_size(depth, t)

    first = at_size(found.depth[0], 0).depth[0]
    outline = VideoDepth(first.expand(length, *first.shape), intrinsics.to(device), found.world_from_cam.to(device),
                         found.metric)
    return outline, depths


def say_resized(options, found: VideoDepth, size: tuple[int, int]) -> None:
    if found.size != size:
        say(f"{options.depth}: {describe_size(found.size)}, resized to {describe_size(size)}")


def hold_depth(options, start: int, length: int, filmed: tuple[int, int], size: tuple[int, int],
               lens: Tensor | None) -> tuple[VideoDepth, Depths]:
    """The same where all of it is in memory: what a model finds in all frames, or with how sure its source is."""
    if options.depth_model is not None:
        most = 1 if options.freeze is not None else options.frames or RELEASED_FRAMES
        footage = open_footage(options.input, frame_span(options.input, start, most))
        frames = [fit_picture(picture, size, options.fit) for picture in islice(footage.pictures, length)]
        if len(frames) < length:
            raise OtherLength(len(frames))
        depth = estimate_depth(options, Clip(torch.stack(frames), footage.fps), lens)
    else:
        depth = files.read_depth(options.depth, depth_units(options), start, length, options.fill_depth,
                                 clip=options.input, channel=options.depth_channel)
        say_resized(options, depth, size)
        laid = lay_over(depth, filmed, size, str(options.depth))
        depth = fit_depth(laid, size, without_bars(options.fit))
        depth = depth if lens is None else replace(depth, intrinsics=lens.expand_as(depth.intrinsics))
    depth = move_to(depth, torch.device(options.device))
    return depth, lambda: (lambda t=t: depth.of_frame(t) for t in range(len(depth)))


def hold(taken: Taken) -> tuple[Tensor, VideoDepth]:
    """All frames [T, H, W, 3] of a clip, and all of its depth, where they have to be seen at once."""
    made = [source.made for source in taken.sources()]
    frames, depths = torch.cat([frame for frame, _ in made]), [depth for _, depth in made]
    confidence = [depth.confidence for depth in depths if depth.confidence is not None]
    held = replace(taken.outline, depth=torch.cat([depth.depth for depth in depths]),
                   confidence=torch.cat(confidence) if confidence else None)
    return frames, held
