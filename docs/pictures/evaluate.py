"""Pictures of what is measured of generated videos."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from ex4d_ops.clip import Clip
from ex4d_ops.evaluation.agreement import Reference
from ex4d_ops.evaluation.cell import Cell, Scene
from ex4d_ops.evaluation.measures import MEASURES
from ex4d_ops.evaluation.one_run import fit_video, measure
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.prior import render_prior
from ex4d_ops.scene import FPS, make_scene, sample_clip
from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves

from .sheet import FONT, make_figure

FRAMES, SIZE = 9, (256, 256)
SHOWN = ("rotation", "psnr", "unsteady")


def draw_measures() -> Figure:
    """Three measures per frame of the exact view, of one that is shaken, and of one along a path 10 % short."""
    colors, depth = sample_clip("gallery", FRAMES, SIZE)
    whole, short = (move_path(parse_moves(f"orbit:yaw={yaw}"), FRAMES, automatic_radius(depth), depth.intrinsics[0],
                              SIZE) for yaw in (30, 27))
    mesh = build_dw_mesh(colors, depth)
    prior = render_prior(mesh, whole)
    exact, off = (make_scene("gallery").render(path)[0] for path in (whole, short))
    shaken = torch.stack([frame.roll(2 * (t % 2), 1) for t, frame in enumerate(exact)])
    cell = Cell(Clip(prior.color, FPS), Reference(exact, prior.visible, True), Scene(mesh, whole, depth.nearest))
    figure = make_figure(2.1 * len(SHOWN))
    rows = figure.subplots(len(SHOWN), 1, sharex=True)
    for name, video in {"exact": exact, "shaken": shaken, "10 % short": off}.items():
        figures = measure(fit_video(video, cell))
        for ax, shown in zip(rows, SHOWN):
            ax.plot([float("nan") if value is None else value for value in figures[shown]], linewidth=3, label=name)
    for ax, shown in zip(rows, SHOWN):
        ax.set_title(f"{MEASURES[shown].title}, {MEASURES[shown].unit}", fontsize=FONT)
        ax.tick_params(labelsize=FONT - 4)
    rows[0].legend(fontsize=FONT - 4)
    rows[-1].set_xlabel("frame", fontsize=FONT - 3)
    return figure
