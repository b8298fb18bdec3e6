"""Pictures of the nodes that generate."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from ex4d_ops.prior import render_prior
from ex4d_ops.training.objective import RELEASED_SHIFT, noise_levels

from . import material
from .sheet import FONT, make_figure, picture_grid

STEPS = 25  # of the released sampling
END = 0.4  # of what is drawn
FRAMES = (8, 24)


def draw_prior() -> Figure:
    """Color and mask as they should be, and the mask the wrong way around."""
    scene = material.mesh("gallery")
    prior = render_prior(scene, material.path("orbit:yaw=60", scene, material.CLIP_FRAMES))
    cells = []
    for t in FRAMES:
        cells += [(f"color, frame {t}", prior.color[t]), ("visible", prior.visible[t].float()),
                  ("the wrong way around", (~prior.visible[t]).float())]
    return picture_grid(cells, 3)


def draw_steps() -> Figure:
    """The noise level of each step, and which steps are shown the prior up to a share of the sampling."""
    steps, level = torch.arange(STEPS), noise_levels(RELEASED_SHIFT, STEPS)
    shown = steps <= END * STEPS
    figure = make_figure(3.0)
    ax = figure.subplots()
    ax.bar(steps[shown].numpy() + 1, level[shown].numpy(), color="tab:blue", label="shown the prior")
    ax.bar(steps[~shown].numpy() + 1, level[~shown].numpy(), color="0.7", label="not shown it")
    ax.set_xlabel("step", fontsize=FONT)
    ax.set_ylabel("noise level", fontsize=FONT)
    ax.tick_params(labelsize=FONT - 3)
    ax.legend(fontsize=FONT - 1)
    return figure
