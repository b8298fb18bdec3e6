"""Rasterising the mesh of a depth grid: one verb, three engines.

    torch        the readable reference, any device, always there
    warp         one kernel source for CPU and CUDA, no compiler needed
    nvdiffrast   used when installed, on CUDA; antialiased as released

A grid of depth [H, W] is the mesh that mesh.grid_faces describes; faces are numbered in that order.

Read grid.py, the geometry that all engines share, then torch_raster.py, and the same rules as kernels in
warp_kernels.py and warp_shading.py.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from importlib import import_module

import torch
from torch import Tensor

from ..camera import move_to
from ..rules import ENGINES

NEAR = 1e-3  # scene units; released code
FAR = 1e3
INSTALLS = {"nvdiffrast": "from github.com/NVlabs/nvdiffrast", "warp": "with pip install warp-lang"}

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Fragments:
    """What each target pixel sees of the mesh.

    rgba: [h, w, 4] float32, perspective-correct, 0 where nothing is hit; depth: [h, w] float32, z in the
    target camera, inf where nothing is hit; face: [h, w] int32, row of mesh.grid_faces, -1 where nothing is hit.
    """

    rgba: Tensor
    depth: Tensor
    face: Tensor


def rasterize(depth: Tensor, rgba: Tensor, intrinsics: Tensor, cam_from_mesh: Tensor, cam_intrinsics: Tensor,
              size: tuple[int, int], engine: str = "auto", limits: Tensor | None = None,
              hidden: Tensor | None = None) -> Fragments:
    """Draw the mesh of one depth grid as another camera sees it; the nearest surface wins, both windings count.

    depth: [H, W] float32, z at every vertex; rgba: [H, W, 4] float32 at every vertex; intrinsics: [3, 3] of
    the grid; cam_from_mesh: [4, 4], target camera from the grid's camera; cam_intrinsics: [3, 3] and size:
    (h, w) of the target. limits: [H-1, W-1, 2] float32, the depth in the grid's camera at which each face is cut off;
    inf draws it whole, 0 not at all, None draws all whole. hidden: [H-1, W-1, 2] bool, the faces that are transparent,
    as the back then is too, while all else is opaque; rgba then is [H, W, 3]. Surfaces nearer than NEAR or farther than
    FAR are cut. Same input, same bits, but for what nvdiffrast blends at silhouettes.
    """
    home, place = depth.device, drawing_device(engine, depth.device)
    if place != home:
        limits, hidden = (None if faces is None else faces.to(place) for faces in (limits, hidden))
        return move_to(rasterize(depth.to(place), rgba.to(place), intrinsics.to(place), cam_from_mesh.to(place),
                                 cam_intrinsics.to(place), size, engine, limits, hidden), home)
    engine = choose_engine(engine, place)
    draw = import_module(f".{engine}_raster", __name__).draw
    return draw(depth, rgba, intrinsics, cam_from_mesh, cam_intrinsics, size, limits, hidden)


@cache
def drawing_device(engine: str, device: torch.device) -> torch.device:
    """Where to draw what lies on device: there if it is a GPU that a fast engine knows, else on the CPU.

    Warp on the CPU is faster than the torch engine on a GPU, and Apple's GPUs and others have no float64. Logs, once,
    why a CUDA device, as ROCm calls itself too, is passed over. An engine asked for by name draws where it can.
    """
    if device.type != "cuda" and engine != "nvdiffrast":
        return torch.device("cpu")
    if engine in ("nvdiffrast", "torch") or not find_obstacle("nvdiffrast", device):
        return device
    obstacle = find_obstacle("warp", device)
    if not obstacle:
        return device
    log.warning("Rendering on the CPU, because warp cannot render on %s: %s", device, obstacle)
    return torch.device("cpu")


@cache
def choose_engine(engine: str, device: torch.device) -> str:
    """Resolve "auto" to the fastest engine that runs on device, and check any other name.

    Logs, once, why a faster engine is passed over. Raises ValueError where the name is unknown or it can't run.
    """
    if engine == "auto":
        return fastest_engine(device)
    if engine not in ENGINES:
        raise ValueError(f"engine: {engine!r} is unknown; use auto, {', '.join(ENGINES)}")
    obstacle = find_obstacle(engine, device)
    if obstacle:
        raise ValueError(f"engine: {engine} cannot render on {device}: {obstacle}, or use engine auto")
    return engine


def fastest_engine(device: torch.device) -> str:
    """The first of ENGINES without an obstacle; nvdiffrast is optional, so only Warp's absence is worth a line."""
    if not find_obstacle("nvdiffrast", device):
        return "nvdiffrast"
    obstacle = find_obstacle("warp", device)
    if not obstacle:
        return "warp"
    log.warning("Rendering with the slower torch engine, because warp cannot render on %s: %s", device, obstacle)
    return "torch"


def find_obstacle(engine: str, device: torch.device) -> str | None:
    """Why an engine can't draw on device and what to do about it; None where it can."""
    if engine == "torch":
        return None
    try:
        return import_module(f".{engine}_raster", __name__).find_obstacle(device)
    except ImportError as error:
        return f"{error}; install it {INSTALLS[engine]}"
    except OSError as error:
        return f"{error}; free some disk space or make the folder writable"
