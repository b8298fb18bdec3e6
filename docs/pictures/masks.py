"""Pictures of the nodes that simulate training masks."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from ex4d_ops.prior import Prior
from ex4d_ops.simulate import (
    crop_frames,
    draw_points,
    draw_windows,
    mask_frames,
    random_mask,
    rendering_mask,
    sweep_path,
    tracking_mask,
)
from ex4d_ops.tracking import load_tracker

from . import material
from .sheet import make_figure, picture_grid, show_picture

MOMENTS = (0, 6, 18, 24)


def draw_rendering() -> Figure:
    """What a sweep hides of the clip's own frames."""
    scene = material.mesh("street")
    return masked(mask_frames(scene.colors, rendering_mask(scene, sweep_path(scene))))


def draw_tracking() -> Figure:
    """Rectangles that stick to cars and houses."""
    frames, size = material.clip("street")[0], material.SIZE
    generator = torch.Generator().manual_seed(1)
    tracks = load_tracker("lk")(frames, draw_points(size, generator))
    return masked(mask_frames(frames, tracking_mask(tracks, size, generator)))


def draw_random() -> Figure:
    frames = material.clip("street")[0]
    visible = random_mask(len(frames), material.SIZE, torch.Generator().manual_seed(1))
    return masked(mask_frames(frames, visible))


def masked(prior: Prior) -> Figure:
    """The masked clip at four moments."""
    return picture_grid([(f"frame {t}: {prior.coverage[t]:.0%} shown", prior.color[t]) for t in MOMENTS], 2)


def draw_crop() -> Figure:
    """Above, where the window lies in the frame; below, what it shows."""
    frames: Tensor = material.clip("street")[0]
    windows = draw_windows(len(frames), material.SIZE, torch.Generator().manual_seed(1), 0.6, 0.7)
    cropped, figure = crop_frames(frames, windows), make_figure(4.6)
    axes = figure.subplots(2, 3)
    for (above, below), t in zip(axes.T, (0, 12, 24)):
        left, top, width, height = windows[t].tolist()
        show_picture(above, f"frame {t}", frames[t])
        above.add_patch(Rectangle((left, top), width, height, fill=False, color="crimson", linewidth=2))
        show_picture(below, "cropped", cropped[t])
    return figure
