"""The fast engine: kernels for CPUs and CUDA (warp_kernels.py, warp_shading.py), compiled by Warp when first used."""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
import threading

import torch
import warp
from torch import Tensor

from . import Fragments, warp_kernels, warp_shading
from .grid import pixels_from_grid
from .warp_kernels import FARTHEST, MAP, Sizes, draw_quads, draw_queue, place_vertices, wp
from .warp_shading import shade, shade_faces

ROW_AT_ONCE = 1 << 30  # columns one thread of a CPU takes, where a launch is a loop
COLUMNS_AT_ONCE = 4  # that one thread of a GPU takes
QUEUE_THREADS = {"cpu": (1, 1, 1, 1), "cuda": (65536, 4, 8, 128)}  # see warp_kernels.draw_queue

log = logging.getLogger(__name__)
compiling = threading.Lock()


def use_temporary_cache(reason: OSError) -> None:
    """Let Warp keep what it compiles in a folder that goes with this process, and say why."""
    folder = tempfile.mkdtemp(prefix="ex4d-warp-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    wp.config.kernel_cache_dir = folder
    log.warning("Warp cannot write its kernel cache (%s), so its kernels are compiled again in every run; set "
                "WARP_CACHE_PATH to a folder that can be written", reason)


try:
    wp.init()
except OSError as error:
    use_temporary_cache(error)
    wp.init()


def find_obstacle(device: torch.device) -> str | None:
    """Why the kernels can't run on device and what to do about it; None where they can. Compiles them if need be."""
    with compiling:
        try:
            try:
                load_kernels(device)
            except OSError as error:
                use_temporary_cache(error)
                load_kernels(device)
        except Exception as error:  # Warp raises nothing narrower where there is no driver or no GPU it knows
            if device.type == "cpu":
                return str(error).splitlines()[0]
            return f"{str(error).splitlines()[0]}; it needs driver R580 or newer and a Turing GPU or newer"


def load_kernels(device: torch.device) -> None:
    """Compile the kernels, as launches take them: older Warps would do it again in the first, and not one by one."""
    for kernels in (warp_kernels, warp_shading):
        wp.load_module(wp.get_module(kernels.__name__), wp.get_device(str(device)),
                       block_dim=1 if device.type == "cpu" else None)


workspaces = threading.local()


def borrow_workspace(vertices: int, pixels: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Memory to draw in: points [vertices, 4], keys [pixels], a queue [vertices] and its count [1].

    A thread on a CPU gets the same again each time: pages fresh from the system cost as much as a third of the drawing.
    """
    if getattr(workspaces, "asked", None) == (vertices, pixels) and device.type == "cpu":
        return workspaces.lent
    with torch.inference_mode(False):  # or what is lent in it, as ComfyUI runs nodes, cannot be lent outside of it
        lent = (torch.empty(vertices, 4, device=device), torch.empty(pixels, dtype=torch.int64, device=device),
                torch.empty(vertices, dtype=torch.int32, device=device),
                torch.empty(1, dtype=torch.int32, device=device))
    if device.type == "cpu":
        workspaces.asked, workspaces.lent = (vertices, pixels), lent
    return lent


def lend(grid: Tensor, dtype: type | None = None) -> warp.array:
    """A grid [H, W] or [H, W, N] as an array of its H*W points, one after the other, however it lies in memory."""
    return wp.from_torch(grid.flatten(0, 1).contiguous(), dtype=dtype)


def draw(depth: Tensor, rgba: Tensor, intrinsics: Tensor, cam_from_mesh: Tensor, cam_intrinsics: Tensor,
         size: tuple[int, int], limits: Tensor | None = None, hidden: Tensor | None = None) -> Fragments:
    """Draw one depth grid; see rasterize."""
    (rows, columns), (height, width) = depth.shape, size
    device, cpu = depth.device, depth.device.type == "cpu"
    sizes = Sizes()
    sizes.rows, sizes.columns, sizes.height, sizes.width = rows, columns, height, width
    span = ROW_AT_ONCE if cpu else COLUMNS_AT_ONCE
    threads, *lanes = QUEUE_THREADS[device.type]

    def launch(kernel: warp.Kernel, rows: int, columns: int, arrays: list) -> None:
        wp.launch(kernel, rows * -(-columns // span), [sizes, span, *arrays], device=wp.device_from_torch(device))

    maps = wp.from_torch(pixels_from_grid(intrinsics, cam_from_mesh, cam_intrinsics)[None].contiguous(), dtype=MAP)
    vertices, cuts = lend(depth), lend(depth.new_empty(0, 1, 2) if limits is None else limits, wp.vec2)
    points, keys, queue, count = borrow_workspace(rows * columns, height * width, device)
    points, keys = wp.from_torch(points, dtype=wp.vec4), wp.from_torch(keys.fill_(FARTHEST), dtype=wp.uint64)
    queue, count = wp.from_torch(queue), wp.from_torch(count.zero_())
    launch(place_vertices, rows, columns, [vertices, maps, points])
    launch(draw_quads, rows - 1, columns - 1, [vertices, points, keys, cuts, queue, count])
    wp.launch(draw_queue, threads, [sizes, threads, *lanes, vertices, points, keys, cuts, queue, count],
              device=wp.device_from_torch(device))

    out = Fragments(depth.new_empty(height, width, 4), depth.new_empty(height, width),
                    torch.empty(height, width, dtype=torch.int32, device=device))
    written = [wp.from_torch(out.rgba.view(-1, 4), dtype=wp.vec4), wp.from_torch(out.depth.view(-1)),
               wp.from_torch(out.face.view(-1))]
    if hidden is None:
        launch(shade, height, width, [points, keys, lend(rgba, wp.vec4), *written])
    else:
        launch(shade_faces, height, width, [points, keys, lend(rgba, wp.vec3), lend(hidden.flatten(1)), *written])
    return out
