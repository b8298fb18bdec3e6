"""Pictures of the rendering node."""

from __future__ import annotations

from dataclasses import replace

import torch
from matplotlib.figure import Figure

from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.prior import RenderRules, render_prior

from . import material
from .sheet import picture_grid

CLOSE = (slice(140, 236), slice(270, 366))  # rows and columns at the rim of the ball, seen from 30° right


def draw_prior() -> Figure:
    """Source, color and mask at moments of an orbit, as the defaults render them."""
    scene = material.mesh("gallery")
    prior = render_prior(scene, material.path("orbit:yaw=60", scene, material.CLIP_FRAMES))
    cells = []
    for t in (0, 8, 16, 24):
        cells += [(f"source, frame {t}", scene.colors[t]), ("color", prior.color[t]),
                  (f"visible: {prior.coverage[t]:.0%}", prior.visible[t].float())]
    return picture_grid(cells, 3)


def draw_still_target() -> Figure:
    """A target camera at rest over the frames of a source camera that walks, with and without the cameras known."""
    frames, depth = material.clip("colonnade")
    unknown = replace(depth, world_from_cam=torch.eye(4).repeat(len(depth), 1, 1))
    meshes = {"its motion known": build_dw_mesh(frames, depth), "its motion unknown": build_dw_mesh(frames, unknown)}
    cameras = material.path("static", depth)
    shown = (0, 12, 24)
    cells = [(f"source, frame {t}", frames[t]) for t in shown]
    for title, scene in meshes.items():
        cells += [(title if t == shown[1] else "", material.look(scene, cameras, t, t)) for t in shown]
    return picture_grid(cells, 3)


def draw_erosion() -> Figure:
    """The rim of an object without erosion and with more and more of it."""
    scene = material.mesh("gallery")
    cameras = material.path("orbit:yaw=30", scene)
    cells = [(title, material.look(scene, cameras, -1, rules=RenderRules(anchor_first=False, erosion=pixels))[CLOSE])
             for title, pixels in (("none", 0), ("fixed, 4 px", 4), ("fixed, 16 px", 16))]
    return picture_grid(cells, 3)


def draw_textures() -> Figure:
    scene = material.mesh("gallery")
    cameras = material.path("orbit:yaw=30", scene)
    cells = [(texture, material.look(scene, cameras, -1, rules=RenderRules(texture, False, 0))[CLOSE])
             for texture in ("vertex", "face")]
    return picture_grid(cells, 2)
