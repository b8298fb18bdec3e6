"""Simulated training masks: what a camera on the far side would not see, made from one clip alone.

A clip is both the answer and, with parts of it hidden, the question. Rendering masks hide what a sweep around the
scene would not show, tracking masks what sticks to moving points; both are laid over the clip's own frames. Masks are
[T, H, W] bool, True = shown. Paper 4.2 and A.3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Generator, Tensor
from torch.nn.functional import grid_sample

from . import raster
from .camera import CameraPath, move_to
from .clip import Progress, size_of
from .depth import VideoDepth
from .mesh import DWMesh
from .parallel import each_frame, one_by_one
from .prior import Prior, check_frames_exist, erode
from .raster.grid import face_visible
from .rules import Surface
from .tracking import Tracks
from .trajectory import EASES, RADIUS_MARGIN, make_move, move_path

SWEEP = 90.0  # degrees to either side; paper A.3
DILATION = 5  # pixels, side of the square by which hidden areas grow; paper A.3
GRID_POINTS = (10, 50)  # fewest and most points tracked; paper A.3
CROP_SHARE = (0.85, 0.95)  # of the frame's sides; paper A.3
PATCH_SHARE = (0.3, 0.9)  # of the distance between points, sides of their rectangles; the paper gives none


def mask_frames(frames: Tensor, visible: Tensor) -> Prior:
    """The clip's own frames [T, H, W, 3] where shown, black elsewhere: V_T = video * V_O, paper A.3."""
    return Prior(frames * visible[..., None], visible)


# ---- rendering masks ----------------------------------------------------------------------------


def sweep_path(mesh: DWMesh, degrees: float = SWEEP) -> CameraPath:
    """Once around from -degrees to +degrees, at the released distance."""
    move = make_move("orbit", {"yaw": (-degrees, degrees)})
    return move_path([move], len(mesh), mesh.nearest + RADIUS_MARGIN, mesh.intrinsics, mesh.size)


def rendering_mask(mesh: DWMesh, cameras: CameraPath, dilation: int = DILATION, surface: Surface = "watertight",
                   engine: str = "auto", progress: Progress | None = None) -> Tensor:
    """What the mesh shows along a path that the source has seen, [T, H, W] at the cameras' size.

    Where the nearest face is hidden, or there is none, nothing is shown; both faces of a quad are hidden where one is.
    Hidden faces hide what lies behind them, as far as the mesh lets them reach. dilation: pixels by which the rest
    grows. surface: "visible" leaves them out, so that they hide nothing (the ablation without a watertight mesh).
    progress: as in render_prior.
    """
    check_frames_exist(mesh, cameras)
    home, place = mesh.depth.device, raster.drawing_device(engine, mesh.depth.device)
    mesh, cameras = move_to(mesh, place), move_to(cameras, place)
    engine = raster.choose_engine(engine, place)
    blank = mesh.depth.new_zeros(*mesh.size, 4)
    visible = torch.empty(len(cameras), *cameras.size, dtype=torch.bool, device=place)

    def render(t: int) -> None:
        source = int(cameras.source_frame[t])
        occluded = pair_faces(mesh.occluded[source])
        limits = mesh.limits(source) if surface == "watertight" else torch.where(occluded, 0.0, torch.inf)
        if limits is not None:
            limits = limits.amin(-1, keepdim=True).repeat(1, 1, 2)
        drawn = raster.rasterize(mesh.depth[source], blank, mesh.intrinsics[source],
                                 cameras.cam_from_world[t] @ mesh.world_from_cam[source], cameras.intrinsics[t],
                                 cameras.size, engine, limits)
        visible[t] = erode(face_visible(occluded, drawn.face), dilation)

    each_frame(render, len(cameras), place, progress)
    return visible.to(home)


def pair_faces(occluded: Tensor) -> Tensor:
    """The attribute O [H-1, W-1, 2] with both faces of a quad hidden where one is. Paper A.3."""
    return occluded.any(-1, keepdim=True).expand_as(occluded)


# ---- tracking masks and random ones -------------------------------------------------------------


def draw_points(size: tuple[int, int], generator: Generator, low: int = GRID_POINTS[0],
                high: int = GRID_POINTS[1]) -> Tensor:
    """Points [N, 2] in the middle of N cells of a grid over a picture of size (H, W), N drawn from low..high."""
    height, width = size
    count = int(torch.randint(low, high + 1, (), generator=generator))
    columns, rows = grid_shape(size, count)
    cells = torch.randperm(rows * columns, generator=generator)[:count].sort().values
    return (torch.stack([cells % columns, cells // columns], -1) + 0.5) * torch.tensor(
        [width / columns, height / rows])


def grid_shape(size: tuple[int, int], count: int) -> tuple[int, int]:
    """Columns and rows of about square cells, at least so many."""
    columns = math.ceil(math.sqrt(count * size[1] / size[0]))
    return columns, math.ceil(count / columns)


def draw_sides(size: tuple[int, int], count: int, generator: Generator) -> Tensor:
    """Width and height [N, 2] in pixels of so many rectangles, by the distance of that many points on a grid."""
    columns, rows = grid_shape(size, count)
    low, high = PATCH_SHARE
    share = low + (high - low) * torch.rand(count, 2, generator=generator)
    return share * torch.tensor([size[1] / columns, size[0] / rows])


def tracking_mask(tracks: Tracks, size: tuple[int, int], generator: Generator,
                  progress: Progress | None = None) -> Tensor:
    """A rectangle around each point hides it from some frame on, [T, H, W] at size (H, W).

    Its sides and its first frame, never frame 0, are drawn. While a point is not seen, what is at its place is another
    surface, and stays.
    """
    frames, count = tracks.visible.shape
    sides = draw_sides(size, count, generator)
    first = torch.randint(1, max(frames, 2), (count,), generator=generator)
    begun = torch.arange(frames)[:, None] >= first
    shown = hide_rectangles(tracks.points.cpu(), sides, tracks.visible.cpu() & begun, size, progress)
    return shown.to(tracks.visible.device)


def random_mask(frames: int, size: tuple[int, int], generator: Generator,
                progress: Progress | None = None) -> Tensor:
    """Rectangles anywhere, anew in every frame, [T, H, W]: as many and as large as those of tracking masks."""
    count = int(torch.randint(GRID_POINTS[0], GRID_POINTS[1] + 1, (), generator=generator))
    sides = draw_sides(size, count, generator)
    points = torch.rand(frames, count, 2, generator=generator) * torch.tensor([size[1], size[0]])
    return hide_rectangles(points, sides, torch.ones(frames, count, dtype=torch.bool), size, progress)


def hide_rectangles(centers: Tensor, sides: Tensor, active: Tensor, size: tuple[int, int],
                    progress: Progress | None = None) -> Tensor:
    """Mask [T, H, W] without the pixels whose centre lies in an active [T, N] rectangle.

    centers: [T, N, 2], image coordinates (x, y); sides: [N, 2], pixels.
    """
    limit = torch.tensor([size[1], size[0]])
    low = (centers - sides / 2 - 0.5).ceil().long().clamp(min=0)
    high = torch.minimum((centers + sides / 2 - 0.5).floor().long() + 1, limit).clamp(min=0)
    visible = torch.ones(len(centers), *size, dtype=torch.bool)
    for frame, shown, starts, ends in one_by_one(zip(visible, active, low, high), len(centers), progress):
        for (left, top), (right, bottom) in zip(starts[shown].tolist(), ends[shown].tolist()):
            frame[top:bottom, left:right] = False
    return visible


# ---- smooth crops -------------------------------------------------------------------------------


def draw_windows(frames: int, size: tuple[int, int], generator: Generator, low: float = CROP_SHARE[0],
                 high: float = CROP_SHARE[1]) -> Tensor:
    """Windows [T, 4] (left, top, width, height) in pixels that glide over pictures of size (H, W).

    Their size is drawn once, low..high of both sides; their way is a cubic Bezier curve with drawn control points that
    they follow with eased speed.
    """
    share = low + (high - low) * torch.rand((), generator=generator, dtype=torch.float64)
    full = torch.tensor([size[1], size[0]], dtype=torch.float64)
    start, *handles, end = torch.rand(4, 2, generator=generator, dtype=torch.float64) * (1 - share) * full
    s = EASES["ease-in-out"](torch.linspace(0, 1, frames, dtype=torch.float64))[:, None]
    corner = (1 - s) ** 3 * start + 3 * (1 - s) ** 2 * s * handles[0] + 3 * (1 - s) * s**2 * handles[1] + s**3 * end
    return torch.cat([corner, (share * full).expand(frames, 2)], -1)


def crop_frames(frames: Tensor, windows: Tensor, progress: Progress | None = None) -> Tensor:
    """Frames [T, H, W, 3], each cut to its window [T, 4] and enlarged to the old size."""
    cropped = torch.empty_like(frames)
    for t, grid in one_by_one(enumerate(sampling_grids(size_of(frames), windows)), len(frames), progress):
        sampled = grid_sample(frames[t].movedim(-1, 0)[None], grid[None].to(frames.device), padding_mode="border",
                              align_corners=False)
        cropped[t] = sampled[0].movedim(0, -1)
    return cropped


def crop_depth(depth: VideoDepth, windows: Tensor, progress: Progress | None = None) -> VideoDepth:
    """Depth as seen through the windows [T, 4]: the nearest pixel's, never a mean, and intrinsics that follow."""
    cropped = torch.empty_like(depth.depth)
    for t, grid in one_by_one(enumerate(sampling_grids(depth.size, windows)), len(depth), progress):
        cropped[t] = grid_sample(depth.depth[t][None, None], grid[None].to(depth.depth.device), mode="nearest",
                                 padding_mode="border", align_corners=False)[0, 0]
    corner, extent = windows.float().to(depth.intrinsics.device).split(2, -1)
    intrinsics = depth.intrinsics.clone()
    intrinsics[:, :2, 2] -= corner
    intrinsics[:, :2] *= (extent.new_tensor([depth.size[1], depth.size[0]]) / extent)[..., None]
    return VideoDepth(cropped, intrinsics, depth.world_from_cam, depth.metric)


def sampling_grids(size: tuple[int, int], windows: Tensor) -> Iterator[Tensor]:
    """Where every pixel of a cropped picture of size (H, W) lies in the whole one, [H, W, 2] in -1..1, per window."""
    height, width = size
    for left, top, wide, high in windows.tolist():
        x, y = ((2 * (start + (torch.arange(side, dtype=windows.dtype) + 0.5) * extent / side) / side - 1).float()
                for start, extent, side in ((left, wide, width), (top, high, height)))
        yield torch.stack([x.expand(size), y[:, None].expand(size)], -1)
