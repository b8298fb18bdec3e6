"""What the numbers of a depth source mean: names and numbers alone, so that they can be asked for before torch is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

DepthKind = Literal["depth", "disparity", "released", "normalized-depth", "normalized-disparity"]
DEPTH_KINDS: tuple[str, ...] = get_args(DepthKind)


@dataclass(frozen=True)
class DepthUnits:
    """What the numbers v of a depth source mean.

    kind: "depth" z = scale v; "disparity" 1 / z = scale v + shift; "released" relative disparity of any range, as
    the released model normalises it; "normalized-disparity" v in [0, 1], 1 / z linear from far to near;
    "normalized-depth" v in [0, 1], z linear from near to far. scale, shift: of the first two; near, far: scene
    units, of the last two. metric: True where they yield metres.
    """

    kind: DepthKind
    scale: float = 1.0
    shift: float = 0.0
    near: float | None = None
    far: float | None = None
    metric: bool = False

    def __post_init__(self) -> None:
        if self.kind not in DEPTH_KINDS:
            raise ValueError(f"depth kind: got {self.kind!r}; use one of {', '.join(DEPTH_KINDS)}")
        if not 0 < self.scale < math.inf:
            raise ValueError(f"depth scale: got {self.scale:g}, must be above 0")
        if not math.isfinite(self.shift):
            raise ValueError(f"depth shift: got {self.shift:g}, must be a finite number")
        if self.kind.startswith("normalized") and not 0 < self.ends[0] < self.ends[1]:
            raise ValueError(f"near and far: got {self.near:g} and {self.far:g}, need 0 < near < far")
        if self.kind == "normalized-depth" and self.far == math.inf:
            raise ValueError("far: got inf, must be a finite number; use the largest depth in the clip")

    @property
    def ends(self) -> tuple[float, float]:
        """(near, far) of the normalized kinds. Raises ValueError where one is not given."""
        if self.near is None or self.far is None:
            raise ValueError(f"depth kind {self.kind}: needs near and far, in scene units")
        return self.near, self.far


@dataclass(frozen=True)
class UnitSetting:
    """A setting of some depth kinds, under its name in DepthUnits. least: of numbers; text: what a user reads of it."""

    name: str
    default: float | bool
    text: str
    least: float = 1e-6


SCALED_DISPARITY = UnitSetting("scale", 1.0, "Factor from the numbers to disparity, in 1 / scene units.")
SHIFT = UnitSetting("shift", 0.0, "Offset added after scaling, in 1 / scene units.", -1e9)
SCALED_DEPTH = UnitSetting("scale", 1.0, "Factor from the numbers to scene units.")
METRIC = UnitSetting("metric", False, "On: the scaled numbers are meters. Off: their unit is unknown.")
NEAR = UnitSetting("near", 1.0, "Depth of the nearest value, in scene units.")
FAR = UnitSetting("far", 100.0, "Depth of the farthest value, in scene units.")
UNIT_SETTINGS: dict[DepthKind, tuple[UnitSetting, ...]] = {
    "released": (), "disparity": (SCALED_DISPARITY, SHIFT), "depth": (SCALED_DEPTH, METRIC),
    "normalized-disparity": (NEAR, FAR), "normalized-depth": (NEAR, FAR)}
