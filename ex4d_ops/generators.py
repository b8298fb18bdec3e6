"""What generators were trained on: names and numbers alone, so that they can be asked for before torch is.

The table says what their guide videos look like, and who says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal

from .clip import WAN_STRIDE
from .rules import Drawn

NAMED = 3  # lengths that a sentence gives as examples

Holes = tuple[float, float, float] | Literal["last"]  # a color of 0..255, or what the pixel showed last
Rate = Literal["trained", "as given"]
MEGAPIXEL = 1024 * 1024  # as ComfyUI counts them; ResolutionSelector
MAGENTA, GRAY, BLACK = (255.0, 0.0, 255.0), (127.5, 127.5, 127.5), (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Lengths:
    """Numbers of frames that a generator takes: step * k + rest, or only these."""

    step: int = 1
    rest: int = 0
    only: tuple[int, ...] = ()

    def __str__(self) -> str:
        if self.only:
            return ", ".join(map(str, self.only))
        few = ", ".join(str(self.rest + self.step * k) for k in range(1, 1 + NAMED))
        return f"{self.step}k+{self.rest} ({few} ...)"

    def __iter__(self) -> Iterator[int]:
        """All of them, rising."""
        return iter(self.only) if self.only else count(self.rest, self.step)

    def longest(self, frames: int) -> int | None:
        """The largest that is not above this number of frames."""
        if self.only:
            return max((length for length in self.only if length <= frames), default=None)
        return (frames - self.rest) // self.step * self.step + self.rest if frames >= self.rest else None

    def shortest(self, frames: int) -> int | None:
        """The smallest that is not below this number of frames."""
        if self.only:
            return min((length for length in self.only if length >= frames), default=None)
        return max(math.ceil((frames - self.rest) / self.step), 0) * self.step + self.rest


@dataclass(frozen=True)
class GuideStyle:
    """What a generator's guide looks like.

    holes: what stands where nothing was seen. lengths: in frames. fps: frames per second that it was trained at; None:
    any. multiple: of pixels that each side must be. area: width times height it was trained at, None: that of the
    prior. sizes: the only ones, (H, W). source_first: frame 0 is the source itself. surface: what it was trained on.
    joined: frames of one latent whose masks become one. origin: who says so, and when that was read.
    """

    generator: str
    holes: Holes
    lengths: Lengths
    fps: float | None
    multiple: int
    area: int | None
    source_first: bool
    surface: Drawn
    origin: str
    sizes: tuple[tuple[int, int], ...] = ()
    joined: int = 1


WAN_LENGTHS, H3_LENGTHS = Lengths(WAN_STRIDE, 1), Lengths(17, 5)
# Of Meridian's references, (H, W), for guide and source alike; what it generates is 1.6 times as large.
MERIDIAN_SIZES = ((960, 416), (896, 448), (832, 480), (736, 544), (640, 640),
                  (544, 736), (480, 832), (448, 896), (416, 960))
MERIDIAN_LENGTHS = Lengths(only=(73, 90, 107, 124, 141, 158, 175, 243))
WAN_VACE = "WanVaceToVideo of ComfyUI 0.33.0 and its template of inpainting 0.1.123, read 2026-11-25"
CROSSVIEW = "crossview_warp_node.py of cseti007/ComfyUI-CrossViewWarp 3266a83, read 2026-11-25"

STYLES = {
    "ex-4d": GuideStyle("EX-4D", BLACK, WAN_LENGTHS, None, 16, None, True, "mesh",
                        "EX-4D's released code and paper A.3"),
    "vace": GuideStyle("Wan 2.1 VACE, Wan 2.2 VACE-Fun", GRAY, WAN_LENGTHS, 16.0, 16, None, True, "mesh", WAN_VACE,
                       joined=WAN_STRIDE),
    "uni3c": GuideStyle("Uni3C on Wan 2.1 image-to-video", GRAY, WAN_LENGTHS, 16.0, 16, 480 * 768, True, "mesh",
                        "cam_render of nikopueringer/Uni3CRunpod 2d7555c and pointcloud of nervouswizard/Uni3C "
                        "bf33f65, read 2026-11-25"),
    "crossview-ltx": GuideStyle("LTX-2.3 with the CrossView-Warp LoRA", MAGENTA, Lengths(8, 1), 24.0, 32, 544 * 960,
                                False, "crossview-points", f"{CROSSVIEW}, and its workflow v2"),
    "crossview-h3": GuideStyle("MiniMax H3 with the CrossView-Warp LoRA", MAGENTA, H3_LENGTHS, 24.0, 32, MEGAPIXEL // 2,
                               False, "crossview-points", f"{CROSSVIEW}; nodes_minimax_h3.py of ComfyUI 0.33.0"),
    "meridian": GuideStyle("MiniMax H3 with the Meridian LoRAs", (128.0, 128.0, 128.0), MERIDIAN_LENGTHS, 24.0, 32,
                           None, False, "meridian-points", "depth_warp.py of NyckM/3d-Camera-control-H3-Minimax "
                           "50ccc6e, a port of Meridian's geometry.py and h3.py, read 2026-11-25", MERIDIAN_SIZES),
    "black": GuideStyle("Vista4D, TrajectoryCrafter", BLACK, WAN_LENGTHS, None, 16, None, False, "mesh",
                        "Vista4D 15cc2fc and TrajectoryCrafter d2f795f, read 2026-11-25"),
    "hold": GuideStyle("none in particular: any model that follows a video", "last", WAN_LENGTHS, None, 16, None, True,
                       "mesh", "no program's; what was last seen is held"),
}
