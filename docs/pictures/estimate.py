"""Pictures of EstimateVideoDepth."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure

from ex4d_ops.depth import make_video_depth
from ex4d_ops.estimators.clip_depth import ClipRules, estimate_clip_depth
from ex4d_ops.estimators.estimate import Estimate
from ex4d_ops.estimators.steadiness import SteadyRules, steady
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.plot import draw_depth

from . import material
from .sheet import make_figure, show_path, show_picture

RULES = {"released": ClipRules(), "as given": ClipRules("as given"),
         "near and far": ClipRules("near and far", 2.0, 5.0)}


def draw_scales() -> Figure:
    """The same estimate by each scale rule, from above and from the side."""
    frames, depth = material.clip("gallery")
    figure = make_figure(4.4)
    for above, below, (name, rules) in zip(*figure.subplots(2, 3), RULES.items()):
        made = estimate_clip_depth(frames[:1], lambda shot, _: Estimate(depth.depth[shot], "depth", True), False, rules)
        scene = build_dw_mesh(frames[:1], made.depth)
        cameras = material.path("orbit:yaw=25", scene, 2)
        show_path(above, name, material.path("static", scene, 1), scene)
        show_picture(below, "from 25° right", material.look(scene, cameras, 1))
    return figure


def draw_steadiness() -> Figure:
    """One row of the picture over time, each frame's depth in a scale of its own, and aligned."""
    frames, depth = material.clip("street")
    disparity = (1 / depth.depth).masked_fill(depth.depth.isinf(), torch.nan)
    generator = torch.Generator().manual_seed(2)
    scales = torch.exp(0.15 * torch.randn(len(frames), 1, 1, generator=generator))
    shifts = 0.02 * torch.randn(len(frames), 1, 1, generator=generator)
    noisy = disparity * scales + shifts
    aligned = steady(frames, noisy, SteadyRules(), depth.intrinsics[0])
    figure = make_figure(1.7)
    rows = [("frame by frame", noisy), ("aligned", aligned), ("exact", disparity)]
    for ax, (title, values) in zip(figure.subplots(1, 3), rows):
        row = values[:, 380].nan_to_num(0.0).clamp(min=0.02)  # [T, W]
        picture = draw_depth(make_video_depth(1 / row[None]).depth)[0]
        show_picture(ax, title, picture.repeat_interleave(12, 0))
    return figure
