"""Pictures of the camera nodes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ex4d_ops.camera import CameraPath, default_intrinsics, invert_rigid, rigid
from ex4d_ops.depth import VideoDepth, make_video_depth
from ex4d_ops.files import read_path, write_path
from ex4d_ops.mesh import DWMesh
from ex4d_ops.rotation import rotate_about
from ex4d_ops.trajectory import EASES, automatic_radius, source_path
from ex4d_ops.trajectory.editing import arrive, blend, chain, freeze, ping_pong, retime, reverse
from ex4d_ops.trajectory.keyframes import keyframe_path, parse_keyframes
from ex4d_ops.trajectory.viewer import camera_from_load3d, load3d_from_camera

from . import material
from .sheet import ABOVE, BEHIND, FONT, RIGHT, VIEW_NAMES, make_figure, picture_grid, show_path, show_picture

# What a sheet shows: title, move in words, side the path is seen from, frame of 49 that shows the move best.
PRESETS = [(f"preset-{preset}", f"preset-{preset}", ABOVE, 48) for preset in (30, 60, 90)] + [
    ("preset-180", "preset-180", view, frame) for view, frame in ((ABOVE, 12), (RIGHT, 24), (BEHIND, 36))]
CIRCLES = [("orbit", "orbit", ABOVE, 48), ("orbit, pitch 30", "orbit:pitch=30", RIGHT, 48), ("arc", "arc", ABOVE, 24),
           ("spiral", "spiral", BEHIND, 48), ("figure-eight", "figure-eight", BEHIND, 6),
           ("combined", "orbit:yaw=40+dolly:distance=-0.3", ABOVE, 48)]
STRAIGHTS = [(name, name, view, 48) for name, view in (("dolly", ABOVE), ("truck", ABOVE), ("pedestal", RIGHT),
                                                      ("pan", ABOVE), ("tilt", RIGHT), ("roll", BEHIND))]
LENSES = [(name, name, ABOVE, 48) for name in ("static", "zoom", "dolly-zoom")]
EXAMPLE = """[{"frame": 0},
              {"frame": 24, "yaw": 40, "pitch": 10, "ease": "ease-in-out"},
              {"frame": 48, "yaw": -20, "distance": 0.8, "zoom": 1.2}]"""  # the node's default
LENS = default_intrinsics(material.SIZE)


def draw_moves(moves: Sequence[tuple[str, str, tuple[int, int], int]]) -> Figure:
    """Three moves a row: each path, and below it what its camera sees of source frame 0."""
    scene = material.mesh("gallery")
    figure = make_figure(4.5 * len(moves) / 3)
    rows = figure.subplots(len(moves) // 3 * 2, 3)
    for k, (title, move, view, frame) in enumerate(moves):
        above, below = rows[k // 3 * 2: k // 3 * 2 + 2, k % 3]
        cameras = material.path(move, scene)
        show_path(above, title, cameras, scene, view)
        above.set(xlabel=VIEW_NAMES[view], ylabel="")
        show_picture(below, f"frame {frame}", material.look(scene, cameras, frame))
    return figure


def draw_radii() -> Figure:
    """The same turn around targets in front of, at and behind the nearest object."""
    scene = material.mesh("gallery")
    paths = {f"radius {radius}": material.path("orbit:yaw=30", scene, radius=radius) for radius in (1, 0, 8)}
    figure = make_figure(4.5)
    for above, below, (title, cameras) in zip(*figure.subplots(2, 3), paths.items()):
        show_path(above, title, cameras, scene, margin=paths["radius 8"].eye)
        above.set(xlabel="", ylabel="")
        show_picture(below, "30° to the right", material.look(scene, cameras, 48))
    return figure


def draw_eases() -> Figure:
    figure = make_figure(4.4)
    ax = figure.subplots()
    time = torch.linspace(0, 1, 49, dtype=torch.float64)
    for name, ease in EASES.items():
        ax.plot(torch.arange(49), ease(time), linewidth=3, label=name)
    style_timeline(ax, "", "share of the way")
    figure.legend(fontsize=FONT - 2, loc="outside upper center", ncols=2)
    return figure


def style_timeline(ax, title: str, ylabel: str) -> None:
    ax.set_title(title, fontsize=FONT)
    ax.set_xlabel("frame", fontsize=FONT - 2)
    ax.set_ylabel(ylabel, fontsize=FONT - 2)
    ax.tick_params(labelsize=FONT - 3)
    ax.grid(alpha=0.4)


# ---- keyframes ----------------------------------------------------------------------------------


def draw_keyframes() -> Figure:
    """The default keyframes from two sides, and what they set over time, smooth and not."""
    scene = material.mesh("gallery")
    keyframes = parse_keyframes(EXAMPLE, 49)
    smooth, straight = (keyframe_path(keyframes, 49, automatic_radius(scene), LENS, material.SIZE, smooth)
                        for smooth in (True, False))
    figure = make_figure(6.4)
    (above, side), (yaws, pitches) = figure.subplots(2, 2)
    show_path(above, "from above", smooth, scene)
    show_path(side, "from its right", smooth, scene, RIGHT)
    for ax, angle, title in ((yaws, orbit_yaw, "yaw"), (pitches, orbit_pitch, "pitch")):
        for cameras, style, name in ((smooth, "-", "smooth: on"), (straight, "--", "off")):
            ax.plot(angle(cameras, scene), style, linewidth=2.5, label=name)
        ax.plot([key.frame for key in keyframes], [key.orbit[title == "pitch"] for key in keyframes], "ko")
        style_timeline(ax, title, "degrees")
    yaws.legend(fontsize=FONT - 4)
    return figure


def orbit_yaw(cameras: CameraPath, scene: VideoDepth | DWMesh) -> Tensor:
    """How far every camera has circled the scene's target to the right, degrees."""
    away = cameras.eye - torch.tensor([0.0, 0.0, automatic_radius(scene)])
    return torch.rad2deg(torch.atan2(away[:, 0], -away[:, 2]))


def orbit_pitch(cameras: CameraPath, scene: VideoDepth | DWMesh) -> Tensor:
    """How far every camera has circled the scene's target upwards, degrees."""
    away = cameras.eye - torch.tensor([0.0, 0.0, automatic_radius(scene)])
    return torch.rad2deg(torch.atan2(-away[:, 1], torch.hypot(away[:, 0], away[:, 2])))


# ---- the source camera --------------------------------------------------------------------------


def draw_smoothing() -> Figure:
    """A camera that was carried by hand, from above, and what smoothing makes of its way and of where it looks."""
    generator, frames = torch.Generator().manual_seed(5), 49
    along, shaking = torch.linspace(0, 1, frames).double(), torch.randn(frames, 3, generator=generator).double()
    place = torch.stack([1.6 * along, 0 * along, 0.7 * torch.sin(2.2 * along)], -1) + 0.03 * shaking
    cameras = rigid(rotate_about("y", -0.5 * along + 0.06 * shaking[:, 0].roll(3)), place)
    clip = make_video_depth(torch.ones(frames, 2, 2), world_from_cam=(invert_rigid(cameras[0]) @ cameras).float())
    figure = make_figure(6.0)
    for ax, smoothing in zip(figure.subplots(3, 1, sharex=True, sharey=True), (0, 4, 12)):
        path = source_path(clip, smoothing)
        ahead = path.eye + 0.3 * path.cam_from_world[:, 2, :3]
        for start, end in zip(path.eye[::4], ahead[::4]):
            ax.plot([start[0], end[0]], [start[2], end[2]], color="tab:blue", linewidth=1.5)
        ax.plot(path.eye[:, 0], path.eye[:, 2], color="black", linewidth=2)
        ax.set_title(f"smoothing {smoothing}", fontsize=FONT)
        ax.set(aspect="equal", xticks=[], yticks=[])
    return figure


# ---- editing ------------------------------------------------------------------------------------


def draw_operations() -> Figure:
    """Every operation: the path it makes, and which camera and which source frame each output frame shows."""
    scene = material.clip("gallery")[1]
    first, second = (material.path(move, scene, 25) for move in ("orbit:yaw=40", "orbit:pitch=25"))
    edits = {"the first path": first, "chain, join on": chain([first, second]),
             "chain, join off": chain([first, second], join=False), "blend, weight 0.5": blend(first, second, 0.5),
             "reverse": reverse(first), "ping-pong": ping_pong(first), "retime, both": retime(first, 49, "ease-in-out"),
             "retime, cameras": retime(first, 25, "ease-in-out", "cameras"), "freeze, frame 12": freeze(first, 12)}
    figure = make_figure(1.6 * len(edits))
    rows = figure.subplots(len(edits), 2, width_ratios=(1, 1.7))
    for (plan, timeline), (title, cameras) in zip(rows, edits.items()):
        show_path(plan, title, cameras, margin=torch.cat([first.eye, second.eye, torch.tensor([[0.0, 0, 3]])]))
        plan.set(xlabel="", ylabel="")
        timeline.plot(orbit_yaw(cameras, scene), linewidth=3, label="camera's yaw, degrees")
        timeline.plot(cameras.source_frame, linewidth=3, label="source frame")
        timeline.set(xlim=(-1, 50), ylim=(-3, 52))
        style_timeline(timeline, "", "")
        timeline.set(xlabel="")
    figure.legend(*timeline.get_legend_handles_labels(), fontsize=FONT - 2, loc="outside upper center", ncols=2)
    return figure


# ---- files --------------------------------------------------------------------------------------


def draw_worlds() -> Figure:
    """A path that begins beside the source camera, read back with both meanings of its world."""
    scene = material.mesh("gallery")
    cameras = material.path("orbit:yaw=20..50", scene)
    figure = make_figure(4.6)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "path.txt"
        write_path(file, cameras, "realestate")
        for above, below, world in zip(*figure.subplots(2, 2), ("file", "first")):
            read = read_path(file, material.SIZE, world=world)
            show_path(above, f"world: {world}", read, scene, margin=cameras.eye)
            above.set(xlabel="", ylabel="")
            show_picture(below, "frame 0", material.look(scene, read, 0))
    return figure


def draw_formats() -> Figure:
    """What comes back of a path that turns, zooms and holds a source frame, from every format that is written."""
    scene = material.clip("gallery")[1]
    cameras = freeze(material.path("orbit:yaw=40+zoom:factor=1.5", scene), 12)
    names = {"ex4d": "a.json", "released": "a.npz", "colmap": "a", "chan": "a.chan", "realestate": "a.txt",
             "recammaster": "b.json", "vista4d": "b.npz", "neoverse": "c.json"}
    columns = {"yaw, degrees": lambda path: orbit_yaw(path, scene),
               "focal, pixels": lambda path: path.intrinsics[:, 0, 0],
               "source frame": lambda path: path.source_frame}
    figure = make_figure(1.35 * len(names))
    rows = figure.subplots(len(names), 3, sharex=True, sharey="col")
    with tempfile.TemporaryDirectory() as folder:
        for ax, title in zip(rows[0], columns):
            ax.set_title(title, fontsize=FONT)
        for row, (format, name) in zip(rows, names.items()):
            write_path(Path(folder) / name, cameras, format)
            read = read_path(Path(folder) / name, material.SIZE, format=format)
            row[0].set_ylabel(format, fontsize=FONT - 2)
            for ax, values in zip(row, columns.values()):
                ax.plot(values(cameras), linewidth=6, color="0.8")
                ax.plot(values(read), linewidth=2)
                ax.tick_params(labelsize=FONT - 4)
    return figure


# ---- 3D viewers ---------------------------------------------------------------------------------


def draw_arrival() -> Figure:
    """A static path that is led to a viewer's camera, early and late."""
    scene = material.mesh("gallery")
    still = material.path("static", scene)
    found = material.path("orbit:yaw=-35..-35,pitch=15..15+dolly:distance=0.2..0.2", scene, 1)
    view = camera_from_load3d(load3d_from_camera(found, 0, 3.0), material.SIZE)
    cells = []
    for frame in (24, 48):
        cameras = arrive(still, view, frame)
        cells += [(f"arrives at {frame}\nframe {t}", material.look(scene, cameras, t)) for t in (0, 24, 48)]
    return picture_grid(cells, 3)


def draw_departure() -> Figure:
    """One frame of an orbit handed to a viewer, and the point it turns around for two distances."""
    scene = material.mesh("gallery")
    cameras = material.path("orbit:yaw=60", scene)
    figure = make_figure(3.3)
    plan, seen = figure.subplots(1, 2)
    show_path(plan, "frame 24 of an orbit", cameras, scene)
    eye = cameras.eye[24]
    plan.plot(eye[0], eye[2], "o", color="crimson", markersize=8)
    for distance in (1.5, 3.0):
        point = load3d_from_camera(cameras, 24, distance)["target"]
        plan.plot([float(eye[0]), point["x"]], [float(eye[2]), -point["z"]], color="crimson")  # the viewer's z is back
        plan.plot(point["x"], -point["z"], "+", color="crimson", markersize=14, markeredgewidth=3)
        plan.annotate(f"{distance:g}", (point["x"], -point["z"]), (8, 4), textcoords="offset points", fontsize=FONT)
    show_picture(seen, "its view", material.look(scene, cameras, 24))
    return figure
