"""Solids that rays meet in closed form: balls, pillars and cubes, stretched and moved."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

# Here vectors are columns: a matrix of N points is [3, N].
Paint = Callable[[Tensor, Tensor], Tensor]  # points and widths of a pixel there [3, N], scene units -> colors [3, N]

X, Y, Z = 0, 1, 2
# A unit shape keeps within distance 1 of its centre along each of these groups of axes.
SHAPES = {"ball": ([X, Y, Z],), "pillar": ([X, Z], [Y]), "cube": ([X], [Y], [Z])}


@dataclass(frozen=True, eq=False)
class Solid:
    """A unit shape, stretched by half its extents and placed in the world.

    half: scene units along its own axes, a pillar stands along y; place: seconds -> world_from_solid [4, 4] float64,
    rigid. A hollow solid is a room, seen from within. What casts a shadow receives none.
    """

    shape: Literal["ball", "pillar", "cube"]
    half: tuple[float, float, float]
    place: Callable[[float], Tensor]
    paint: Paint
    casts: bool = True
    hollow: bool = False

    def world_from_unit(self, seconds: float) -> Tensor:
        """The affine [4, 4] float64 that puts the unit shape in the world."""
        return self.place(seconds) @ torch.diag(torch.tensor([*self.half, 1.0], dtype=torch.float64))


def hit(shape: str, origin: Tensor, rays: Tensor) -> Tensor:
    """How many rays [3, N] lie between origin [3] and the unit shape's surface ahead, [N]; inf where it is missed."""
    enter, leave = torch.full_like(rays[0], -torch.inf), torch.full_like(rays[0], torch.inf)
    for axes in SHAPES[shape]:
        first, last = (cross_slab if len(axes) == 1 else cross_round)(origin[axes], rays[axes])
        enter, leave = torch.maximum(enter, first), torch.minimum(leave, last)
    ahead = torch.where(enter > 0, enter, leave)
    return torch.where((enter <= leave) & (ahead > 0), ahead, torch.inf)


def cross_round(origin: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays [2 or 3, N] enter and leave the unit circle or ball; NaN where they miss it.

    By way of the closest approach: the textbook quadratic cancels for small, far shapes.
    """
    squared = rays.square().sum(0)
    middle = -(origin @ rays) / squared
    closest = (rays * middle + origin[:, None]).square().sum(0)
    half_chord = ((1 - closest) / squared).sqrt()
    return middle - half_chord, middle + half_chord


def cross_slab(origin: Tensor, rays: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays [1, N] enter and leave -1..1."""
    low, high = (-1 - origin) / rays[0], (1 - origin) / rays[0]
    return torch.minimum(low, high), torch.maximum(low, high)


def spans(shape: str) -> Tensor:
    """1 where axis [:, k] belongs to the shape's group of axes [k, :], 0 elsewhere, [3, 3] float64."""
    groups = SHAPES[shape] + ([],) * (3 - len(SHAPES[shape]))
    return torch.tensor([[float(axis in group) for axis in (X, Y, Z)] for group in groups], dtype=torch.float64)


def surface(spans: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Outward normals [3, N], of any length, of unit shapes at points [3, N] of them, and the faces [N] they lie on.

    spans: [3, 3, N], of the shape that each point lies on.
    """
    face, furthest = torch.zeros_like(points[0], dtype=torch.int64), torch.full_like(points[0], -torch.inf)
    normals = torch.zeros_like(points)
    for number, span in enumerate(spans):
        within = points * span
        distance = within.square().sum(0)
        further = distance > furthest
        face, furthest = torch.where(further, number, face), torch.where(further, distance, furthest)
        normals = torch.where(further, within, normals)
    return normals, face


def shift(x: float, y: float, z: float) -> Tensor:
    """Translation [4, 4] float64; y points down."""
    return torch.tensor([[1, 0, 0, x], [0, 1, 0, y], [0, 0, 1, z], [0, 0, 0, 1]], dtype=torch.float64)


def turn(axis: int, angle: float) -> Tensor:
    """Rotation [4, 4] float64 by angle radians about the axis X, Y or Z."""
    matrix = torch.eye(4, dtype=torch.float64)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    matrix[a, a] = matrix[b, b] = math.cos(angle)
    matrix[b, a] = math.sin(angle)
    matrix[a, b] = -matrix[b, a]
    return matrix
