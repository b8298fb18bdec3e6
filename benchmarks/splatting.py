"""How others turn a frame and its depth into the view of another camera: points, each spread over some pixels.

Written anew from what their public programs do; licences keep their code out of here. Every function takes the RGBA
[H, W, 4] of a frame, its points as raster.grid.place_vertices gives them, [H*W, 4], the size of the picture and the
depth [H, W] of the frame, and returns RGBA [h, w, 4], alpha 1 where something was drawn.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from ex4d_ops.raster.torch_raster import pack

STEEPNESS = 50.0  # TrajectoryCrafter: exponent that a point at the farthest depth is weakened by
TOLERANCE = 0.02  # Vista4D: of log(1 + z), what lies this near to the nearest of a pixel is blended with it
SHARPNESS = 10.0  # Vista4D: the power of 1 / z that a point weighs
BLUR = 4.0  # Vista4D: pixels, sigma of the depth that points are compared with
STRAY = 2.0**0.1  # Vista4D: points whose depth differs by more than this factor from the blurred one are left out


def splat_pixels(rgba: Tensor, points: Tensor, size: tuple[int, int], depth: Tensor) -> Tensor:
    """Every point as one pixel, the nearest of each."""
    column, row = points[:, :2].round().unbind(1)
    index = inside(points, column, row, size).nonzero()[:, 0]
    pixel = (row * size[1] + column)[index].long()
    nearest = torch.zeros(size[0] * size[1], dtype=torch.int64)
    nearest.scatter_reduce_(0, pixel, pack(points[index, 3], index), "amax")
    kept = torch.where(nearest > 0, 0xFFFFFFFF - (nearest & 0xFFFFFFFF), 0)
    return (rgba.reshape(-1, 4)[kept] * (nearest > 0)[:, None]).reshape(*size, 4)


def splat_as_trajectorycrafter(rgba: Tensor, points: Tensor, size: tuple[int, int], depth: Tensor) -> Tensor:
    """Every point over the four pixels around it, all blended: the far ones weakened, none left out."""
    pixel, share, owner = spread(points, size)
    z = 1 / points[:, 3]
    weight = share * (-STEEPNESS * z.log1p() / z[owner].max().log1p()).exp()[owner]
    return blend(rgba, pixel, weight, owner, size)


def splat_as_vista4d(rgba: Tensor, points: Tensor, size: tuple[int, int], depth: Tensor) -> Tensor:
    """Every point over the four pixels around it, those near the nearest of each pixel blended.

    Points at the rims of things, whose depth differs from its surroundings', are left out.
    """
    pixel, share, owner = spread(points, size)
    kept = (share > 0) & ~find_strays(depth).reshape(-1)[owner]
    pixel, share, owner = pixel[kept], share[kept], owner[kept]
    z = (1 / points[:, 3])[owner]
    nearest = torch.full((size[0] * size[1],), torch.inf, dtype=z.dtype).scatter_reduce_(0, pixel, z, "amin")
    near = z.log1p() - nearest[pixel].log1p() <= TOLERANCE
    return blend(rgba, pixel[near], share[near] * z[near] ** -SHARPNESS, owner[near], size)


def inside(points: Tensor, column: Tensor, row: Tensor, size: tuple[int, int]) -> Tensor:
    """Which points lie before the camera and have their pixel in the picture."""
    return (points[:, 2] == 1) & (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])


def spread(points: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """The four pixels around every point, its bilinear share in each, and whose they are, [M] each."""
    corner = points[:, :2].floor()
    part = points[:, :2] - corner
    found = []
    for right in (0, 1):
        for below in (0, 1):
            column, row = corner[:, 0] + right, corner[:, 1] + below
            owner = inside(points, column, row, size).nonzero()[:, 0]
            share = (part[:, 0] if right else 1 - part[:, 0]) * (part[:, 1] if below else 1 - part[:, 1])
            found.append(((row * size[1] + column)[owner].long(), share[owner], owner))
    return tuple(torch.cat(parts) for parts in zip(*found))


def blend(rgba: Tensor, pixel: Tensor, weight: Tensor, owner: Tensor, size: tuple[int, int]) -> Tensor:
    """The weighted mean of the points that meet in each pixel."""
    colors = torch.cat([rgba.reshape(-1, 4)[owner, :3].double() * weight[:, None], weight[:, None]], 1)
    total = torch.zeros(size[0] * size[1], 4, dtype=torch.float64).index_add_(0, pixel, colors)
    drawn = total[:, 3:] > 0
    return torch.cat([total[:, :3] / total[:, 3:].where(drawn, 1), drawn], 1).float().reshape(*size, 4)


def find_strays(depth: Tensor) -> Tensor:
    """Pixels [H, W] whose depth differs much from the blurred one, nothing counted beyond the picture."""
    reach = int(4 * BLUR)
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / BLUR) ** 2)
    stacked = torch.stack([depth, torch.ones_like(depth)])[:, None]
    blurred = torch.nn.functional.conv2d(pad(stacked, (reach, reach)), kernel.view(1, 1, 1, -1))
    blurred = torch.nn.functional.conv2d(pad(blurred, (0, 0, reach, reach)), kernel.view(1, 1, -1, 1))
    ratio = depth / (blurred[0, 0] / blurred[1, 0])
    return (ratio > STRAY) | (ratio < 1 / STRAY)
