"""Pictures of the mesh nodes."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ex4d_ops.background import find_motion, make_background
from ex4d_ops.camera import intrinsics_from_focal, look_at, project, transform
from ex4d_ops.mesh import DWMesh, MeshRules, occluded_share
from ex4d_ops.plot import draw_depth
from ex4d_ops.prior import render_prior
from ex4d_ops.raster import rasterize
from ex4d_ops.scene import SCENES

from . import material
from .sheet import FONT, WIDTH, make_figure, picture_grid, show_picture

LENS = intrinsics_from_focal(600.0, material.SIZE)
PAPER = torch.tensor([0.75, 0.75, 0.75])  # behind the mesh, unlike the black of hidden faces


def draw_mesh() -> Figure:
    """What goes in, what is found hidden, and how it looks from elsewhere."""
    frames, depth = material.clip("gallery")
    scene = material.mesh("gallery")
    seen = material.look(scene, material.path("orbit:yaw=40", scene), -1)
    return picture_grid([("image", frames[0]), ("depth", draw_depth(depth.depth[:1])[0]),
                         ("occluded", occluded_share(scene.occluded[0])), ("seen from 40° right", seen)], 2)


def draw_min_angles() -> Figure:
    meshes = {angle: material.mesh("gallery", MeshRules(angle)) for angle in (0.3, 2.5, 12.0)}
    cells = []
    for angle, scene in meshes.items():
        seen = material.look(scene, material.path("orbit:yaw=40", scene), -1)
        cells.append((f"min_angle {angle:g}", seen[170:490, 192:]))
    cells += [("occluded", occluded_share(scene.occluded[0])[170:490, 96:416]) for scene in meshes.values()]
    return picture_grid(cells, 3)


def draw_reaches() -> Figure:
    """Every scene from the side: released, with hidden faces that end, and filled with what other frames saw."""
    cells = []
    for name in SCENES:
        released, bounded = (material.mesh(name, MeshRules(hidden_reach=reach)) for reach in (None, 0.1))
        cameras = material.path("orbit:yaw=60..60", released, material.CLIP_FRAMES)
        background = make_background(bounded, find_motion(*material.clip(name)))
        for title, scene, filled in ((name, released, None), ("bounded", bounded, None),
                                     ("filled", bounded, background)):
            prior = render_prior(scene, material.frozen(cameras, 12), material.PLAIN, background=filled)
            cells.append((title, prior.color[0]))
    return picture_grid(cells, 3)


def draw_core_meshes() -> Figure:
    """Both kinds of faces from outside: the visible ones close by, the whole mesh from far behind its border."""
    figure = make_figure(WIDTH / 3 + 0.6)
    visible, whole, small = figure.subplots(1, 3)
    scene, low_wall = material.mesh("gallery"), material.mesh("gallery", MeshRules(border_depth=20.0))
    show_visible(visible, "visible", scene)
    show_picture(whole, "all", draw_from_outside(scene, 100.0))
    show_picture(small, "all, border 20", draw_from_outside(low_wall, 20.0))
    return figure


def outside(direction: tuple[float, float, float], target_depth: float, distance: float) -> Tensor:
    """cam_from_world of a camera that stands in a direction from a point ahead of the source camera, and sees it."""
    target = torch.tensor([0.0, 0.0, target_depth])
    return look_at(target + distance * torch.nn.functional.normalize(torch.tensor(direction), dim=0), target)


def draw_from_outside(scene: DWMesh, border_depth: float) -> Tensor:
    """The whole mesh of frame 0 from its left, all of it in the picture."""
    rgba = torch.cat([scene.colors[0] * scene.vertex_visible(0)[..., None], torch.ones(*scene.size, 1)], -1)
    camera = outside((-1.0, -0.6, -0.5), 0.6 * border_depth, 2.2 * border_depth)
    seen = rasterize(scene.depth[0], rgba, scene.intrinsics[0], camera, LENS, scene.size)
    return torch.where((seen.face >= 0)[..., None], seen.rgba[..., :3], PAPER)


def show_visible(ax, title: str, scene: DWMesh) -> None:
    """The corners of the visible faces of frame 0, the far ones painted first."""
    corners = scene.visible_faces(0).unique().long()
    points = transform(outside((-0.8, -0.6, -1.0), 7.0, 13.0), scene.vertices(0)[corners])
    order = points[:, 2].argsort(descending=True)
    image = project(points, LENS)[order]
    ax.scatter(image[:, 0], image[:, 1], s=0.6, c=scene.colors[0].reshape(-1, 3)[corners][order].numpy())
    ax.set(xlim=(0, 512), ylim=(512, 0), aspect="equal", xticks=[], yticks=[], facecolor=PAPER.tolist())
    ax.set_title(title, fontsize=FONT)
    for side in ax.spines.values():
        side.set_visible(False)
