"""The rules by which depth is found: names and numbers alone, so that they can be asked for before torch is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RESOLUTION = 518  # pixels of the shorter side that Video-Depth-Anything sees; released

Scale = Literal["released", "as given", "near and far"]
Alignment = Literal["none", "scale", "scale and shift"]
Cuts = Literal["refuse", "split", "ignore"]


@dataclass(frozen=True)
class ClipRules:
    """How an estimate becomes depth.

    scale: "released": disparity normalised over a shot, the nearest point at 2.564; "as given": the estimator's own
    units; "near and far": disparity normalised over a shot, from far to near in scene units. alignment: None: scale
    and shift for relative disparity, scale for depth, where the estimator looks at each frame alone. smoothing:
    frames; landing: pixels over which edges are smeared, 0: left as they are. track: find the source camera's motion.
    """

    scale: Scale = "released"
    near: float = 1.0
    far: float = 100.0
    alignment: Alignment | None = None
    smoothing: int = 0
    landing: int = 0
    cuts: Cuts = "refuse"
    track: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.near < self.far < float("inf"):
            raise ValueError(f"near and far: got {self.near:g} and {self.far:g}, need 0 < near < far")


@dataclass(frozen=True)
class DepthCrafterRules:
    """How it samples; the defaults are the released EX-4D's. resolution: pixels of the longer side, at most."""

    steps: int = 5
    guidance: float = 1.0
    window: int = 110
    overlap: int = 25
    resolution: int = 1024
    seed: int = 42

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps: got {self.steps}, must be 1 or more")
        if not 0 <= self.overlap < self.window:
            raise ValueError(f"overlap: got {self.overlap}, must be 0 or more and less than window={self.window}")
