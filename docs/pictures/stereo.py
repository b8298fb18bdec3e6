"""Pictures of the stereo nodes."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from ex4d_ops.prior import RenderRules
from ex4d_ops.trajectory import automatic_radius
from ex4d_ops.trajectory.stereo import eye_distance_of_share, stereo_paths
from ex4d_ops.two_eyes import render_eyes

from . import material
from .sheet import make_figure, picture_grid, show_picture

SHARE = 0.06  # of the width: more than is good for people, so that it is seen
PLAIN = RenderRules("face", False, 0)
RED, CYAN = torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 1])


def see_gallery(layout: str, side: int = 0) -> torch.Tensor:
    """The first frame of the gallery as two eyes see it."""
    scene = material.mesh("gallery")
    middle = material.frozen(material.path("static", scene), 0)
    plane = automatic_radius(scene)
    eyes = stereo_paths(middle, eye_distance_of_share(middle, SHARE, plane), plane)
    return render_eyes(scene, *eyes, layout, PLAIN, side=side).color[0]


def draw_eyes() -> Figure:
    left, right = see_gallery("side by side").chunk(2, 1)
    return picture_grid([("left", left), ("right", right), ("both", left * RED + right * CYAN)], 3)


def draw_layouts() -> Figure:
    figure = make_figure(6.4)
    for ax, title, picture in zip(figure.subplots(2, 1), ("side by side", "VR180"), (
            see_gallery("side by side"), see_gallery("VR180", 512))):
        show_picture(ax, title, picture)
    return figure
