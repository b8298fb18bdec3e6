"""Points in place of faces: the pixels of a depth grid drawn as squares, as other programs warp pictures.

Their generators were trained on the ragged edges and the speckle that this gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from . import Fragments
from .grid import pixels_from_grid, place_vertices
from .torch_raster import pack

EDGE_SIDE = 512  # pixels of the longer side at which depth edges are looked for; Meridian's recam/geometry.py
LAST_INDEX = 0xFFFFFFFF  # in the keys of torch_raster.pack, which count down from it
WHOLE = 0.999  # share of a point's neighborhood at that scale that must be kept; likewise


@dataclass(frozen=True)
class PointRules:
    """How a program draws points. side: of the square of pixels that each covers, odd.

    painted: the squares are laid down pixel by pixel, first the upper left ones of all points, far to near, at last the
    lower right ones; otherwise the nearest point wins. farthest: share of the points that is left out, the farthest.
    edge: points are left out where depth changes by more than this share within 3x3; None: nowhere.
    """

    side: int
    painted: bool
    farthest: float = 0.0
    edge: float | None = None


POINT_RULES = {
    # crossview_warp_node.py of cseti007/ComfyUI-CrossViewWarp 3266a83, read 2026-11-25
    "crossview-points": PointRules(side=5, painted=True, farthest=0.005),
    # depth_warp.py of NyckM/3d-Camera-control-H3-Minimax 50ccc6e, a port of Meridian's geometry.py, read 2026-11-25
    "meridian-points": PointRules(side=3, painted=False, edge=0.3),
}


def draw_points(depth: Tensor, rgb: Tensor, intrinsics: Tensor, cam_from_grid: Tensor, cam_intrinsics: Tensor,
                size: tuple[int, int], rules: PointRules) -> Fragments:
    """Draw the pixels of one depth grid as another camera sees them; no face is hit.

    depth: [H, W] float32, z, infinite where there is no point; rgb: [H, W, 3]; the rest as in rasterize. Every pixel
    keeps its nearest point, which then covers its square: what lies behind it in the same pixel is never seen.
    """
    (height, width), margin = size, rules.side // 2
    kept = keep_points(depth, rules)
    points = place_vertices(torch.where(kept, depth, 1), pixels_from_grid(intrinsics, cam_from_grid, cam_intrinsics))
    x, y = (points[:, axis].round() + margin for axis in (0, 1))
    columns, rows = width + 2 * margin, height + 2 * margin
    index = (kept.reshape(-1) & (points[:, 2] == 1) & (x >= 0) & (x < columns) & (y >= 0) & (y < rows)).nonzero()[:, 0]
    nearest = torch.zeros(rows * columns, dtype=torch.int64, device=depth.device)
    pixel = (y[index] * columns + x[index]).long()
    nearest.scatter_reduce_(0, pixel, pack(points[index, 3], index), "amax")
    top = spread(nearest.view(rows, columns), size, rules)
    return shade_points(top, points, rgb)


def spread(nearest: Tensor, size: tuple[int, int], rules: PointRules) -> Tensor:
    """Keys [h, w] of the points seen, of the nearest in every pixel of a picture with margins around it."""
    (height, width), last = size, rules.side - 1
    lay: Callable[[Tensor, Tensor], Tensor] = paint if rules.painted else torch.maximum
    top = nearest.new_zeros(size)
    for down in range(rules.side):
        for right in range(rules.side):
            top = lay(top, nearest[last - down : last - down + height, last - right : last - right + width])
    return top


def paint(below: Tensor, above: Tensor) -> Tensor:
    return torch.where(above > 0, above, below)


def shade_points(top: Tensor, points: Tensor, rgb: Tensor) -> Fragments:
    """What the pixels of top [h, w] show, opaque where there is a point."""
    seen = top > 0
    index = LAST_INDEX - (top[seen] & LAST_INDEX)
    rgba = rgb.new_zeros(*top.shape, 4)
    rgba[..., 3] = seen
    rgba[..., :3][seen] = rgb.reshape(-1, 3)[index]
    depth = rgb.new_full(top.shape, torch.inf)
    depth[seen] = (1 / points[index, 3]).float()
    return Fragments(rgba, depth, torch.full_like(top, -1, dtype=torch.int32))


def keep_points(depth: Tensor, rules: PointRules) -> Tensor:
    """Which pixels of depth [H, W] become points, [H, W] bool."""
    kept = torch.isfinite(depth)
    if rules.farthest and kept.any():
        kept &= depth < torch.quantile(depth[kept].double(), 1 - rules.farthest)
    if rules.edge is not None:
        kept &= away_from_edges(depth, rules.edge)
    return kept


def away_from_edges(depth: Tensor, change: float) -> Tensor:
    """Where depth [H, W] nowhere changes by more than a share within 3x3 of its pixels at EDGE_SIDE, [H, W] bool."""
    scale = EDGE_SIDE / max(depth.shape)
    size = [max(3, round(side * scale)) for side in depth.shape]
    small = interpolate(depth[None, None], size, mode="nearest-exact")
    span = max_pool2d(small, 3, 1, 1) + max_pool2d(-small, 3, 1, 1)  # inf - inf: there is no point either
    even = torch.isfinite(small) & (span <= change * small)
    whole = interpolate(even.float(), depth.shape, mode="bilinear")[0, 0]
    return whole > WHOLE
