"""How clips to train on are made: names and numbers alone, so that they can be asked for before torch is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..clip import Fit
from ..depth_units import DepthUnits
from ..rules import Surface

Masks = Literal["both", "rendering", "tracking", "random"]


@dataclass(frozen=True)
class Recipe:
    """How every clip is made. The defaults are the paper's, which doesn't say how its two kinds of masks meet.

    frames, size (H, W): of a clip. masks: which hide something; "both": what either hides is hidden. surface:
    "visible" for masks of a mesh that isn't watertight. crop: through a gliding window. depth: folder of depth files
    named like the videos, None where they lie beside them; units: what they mean, where they don't say; fill,
    channel: as in read_depth. tracker, weights, code: as in load_tracker. caption: for videos that have none. seed:
    with a clip's key it draws all that is left to chance. hidden_reach: of the mesh of the rendering masks, see
    MeshRules. fit: how a video gets the size; bars are added last and count as shown, so that nobody learns to paint
    them.
    """

    frames: int = 49
    size: tuple[int, int] = (512, 512)
    masks: Masks = "both"
    surface: Surface = "watertight"
    crop: bool = True
    depth: Path | None = None
    units: DepthUnits | None = None
    tracker: str = "lk"
    weights: Path | None = None
    code: Path | None = None
    caption: str = ""
    seed: int = 0
    fill: bool = False
    channel: str | None = None
    hidden_reach: float | None = None
    fit: Fit = "crop"
