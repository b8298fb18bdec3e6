"""Paints: color as a function of the point, averaged over a pixel, so that no texture aliases from any distance.

Every pattern is the exact mean of its wave over a box as wide as the pixel is on the surface.
"""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from .solids import Paint, X, Y, Z


def rgb(code: str) -> Tensor:
    """Color [3] float64 in [0, 1] of "rrggbb"."""
    return torch.tensor([int(code[i : i + 2], 16) / 255 for i in (0, 2, 4)], dtype=torch.float64)


def mix(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """Blend colors [3] or [3, N] into [3, N]: a where share [N] is 0, b where it is 1."""
    a, b = (color.to(share).reshape(3, -1) for color in (a, b))
    return a + (b - a) * share


def pulse(x: Tensor, width: Tensor, duty: float) -> Tensor:
    """Mean over x - width/2 .. x + width/2 of the wave that is 1 on [k, k + duty) for every integer k, else 0."""
    width = width.clamp(min=1e-6)

    def integral(x: Tensor) -> Tensor:
        whole = x.floor()
        return whole * duty + (x - whole).clamp(max=duty)

    return (integral(x + width / 2) - integral(x - width / 2)) / width


def swell(x: Tensor, width: Tensor) -> Tensor:
    """Mean over x - width/2 .. x + width/2 of sin(2 pi x)."""
    return (2 * math.pi * x).sin() * torch.sinc(width)


def plain(color: Tensor) -> Paint:
    return lambda point, width: color.to(point)[:, None].expand_as(point)


def checker(a: Tensor, b: Tensor, period: float, axes: tuple[int, ...] = (X, Y, Z)) -> Paint:
    """Squares, or cubes, of side period / 2."""

    def paint(point: Tensor, width: Tensor) -> Tensor:
        sign = torch.ones_like(point[X])
        for axis in axes:
            sign = sign * (2 * pulse(point[axis] / period, width[axis] / period, 0.5) - 1)
        return mix(a, b, (sign + 1) / 2)

    return paint


def stripes(ground: Paint, color: Tensor, period: float, along: tuple[float, float, float], duty: float = 0.5) -> Paint:
    """Bands of color over a ground, duty of each period, that repeat in direction along."""

    def paint(point: Tensor, width: Tensor) -> Tensor:
        direction = point.new_tensor(along) / period
        return mix(ground(point, width), color, pulse(direction @ point, direction.abs() @ width, duty))

    return paint


def windows(ground: Paint, color: Tensor, period: tuple[float, float], duty: tuple[float, float]) -> Paint:
    """Panes in rows on every upright face: period and duty across and up, scene units."""

    def paint(point: Tensor, width: Tensor) -> Tensor:
        across, across_width = point[X] + point[Z], width[X] + width[Z]
        pane = pulse(across / period[0], across_width / period[0], duty[0])
        pane = pane * pulse(point[Y] / period[1], width[Y] / period[1], duty[1])
        return mix(ground(point, width), color, pane)

    return paint


def clouds(ground: Paint, color: Tensor, size: float, rng: random.Random, strength: float = 0.5) -> Paint:
    """Soft blotches of color, from size down to a quarter of it in scene units, over a ground."""
    waves = torch.tensor([[rng.gauss(0, 1) for _ in range(3)] for _ in range(9)], dtype=torch.float64)
    octave = torch.tensor([2.0 ** (k // 3) for k in range(9)], dtype=torch.float64)
    waves = torch.nn.functional.normalize(waves, dim=-1) * octave[:, None] / size
    phase = torch.tensor([[rng.random()] for _ in range(9)], dtype=torch.float64)

    def paint(point: Tensor, width: Tensor) -> Tensor:
        vectors = waves.to(point)
        swells = swell(vectors @ point + phase.to(point), vectors.abs() @ width)
        share = 0.5 + (1 / octave.to(point)) @ swells / 4
        return mix(ground(point, width), color, strength * share.clamp(0, 1))

    return paint
