"""How far the hidden faces of a depth grid reach behind the rim that they hang from."""

from __future__ import annotations

import torch
from torch import Tensor

GAP = 0.01  # share of the nearer depth; a smaller step is one of the surface
THIN = 0.025  # share of its depth; hidden faces reach less far behind what is narrower


def hidden_limits(depth: Tensor, occluded: Tensor, intrinsics: Tensor, reach: float) -> Tensor:
    """Depth [H-1, W-1, 2] to which each face of depth [H, W] is drawn: if hidden to its reach, or else all of it.

    That is a share of the depth of its nearest vertex behind it. Where what this is the rim of is narrower than THIN of
    its depth, in its row or in its column, it is as much less: a post is not taken to be as deep as a wall is thick.
    """
    height, width = depth.shape
    hidden = find_set(occluded)
    quad, lower = hidden >> 1, hidden & 1
    first = quad + quad.div(width - 1, rounding_mode="floor")
    corner = first + lower * (width + 1)  # at the right angle; beside it is one vertex, above or below it another
    beside, below = first + 1 + lower * (width - 1), first + width - lower * (width - 1)
    at_corner, at_beside, at_below = (depth.reshape(-1).index_select(0, each) for each in (corner, beside, below))
    nearest = torch.minimum(torch.minimum(at_corner, at_beside), at_below)
    farthest = torch.maximum(torch.maximum(at_corner, at_beside), at_below)
    vertex = torch.where(at_corner == nearest, corner, torch.where(at_beside == nearest, beside, below))

    behind = torch.maximum((nearest + farthest) / 2, nearest * (1 + GAP))  # is what lies beyond the gap
    right, bottom = width - 1, (height - 1) * width  # are cut off anyway, as the last of their row and column
    cut_across = torch.where((at_corner < behind) != (at_beside < behind), torch.minimum(corner, beside), right)
    cut_down = torch.where((at_corner < behind) != (at_below < behind), torch.minimum(corner, below), bottom)
    across = run_lengths(cut_across, vertex, (height, width)) / intrinsics[0, 0]
    cut_down, turned = turn(cut_down, (height, width)), turn(vertex, (height, width))
    down = run_lengths(cut_down, turned, (width, height)) / intrinsics[1, 1]
    share = torch.minimum(across, down).div_(THIN).clamp_(max=1)
    limits = torch.full_like(occluded, torch.inf, dtype=depth.dtype)
    limits.view(-1)[hidden] = share.mul_(reach).add_(1).mul_(nearest)
    return limits


def find_set(mask: Tensor) -> Tensor:
    """Where a mask of any shape is set, row by row."""
    flat = mask.reshape(-1)
    return torch.from_numpy(flat.numpy().nonzero()[0]) if flat.device.type == "cpu" else flat.nonzero()[:, 0]


def run_lengths(cuts: Tensor, places: Tensor, size: tuple[int, int]) -> Tensor:
    """How many pixels of its row of a picture of size (H, W) lie between two cuts around each of places [N].

    cuts [M], in any order: those pixels that the next of their row is cut off from.
    """
    last = torch.zeros(size, dtype=torch.bool, device=places.device)
    last[:, -1] = True
    last = last.view(-1).index_fill_(0, cuts, True)
    ends = find_set(last)
    lengths = ends.diff(prepend=ends.new_tensor([-1]))
    run = last.cumsum(0, dtype=torch.int32).index_select(0, places) - last.index_select(0, places).int()
    return lengths.index_select(0, run)


def turn(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """The numbers of pixels of a picture of size (H, W), counted column by column."""
    return pixels % size[1] * size[0] + pixels.div(size[1], rounding_mode="floor")
