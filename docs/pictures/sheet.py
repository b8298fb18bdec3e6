"""Figures that stay readable in ComfyUI's help panel, a column of 260 to 600 pixels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from ex4d_ops.camera import CameraPath
from ex4d_ops.depth import VideoDepth
from ex4d_ops.mesh import DWMesh
from ex4d_ops.plot import AXIS_NAMES, bounds, draw_cameras, draw_figure, frustum_corners, largest_side, scene_points

FOLDER = Path(__file__).resolve().parents[2] / "web" / "docs"
WIDTH = 6.0  # inches, at 100 dpi
LIMIT = 60_000  # bytes of one picture
FONT = 15
ABOVE, RIGHT, BEHIND = (0, 2), (2, 1), (0, 1)  # horizontal and vertical axis: indices into (x, y, z)
VIEW_NAMES = {ABOVE: "from above", RIGHT: "from its right", BEHIND: "from behind"}


def make_figure(height: float) -> Figure:
    """An empty figure, height in inches."""
    return Figure(figsize=(WIDTH, height), dpi=100, layout="constrained", facecolor="0.9")  # white masks end somewhere


def picture_grid(cells: Sequence[tuple[str, Tensor]], columns: int) -> Figure:
    """Pictures [H, W, 3] or masks [H, W], one size, each below its title."""
    height, width = cells[0][1].shape[:2]
    rows = -(-len(cells) // columns)
    lines = max(title.count("\n") + 1 for title, _ in cells)
    figure = make_figure(rows * (WIDTH / columns * height / width + 0.33 * lines))
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for ax in axes:
        ax.set_axis_off()
    for ax, (title, picture) in zip(axes, cells):
        show_picture(ax, title, picture)
    return figure


def show_picture(ax, title: str, picture: Tensor) -> None:
    ax.imshow(picture.clamp(0, 1).numpy(), cmap="gray", vmin=0, vmax=1)  # interpolated colors round beyond 1
    ax.set_title(title, fontsize=FONT)
    ax.set_axis_off()


def show_path(ax, title: str, cameras: CameraPath, scene: VideoDepth | DWMesh | None = None,
              view: tuple[int, int] = ABOVE, margin: Tensor | None = None) -> None:
    """A path with some of its cameras from one side. margin: more points [N, 3] that shall be inside."""
    across, up = view
    points = torch.zeros(0, 3) if scene is None else scene_points(scene)
    places = torch.cat([cameras.eye, torch.zeros(1, 3), *([] if margin is None else [margin])])
    frusta = frustum_corners(cameras, reach=0.15 * max(largest_side(torch.cat([places, points])), 1e-3))
    low, high = bounds(torch.cat([places, points, frusta.reshape(-1, 3)]))
    ax.set(xlim=(low[across], high[across]), ylim=(low[up], high[up]), aspect="equal", xticks=[], yticks=[])
    ax.set_title(title, fontsize=FONT)
    if up == 1:
        ax.invert_yaxis()  # y points down
    ax.set_xlabel(AXIS_NAMES[across], fontsize=FONT - 3)
    ax.set_ylabel(AXIS_NAMES[up], fontsize=FONT - 3)
    ax.scatter(points[:, across], points[:, up], s=1, color="0.8")
    draw_cameras(ax, cameras, frusta, across, up)


def save(name: str, figure: Figure) -> Path:
    """Write a figure into the help pages: .jpg at the best quality within LIMIT, .png in 64 colors."""
    picture = Image.fromarray((draw_figure(figure) * 255).round().to(torch.uint8).numpy())
    file = FOLDER / re.split(r"[.-]", name)[0] / name
    if file.suffix == ".png":
        picture.quantize(64).save(file, optimize=True)
    else:
        qualities = (encode_jpeg(picture, quality) for quality in range(90, 30, -4))
        file.write_bytes(next(content for content in qualities if len(content) < LIMIT))
    return file


def encode_jpeg(picture: Image.Image, quality: int) -> bytes:
    content = BytesIO()
    picture.save(content, "JPEG", quality=quality, optimize=True)
    return content.getvalue()
