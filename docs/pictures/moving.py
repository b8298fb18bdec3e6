"""The moving picture of the README: source, color and mask along a path to the side and back. And the registry's."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont

from ex4d_ops.clip import resize_frame
from ex4d_ops.files.pictures import as_image
from ex4d_ops.plot import stitch
from ex4d_ops.prior import RenderRules, render_prior
from ex4d_ops.scene import FPS

from . import material

FILE = Path(__file__).parents[1] / "side_view.webp"
SCENE, MOVES, FRAMES = "garden", "arc:yaw=35", material.CLIP_FRAMES
HEIGHT = 256  # pixels of each of the three
TITLES = ("source video", "seen from the side", "white: seen in the source")


def save_moving_picture() -> Path:
    """Film the scene, render its prior and write the three side by side as an animated WebP that loops."""
    frames, depth = material.clip(SCENE)
    scene = material.mesh(SCENE)
    prior = render_prior(scene, material.path(MOVES, depth, FRAMES), RenderRules())
    pages = [titled(as_image(resize_frame(page, (HEIGHT, 3 * HEIGHT)).clamp(0, 1))) for page in stitch(frames, prior)]
    pages[0].save(FILE, save_all=True, append_images=pages[1:], duration=round(1000 / FPS), loop=0, quality=72,
                  method=6)
    return FILE


def save_cards() -> list[Path]:
    """The icon (square) and the banner (21:9) of the pack in ComfyUI's registry: the source beside its other side."""
    frames, depth = material.clip(SCENE)
    seen = material.look(material.mesh(SCENE), material.path("orbit:yaw=35", depth, 2), 1)
    half = material.SIZE[1] // 2
    files = {"icon": torch.cat([frames[0][:, :half], seen[:, half:]], 1),
             "banner": torch.cat([frames[0], seen], 1)[38:-36]}  # 1024x438
    for name, picture in files.items():
        page = as_image(picture.clamp(0, 1))
        page = page.resize((400, 400), Image.Resampling.LANCZOS) if name == "icon" else page
        page.quantize(128).save(FILE.with_name(f"{name}.png"), optimize=True)
    return [FILE.with_name(f"{name}.png") for name in files]


def titled(page: Image.Image) -> Image.Image:
    """The same with the name of each of its three parts."""
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    for column, title in enumerate(TITLES):
        draw.text((column * HEIGHT + 6, 4), title, "white", font, stroke_width=2, stroke_fill="black")
    return page
