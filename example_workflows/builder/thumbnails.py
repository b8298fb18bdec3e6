"""The moving pictures on the cards of the templates: what each makes of a sample scene, whose depth is exact.

    python example_workflows/builder/thumbnails.py        all of them
    python example_workflows/builder/thumbnails.py 01     some, by the start of their names

ComfyUI asks for NAME.jpg and shows it square; browsers go by what is in it, which is WebP. No model runs here: cards of
workflows that generate show their prior, which Wan paints from.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

PACK = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PACK))

from generation import REACH  # noqa: E402
from notes import NOTES  # noqa: E402

from ex4d_ops.background import find_motion, make_background  # noqa: E402
from ex4d_ops.generators import STYLES  # noqa: E402
from ex4d_ops.guide import fill_holes  # noqa: E402
from ex4d_ops.mesh import MeshRules, build_dw_mesh  # noqa: E402
from ex4d_ops.prior import RenderRules, render_prior  # noqa: E402
from ex4d_ops.scene import sample_clip  # noqa: E402
from ex4d_ops.simulate import random_mask  # noqa: E402
from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves  # noqa: E402

SIDE, CLIP, EVERY = 256, 49, 3  # pixels, frames that are filmed, and which of them are shown
PAUSE, QUALITY = 120, 50  # milliseconds a frame

# Scene and camera of each workflow, by its number.
VIEWS = {
    "00": ("garden", "orbit:yaw=30"), "01": ("gallery", "orbit:yaw=30,pitch=10"), "02": ("street", "orbit:yaw=30"),
    "03": ("colonnade", "arc:yaw=30"), "04": ("gallery", "truck:distance=0.4"), "05": ("street", "orbit:yaw=-30"),
    "06": ("garden", "orbit:yaw=-30"), "07": ("garden", "preset-180"), "08": ("gallery", "preset-180"),
    "09": ("street", "orbit:yaw=60"), "10": ("colonnade", "orbit:yaw=40"), "11": ("street", "preset-180"),
    "13": ("gallery", "orbit:yaw=-30"), "14": ("garden", "orbit:yaw=40"), "15": ("garden", "orbit:yaw=30,pitch=5"),
    "16": ("colonnade", "orbit:yaw=30"), "17": ("garden", "orbit:yaw=40"), "18": ("street", "orbit:yaw=30"),
    "19": ("gallery", "orbit:yaw=-30"),
}
# Of those whose generator is led by another guide than EX-4D's.
GUIDES = {"05": "vace", "06": "uni3c", "16": "vace", "18": "crossview-ltx", "19": "crossview-h3"}


def draw(number: str) -> Tensor:
    """The frames of a card [T, H, W, 3]."""
    if number == "12":
        images, _ = sample_clip("street", CLIP, (SIDE, SIDE), seed=1)
        return images * random_mask(CLIP, (SIDE, SIDE), generator=torch.Generator().manual_seed(0))[..., None]
    scene, moves = VIEWS[number]
    images, depth = sample_clip(scene, CLIP, (SIDE, SIDE), seed=1)
    kept = number == "14"
    mesh = build_dw_mesh(images, depth, MeshRules(hidden_reach=REACH if kept or number in GUIDES else None))
    path = move_path(parse_moves(moves), CLIP, automatic_radius(depth), depth.intrinsics, depth.size)
    background = make_background(mesh, find_motion(images, depth)) if kept else None
    look = STYLES[GUIDES.get(number, "ex-4d")]
    rules = RenderRules(erosion=0, anchor_first=look.source_first, surface=look.surface)
    prior = render_prior(mesh, path, rules, background=background)
    fill_holes(prior.color, prior.visible, look.holes)
    return prior.color


def save(frames: Tensor, path: Path) -> None:
    """There and back again, so that the loop has no jump."""
    shown = [Image.fromarray((frame * 255).round().byte().numpy()) for frame in frames[::EVERY]]
    shown += shown[-2:0:-1]
    shown[0].save(path, "WEBP", save_all=True, append_images=shown[1:], duration=PAUSE, loop=0, quality=QUALITY,
                  method=6)
    print(path.name, f"{path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    chosen = tuple(sys.argv[1:] or [""])
    for name in sorted(NOTES):
        if name.startswith(chosen):
            save(draw(name[:2]), PACK / "example_workflows" / f"{name}.jpg")
