"""Depth of a clip: VideoDepth, what the numbers of a depth source mean, holes in it, resizing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sized
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .camera import check_rigid, check_tensor, default_intrinsics, fit_intrinsics, resize_intrinsics
from .clip import SAME_SHAPE, Fit, Progress, box_size, fit_boxes, lost_share, size_of
from .depth_units import DepthUnits
from .parallel import one_by_one

RELEASED_FAR = 10000.0  # scene units, at disparity 0; released code
RELEASED_GAIN = 3900.0  # disparity 1 lies at 10000 / 3900 = 2.564 scene units; released code
EDGE_RATIO = 1.1  # neighbours whose depths differ by a larger factor lie on different surfaces
MOST_SQUEEZED = 0.75  # of a side; a network's squares take less of the widest film

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class VideoDepth:
    """Depth of a source clip, seen from its own cameras.

    depth: [T, H, W] float32 > 0, z along the optical axis, inf = no surface (sky);
    intrinsics: [T, 3, 3] float32, pixels; world_from_cam: [T, 4, 4] float32, all identity where the
    source camera's motion is unknown; metric: True where scene units are metres; confidence: [T, H, W] float32, how
    sure its source is of each pixel, from 0, the least of the clip, to 1; None where it does not say.
    """

    depth: Tensor
    intrinsics: Tensor
    world_from_cam: Tensor
    metric: bool = False
    confidence: Tensor | None = None

    def __post_init__(self) -> None:
        frames, height, width = self.depth.shape
        check_tensor("depth", self.depth, (frames, height, width))
        check_tensor("intrinsics", self.intrinsics, (frames, 3, 3), like=self.depth)
        check_tensor("world_from_cam", self.world_from_cam, (frames, 4, 4), like=self.depth)
        if self.confidence is not None:
            check_tensor("confidence", self.confidence, (frames, height, width), like=self.depth)

    def __len__(self) -> int:
        return self.depth.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        return size_of(self.depth)

    def of_frame(self, t: int) -> VideoDepth:
        """Frame t alone."""
        per_frame = {name: getattr(self, name) for name in ("depth", "intrinsics", "world_from_cam", "confidence")}
        return replace(self, **{name: values[t : t + 1] for name, values in per_frame.items() if values is not None})

    @property
    def nearest(self) -> float:
        """The smallest depth of frame 0, in scene units: the released radius is this + 0.15."""
        return float(self.depth[0].min())


def make_video_depth(depth: Tensor, intrinsics: Tensor | None = None, world_from_cam: Tensor | None = None,
                     metric: bool = False) -> VideoDepth:
    """Depth [T, H, W] with what is missing filled in: the default focal length, a source camera at rest.

    intrinsics: [3, 3] or [T, 3, 3]; world_from_cam: [T, 4, 4]. Raises ValueError where either is not a camera.
    """
    frames = len(depth)
    if intrinsics is None:
        intrinsics = default_intrinsics(size_of(depth))
    if intrinsics.ndim == 2:
        intrinsics = intrinsics.expand(frames, *intrinsics.shape)
    if world_from_cam is None:
        world_from_cam = torch.eye(4).expand(frames, 4, 4)
    made = VideoDepth(depth, intrinsics.to(depth), world_from_cam.to(depth), metric)
    check_intrinsics(made.intrinsics)
    check_rigid("world_from_cam", made.world_from_cam)
    return made


def check_intrinsics(intrinsics: Tensor) -> None:
    """Raise ValueError unless every [..., 3, 3] matrix is finite, has focal lengths > 0 and the last row 0 0 1."""
    if not torch.isfinite(intrinsics).all():
        raise ValueError("intrinsics: contain NaN or infinity; every entry must be a number")
    if (intrinsics[..., [0, 1], [0, 1]] <= 0).any():
        raise ValueError("intrinsics: a focal length is zero or negative; both are pixels > 0")
    if (intrinsics[..., 2, :] != intrinsics.new_tensor([0, 0, 1])).any():
        raise ValueError("intrinsics: the last row must be 0 0 1")


# ---- what the numbers mean ---------------------------------------------------------------------


def depth_from(values: Tensor, units: DepthUnits, progress: Progress | None = None,
               out: Tensor | None = None) -> Tensor:
    """Depth [T, H, W] in scene units of the numbers of a source. NaN stays NaN, infinitely far becomes inf.

    progress(done, T) is called after every frame; what it raises cancels. out: where depth is written to, which may be
    values itself. Raises ValueError where values of a normalized kind leave [0, 1] or relative disparities are all the
    same.
    """
    if units.kind == "released":
        return depth_from_disparity_released(values, progress, out)
    if units.kind.startswith("normalized"):
        check_normalized([normalized_ends(frame) for frame in values])
    depth = torch.empty_like(values) if out is None else out
    for t, frame in one_by_one(enumerate(values), len(values), progress):
        depth[t] = depth_of_frame(frame, units)
    return depth


def depth_of_frame(values: Tensor, units: DepthUnits, ends: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """The same of one frame [H, W]. ends: what finite_range gives of the whole clip, which "released" needs."""
    if units.kind == "released" and ends is not None:
        low, high = ends
        normalized = ((values - low) / (high - low)).masked_fill(~torch.isfinite(values), torch.nan)
        return (RELEASED_FAR / (RELEASED_GAIN * normalized).clamp(min=1e-5)).clamp(1e-4, RELEASED_FAR)
    if units.kind == "depth":
        return values * units.scale
    if units.kind == "disparity":
        return depth_from_disparity(values, units.scale, units.shift)
    near, far = units.ends
    if units.kind == "normalized-disparity":
        return depth_from_disparity(values, 1 / near - 1 / far, 1 / far)
    return near + values * (far - near)


def depth_from_disparity(disparity: Tensor, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    """Depth 1 / (scale disparity + shift); inf where that is 0."""
    return 1 / (disparity * scale + shift)


def depth_from_disparity_released(disparity: Tensor, progress: Progress | None = None,
                                  out: Tensor | None = None) -> Tensor:
    """Depth of relative disparity by the released rule: normalised over the whole clip, then 10000 / (3900 d).

    The nearest point lies at 2.564 scene units, the farthest at 10000. out: as in depth_from. Raises ValueError where
    no two differ.
    """
    ends = released_ends(map(finite_ends, disparity))
    depth = torch.empty_like(disparity) if out is None else out
    for t, plane in one_by_one(enumerate(disparity), len(disparity), progress):
        depth[t] = depth_of_frame(plane, DepthUnits("released"), ends)
    return depth


def released_ends(ends: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """The ends between which relative disparity is normalised, of those of its frames; ValueError where they meet."""
    low, high = finite_range(ends)
    if low == high:
        raise ValueError("depth: relative disparity is the same everywhere, so it says nothing about depth; check its "
                         "source")
    return low, high


def finite_ends(values: Tensor) -> Tensor:
    """The least and the greatest finite number of a frame, [2], or [0] where there is none."""
    known = values[torch.isfinite(values)]
    return torch.stack(known.aminmax()) if len(known) else known


def finite_range(ends: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """The least and the greatest finite number of a clip of those of its frames; 0 and 0 where there is none."""
    known = torch.cat(list(ends))
    return (known.min(), known.max()) if len(known) else (known.new_zeros(()), known.new_zeros(()))


def normalized_ends(values: Tensor) -> Tensor:
    """The least and the greatest number of a frame, [2], unknown ones left out and infinite ones too large."""
    return torch.stack(values.nan_to_num(0.5, posinf=2.0).aminmax())


def check_normalized(ends: Iterable[Tensor]) -> None:
    """Raise ValueError unless the numbers of frames, whose ends are given, lie in 0..1."""
    low, high = torch.cat(list(ends)).aminmax()
    if low < 0 or high > 1:
        raise ValueError(f"depth: normalized values must lie in 0..1, got {float(low):g}..{float(high):g}; "
                         "divide them by their largest, or use another depth kind")


# ---- holes --------------------------------------------------------------------------------------


def check_depth(depth: Iterable[Tensor]) -> None:
    """Raise ValueError unless every pixel of depth [T, H, W] is > 0 (inf = sky) and two surfaces differ."""
    invalid, ends, pixels = [], [], 0  # plain numbers: small tensors kept between large ones would scatter memory
    for frame in depth:
        invalid.append(int(invalid_pixels(frame).sum()))
        ends.extend(float(end) for end in frame.aminmax())
        pixels += frame.numel()
    if sum(invalid) == pixels:
        raise ValueError("depth: no pixel is a positive number; check what its numbers mean")
    if any(invalid):
        first = next(t for t, count in enumerate(invalid) if count)
        raise ValueError(f"depth: {sum(invalid)} of {pixels} pixels are NaN, zero or negative, first in frame {first}; "
                         "fill them from their neighbors (fill) or repair the source")
    if min(ends) == max(ends):
        raise ValueError(f"depth: {ends[0]:g} everywhere, so the scene is flat; check the source and what its numbers "
                         "mean")


def invalid_pixels(depth: Tensor) -> Tensor:
    """Which pixels hold no depth: NaN, zero, negative. Infinity is sky, and valid."""
    return ~(depth > 0)


def fill_invalid(depth: Tensor, progress: Progress | None = None, out: Tensor | None = None) -> Tensor:
    """Depth [T, H, W] with NaN, zero and negative pixels given the farther of the closest known left and right of them.

    In rows without any, of those above and below. Nothing is averaged, so no surface appears between two others; the
    farther, for holes lie where a near surface hides the one behind it. out: where it is written to, which may be depth
    itself. Raises ValueError where a frame is all invalid.
    """
    filled = torch.empty_like(depth) if out is None else out
    for t, frame in one_by_one(enumerate(depth), len(depth), progress):
        filled[t] = fill_frame(frame, t)
    return filled


def fill_frame(depth: Tensor, t: int) -> Tensor:
    """The same of frame t, [H, W]."""
    known = depth.masked_fill(invalid_pixels(depth), 0.0)
    filled = fill_rows(fill_rows(known).mT).mT
    if not filled.all():
        raise ValueError(f"depth: frame {t} does not have a valid pixel to fill the others from; repair it or "
                         "leave it out")
    return filled


def fill_rows(depth: Tensor) -> Tensor:
    """Depth [H, W] whose zeros got the farther of the closest others in their row; a row of zeros stays."""
    column = torch.arange(depth.shape[1], device=depth.device).expand_as(depth)
    known = depth > 0
    left = torch.where(known, column, 0).cummax(1).values
    right = torch.where(known, column, depth.shape[1] - 1).flip(1).cummin(1).values.flip(1)
    return torch.where(known, depth, torch.maximum(depth.gather(1, left), depth.gather(1, right)))


# ---- sizes --------------------------------------------------------------------------------------


def check_length(depth: Sized, count: int) -> None:
    """Raise ValueError unless depth is of so many frames."""
    if len(depth) != count:
        raise ValueError(f"depth: {len(depth)} frames, but the clip has {count}; read both with the same start and "
                         "length")


def match_depth(frames: Tensor, depth: VideoDepth, resize: bool = False) -> VideoDepth:
    """Depth that fits frames [T, H, W, 3], resized to them if allowed.

    Raises ValueError where the lengths differ, or the sizes and resize is False.
    """
    count, height, width = frames.shape[:3]
    check_length(depth, count)
    if depth.size == (height, width):
        return depth
    if not resize:
        raise ValueError(f"depth: {depth.size[1]}x{depth.size[0]}, but the clip is {width}x{height}; resize one to the "
                         "other")
    return resize_depth(lay_over(depth, (height, width), (height, width)), (height, width))


def lay_over(depth: VideoDepth, filmed: tuple[int, int], fitted: tuple[int, int], name: str = "depth") -> VideoDepth:
    """Depth that lies over its clip of size filmed (H, W), which is to become fitted: see shape_over."""
    shape, intrinsics = shape_over(depth, filmed, fitted, name)
    return replace(resize_depth(depth, shape), intrinsics=intrinsics)


def shape_over(depth: VideoDepth, filmed: tuple[int, int], fitted: tuple[int, int],
               name: str = "depth") -> tuple[tuple[int, int], Tensor]:
    """The size (H, W) and the lens [T, 3, 3] with which depth lies over its clip; logs where they are not its own.

    Depth that is shaped neither like the clip, filmed, nor like what becomes of it, fitted, was squeezed by a network
    that takes squares, say: it is stretched over the clip. Raises ValueError where it cannot be of the clip at all.
    """
    lost = lost_share(depth.size, filmed)
    if lost <= SAME_SHAPE:
        return depth.size, depth.intrinsics
    if lost_share(depth.size, fitted) < SAME_SHAPE:
        log.warning("%s: shaped like %dx%d, which the clip becomes, so it is taken for depth of that and not of the "
                    "whole clip", name, fitted[1], fitted[0])
        return depth.size, depth.intrinsics
    shapes = f"{name}: {depth.size[1]}x{depth.size[0]}, but the clip is {filmed[1]}x{filmed[0]}"
    if lost > MOST_SQUEEZED:
        raise ValueError(f"{shapes}; check that it is depth of this clip, [frames, height, width]")
    if lost_share((depth.size[1], depth.size[0]), filmed) <= SAME_SHAPE:  # of what a phone stores, which a player turns
        raise ValueError(f"{shapes}; it lies on its side, so turn it a quarter")
    log.warning("%s, so it is stretched over the clip; if it shows only a part, crop the clip to that", shapes)
    return filmed, stretch_lens(depth, filmed)


def stretch_lens(depth: VideoDepth, size: tuple[int, int]) -> Tensor:
    """Intrinsics [T, 3, 3] of depth resized to another shape; the usual lens becomes the usual one of the new shape."""
    usual = default_intrinsics(depth.size).to(depth.intrinsics).expand_as(depth.intrinsics)
    if torch.equal(depth.intrinsics, usual):
        return default_intrinsics(size).to(depth.intrinsics).repeat(len(depth), 1, 1)
    return resize_intrinsics(depth.intrinsics, depth.size, size)


def resize_depth(depth: VideoDepth, size: tuple[int, int]) -> VideoDepth:
    """Depth sampled at size (H, W), intrinsics scaled along: linear in 1 / z on a surface, nearest across its edges.

    A plane stays that plane, and no depth appears that lies between two surfaces.
    """
    if depth.size == tuple(size):
        return depth
    resized = depth.depth.new_empty(len(depth), *size)
    for t in range(len(depth)):  # frame by frame: working memory is one frame's
        resized[t] = resize_depth_map(depth.depth[t], size)
    confidence = depth.confidence
    if confidence is not None:
        confidence = torch.nn.functional.interpolate(confidence[:, None], tuple(size), mode="nearest-exact")[:, 0]
    intrinsics = resize_intrinsics(depth.intrinsics, depth.size, size)
    return VideoDepth(resized, intrinsics, depth.world_from_cam, depth.metric, confidence)


def fit_depth(depth: VideoDepth, size: tuple[int, int], fit: Fit = "crop") -> VideoDepth:
    """Depth at size (H, W) as clip.fit_frame fits frames, intrinsics along; bars that are added are sky, and unsure."""
    kept, filled = fit_boxes(depth.size, size, fit)
    intrinsics = fit_intrinsics(depth.intrinsics, depth.size, size, fit)
    part = replace(depth, **{name: values[(slice(None), *kept)].contiguous() for name, values in planes_of(depth)})
    part = resize_depth(part, box_size(filled))
    planes = dict(planes_of(part))
    if part.size != tuple(size):
        for (name, values), bar in zip(planes_of(part), (torch.inf, 0.0)):
            planes[name] = values.new_full((len(depth), *size), bar)
            planes[name][(slice(None), *filled)] = values
    return replace(depth, **planes, intrinsics=intrinsics)


def planes_of(depth: VideoDepth) -> list[tuple[str, Tensor]]:
    """What a VideoDepth holds of every pixel, by name."""
    return [(name, getattr(depth, name)) for name in ("depth", "confidence") if getattr(depth, name) is not None]


def resize_depth_map(depth: Tensor, size: tuple[int, int]) -> Tensor:
    """Sample depth [H, W] at size: see resize_depth."""
    inverse = 1 / depth  # linear over the image on a plane, and 0 in the sky
    (top, bottom, down), (left, right, across) = (source_rows(depth.shape[k], size[k], depth) for k in (0, 1))
    a, b = inverse[top][:, left], inverse[top][:, right]
    c, d = inverse[bottom][:, left], inverse[bottom][:, right]
    down = down[:, None]
    linear = torch.lerp(torch.lerp(a, b, across), torch.lerp(c, d, across), down)
    nearest = torch.where(down < 0.5, torch.where(across < 0.5, a, b), torch.where(across < 0.5, c, d))
    low = torch.minimum(torch.minimum(a, b), torch.minimum(c, d))
    high = torch.maximum(torch.maximum(a, b), torch.maximum(c, d))
    return 1 / torch.where(high <= EDGE_RATIO * low, linear, nearest)


def source_rows(length: int, new_length: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The two source rows around every new row, and how far it lies from the first to the second, [new_length] each."""
    position = (torch.arange(new_length, dtype=torch.float64) + 0.5) * length / new_length - 0.5
    first = position.floor().long().clamp(0, max(length - 2, 0))  # past the outer rows the surface goes on straight
    last, between = (first + 1).clamp(max=length - 1), (position - first).to(like.dtype)
    return first.to(like.device), last.to(like.device), between.to(like.device)
