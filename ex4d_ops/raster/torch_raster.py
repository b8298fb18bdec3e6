"""The readable reference: every face tested against the pixels it may cover, in float64, on any device."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from . import FAR, NEAR, Fragments
from .grid import face_vertices, hide, make_opaque, pixels_from_grid, place_vertices

FACES_AT_ONCE = 1 << 14  # keeps the working set in the cache, and memory bounded
TESTS_AT_ONCE = 1 << 16
ROUNDING = 1e-6  # pixels; ranges are widened by it, then every pixel in them is tested exactly


def draw(depth: Tensor, rgba: Tensor, intrinsics: Tensor, cam_from_mesh: Tensor, cam_intrinsics: Tensor,
         size: tuple[int, int], limits: Tensor | None = None, hidden: Tensor | None = None) -> Fragments:
    """Draw one depth grid; see rasterize."""
    points = place_vertices(depth, pixels_from_grid(intrinsics, cam_from_mesh, cam_intrinsics))
    rows, columns = depth.shape
    faces = 2 * (rows - 1) * (columns - 1) + 2
    limit = depth.new_full((faces,), torch.inf)
    if limits is not None:
        limit[:-2] = limits.permute(2, 0, 1).reshape(-1)
    nearest = torch.zeros(size[0] * size[1], dtype=torch.int64, device=depth.device)
    for first in range(0, faces, FACES_AT_ONCE):
        face = torch.arange(first, min(first + FACES_AT_ONCE, faces), device=depth.device)
        vertices = face_vertices(face, (rows, columns))
        draw_faces(face, points[vertices], depth.reshape(-1)[vertices].double(), limit[face], size, nearest)
    fragments = shade(nearest, points, rgba if hidden is None else make_opaque(rgba), size)
    return fragments if hidden is None else hide(fragments, hidden)


def draw_faces(face: Tensor, corners: Tensor, depth: Tensor, limit: Tensor, size: tuple[int, int],
               nearest: Tensor) -> None:
    """Keep in nearest [h*w] the keys of faces [N] where they lie in front of what it holds.

    corners: [N, 3, 4]; depth: [N, 3] of them in the grid's camera; limit: [N], where each face is cut off.
    """
    height, width = size
    top, bottom = extent(corners, 1, height)
    left, right = extent(corners, 0, width)
    seen = ((top <= bottom) & (left <= right)).nonzero()[:, 0]
    face, corners, depth, limit = face[seen], corners[seen], depth[seen], limit[seen]
    for k, y in count_through(top[seen], bottom[seen]):
        for s, x in count_through(*columns_inside(corners[k], y, width)):
            row, owner = y[s], k[s]
            edges = edge_functions(corners[owner], x, row)
            z = depth_at(edges, corners[owner])
            hit = ((edges >= 0).all(-1) | (edges <= 0).all(-1)) & (z >= NEAR) & (z <= FAR)
            hit &= (shares_of(edges, corners[owner]) * depth[owner]).sum(-1) <= limit[owner]
            keys = pack(1 / z[hit], face[owner[hit]])
            nearest.scatter_reduce_(0, (row * width + x)[hit].long(), keys, "amax")


def extent(corners: Tensor, axis: int, limit: int) -> tuple[Tensor, Tensor]:
    """First and last pixel, [N] float64, along an axis of the parts of faces [N, 3, 4] beyond NEAR, if any."""
    following = corners.roll(-1, 1)
    ahead = corners[..., 2] == 1
    z, next_z = corners[..., 2] / corners[..., 3], following[..., 2] / following[..., 3]
    share = (NEAR - z) / (next_z - z)
    on_plane = torch.lerp(corners[..., axis] / corners[..., 3], following[..., axis] / following[..., 3], share) / NEAR
    crossing = ahead != (following[..., 2] == 1)
    nowhere = torch.full_like(z, torch.inf)
    own, cut = corners[..., axis], on_plane
    lowest = torch.minimum(torch.where(ahead, own, nowhere), torch.where(crossing, cut, nowhere)).amin(1)
    highest = torch.maximum(torch.where(ahead, own, -nowhere), torch.where(crossing, cut, -nowhere)).amax(1)
    return (lowest - ROUNDING).ceil().clamp(min=0), (highest + ROUNDING).floor().clamp(max=limit - 1)


def columns_inside(corners: Tensor, y: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """First and last column, [R] float64, of the faces [R, 3, 4] in row y [R], give or take rounding."""
    start = edge_functions(corners, torch.zeros_like(y), y)  # [R, 3]; an edge function is start + slope x
    facing = (start * corners[..., 2]).sum(-1, keepdim=True).sign()
    start, slope = start * facing, edge_slopes(corners, y) * facing
    zero = -start / slope
    first = torch.where(slope > 0, zero, -torch.inf).amax(1)
    last = torch.where(slope < 0, zero, torch.inf).amin(1)
    return (first - ROUNDING).ceil().clamp(min=0), (last + ROUNDING).floor().clamp(max=width - 1)


def edge_functions(corners: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """On which side of the edge opposite each corner pixels (x, y) [P] lie, [P, 3]; inside all have one sign."""
    dx = corners[..., 0] - x[:, None] * corners[..., 2]
    dy = corners[..., 1] - y[:, None] * corners[..., 2]
    return dx.roll(-1, 1) * dy.roll(-2, 1) - dy.roll(-1, 1) * dx.roll(-2, 1)


def edge_slopes(corners: Tensor, y: Tensor) -> Tensor:
    """By how much edge_functions change from a pixel of row y [P] to its right neighbour, [P, 3]."""
    z = corners[..., 2]
    dy = corners[..., 1] - y[:, None] * z
    return dy.roll(-1, 1) * z.roll(-2, 1) - z.roll(-1, 1) * dy.roll(-2, 1)


def depth_at(edges: Tensor, corners: Tensor) -> Tensor:
    """z [P] of faces [P, 3, 4] where their edge functions are edges [P, 3]."""
    return (edges * corners[..., 2]).sum(-1) / (edges * corners[..., 3]).sum(-1)


def shares_of(edges: Tensor, corners: Tensor) -> Tensor:
    """How much of each corner is in faces [P, 3, 4] where their edge functions are edges [P, 3]; sums to 1."""
    weights = edges * corners[..., 3]
    return weights / weights.sum(-1, keepdim=True)


def count_through(first: Tensor, last: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (k, value) for every whole value of first[k]..last[k], a bounded number at a time."""
    count = (last - first + 1).clamp(min=0).long()
    ends = count.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    for begin in range(0, total, TESTS_AT_ONCE):
        step = torch.arange(begin, min(begin + TESTS_AT_ONCE, total), device=first.device)
        k = torch.searchsorted(ends, step, right=True)
        yield k, first[k] + (step - (ends[k] - count[k]))


def pack(inverse_z: Tensor, face: Tensor) -> Tensor:
    """Keys [P] int64 that are larger for what is nearer, then for the lower face. 1/z > 0 orders as its bits do."""
    return (inverse_z.float().view(torch.int32).long() << 32) | (0xFFFFFFFF - face)


def shade(nearest: Tensor, points: Tensor, rgba: Tensor, size: tuple[int, int]) -> Fragments:
    """Blend the vertices of the face that each pixel keeps in nearest [h*w]."""
    height, width = size
    pixel = nearest.nonzero()[:, 0]
    face = 0xFFFFFFFF - (nearest[pixel] & 0xFFFFFFFF)
    rows, columns = rgba.shape[:2]
    vertices = face_vertices(face, (rows, columns))
    corners = points[vertices]
    edges = edge_functions(corners, (pixel % width).double(), (pixel // width).double())
    weights = shares_of(edges, corners).float()

    fragments = Fragments(rgba.new_zeros(height, width, 4), rgba.new_full((height, width), torch.inf),
                          torch.full((height, width), -1, dtype=torch.int32, device=rgba.device))
    fragments.rgba.view(-1, 4)[pixel] = (weights[..., None] * rgba.reshape(-1, 4)[vertices]).sum(1)
    fragments.depth.view(-1)[pixel] = depth_at(edges, corners).float()
    fragments.face.view(-1)[pixel] = face.int()
    return fragments
