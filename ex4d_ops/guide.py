"""A prior as the guide video that another generator was trained on: holes, mask, first frame, length, rate and size.

generators.py holds the table of what each was trained on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .camera import check_tensor
from .clip import Fit, Progress, fit_frame, no_progress, size_of
from .generators import STYLES, GuideStyle, Holes, Rate
from .parallel import one_by_one
from .prior import Prior, unmix

SLACK = 1e-6  # frames; what rounding leaves of a whole number of them


@dataclass(frozen=True, eq=False)
class Guide:
    """The guide video of a generator.

    color: [T, H, W, 3] float32 in [0, 1], holes filled; paint: [T, H, W] bool, True = to be painted; fps: frames per
    second; shown: [T] int64, the frame of the prior that each frame shows.
    """

    color: Tensor
    paint: Tensor
    fps: float
    shown: Tensor

    def __post_init__(self) -> None:
        frames, height, width = self.paint.shape
        check_tensor("color", self.color, (frames, height, width, 3))
        check_tensor("paint", self.paint, (frames, height, width), torch.bool, like=self.color)
        check_tensor("shown", self.shown, (frames,), torch.int64)

    def __len__(self) -> int:
        return len(self.paint)

    @property
    def size(self) -> tuple[int, int]:
        return size_of(self.color)

    @property
    def seconds(self) -> float:
        return len(self) / self.fps


def guide_video(prior: Prior, style: str, fps: float, length: int = 0, size: tuple[int, int] | None = None,
                rate: Rate = "trained", fit: Fit = "crop", progress: Progress = no_progress) -> Guide:
    """The guide video of STYLES[style] that a prior of fps frames per second makes.

    length: frames, 0 for as many as the prior gives; what is over at the end is dropped. size: (H, W), None for the
    trained one of the prior's shape. rate: "trained" drops or repeats frames to reach it. Raises ValueError, naming
    what can be had, where the generator takes no such length or size.
    """
    look, given = STYLES[style], size_of(prior.color)
    shown, fps_out = choose_moments(style, len(prior), fps, length, rate)
    size = trained_size(look, given) if size is None else check_size(style, size)
    frames = [fit_seen(prior.color[t], prior.visible[t], size, fit)
              for t in one_by_one(shown.tolist(), len(shown), progress)]
    color, seen = (torch.stack(part) for part in zip(*frames))
    fill_holes(color, seen, look.holes)
    return Guide(color, join_in_time(~seen, look.joined), fps_out, shown)


def accompany(guide: Guide, frames: Tensor, fit: Fit = "crop", progress: Progress = no_progress) -> Tensor:
    """The frames [t, h, w, 3] of the source as a guide's generator takes them: of its length, rate and size.

    They are as many as the prior's, or the last one is held.
    """
    moments = one_by_one(guide.shown.tolist(), len(guide), progress)
    return torch.stack([fit_frame(frames[min(t, len(frames) - 1)], guide.size, fit) for t in moments])


# ---- length and rate ----------------------------------------------------------------------------


def choose_moments(style: str, frames: int, fps: float, length: int = 0,
                   rate: Rate = "trained") -> tuple[Tensor, float]:
    """Which frames of a prior of so many a guide shows, [T] int64, and its frames per second; see guide_video."""
    trained = STYLES[style].fps
    fps_out = fps if rate == "as given" or trained is None else trained
    moments = nearest_frames(frames, fps, fps_out)
    return moments[:choose_length(style, len(moments), fps_out, length)], fps_out


def nearest_frames(frames: int, fps: float, fps_out: float) -> Tensor:
    """The frame of a clip that is nearest to each moment of the same clip at another rate, [T] int64."""
    moments = torch.arange(max(int(frames * fps_out / fps + SLACK), 1), dtype=torch.float64)
    return (moments * fps / fps_out + 0.5).floor().long().clamp(max=frames - 1)


def choose_length(style: str, frames: int, fps: float, length: int) -> int:
    """How many of the frames that a clip gives at a rate become the guide; length: those asked for, 0 for the most."""
    lengths = STYLES[style].lengths
    most = lengths.longest(frames)
    gives = f"the clip gives {frames} frames at {fps:g} frames per second"
    if most is None:
        raise ValueError(f"length: {gives}, but {style} takes {lengths}; use a longer clip, or repeat its last frame")
    if not length:
        return most
    below, above = lengths.longest(length), lengths.shortest(length)
    if below != length:
        near = " or ".join(str(number) for number in (below, above) if number is not None)
        raise ValueError(f"length: {length} is not a length of {style}, which takes {lengths}; use {near}")
    if length > frames:
        raise ValueError(f"length: {length} frames are asked for, but {gives}; use {most} or fewer, or a longer clip")
    return length


# ---- size ---------------------------------------------------------------------------------------


def trained_size(look: GuideStyle, size: tuple[int, int]) -> tuple[int, int]:
    """The size (H, W) a generator was trained at that is shaped most like size."""
    height, width = size
    if look.sizes:
        return min(look.sizes, key=lambda each: abs(math.log(each[1] / each[0] * height / width)))
    scale = 1.0 if look.area is None else math.sqrt(look.area / (height * width))
    high, wide = (max(round(side * scale / look.multiple), 1) * look.multiple for side in size)
    return high, wide


def check_size(style: str, size: tuple[int, int]) -> tuple[int, int]:
    """The same size (H, W). Raises ValueError unless a generator takes it."""
    look = STYLES[style]
    if look.sizes and size not in look.sizes:
        known = ", ".join(f"{width}x{height}" for height, width in look.sizes)
        raise ValueError(f"width, height: {size[1]}x{size[0]} is not a size of {style}; use one of {known}")
    if any(side % look.multiple for side in size):
        height, width = (max(round(side / look.multiple), 1) * look.multiple for side in size)
        raise ValueError(f"width, height: {size[1]}x{size[0]}, but {style} takes multiples of {look.multiple}; use "
                         f"{width}x{height}")
    return size


def fit_seen(color: Tensor, visible: Tensor, size: tuple[int, int], fit: Fit) -> tuple[Tensor, Tensor]:
    """Color [h, w, 3] and visible [h, w] at size (H, W): the black of holes never mixes into what was seen."""
    if size_of(color[None]) == tuple(size):
        return color, visible
    return unmix(fit_frame(torch.cat([color * visible[..., None], visible[..., None].float()], -1), size, fit))


# ---- holes and mask -----------------------------------------------------------------------------


def fill_holes(color: Tensor, seen: Tensor, holes: Holes) -> None:
    """Fill color [T, H, W, 3], which is this function's to change, where it was not seen."""
    if holes != "last":
        color[~seen] = color.new_tensor(holes) / 255
        return
    for t in range(1, len(color)):
        color[t] = torch.where(seen[t, ..., None], color[t], color[t - 1])


def join_in_time(paint: Tensor, group: int) -> Tensor:
    """Masks [T, H, W] whose frames of one latent are painted where one of them is: frame 0, then groups.

    A generator reads one mask per latent, of the frame that nearest-exact resampling picks, which may be the first of
    the next latent; that frame is given the mask of the latent it is read for.
    """
    if group == 1:
        return paint
    frames = len(paint)
    latents = (frames - 1) // group + 1
    joined = torch.stack([paint[:1].any(0), *(paint[1 + group * k : 1 + group * (k + 1)].any(0)
                                              for k in range(latents - 1))])
    latent_of = (torch.arange(frames) + group - 1) // group
    read = ((torch.arange(latents, dtype=torch.float64) + 0.5) * frames / latents).long()
    latent_of[read] = torch.arange(latents)
    return joined[latent_of.to(paint.device)]


def doubt_first_frame(prior: Prior, style: str) -> str | None:
    """What speaks against frame 0 of a prior as a generator's, in one sentence; None where nothing does."""
    share = float(prior.visible[0].float().mean())
    if STYLES[style].source_first and share < 1:
        return (f"frame 0 is only {share:.0%} visible, but {style} takes the source itself there; turn "
                "anchor_first_frame on, and start the path at the source camera")
    return None
