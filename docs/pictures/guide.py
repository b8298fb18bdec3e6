"""Pictures of guide videos."""

from __future__ import annotations

from dataclasses import replace

import torch
from matplotlib.figure import Figure

from ex4d_ops.generators import STYLES
from ex4d_ops.guide import fill_holes
from ex4d_ops.prior import RenderRules, anchor_pictures, render_prior
from ex4d_ops.raster.points import POINT_RULES
from ex4d_ops.rules import LAST
from ex4d_ops.scene import make_scene

from . import material
from .sheet import picture_grid

MOVE, MOMENT = "orbit:yaw=40", 18
CLOSE = (slice(150, 310), slice(220, 380))  # rows and columns at the rim of the ball


def draw_styles() -> Figure:
    """One moment of an orbit as the guide of every style, of the surface that it was trained on."""
    scene = material.mesh("gallery")
    cameras = material.path(MOVE, scene, material.CLIP_FRAMES)
    cells = []
    for name, look in STYLES.items():
        erosion = "released" if look.source_first else 0
        prior = render_prior(scene, cameras, RenderRules(anchor_first=look.source_first, erosion=erosion,
                                                         surface=look.surface))
        color = prior.color.clone()
        fill_holes(color, prior.visible, look.holes)
        cells.append((name, color[MOMENT]))
    return picture_grid(cells, 3)


def draw_anchors() -> Figure:
    """Three moments of an orbit, and the same whose last frame is what the new camera truly sees."""
    scene, cameras = material.mesh("gallery"), material.path(MOVE, material.mesh("gallery"), material.CLIP_FRAMES)
    moments = torch.tensor([0, len(scene) // 2, len(scene) - 1])
    cameras = replace(cameras, cam_from_world=cameras.cam_from_world[moments], intrinsics=cameras.intrinsics[moments],
                      source_frame=moments)
    prior = render_prior(scene, cameras)
    truth, _ = make_scene("gallery").render(cameras)
    anchored = anchor_pictures(prior, [truth[LAST]], [LAST])
    names = [f"frame {t}" for t in moments.tolist()]
    return picture_grid([*zip(names, prior.color), *zip([*names[:-1], "the end anchored"], anchored.color)], 3)


def draw_surfaces() -> Figure:
    """The rim of an object as faces and as the points of two programs."""
    scene = material.mesh("gallery")
    cameras = material.path(MOVE, scene)
    cells = [(name, material.look(scene, cameras, -1, rules=RenderRules(anchor_first=False, erosion=0,
                                                                        surface=name))[CLOSE])
             for name in ("mesh", *POINT_RULES)]
    return picture_grid(cells, 3)
