"""What every estimator returns, and how it reaches the device it is to run on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..clip import Progress, no_progress

# Makes a part of a model ready to run and says where; parts that are not in use may go from there.
Place = Callable[[torch.nn.Module], torch.device]

EstimateKind = Literal["disparity", "depth"]


@dataclass(frozen=True, eq=False)
class Estimate:
    """Numbers [T, H, W] float32 of an estimator, as large as the frames it was shown.

    kind: "disparity", relative, 0 the farthest, or "depth"; metric: depth is in metres; focal: of the camera,
    pixels, where the estimator found it.
    """

    values: Tensor
    kind: EstimateKind
    metric: bool = False
    focal: float | None = None


def place_on(device: torch.device) -> Place:
    """Keep on a device the one part that is in use, the others on the CPU."""
    resident: list[torch.nn.Module] = []

    def place(module: torch.nn.Module) -> torch.device:
        for other in resident:
            if other is not module:
                other.to("cpu")
        resident[:] = [module.to(device)]
        return device

    return place


class Work:
    """Progress in frames of a clip over stages of different weight. report(done, frames) may raise to cancel."""

    def __init__(self, report: Progress | None, frames: int, total: float) -> None:
        self.report = report or no_progress
        self.frames, self.total, self.done = frames, total, 0.0

    def add(self, amount: float) -> None:
        self.done += amount
        self.report(min(round(self.frames * self.done / self.total), self.frames), self.frames)
