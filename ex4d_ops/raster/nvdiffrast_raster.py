"""The released engine: nvdiffrast on CUDA, whose silhouettes are antialiased."""

from __future__ import annotations

from functools import cache
from importlib import import_module

import torch
from torch import Tensor

from . import FAR, NEAR, Fragments
from .grid import cut_faces, face_vertices, hide, make_opaque, pixels_from_grid

EXACT_NUMBERS = 2**24  # as far as float32 counts one by one
LARGE_NUMBERS = 0x4A800000  # nvdiffrast adds it to larger face numbers and stores the bits of the sum


def find_obstacle(device: torch.device) -> str | None:
    """Why nvdiffrast can't draw on device and what to do about it; None where it can."""
    if device.type != "cuda":
        return "it needs a CUDA GPU; use engine warp"
    try:
        rasterizer(device)
    except (RuntimeError, OSError) as error:
        return f"{str(error).splitlines()[0]}; rebuild it for this version of torch"
    return None


@cache
def rasterizer(device: torch.device):
    return import_module("nvdiffrast.torch").RasterizeCudaContext(device)


@cache
def all_faces(size: tuple[int, int], device: torch.device) -> Tensor:
    """The faces [F, 3] int32 of a grid of this size (H, W)."""
    count = 2 * (size[0] - 1) * (size[1] - 1) + 2
    return face_vertices(torch.arange(count, device=device), size).int()


def draw(depth: Tensor, rgba: Tensor, intrinsics: Tensor, cam_from_mesh: Tensor, cam_intrinsics: Tensor,
         size: tuple[int, int], limits: Tensor | None = None, hidden: Tensor | None = None) -> Fragments:
    """Draw one depth grid; see rasterize. Colors at silhouettes are blended, depth and faces are not."""
    dr = import_module("nvdiffrast.torch")

    rgba = rgba if hidden is None else make_opaque(rgba)
    faces = all_faces(tuple(depth.shape), depth.device)
    clip = clip_positions(depth, pixels_from_grid(intrinsics, cam_from_mesh, cam_intrinsics), size)
    vertices, owner = torch.cat([clip[0], rgba.reshape(-1, 4)], -1), None
    if limits is not None:
        vertices, faces, owner = cut_faces(vertices, faces, depth.reshape(-1), limits.permute(2, 0, 1).reshape(-1))
    clip = vertices[None, :, :4].contiguous()
    hits, _ = dr.rasterize(rasterizer(depth.device), clip, faces, size, grad_db=False)
    attributes = torch.cat([vertices[:, 4:], vertices[:, 3:4]], -1)  # w is z in the target camera
    seen, _ = dr.interpolate(attributes[None].contiguous(), hits, faces)
    blended = dr.antialias(seen[..., :4].contiguous(), hits, clip, faces)
    face = face_numbers(hits[0, ..., 3])
    if owner is not None:
        face = torch.where(face >= 0, owner[face.long()], -1)
    fragments = Fragments(blended[0], torch.where(face >= 0, seen[0, ..., 4], torch.inf), face)
    return fragments if hidden is None else hide(fragments, hidden)


def clip_positions(depth: Tensor, pixels_from_grid: Tensor, size: tuple[int, int]) -> Tensor:
    """Vertices of depth [H, W] in clip space, [1, H*W, 4] float32, for a target of size (h, w).

    As OpenGL has it, but y points down: so the first row of what nvdiffrast draws is the top of the picture.
    """
    height, width = depth.shape
    i = torch.arange(height, device=depth.device, dtype=torch.float64)[:, None, None]
    j = torch.arange(width, device=depth.device, dtype=torch.float64)[:, None]
    across, down, once, offset = pixels_from_grid.unbind(-1)
    x, y, z = (depth.double()[..., None] * (across * j + down * i + once) + offset).unbind(-1)  # x z, y z, z
    clip = [2 * (x + 0.5 * z) / size[1] - z, 2 * (y + 0.5 * z) / size[0] - z,
            ((FAR + NEAR) * z - 2 * FAR * NEAR) / (FAR - NEAR), z]
    return torch.stack(clip, -1).reshape(1, -1, 4).float()


def face_numbers(stored: Tensor) -> Tensor:
    """Face numbers [h, w] int32 as nvdiffrast stores them, float32 counted from 1; -1 where nothing is hit."""
    large = stored.contiguous().view(torch.int32) - LARGE_NUMBERS
    return torch.where(stored <= EXACT_NUMBERS, stored.int(), large) - 1
