"""How fast the library is on a CUDA GPU, and whether what it draws there is right.

    python benchmarks/gpu.py [--device cuda]

Prints Markdown tables and leaves them in results/gpu.md. Pictures are compared with those of the torch engine on the
CPU; times are of the GPU alone, with everything there, then of a node, which brings a clip and takes the prior back.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from competitors import BORDER_DEPTH, build_released_mesh
from report import describe_machine, publish, table
from torch import Tensor
from torch.nn.functional import max_pool2d

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
MOST_MS, LEAST_RATIO = 60, 1.5
NOTES = f"""\
{FRAMES} frames of {SIDE}x{SIDE}, scene {SCENE} (background: {MOVING_SCENE}), medians of {RUNS} runs. Unlike: of another
color by more than 1/255, or covered in only one of the two. Edges: within {EDGE} pixels of a jump in depth. The memory
floor moves the bytes that drawing must: depth and colors in, color, depth and face out."""


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
    spent = measure(frames, depth, engines, device)
    machine = f"{describe_device(device)}; {describe_machine(['warp-lang', 'nvdiffrast'])}"
    pages = [table(["picture", "engine", "unlike, %", "away from edges, %"], unlike),
             table(["what", "ms", "ms per frame"], [[name, f"{ms:.2f}", f"{ms / FRAMES:.3f}"]
                                                    for name, ms in spent.items()]),
             "\n".join(judge(spent, engines)), machine, NOTES]
    publish("gpu", "\n\n".join(pages), {"machine": machine, "unlike": unlike, "ms": spent})


def describe_device(device: torch.device) -> str:
    """Its name, driver and most memory taken so far."""
    if device.type != "cuda":
        return f"no GPU, but {device}"
    return (f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}, at most "
            f"{torch.cuda.max_memory_allocated(device) / 1e6:.0f} MB of its memory taken")


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


def measure(frames: Tensor, depth: VideoDepth, engines: list[str], device: torch.device) -> dict[str, float]:
    """Milliseconds for the whole clip of everything a prior is made of."""
    cameras, there = path_of(depth, "90"), move_to(depth, device)
    placed, path = frames.to(device), move_to(cameras, device)
    mesh = build_dw_mesh(placed, there)
    spent = {"bring clip and depth": time_of(lambda: (frames.to(device), move_to(depth, device)), device),
             "mesh": time_of(lambda: build_dw_mesh(placed, there), device)}
    for engine in engines:
        spent[f"draw, {engine}"] = time_of(partial(draw_all, mesh, path, engine), device)
        spent[f"prior, {engine}"] = time_of(partial(render_prior, mesh, path, engine=engine), device)
    prior = render_prior(mesh, path, RenderRules(erosion=0))
    spent["erosion"] = time_of(lambda: [erode(mask, 5) for mask in prior.visible], device)
    spent["memory floor"] = time_of(lambda: move_bytes(mesh), device)
    spent["take the prior back"] = time_of(lambda: move_to(prior, torch.device("cpu")), device)
    if "nvdiffrast" in engines:
        spent["mesh and drawing as released"] = time_of(lambda: draw_released(placed, there, path), device)
    spent["as a node: all from the CPU and back"] = time_of(lambda: as_node(frames, depth, cameras, device), device)
    return {**spent, **measure_background(device)}


def time_of(work: Callable[[], object], device: torch.device) -> float:
    """Median milliseconds, after one call that warms it up."""
    times = []
    for _ in range(RUNS + 1):
        wait_for(device)
        begun = time.perf_counter()
        work()
        wait_for(device)
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times[1:])


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


def measure_background(device: torch.device) -> dict[str, float]:
    """Milliseconds to find what moves in a clip, to choose what other frames add, and to render with it."""
    frames, depth = sample_clip(MOVING_SCENE, FRAMES, (SIDE, SIDE))
    frames, depth = frames.to(device), move_to(depth, device)
    cameras = move_to(path_of(move_to(depth, torch.device("cpu")), "90"), device)
    mesh, moving = build_dw_mesh(frames, depth, MeshRules(hidden_reach=0.1)), find_motion(frames, depth)
    background = make_background(mesh, moving)
    return {"what moves": time_of(lambda: find_motion(frames, depth), device),
            "background: choose": time_of(lambda: make_background(mesh, moving), device),
            "background: prior without": time_of(lambda: render_prior(mesh, cameras), device),
            "background: prior with": time_of(lambda: render_prior(mesh, cameras, background=background), device)}


def judge(spent: dict[str, float], engines: list[str]) -> list[str]:
    """What must be reached, and what was."""
    if "warp" not in engines:
        return ["Warp does not run here, so nothing is judged."]
    ours = spent["mesh"] + spent["prior, warp"]
    lines = [(ours <= MOST_MS, f"mesh and prior within {MOST_MS} ms: {ours:.1f} ms")]
    if "nvdiffrast" in engines:
        ratio = spent["draw, nvdiffrast"] / spent["draw, warp"]
        lines.append((ratio >= LEAST_RATIO, f"drawing {LEAST_RATIO} times as fast as nvdiffrast's: {ratio:.2f}"))
    floor = spent["draw, warp"] / spent["memory floor"]
    moved = spent["bring clip and depth"] + spent["take the prior back"]
    whole = spent["as a node: all from the CPU and back"]
    return [*(f"- [{'x' if held else ' '}] {line}" for held, line in lines),
            f"- drawing takes {floor:.1f} times as long as moving its bytes",
            f"- bringing and taking back are {moved / whole:.0%} of what a node takes"]


if __name__ == "__main__":
    main()
