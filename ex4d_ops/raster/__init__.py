"""Rasterising the mesh of a depth grid: one verb, three engines.

    torch        the readable reference, any device, always there
    warp         one kernel source for CPU and CUDA, no compiler needed
    nvdiffrast   used when installed, on CUDA; antialiased as released

A grid of depth [H, W] is the mesh that mesh.grid_faces describes; faces are numbered in that order.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor

NEAR = 1e-3  # scene units; released code
FAR = 1e3


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
              size: tuple[int, int], engine: str = "auto") -> Fragments:
    """Draw the mesh of one depth grid as another camera sees it; the nearest surface wins, both windings count.

    depth: [H, W] float32, z at every vertex; rgba: [H, W, 4] float32 at every vertex; intrinsics: [3, 3] of
    the grid; cam_from_mesh: [4, 4], target camera from the grid's camera; cam_intrinsics: [3, 3] and size:
    (h, w) of the target. Surfaces nearer than NEAR or farther than FAR are cut. Same input, same bits.
    """
    engine = choose_engine(engine, depth.device)
    draw = import_module(f".{engine}_raster", __name__).draw
    return draw(depth, rgba, intrinsics, cam_from_mesh, cam_intrinsics, size)


def choose_engine(engine: str, device: torch.device) -> str:
    return "torch" if engine == "auto" else engine


def parallel_frames(engine: str) -> int:
    return 1
