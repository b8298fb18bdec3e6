"""How fast the library is on a CUDA GPU, and whether what it draws there is right.

    python benchmarks/gpu.py [--device cuda]

Prints Markdown tables and leaves them in results/gpu.md. Pictures are compared with those of the torch engine on the
CPU; times are those until the GPU is done, with everything there, then of a node, which brings a clip and takes the
prior back; beside them is how long the GPU works of that: else it waits to be told what to do.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from typing import NamedTuple

import torch
from competitors import BORDER_DEPTH, build_released_mesh
from report import describe_machine, publish, table
from torch import Tensor
from torch.autograd import DeviceType
from torch.nn.functional import max_pool2d
from torch.profiler import ProfilerActivity, profile

from ex4d_ops.background import make_background
from ex4d_ops.camera import CameraPath, move_to
from ex4d_ops.depth import VideoDepth
from ex4d_ops.mesh import DWMesh, MeshRules, build_dw_mesh, grid_faces
from ex4d_ops.motion import find_motion
from ex4d_ops.prior import Prior, RenderRules, erode, paint_vertices, render_prior
from ex4d_ops.raster import Fragments, find_obstacle, rasterize
from ex4d_ops.scene import sample_clip
from ex4d_ops.trajectory import automatic_radius, released_path

SCENE, MOVING_SCENE = "gallery", "colonnade"
FRAMES, SIDE = 49, 512
ANGLES = ("30", "60", "90")
ENGINES = ("warp", "nvdiffrast")
EDGE = 2  # pixels around where the depth of a picture jumps
JUMP = 0.02  # of the depth
RUNS = 7
LONG_ENOUGH = 3.0  # seconds, after which fewer runs will do
MOST_MS, LEAST_RATIO = 60, 1.5
UNLIKE = ["picture", "engine", "unlike, %", "away from edges, %"]
NOTES = f"""\
{FRAMES} frames of {SIDE}x{SIDE}, scene {SCENE} (background: {MOVING_SCENE}), medians of {RUNS} runs, or fewer if they
take long. Unlike: of another color by more than 1/255, or covered in only one of two. Edges: within {EDGE} pixels of a
jump in depth. The memory floor moves the bytes that drawing must: depth, colors in, color, depth and face out."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda"),
                        help="device to measure (default: cuda)")
    device = parser.parse_args().device
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("This torch finds no CUDA GPU; run this where one can be had.")
    engines = []
    for engine in ENGINES:
        if obstacle := find_obstacle(engine, device):
            print(f"{engine} is left out: {obstacle}", file=sys.stderr)
        else:
            engines.append(engine)
    frames, depth = sample_clip(SCENE, FRAMES, (SIDE, SIDE))
    unlike = [row for angle in ANGLES for row in compare(frames, depth, angle, engines, device)]
    print(table(UNLIKE, unlike), file=sys.stderr)
    spent = measure(frames, depth, engines, device)
    machine = f"{describe_device(device)}; {describe_machine(['warp-lang', 'nvdiffrast'])}"
    pages = [table(UNLIKE, unlike),
             table(["what", "ms", "ms per frame", "GPU works, ms"],
                   [[name, f"{ms:.2f}", f"{ms / FRAMES:.3f}", f"{works:.2f}"] for name, (ms, works) in spent.items()]),
             "\n".join(judge(spent, engines)), machine, NOTES]
    publish("gpu", "\n\n".join(pages), {"machine": machine, "unlike": unlike, "ms": spent})


def describe_device(device: torch.device) -> str:
    """Its name, driver, the day and the most memory taken so far."""
    if device.type != "cuda":
        return f"no GPU, but {device}"
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()[0]
    most = torch.cuda.max_memory_allocated(device) / 1e6
    return (f"{torch.cuda.get_device_name(device)}, driver {driver}, CUDA {torch.version.cuda}, {date.today()}, "
            f"at most {most:.0f} MB of its memory taken")


# ---- right --------------------------------------------------------------------------------------


def compare(frames: Tensor, depth: VideoDepth, angle: str, engines: list[str],
            device: torch.device) -> list[list[str]]:
    """How unlike the last frame of a released path is, by each engine on device, to that of the reference."""
    mesh, cameras = build_dw_mesh(frames[-1:], last_frame(depth)), path_of(depth, angle)
    reference = draw(mesh, 0, cameras, FRAMES - 1, "torch")
    there, path = move_to(mesh, device), move_to(cameras, device)
    edges = near_edges(reference.depth)
    rows = []
    for engine in engines:
        drawn = move_to(draw(there, 0, path, FRAMES - 1, engine), torch.device("cpu"))
        wrong = ((drawn.rgba - reference.rgba).abs().amax(-1) > 1 / 255) | (drawn.face >= 0).ne(reference.face >= 0)
        rows.append([f"{angle}°", engine, *(f"{100 * part.float().mean():.4f}" for part in (wrong, wrong[~edges]))])
    return rows


def last_frame(depth: VideoDepth) -> VideoDepth:
    return VideoDepth(depth.depth[-1:], depth.intrinsics[-1:], depth.world_from_cam[-1:], depth.metric)


def path_of(depth: VideoDepth, angle: str) -> CameraPath:
    return released_path(angle, len(depth), automatic_radius(depth), depth.intrinsics[0], depth.size)


def draw(mesh: DWMesh, source: int, cameras: CameraPath, t: int, engine: str) -> Fragments:
    cam_from_mesh = cameras.cam_from_world[t] @ mesh.world_from_cam[source]
    return rasterize(mesh.depth[source], paint_vertices(mesh, source), mesh.intrinsics[source], cam_from_mesh,
                     cameras.intrinsics[t], cameras.size, engine)


def near_edges(depth: Tensor) -> Tensor:
    """Pixels [H, W] near a jump in depth [H, W] or the end of what is covered."""
    near = depth.nan_to_num(posinf=0.0)[None, None]
    jumps = max_pool2d(near, 3, 1, 1) + max_pool2d(-near, 3, 1, 1) > JUMP * near
    return max_pool2d(jumps.float(), 2 * EDGE + 1, 1, EDGE)[0, 0] > 0


# ---- fast ---------------------------------------------------------------------------------------


def measure(frames: Tensor, depth: VideoDepth, engines: list[str], device: torch.device) -> dict[str, Spent]:
    """Milliseconds for the whole clip of everything a prior is made of."""
    cameras, there = path_of(depth, "90"), move_to(depth, device)
    placed, path = frames.to(device), move_to(cameras, device)
    mesh = build_dw_mesh(placed, there)
    bounded = replace(mesh, hidden_reach=0.1)
    prior = render_prior(mesh, path, RenderRules(erosion=0))
    works: dict[str, Callable[[], object]] = {
        "bring clip and depth": lambda: (frames.to(device), move_to(depth, device)),
        "mesh": lambda: build_dw_mesh(placed, there)}
    for engine in engines:
        works[f"draw, {engine}"] = partial(draw_all, mesh, path, engine)
        works[f"prior, {engine}"] = partial(render_prior, mesh, path, engine=engine)
        works[f"prior with bounded reach, {engine}"] = partial(render_prior, bounded, path, engine=engine)
    works["erosion"] = lambda: [erode(mask, 5) for mask in prior.visible]
    works["memory floor"] = lambda: move_bytes(mesh)
    works["take the prior back"] = lambda: move_to(prior, torch.device("cpu"))
    if "nvdiffrast" in engines:
        works["mesh and drawing as released"] = lambda: draw_released(placed, there, path)
    works["as a node: all from the CPU and back"] = lambda: as_node(frames, depth, cameras, device)
    return time_all(works, device) | measure_background(device)


class Spent(NamedTuple):
    """Milliseconds until all is done, and those in which the GPU works."""

    ms: float
    works: float


def time_all(works: dict[str, Callable[[], object]], device: torch.device) -> dict[str, Spent]:
    spent = {}
    for name, work in works.items():
        spent[name] = time_of(work, device)
        print(f"{name}: {spent[name].ms:.1f} ms, of which the GPU works {spent[name].works:.1f}", file=sys.stderr)
    return spent


def time_of(work: Callable[[], object], device: torch.device) -> Spent:
    """What it takes, the median of calls after one that warms it up."""
    times: list[float] = []
    while len(times) <= RUNS and sum(times) < 1000 * LONG_ENOUGH or len(times) < 2:
        wait_for(device)
        begun = time.perf_counter()
        work()
        wait_for(device)
        times.append(1000 * (time.perf_counter() - begun))
    return Spent(statistics.median(times[1:]), gpu_ms(work, device))


def gpu_ms(work: Callable[[], object], device: torch.device) -> float:
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as watch:
        work()
        wait_for(device)
    return sum(event.self_device_time_total for event in watch.key_averages()
               if event.device_type == DeviceType.CUDA) / 1e3


def wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def draw_all(mesh: DWMesh, path: CameraPath, engine: str) -> None:
    for t in range(FRAMES):
        draw(mesh, t, path, t, engine)


def move_bytes(mesh: DWMesh) -> None:
    """Move the bytes that the drawing of every frame must."""
    colors = mesh.colors.new_ones(SIDE, SIDE, 4)
    out = Fragments(torch.empty_like(colors), torch.empty_like(colors[..., 0]), torch.empty_like(colors[..., 0]))
    for depth in mesh.depth:
        out.rgba.copy_(colors)
        out.depth.copy_(depth)
        out.face.fill_(-1)


def draw_released(frames: Tensor, depth: VideoDepth, path: CameraPath) -> None:
    """Mesh by the released steps, drawn by nvdiffrast, frame by frame."""
    faces = grid_faces((SIDE, SIDE), device=frames.device).long()
    for t in range(FRAMES):
        closed = depth.depth[t].clamp(max=BORDER_DEPTH)
        _, rgba = build_released_mesh(closed, frames[t], depth.intrinsics[t], faces)
        rasterize(closed, rgba.view(SIDE, SIDE, 4), depth.intrinsics[t],
                  path.cam_from_world[t] @ depth.world_from_cam[t], path.intrinsics[t], path.size, "nvdiffrast")


def as_node(frames: Tensor, depth: VideoDepth, cameras: CameraPath, device: torch.device) -> Prior:
    mesh = build_dw_mesh(frames.to(device), move_to(depth, device))
    return move_to(render_prior(mesh, move_to(cameras, device)), torch.device("cpu"))


def measure_background(device: torch.device) -> dict[str, Spent]:
    """Milliseconds to find what moves in a clip, to choose what other frames add, and to render with it."""
    frames, depth = sample_clip(MOVING_SCENE, FRAMES, (SIDE, SIDE))
    frames, depth = frames.to(device), move_to(depth, device)
    cameras = move_to(path_of(move_to(depth, torch.device("cpu")), "90"), device)
    mesh, moving = build_dw_mesh(frames, depth, MeshRules(hidden_reach=0.1)), find_motion(frames, depth)
    background = make_background(mesh, moving)
    return time_all({"what moves": lambda: find_motion(frames, depth),
                     "background: choose": lambda: make_background(mesh, moving),
                     "background: prior without": lambda: render_prior(mesh, cameras),
                     "background: prior with": lambda: render_prior(mesh, cameras, background=background)}, device)


def judge(spent: dict[str, Spent], engines: list[str]) -> list[str]:
    """What must be reached, and what was."""
    if "warp" not in engines:
        return ["Warp does not run here, so nothing is judged."]
    parts = [spent["mesh"], spent["prior, warp"]]
    works, ours = sum(part.works for part in parts), sum(part.ms for part in parts)
    lines = [(works <= MOST_MS, f"mesh and prior within {MOST_MS} ms of the GPU: {works:.1f}, in {ours:.1f} ms")]
    if "nvdiffrast" in engines:
        for what in ("draw", "prior"):
            ratio = spent[f"{what}, nvdiffrast"].ms / spent[f"{what}, warp"].ms
            lines.append((ratio >= LEAST_RATIO, f"{what} {LEAST_RATIO} times as fast as by nvdiffrast: {ratio:.2f}"))
    floor = spent["draw, warp"].works / max(spent["memory floor"].works, 1e-9)
    moved = spent["bring clip and depth"].ms + spent["take the prior back"].ms
    whole = spent["as a node: all from the CPU and back"].ms
    return [*(f"- [{'x' if held else ' '}] {line}" for held, line in lines),
            f"- drawing keeps the GPU {floor:.1f} times as long as moving its bytes",
            f"- bringing and taking back are {moved / whole:.0%} of what a node takes"]


if __name__ == "__main__":
    main()
