"""Pictures of what moves, of what was seen from other angles, and of the background that is kept."""

from __future__ import annotations

import math

import torch
from matplotlib.figure import Figure

from ex4d_ops.background import find_motion, make_background
from ex4d_ops.mesh import MeshRules
from ex4d_ops.plot import plot_coverage
from ex4d_ops.preflight import angles_around, coverage_map, widest_angles
from ex4d_ops.prior import render_prior

from . import material
from .sheet import WIDTH, make_figure, picture_grid

RED = torch.tensor([1.0, 0.2, 0.2])


def draw_motion() -> Figure:
    """What moves in a street, in red."""
    frames, depth = material.clip("street")
    moving = find_motion(frames, depth)
    cells = [(f"frame {t}", torch.where(moving[t, ..., None], 0.4 * frames[t] + 0.6 * RED, 0.5 * frames[t]))
             for t in (0, 8, 16, 24)]
    return picture_grid(cells, 2)


def draw_coverage() -> Figure:
    """The map as the node draws it."""
    yaw, pitch = (angles_around(math.radians(limit), math.radians(10)) for limit in (90, 45))
    shares = coverage_map(material.mesh("gallery"), yaw, pitch)
    picture = plot_coverage(shares, yaw, pitch, widest_angles(shares, yaw, pitch, 0.6))
    figure = make_figure(WIDTH * picture.shape[0] / picture.shape[1])
    axes = figure.subplots()
    axes.imshow(picture.numpy())
    axes.set_axis_off()
    return figure


def draw_background() -> Figure:
    """Released, bounded and filled, of a walking camera."""
    released, bounded = (material.mesh("colonnade", MeshRules(hidden_reach=reach)) for reach in (None, 0.1))
    frames, depth = material.clip("colonnade")
    background = make_background(bounded, find_motion(frames, depth))
    cells = []
    for angle in (30, 60):
        cameras = material.path(f"orbit:yaw={angle}..{angle}", released, material.CLIP_FRAMES)
        for title, scene, filled in (("released", released, None), ("bounded", bounded, None),
                                     ("filled", bounded, background)):
            prior = render_prior(scene, material.frozen(cameras, 12), material.PLAIN, background=filled)
            cells.append((f"{title}, {angle}°", prior.color[0]))
    return picture_grid(cells, 3)
