"""Pictures of what the library makes, as image tensors [H, W, 3] in [0, 1]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .camera import CameraPath, invert_rigid, lift, transform
from .clip import Progress, resize_frame, size_of
from .depth import VideoDepth
from .mesh import DWMesh
from .parallel import one_by_one
from .preflight import TRAINED_RANGES, WidestAngles
from .prior import Prior, origin_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRUSTA = 9  # drawn along a path
SHEET_MOMENTS = 6
SCENE_POINTS = 3000  # drawn of the scene
SCENE_REACH = 3.0  # how far behind the nearest point the scene is drawn, in its depths
# Title, horizontal axis, vertical axis: indices into (x, y, z).
VIEWS = (("from above", 0, 2), ("from its right", 2, 1))
AXIS_NAMES = ("x (right)", "y (down)", "z (forward)")


def plot_path(cameras: CameraPath, scene: VideoDepth | DWMesh | None = None) -> Tensor:
    """A path from above and from the side, at one scale: frusta, the source camera, the point it looks at.

    scene: draws the nearer part of what source frame 0 saw. Lengths are scene units.
    """
    return draw_figure(path_figure(cameras, scene))


def path_figure(cameras: CameraPath, scene: VideoDepth | DWMesh | None = None) -> Figure:
    """The same as a matplotlib figure with an axes per view."""
    from matplotlib.figure import Figure

    points = torch.zeros(0, 3) if scene is None else scene_points(scene)
    target = common_target(cameras)
    places = torch.cat([cameras.eye.cpu(), target, torch.zeros(1, 3)])
    frusta = frustum_corners(cameras, reach=0.12 * (largest_side(places) or 1.0))
    low, high = bounds(torch.cat([places, points, frusta.reshape(-1, 3)]))
    figure = Figure(figsize=(12, 6), dpi=100, layout="constrained")
    for axes, (title, across, up) in zip(figure.subplots(1, 2), VIEWS):
        axes.set(title=title, xlabel=AXIS_NAMES[across], ylabel=AXIS_NAMES[up], aspect="equal",
                 xlim=(low[across], high[across]), ylim=(low[up], high[up]))
        if up == 1:
            axes.invert_yaxis()  # y points down
        axes.scatter(points[:, across], points[:, up], s=1, color="0.8", label="scene" if len(points) else None)
        axes.scatter(target[:, across], target[:, up], marker="+", s=80, color="crimson", label="looks at")
        draw_cameras(axes, cameras, frusta, across, up)
    figure.axes[0].legend(loc="best", fontsize=8)
    first, last = int(cameras.source_frame[0]), int(cameras.source_frame[-1])
    figure.suptitle(f"{len(cameras)} frames of {cameras.size[1]}x{cameras.size[0]}, source frames {first} to {last}")
    return figure


def draw_figure(figure: Figure) -> Tensor:
    """A matplotlib figure as an image."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    picture = torch.frombuffer(bytearray(canvas.buffer_rgba()), dtype=torch.uint8).reshape(height, width, 4)
    return picture[..., :3].float() / 255


def draw_cameras(axes, cameras: CameraPath, frusta: Tensor, across: int, up: int) -> None:
    """The way of the cameras, coloured from first to last, some of their frusta [T, 5, 3], and the source camera."""
    from matplotlib import colormaps

    eye = cameras.eye.cpu()
    axes.plot(eye[:, across], eye[:, up], color="0.5", linewidth=1)
    for t in torch.linspace(0, len(cameras) - 1, min(FRUSTA, len(cameras))).round().long().tolist():
        color = colormaps["viridis"](t / max(len(cameras) - 1, 1))
        label = {0: "first frame", len(cameras) - 1: "last frame"}.get(t)
        outline = frusta[t][[0, 1, 2, 0, 3, 4, 0, 2, 3, 4, 1]]  # apex, corners clockwise from the top left
        axes.plot(outline[:, across], outline[:, up], color=color, linewidth=1, label=label)
    axes.scatter([0], [0], marker="x", s=40, color="black", label="source camera", zorder=3)


def frustum_corners(cameras: CameraPath, reach: float) -> Tensor:
    """Centres of the cameras and corners of their pictures `reach` ahead, [T, 5, 3], clockwise from the top left."""
    height, width = cameras.size
    pixels = torch.tensor([[0.0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]])
    rays = torch.linalg.solve(cameras.intrinsics.cpu()[:, None], pixels[..., None])[..., 0]  # [T, 4, 3]
    corners = reach * torch.cat([torch.zeros(len(cameras), 1, 3), rays], 1)
    return torch.stack([transform(world_from_cam, corner)
                        for world_from_cam, corner in zip(invert_rigid(cameras.cam_from_world.cpu()), corners)])


def scene_points(scene: VideoDepth | DWMesh) -> Tensor:
    """World positions [N, 3] of some of the nearer pixels of source frame 0."""
    points = transform(scene.world_from_cam[0], lift(scene.depth[0], scene.intrinsics[0])).reshape(-1, 3).cpu()
    near = points[scene.depth[0].reshape(-1).cpu() < SCENE_REACH * float(scene.depth[0].min())]
    return near[:: max(len(near) // SCENE_POINTS, 1)]


def common_target(cameras: CameraPath) -> Tensor:
    """The point all cameras look at, [1, 3]; none, [0, 3], where their optical axes do not meet in front of them."""
    eye, forward = cameras.eye.cpu().double(), cameras.cam_from_world[:, 2, :3].cpu().double()
    across = torch.eye(3, dtype=torch.float64) - forward[:, :, None] * forward[:, None]  # off every axis, [T, 3, 3]
    if torch.linalg.matrix_rank(across.sum(0), rtol=1e-4) < 3:  # parallel axes
        return torch.zeros(0, 3)
    point = torch.linalg.solve(across.sum(0), (across @ eye[..., None]).sum(0))[:, 0]
    away = point - eye
    misses = (across @ away[..., None])[..., 0].norm(dim=-1) > 0.01 * away.norm(dim=-1)
    if misses.any() or ((away * forward).sum(-1) <= 0).any():
        return torch.zeros(0, 3)
    return point[None].float()


def bounds(points: Tensor) -> tuple[list[float], list[float]]:
    """Two corners (x, y, z) of a cube around points, with a margin, so that all views share one scale."""
    center = (points.amin(0) + points.amax(0)) / 2
    reach = 0.55 * largest_side(points)
    return (center - reach).tolist(), (center + reach).tolist()


def largest_side(points: Tensor) -> float:
    """Longest side of the box around points [N, 3]."""
    return float((points.amax(0) - points.amin(0)).max())


def stitch(source: Tensor | Sequence[Tensor], prior: Prior) -> Iterator[Tensor]:
    """Frames [H, 3 W, 3]: the source [T, H, W, 3], the colour and the mask of its prior side by side."""
    for frame, color, visible in zip(source, prior.color, prior.visible):
        yield torch.cat([resize_frame(frame, size_of(prior.visible)), color, visible[..., None].expand_as(color)], 1)


def contact_sheet(source: Tensor | Sequence[Tensor], prior: Prior, moments: int = SHEET_MOMENTS) -> Tensor:
    """The source [T, H, W, 3] over the colour over the mask of its prior, at so many moments from first to last."""
    from matplotlib.figure import Figure

    frames = torch.linspace(0, len(prior) - 1, min(moments, len(prior))).round().long().tolist()
    height, width = size_of(prior.visible)
    figure = Figure(figsize=(2.6 * len(frames), 0.3 + 3 * 2.6 * height / width), dpi=100, layout="constrained",
                    facecolor="0.75")  # so that white masks end somewhere
    axes = figure.subplots(3, len(frames), squeeze=False)
    for column, t in zip(axes.T, frames):
        column[0].set_title(f"frame {t}, {prior.coverage[t]:.0%} seen", fontsize=9)
        for ax, picture in zip(column, (source[t], prior.color[t], prior.visible[t])):
            ax.imshow(picture.numpy(), cmap="gray", vmin=0, vmax=1)
            ax.set_axis_off()
    return draw_figure(figure)


def origin_sheet(prior: Prior, cameras: CameraPath, moments: int = SHEET_MOMENTS) -> Tensor:
    """A prior and where its pixels come from, at so many moments: gray its own source frame, color another one."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    frames = torch.linspace(0, len(prior) - 1, min(moments, len(prior))).round().long().tolist()
    height, width = prior.visible.shape[1:]
    figure = Figure(figsize=(2.6 * len(frames), 0.6 + 2 * 2.6 * height / width), dpi=100, layout="constrained")
    origin = origin_of(prior, cameras)
    added = (origin >= 0) & (origin != cameras.source_frame.to(origin)[:, None, None])
    others = origin[added].unique().tolist()
    palette = {frame: torch.tensor(colormaps["tab10"](k % 10)[:3], dtype=torch.float32)
               for k, frame in enumerate(others)}
    for column, t in zip(figure.subplots(2, len(frames), squeeze=False).T, frames):
        color, own = prior.color[t].cpu(), (prior.visible[t] & ~added[t]).cpu()
        picture = torch.where(own[..., None], 0.25 + 0.5 * color.mean(-1, keepdim=True), torch.zeros(3))
        for frame in others:
            picture[((origin[t] == frame) & added[t]).cpu()] = palette[frame]
        column[0].set_title(f"frame {t}, {float(added[t].float().mean()):.0%} added", fontsize=9)
        for ax, image in zip(column, (color, picture)):
            ax.imshow(image.clamp(0, 1).numpy())
            ax.set_axis_off()
    if others:
        figure.legend(handles=[Patch(color=tuple(color.tolist()), label=f"from frame {frame}")
                               for frame, color in palette.items()], loc="outside lower center", ncols=10, fontsize=8)
    return draw_figure(figure)


def plot_coverage(shares: Tensor, yaw: Tensor, pitch: Tensor, widest: WidestAngles) -> Tensor:
    """The share of every view that was seen, its contour at the share of `widest`, and what generators were trained on.

    shares: [P, Y]; yaw [Y], pitch [P]: radians.
    """
    from matplotlib.figure import Figure

    across, up = torch.rad2deg(yaw).numpy(), torch.rad2deg(pitch).numpy()
    figure = Figure(figsize=(8, 4.8), dpi=100, layout="constrained")
    axes = figure.subplots()
    drawn = axes.contourf(across, up, shares.numpy(), levels=torch.linspace(0, 1, 21).tolist(), cmap="viridis")
    figure.colorbar(drawn, ax=axes, label="share of the picture that the source has seen")
    if shares.min() < widest.share < shares.max():
        lines = axes.contour(across, up, shares.numpy(), levels=[widest.share], colors="white", linewidths=2)
        axes.clabel(lines, fmt=lambda share: f"{share:.0%}")
    for k, trained in enumerate(TRAINED_RANGES):
        (left, right), (low, high) = trained.yaw, trained.pitch
        axes.plot([left, right, right, left, left], [low, low, high, high, low], linestyle="--", marker="|",
                  color=f"C{k + 1}", label=f"{trained.name} was trained on")
    axes.set(xlabel="degrees around: to the left, to the right", ylabel="degrees up and down",
             xlim=(across[0], across[-1]), ylim=(up[0], up[-1]), title=str(widest))
    axes.title.set_fontsize(9)
    axes.legend(loc="upper right", fontsize=8)
    return draw_figure(figure)


def draw_depth(depth: Tensor, colormap: str | None = "turbo", progress: Progress | None = None) -> Tensor:
    """Depth [T, H, W] as pictures [T, H, W, 3] of its disparity: the nearest point of the clip bright, the sky dark.

    colormap: a name of matplotlib's, or None for gray.
    """
    if colormap is not None:
        from matplotlib import colormaps

        palette = torch.tensor(colormaps[colormap].resampled(256)(range(256)))[:, :3].float().to(depth.device)
    high, low = (1 / bound for bound in depth.aminmax())
    pictures = depth.new_empty(*depth.shape, 3)
    # Frame by frame: working memory is one frame's.
    for t, plane in one_by_one(enumerate(depth), len(depth), progress):
        shade = (1 / plane - low) / (high - low).clamp(min=1e-12)
        pictures[t] = shade[..., None] if colormap is None else palette[(shade * 255).round().long()]
    return pictures
