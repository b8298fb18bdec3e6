"""The moving picture of the README: source, color and mask along a path that goes to the side and back."""

from __future__ import annotations

from pathlib import Path

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


def titled(page: Image.Image) -> Image.Image:
    """The same with the name of each of its three parts."""
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    for column, title in enumerate(TITLES):
        draw.text((column * HEIGHT + 6, 4), title, "white", font, stroke_width=2, stroke_fill="black")
    return page
