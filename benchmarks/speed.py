"""How fast the library is, beside everything else that could do the work, in one run on the same scene.

    python benchmarks/speed.py [--rounds N]

Prints a Markdown table and leaves it in results/speed.md with speed.json and scaling.png. Competitors take turns, so
that whatever else the machine does meets all alike. What runs on one core is pinned to it with all its threads and
timed by the CPU time of the process, which leaves out the work of others.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch
from competitors import Embree, LlvmPipe, MemoryFloor, Missing, Open3D, Ours, View, build_released_mesh
from matplotlib.figure import Figure
from report import describe_machine, publish, publish_picture, table
from torch import Tensor

from ex4d_ops.depth import VideoDepth
from ex4d_ops.mesh import DWMesh, build_dw_mesh
from ex4d_ops.plot import draw_figure
from ex4d_ops.prior import paint_vertices
from ex4d_ops.raster import Fragments
from ex4d_ops.scene import sample_clip
from ex4d_ops.trajectory import RELEASED_FRAMES, automatic_radius, released_path

SCENE = "gallery"
SIDE = 512
ANGLES = (0, 30, 60, 90)
MESH_FRAMES = 5  # that are built in one turn
CLIPS = ((49, 512), (98, 512), (196, 512), (49, 1024))  # frames, pixels a side
OURS = ("warp", "torch")
NOTES = """\
Embree and Open3D build their tree again in every frame, because every frame is a new mesh; drawing the picture of their
hits is not counted. llvmpipe lifts the vertices on its side; uploading depth and colors and reading back color, depth
and face are counted. The memory floor only copies what every renderer must read and write. At 0 degrees every pixel
center lies exactly on a vertex, where GL's fill rule leaves out the last row and column and rays in single precision
slip by edges. Depth to prior is build_dw_mesh and render_prior along orbit:yaw=90 with the default rules, warm, in a
process of its own; its memory is counted above the interpreter with torch imported, clip and depth included."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="number of turns of each competitor (default: 7)")
    rounds = parser.parse_args().rounds
    with one_core():
        frames, depth = sample_clip(SCENE, MESH_FRAMES, (SIDE, SIDE))
        meshes, differing = race_meshes(frames, depth, rounds)
        drawn, unlike = race_renderers(build_dw_mesh(frames, depth), automatic_radius(depth), rounds)
    clips = measure_clips(max(rounds // 2, 1))  # each in a process of its own
    rows = mesh_rows(meshes, differing) + render_rows(drawn, unlike) + clip_rows(clips)
    header = ["what", "how", f"ms per frame of {SIDE}x{SIDE} (at {slashed(ANGLES)}°)", "times ours",
              "unlike ours, % of vertices or pixels"]
    targets = "\n".join(f"- [{'x' if held else ' '}] {line}" for line, held in judge(meshes, drawn, clips))
    machine = describe_machine(["warp-lang", "moderngl", "embreex", "open3d", "numpy"])
    publish("speed", f"{table(header, rows)}\n\n{targets}\n\nScene {SCENE}, {rounds} turns. {machine}\n{NOTES}",
            {"machine": machine, "mesh_ms": meshes, "render_ms": drawn, "unlike": unlike, "clips": clips})
    publish_picture("scaling", plot_scaling(clips))


# ---- on one core ---------------------------------------------------------------------------------


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, and the threads that it begins, on one core."""
    cores, threads = os.sched_getaffinity(0), torch.get_num_threads()
    os.sched_setaffinity(0, {max(cores)})
    torch.set_num_threads(1)
    yield
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(threads)


def take_turns(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each, after one call that warms it up."""
    for run in contestants.values():
        run()
    spent = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            begun = time.process_time()
            run()
            spent[name].append(1000 * (time.process_time() - begun))
    return {name: statistics.median(times) for name, times in spent.items()}


def race_meshes(frames: Tensor, depth: VideoDepth, rounds: int) -> tuple[dict[str, float], float]:
    """Milliseconds per frame to meshes with RGBA at their vertices, and the share of vertices that differ."""
    faces = build_dw_mesh(frames, depth).faces().long()

    def build_ours() -> list[Tensor]:
        mesh = build_dw_mesh(frames, depth)
        return [paint_vertices(mesh, t) for t in range(len(mesh))]

    def build_released() -> list[Tensor]:
        return [build_released_mesh(*frame, faces)[1] for frame in zip(depth.depth, frames, depth.intrinsics)]

    differing = torch.stack([differs(ours.reshape(-1, 4), released)
                             for ours, released in zip(build_ours(), build_released())])
    spent = take_turns({"ours": build_ours, "ours, without colors": lambda: build_dw_mesh(frames, depth),
                        "released method": build_released}, rounds)
    return {name: milliseconds / len(frames) for name, milliseconds in spent.items()}, float(differing.float().mean())


def race_renderers(mesh: DWMesh, radius: float, rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Milliseconds per frame of every renderer at ANGLES, and the share of pixels unlike those of our first engine."""
    renderers = gather_renderers(mesh.size)
    spent, unlike = {name: [] for name in renderers}, {name: [] for name in renderers if name != "memory floor"}
    for angle in ANGLES:
        view = view_from(mesh, angle, radius)
        reference = renderers[OURS[0]].draw(view)
        for name in unlike:
            picture = renderers[name].picture(view, renderers[name].draw(view))
            unlike[name].append(share_unlike(picture, reference))
        contestants = {name: partial(renderer.draw, view) for name, renderer in renderers.items()}
        for name, milliseconds in take_turns(contestants, rounds).items():
            spent[name].append(milliseconds)
    return spent, unlike


def gather_renderers(size: tuple[int, int]) -> dict[str, object]:
    """Our engines and the competitors that run here; says which are missing and what they lack."""
    renderers = {engine: Ours(engine) for engine in OURS}
    for name, make in (("llvmpipe", lambda: LlvmPipe(size)), ("Embree", Embree), ("Open3D", Open3D)):
        try:
            renderers[name] = make()
        except Missing as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return renderers | {"memory floor": MemoryFloor(size)}


def view_from(mesh: DWMesh, angle: int, radius: float) -> View:
    """What a released path of this name sees of frame 0 at its end; 0 is where it begins."""
    preset, t = (str(angle), RELEASED_FRAMES - 1) if angle else ("30", 0)
    cameras = released_path(preset, RELEASED_FRAMES, radius, mesh.intrinsics[0], mesh.size)
    view = View(mesh.depth[0], paint_vertices(mesh, 0), mesh.intrinsics[0], cameras.cam_from_world[t],
                cameras.intrinsics[t], cameras.size)
    view.vertices, view.faces, view.rays  # noqa: B018  what ray tracers take is made here, not in their time
    return view


def share_unlike(picture: Fragments, reference: Fragments) -> float:
    """The share of pixels covered in only one of two pictures or of another color."""
    covered = (picture.face >= 0) != (reference.face >= 0)
    return float((covered | differs(picture.rgba, reference.rgba)).float().mean())


def differs(rgba: Tensor, reference: Tensor) -> Tensor:
    """Where colors [..., 4] differ by more than one step of 8 bits."""
    return (rgba - reference).abs().amax(-1) > 1 / 255


# ---- on all cores --------------------------------------------------------------------------------


def measure_clips(rounds: int) -> list[dict[str, float]]:
    """What one_clip.py says of each of CLIPS, medians of so many processes."""
    with tempfile.TemporaryDirectory() as folder:
        for frames, side in CLIPS:
            film(Path(folder) / f"{frames}x{side}", frames, side)
        measured = [[measure_clip(Path(folder) / f"{frames}x{side}") for frames, side in CLIPS]
                    for _ in range(rounds)]
    return [{key: statistics.median(run[key] for run in runs) for key in runs[0]} for runs in zip(*measured)]


def film(folder: Path, frames: int, side: int) -> None:
    folder.mkdir()
    clip, depth = sample_clip(SCENE, frames, (side, side))
    np.save(folder / "frames.npy", clip.numpy())
    np.save(folder / "depth.npy", depth.depth.numpy())


def measure_clip(folder: Path) -> dict[str, float]:
    script = Path(__file__).with_name("one_clip.py")
    done = subprocess.run([sys.executable, script, folder], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


# ---- the page ------------------------------------------------------------------------------------


def mesh_rows(spent: dict[str, float], differing: float) -> list[list[str]]:
    return [["mesh, 1 core", name, f"{spent[name]:.2f}", ratios([spent[name]], [spent["ours"]]),
             percent([differing]) if name == "released method" else ""] for name in spent]


def render_rows(spent: dict[str, list[float]], unlike: dict[str, list[float]]) -> list[list[str]]:
    ours = fastest(spent)
    return [["drawing, 1 core", f"ours, {name}" if name in OURS else name,
             slashed(f"{value:.1f}" for value in spent[name]), ratios(spent[name], ours),
             percent(unlike[name]) if name in unlike and name != OURS[0] else ""] for name in spent]


def clip_rows(clips: list[dict[str, float]]) -> list[list[str]]:
    cores = len(os.sched_getaffinity(0))
    return [[f"depth to prior, {cores} cores", f"{clip['frames']:.0f} frames of {clip['side']:.0f}x{clip['side']:.0f}",
             f"{1000 * clip['seconds'] / clip['frames']:.1f}: {clip['seconds']:.2f} s, peak {clip['peak_mb']:.0f} MB, "
             f"{clip['kept_mb']:.0f} MB of it clip, mesh and prior", "", ""] for clip in clips]


def judge(meshes: dict[str, float], drawn: dict[str, list[float]],
          clips: list[dict[str, float]]) -> list[tuple[str, bool]]:
    """Every target with what was reached, and whether it holds."""
    cores = len(os.sched_getaffinity(0))
    short, _, long, _ = clips
    faster = meshes["released method"] / meshes["ours"]
    bare = meshes["ours, without colors"]
    verdicts = [(f"mesh at least 12 times as fast as the released method: {faster:.1f}", faster >= 12),
                (f"mesh without colors within 2 ms: {bare:.2f}", bare <= 2)]
    for name, times in (("llvmpipe", 6), ("Embree", 30)):
        if name in drawn:
            least = min(theirs / ours for theirs, ours in zip(drawn[name], fastest(drawn)))
            verdicts.append((f"drawing at least {times} times as fast as {name} at every angle: {least:.1f}",
                             least >= times))
    slower, grown = long["seconds"] / short["seconds"], working(long) / working(short)
    return verdicts + [
        (f"49 frames from depth to prior within 1.5 s on {cores} cores: {short['seconds']:.2f} s",
         short["seconds"] <= 1.5),
        (f"its peak at most 700 MB: {short['peak_mb']:.0f} MB", short["peak_mb"] <= 700),
        (f"196 frames at most 4.4 times the time of 49: {slower:.2f}", slower <= 4.4),
        (f"working memory flat: {grown:.2f} times as much with 196 frames as with 49", grown <= 1.1)]


def fastest(spent: dict[str, list[float]]) -> list[float]:
    """Milliseconds of our fastest engine at each angle."""
    return [min(times) for times in zip(*(spent[engine] for engine in OURS))]


def working(clip: dict[str, float]) -> float:
    """MB in use at the peak beyond what has to be kept."""
    return clip["peak_mb"] - clip["kept_mb"]


def ratios(spent: list[float], ours: list[float]) -> str:
    return slashed(f"{a / b:.2g}" if a < 10 * b else f"{a / b:.0f}" for a, b in zip(spent, ours))


def percent(shares: list[float]) -> str:
    return slashed(f"{100 * share:.3f}".rstrip("0").rstrip(".") for share in shares)


def slashed(values) -> str:
    return " / ".join(str(value) for value in values)


def plot_scaling(clips: list[dict[str, float]]) -> Tensor:
    """Seconds, and peak memory with the part that has to be kept, over the pixels of the clip."""
    figure = Figure(figsize=(10, 4), dpi=100, layout="constrained")
    axes = figure.subplots(1, 2)
    pixels = [clip["frames"] * clip["side"] ** 2 / 1e6 for clip in clips]
    seconds, peak, kept = ([clip[key] for clip in clips] for key in ("seconds", "peak_mb", "kept_mb"))
    axes[0].plot(pixels, seconds, "o", color="C0")
    axes[0].axline((0, 0), (pixels[0], seconds[0]), color="0.6", linestyle="--", label="49 frames, in proportion")
    axes[0].set(title="depth to prior", ylabel="seconds")
    axes[1].plot(pixels, peak, "o", color="C3", label="peak above the interpreter with torch")
    axes[1].plot(pixels, kept, "_", markersize=14, color="0.3", label="of it clip, mesh and prior")
    axes[1].set(title="memory", ylabel="MB")
    for ax, values in zip(axes, (seconds, peak)):
        for x, y, clip in zip(pixels, values, clips):
            highest = y == max(value for at, value in zip(pixels, values) if at == x)
            ax.annotate(f"{clip['frames']:.0f} x {clip['side']:.0f}²", (x, y), textcoords="offset points",
                        xytext=(-8, 4 if highest else -14), ha="right")
        ax.set(xlabel="pixels of the clip, millions", xlim=(0, 1.05 * max(pixels)), ylim=(0, 1.15 * max(values)))
        ax.legend(loc="lower right")
    return draw_figure(figure)


if __name__ == "__main__":
    main()
