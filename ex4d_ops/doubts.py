"""Whether numbers look like what they are said to be: depth and disparity are told apart by ground and sky."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .depth_units import DepthUnits

GRID = (24, 32)  # rows and columns at which a clip is looked at
MOMENTS = 8  # frames that are looked at
GROUND = GRID[0] // 4  # rows, the lowest, in which a ground is looked for
LEANING = 0.6  # of all steps downwards, those one way less those the other; scenes with a ground have 0.69 or more
SKY_SHARE = 0.03  # of the picture; so much of one value at its top is sky


def doubt_kind(values: Tensor, kind: str) -> str | None:
    """One sentence where numbers [T, H, W] look like the other kind than "depth" or "disparity", else None.

    Ground comes nearer towards the bottom of a picture; sky is at its top, 0 as disparity and the largest as depth.
    """
    return doubt_look(look(values), kind)


def doubt_look(small: Tensor, kind: str) -> str | None:
    """The same of what look gives of the numbers."""
    said, other = ("disparity", "depth") if kind == "disparity" else ("depth", "disparity")
    signs = [sky_value(small), ground_leaning(small)]
    near_is_large = 1 if kind == "disparity" else -1
    found = [words for sign, words in signs if sign == -near_is_large]
    if not found or any(sign == near_is_large for sign, _ in signs):
        return None
    return f"the numbers are read as {said}, but look like {other} ({' and '.join(found)}); check which they are"


def doubt_units(values: Tensor, units: DepthUnits) -> str | None:
    """The same of numbers whose meaning was chosen."""
    return doubt_kind(values, plain_kind(units))


def plain_kind(units: DepthUnits) -> str:
    """Whether numbers of these units are "depth" or "disparity"."""
    return "depth" if units.kind in ("depth", "normalized-depth") else "disparity"


def look(values: Tensor) -> Tensor:
    """Some frames of the numbers [T, H, W] at a small size, unknown ones NaN, infinite ones the largest."""
    glances = Glances()
    for t in moments(len(values)):
        glances.add(values[int(t)])
    return glances.choose()


def moments(count: int) -> Tensor:
    """Which frames of a clip are looked at."""
    return torch.linspace(0, count - 1, min(MOMENTS, count)).long()


class Glances:
    """Frames of numbers at a small size, of as many as come.

    They are kept in one piece: a small tensor each, between the large ones of a clip, would scatter its memory.
    """

    def __init__(self) -> None:
        self.small = bytearray()
        self.largest: list[list[float]] = []  # of the finite numbers of each frame, if any

    def __len__(self) -> int:
        return len(self.largest)

    def add(self, frame: Tensor) -> None:
        """Keep a frame [H, W]."""
        frame = frame.float()
        self.small += interpolate(frame[None, None], GRID, mode="nearest-exact").cpu().numpy().tobytes()
        most = torch.where(torch.isfinite(frame), frame, -torch.inf).amax()
        self.largest.append(most[torch.isfinite(most)].tolist())

    def choose(self) -> Tensor:
        """Some of the frames, [N, h, w], infinite numbers the largest of theirs."""
        chosen = moments(len(self))
        small = torch.frombuffer(self.small, dtype=torch.float32).view(-1, *GRID)[chosen]
        largest = [most for t in chosen.tolist() for most in self.largest[t]]
        return torch.where(small == torch.inf, max(largest, default=0.0), small)


def sky_value(small: Tensor) -> tuple[int, str]:
    """1 where the top of the picture holds a patch of exact zeros, -1 where one of the largest number; 0 else."""
    known = small[torch.isfinite(small)]
    if not len(known) or known.min() == known.max():
        return 0, ""
    top = small[:, :GRID[0] // 3]
    share = GRID[0] / (GRID[0] // 3)
    if (top == 0).float().mean() > SKY_SHARE * share and known.min() == 0:
        return 1, "the top of the picture is exactly 0, like the disparity of sky"
    if (top == known.max()).float().mean() > SKY_SHARE * share:
        return -1, "the top of the picture is the largest number everywhere, like the depth of sky"
    return 0, ""


def ground_leaning(small: Tensor) -> tuple[int, str]:
    """1 where numbers grow towards the bottom of the picture, -1 where they shrink; 0 where neither is clear.

    Step by step in every column: the middle of a row jumps with whatever stands in it.
    """
    steps = small[:, -GROUND:].diff(dim=1)
    leaning = steps.nan_to_num(0.0).sign().mean()
    if leaning.abs() < LEANING:
        return 0, ""
    return (1, "they grow towards the ground") if leaning > 0 else (-1, "they shrink towards the ground")
