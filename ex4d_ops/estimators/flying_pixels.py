"""Pixels that fly between two surfaces: where depth was averaged across an edge they lie on neither."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

from ..depth import EDGE_RATIO

PLANE_GROWTH = 1.5  # twice the window spans twice the disparity on a slope, and no more across an edge
MARGIN = 0.05  # of the step between two surfaces; a pixel that differs less from its neighbour is on its surface


def land_flying_pixels(disparity: Tensor, width: int = 2) -> Tensor:
    """Disparity [T, H, W] whose pixels between two surfaces moved to the one beside them that they are closer to.

    width: pixels that an edge is smeared over to either side. Only values of neighbouring pixels are given out, so no
    surface appears; slopes and everything away from edges stay.
    """
    if width == 0:
        return disparity
    landed = torch.empty_like(disparity)
    for t, frame in enumerate(disparity):
        flying = flying_pixels(frame, width)
        landed[t] = frame.masked_fill(flying, torch.nan)
        for _ in range(2 * width):
            landed[t] = land(landed[t], frame, flying)
        landed[t] = torch.where(landed[t].isnan() | beside_border(frame, 2 * width), frame, landed[t])
    return landed


def flying_pixels(disparity: Tensor, width: int) -> Tensor:
    """Which pixels [H, W] lie on a ramp between two surfaces at most `width` pixels away that go on level behind it."""
    low, high = local_range(disparity, width)
    wide_low, wide_high = local_range(disparity, 2 * width)
    step, wide_step = high - low, wide_high - wide_low
    edge = (wide_high > EDGE_RATIO * wide_low) & (wide_step < PLANE_GROWTH * step)
    return edge & (on_ramp(disparity, MARGIN * wide_step) | on_ramp(disparity.mT, MARGIN * wide_step.mT).mT)


def on_ramp(plane: Tensor, least: Tensor) -> Tensor:
    """Where a plane [H, W] rises, or falls, by more than `least` [H, W] from the left and on to the right."""
    rise = pad(plane.diff(dim=1), (1, 1), value=0.0)  # [H, W + 1]
    before, after = rise[:, :-1], rise[:, 1:]
    return ((before > least) & (after > least)) | ((before < -least) & (after < -least))


def beside_border(plane: Tensor, rim: int) -> Tensor:
    """Pixels [H, W] at most `rim` from the border, where it is unknown how a surface goes on."""
    beside = torch.ones_like(plane, dtype=torch.bool)
    beside[rim:-rim, rim:-rim] = False
    return beside


def local_range(plane: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """The least and the greatest value [H, W] within `radius` pixels across and down; NaN counts as neither."""
    def greatest(values: Tensor) -> Tensor:
        return max_pool2d(values[None, None], 2 * radius + 1, 1, radius)[0, 0]

    unknown = plane.isnan()
    return -greatest((-plane).masked_fill(unknown, -torch.inf)), greatest(plane.masked_fill(unknown, -torch.inf))


def land(landed: Tensor, original: Tensor, flying: Tensor) -> Tensor:
    """One step: flying pixels that are still NaN take the value, of those landed around them, closest to their own."""
    y, x = (flying & landed.isnan()).nonzero(as_tuple=True)
    around = pad(landed[None, None], (1, 1, 1, 1), value=torch.nan)[0, 0]
    beside = torch.stack([around[y + i, x + j] for i in range(3) for j in range(3)])  # [9, N]
    closest = (beside - original[y, x]).abs().nan_to_num(torch.inf).argmin(0, keepdim=True)
    landed = landed.clone()
    landed[y, x] = beside.gather(0, closest)[0]
    return landed
