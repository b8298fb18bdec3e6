"""Pictures of the depth nodes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from matplotlib.figure import Figure

from ex4d_ops.camera import intrinsics_from_focal
from ex4d_ops.clip import CLIP_SIZES, fit_frame
from ex4d_ops.depth import DepthUnits, depth_from, fill_invalid, make_video_depth
from ex4d_ops.files import read_depth, write_depth
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.plot import draw_depth, scene_points
from ex4d_ops.scene import SCENES, make_scene, sample_clip
from ex4d_ops.trajectory import move_path, parse_moves

from . import material
from .sheet import FONT, make_figure, picture_grid, show_path, show_picture

UNITS = {  # the conventions with the node's defaults
    "released": DepthUnits("released"),
    "disparity": DepthUnits("disparity"),
    "depth": DepthUnits("depth"),
    "normalized-disparity": DepthUnits("normalized-disparity", near=1.0, far=100.0),
    "normalized-depth": DepthUnits("normalized-depth", near=1.0, far=100.0),
}
PINK = torch.tensor([1.0, 0.0, 1.0])


def draw_scenes() -> Figure:
    cells = []
    for name in SCENES:
        frames, depth = material.clip(name)
        cells += [(name, frames[0]), ("frame 24", frames[24]), ("depth", draw_depth(depth.depth)[24])]
    return picture_grid(cells, 3)


def draw_sizes() -> Figure:
    """What each size that is offered keeps of a wide picture."""
    frame = sample_clip("street", 1, (432, 768))[0][0]
    figure = make_figure(4.2)
    for ax, (name, size) in zip(figure.subplots(2, 2).flatten(), {"video": (432, 768), **CLIP_SIZES}.items()):
        show_picture(ax, name, fit_frame(frame, size, "crop"))
    return figure


def draw_conventions() -> Figure:
    """What depth each convention makes of the same gray."""
    gray = torch.linspace(0, 1, 401)[None, None]
    figure = make_figure(5.4)
    ax = figure.subplots()
    for style, (name, units) in zip(("-", "--", "-.", ":", "-"), UNITS.items()):
        ax.semilogy(gray.flatten(), depth_from(gray, units).flatten(), style, linewidth=3, label=name)
    ax.set(ylim=(0.03, 300), xlim=(0, 1))
    ax.set_yticks([0.1, 1, 3, 10, 30, 100], ["0.1", "1", "3", "10", "30", "100"])
    ax.minorticks_off()
    ax.tick_params(labelsize=FONT)
    ax.set_xlabel("gray: 0 black, 1 white", fontsize=FONT)
    ax.set_ylabel("depth, scene units", fontsize=FONT)
    ax.grid(alpha=0.4)
    figure.legend(fontsize=FONT - 2, loc="outside upper center", ncols=2)
    return figure


def draw_lenses() -> Figure:
    """The same depth through lenses half as long as the true one, right, and twice as long."""
    frames, depth = material.clip("gallery")
    lenses = [(title, make_video_depth(depth.depth[:1], intrinsics_from_focal(focal, material.SIZE)))
              for title, focal in (("too short", 250.0), ("right", 500.0), ("too long", 1000.0))]
    widest = scene_points(lenses[0][1])
    figure = make_figure(4.4)
    for above, below, (title, seen_through) in zip(*figure.subplots(2, 3), lenses):
        scene = build_dw_mesh(frames[:1], seen_through)
        cameras = material.path("orbit:yaw=25", scene, 2)
        show_path(above, title, material.path("static", scene, 1), scene, margin=widest)
        show_picture(below, "from 25° right", material.look(scene, cameras, 1))
    return figure


def draw_source_cameras() -> Figure:
    """A camera that stays where it is, while the source camera walks ahead."""
    frames, depth = material.clip("colonnade")
    at_rest = make_video_depth(depth.depth, depth.intrinsics)
    moving, still = (build_dw_mesh(frames, made) for made in (depth, at_rest))
    cameras = material.path("static", depth)
    return picture_grid([("source, frame 0", frames[0]), ("source, frame 24", frames[24]),
                         ("source_cameras: on", material.look(moving, cameras, 24, 24)),
                         ("source_cameras: off", material.look(still, cameras, 24, 24))], 2)


def draw_filling() -> Figure:
    """Depth with the holes that a stereo camera leaves: what only one of its eyes sees has none."""
    scene = make_scene("gallery")
    eye = scene.source_cameras(1, material.SIZE)
    other = move_path(parse_moves("truck:distance=-0.15..-0.15"), 1, 3.0, eye.intrinsics, material.SIZE)
    depth = scene.render(eye)[1]
    holes = ~scene.seen_from_source(eye, other)
    filled = fill_invalid(depth.masked_fill(holes, torch.nan))
    measured, mended, exact = draw_depth(torch.cat([depth, filled, depth]))
    measured[holes[0]] = PINK
    return picture_grid([("holes in pink", measured), ("fill: on", mended), ("exact", exact)], 3)


def draw_colors() -> Figure:
    depth = material.clip("garden")[1].depth[:1]
    maps = ("turbo", "viridis", "magma", None)
    return picture_grid([(name or "gray", draw_depth(depth, name)[0]) for name in maps], 2)


def draw_precision() -> Figure:
    """How far depth is off that was written in 16 bits and read again, and how large files of each format are."""
    frames = 9
    depth = make_video_depth(material.clip("garden")[1].depth[:frames], metric=True)
    surface = torch.isfinite(depth.depth)
    figure = make_figure(5.4)
    ax = figure.subplots()
    with tempfile.TemporaryDirectory() as folder:
        for form, name, dot in (("npz", "depth.npz", 1), ("exr", "exr", 1), ("png", "png", 6),
                                ("video", "depth.mkv", 2)):
            file = Path(folder) / name
            write_depth(file, depth, form)
            error = (read_depth(file).depth - depth.depth).abs()[surface]
            size = f"{file_size(file) / frames / 1e3:.0f} kB a frame"
            shown = slice(None, None, len(error) // 20000)
            ax.loglog(depth.depth[surface][shown], error[shown], "." if error.any() else " ", markersize=dot,
                      label=f"{form}, {size}" if error.any() else f"{form}, {size}, exact")
    ax.set(ylim=(1e-7, 0.1))
    ax.set_xticks([3, 5, 10, 20, 50], ["3", "5", "10", "20", "50"])
    ax.minorticks_off()
    ax.tick_params(labelsize=FONT)
    ax.set_xlabel("depth, metres", fontsize=FONT)
    ax.set_ylabel("error when read back, metres", fontsize=FONT)
    ax.grid(alpha=0.4)
    figure.legend(fontsize=FONT - 2, loc="outside upper center", markerscale=2)
    return figure


def file_size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size
