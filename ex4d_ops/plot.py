"""Pictures of what the library makes, as image tensors [H, W, 3] in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
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
LOOP_MOMENTS = 49
PANEL = 320  # pixels, longest side of each of the three pictures of a loop
STRIP = 76  # pixels, height of the coverage below them
SHEET_WIDTH, SHEET_GAP, SHEET_TITLE = 256, 8, 28  # pixels: of a picture, between two, above all
SHEET_GRAY = (191, 191, 191)  # so that white masks end somewhere
SCENE_POINTS = 3000  # drawn of the scene
SCENE_REACH = 3.0  # how far behind the nearest point the scene is drawn, in its depths
# Title, horizontal axis, vertical axis: indices into (x, y, z).
VIEWS = (("from above", 0, 2), ("from its right", 2, 1))
AXIS_NAMES = ("x (right)", "y (down)", "z (forward)")
GROUND, INK, TARGET_COLOR = "#1c1c20", "#f2f2f2", "#ffb347"  # of the plot of a path
LETTERS = 19  # points; half as large on a node


def plot_path(cameras: CameraPath, scene: VideoDepth | DWMesh | None = None) -> Tensor:
    """A path from above and from the side, at one scale, readable on a node that is 440 pixels wide.

    Frusta, the source camera, the point they look at, and the largest angle in words. scene: draws the nearer part of
    what source frame 0 saw. Lengths are scene units.
    """
    return draw_figure(path_figure(cameras, scene))


def path_figure(cameras: CameraPath, scene: VideoDepth | DWMesh | None = None) -> Figure:
    """The same as a matplotlib figure with an axes per view."""
    from matplotlib.figure import Figure

    points = torch.zeros(0, 3) if scene is None else scene_points(scene)
    target = common_target(cameras)
    ahead = torch.tensor([[0, 0, scene.nearest]]) if scene and math.isfinite(scene.nearest) else target[:0]
    places = torch.cat([cameras.eye.cpu(), target if len(target) else ahead, torch.zeros(1, 3)])
    frusta = frustum_corners(cameras, reach=0.2 * (largest_side(places) or 1.0))
    low, high = bounds(torch.cat([places, frusta.reshape(-1, 3)]))
    figure = Figure(figsize=(8.8, 5.4), dpi=100, layout="constrained", facecolor=GROUND)
    for axes, (title, across, up) in zip(figure.subplots(1, 2), VIEWS):
        axes.set(xlim=(low[across], high[across]), ylim=(low[up], high[up]), aspect="equal", facecolor=GROUND)
        axes.set_title(title, color=INK, fontsize=LETTERS)
        if up == 1:
            axes.invert_yaxis()  # y points down
        style_axes(axes, AXIS_NAMES[across], AXIS_NAMES[up])
        axes.scatter(points[:, across], points[:, up], s=2, color="0.45")
        axes.scatter(target[:, across], target[:, up], marker="+", s=300, color=TARGET_COLOR, linewidth=3, zorder=3)
        draw_cameras(axes, cameras, frusta, across, up, INK, "cool")
    name_places(figure.axes[0], cameras, target)
    first, last = int(cameras.source_frame[0]), int(cameras.source_frame[-1])
    shown = f"source frame {first}" if first == last else f"source frames {first} to {last}"
    figure.suptitle(f"{describe_angle(cameras)}\n{len(cameras)} frames of {cameras.size[1]}x{cameras.size[0]}, {shown}",
                    color=INK, fontsize=LETTERS)
    return figure


def style_axes(axes, across: str, up: str) -> None:
    """Few and large numbers, light on dark."""
    axes.set_xlabel(across, color=INK, fontsize=LETTERS - 2)
    axes.set_ylabel(up, color=INK, fontsize=LETTERS - 2)
    axes.tick_params(colors=INK, labelsize=LETTERS - 4)
    axes.locator_params(nbins=4)
    for spine in axes.spines.values():
        spine.set_color("0.5")


def name_places(axes, cameras: CameraPath, target: Tensor) -> None:
    """Write start, end and target beside what they are, seen from above."""
    low, high = axes.get_xlim()
    places = torch.cat([cameras.eye.cpu()[[0, -1]], target])[:, [0, 2]]
    names = {"start": places[0], "end": places[1]}
    if float((places[0] - places[1]).norm()) < 0.1 * (high - low):
        names = {"start" if len(cameras) == 1 else "start, end": places[0]}
    for name, place in names.items() | {("target", point) for point in places[2:]}:
        left = float(place[0]) > (low + high) / 2
        axes.annotate(name, place.tolist(), (-12 if left else 12, 0 if name == "target" else -12),
                      textcoords="offset points", ha="right" if left else "left", va="center", color=INK,
                      fontsize=LETTERS, zorder=4)


def describe_angle(cameras: CameraPath) -> str:
    """The largest angle of a path against the source camera, in words."""
    target = common_target(cameras)
    # What turns: the way from the target to the camera, behind it at first, or where the camera looks.
    ways = cameras.eye.cpu() - target if len(target) else -cameras.cam_from_world[:, 2, :3].cpu()
    ways = ways.double()  # the squares of a tiny way are 0 in single precision
    side = 1 if len(target) else -1
    yaw = torch.atan2(side * ways[:, 0], -ways[:, 2])
    pitch = torch.asin(-side * ways[:, 1] / ways.norm(dim=-1)).nan_to_num()  # 0 where the camera is at its target
    frame = int(torch.hypot(yaw, pitch).argmax())
    across, up = round(math.degrees(yaw[frame])), round(math.degrees(pitch[frame]))
    parts = [f"{abs(across)}° to the {'right' if across > 0 else 'left'}"] if across else []
    parts += [f"{abs(up)}° {'up' if up > 0 else 'down'}"] if up else []
    if not parts:
        return "The camera does not turn"
    return f"{'Circles' if len(target) else 'Turns'} {', '.join(parts)} at most, in frame {frame}"


def draw_figure(figure: Figure) -> Tensor:
    """A matplotlib figure as an image."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    picture = torch.frombuffer(bytearray(canvas.buffer_rgba()), dtype=torch.uint8).reshape(height, width, 4)
    return picture[..., :3].float() / 255


def draw_cameras(axes, cameras: CameraPath, frusta: Tensor, across: int, up: int, ink: str = "black",
                 colors: str = "viridis") -> None:
    """The way of the cameras, colored from first to last, some of their frusta [T, 5, 3], and the source camera."""
    from matplotlib import colormaps

    eye = cameras.eye.cpu()
    axes.plot(eye[:, across], eye[:, up], color="0.5", linewidth=1)
    for t in torch.linspace(0, len(cameras) - 1, min(FRUSTA, len(cameras))).round().long().tolist():
        color = colormaps[colors](t / max(len(cameras) - 1, 1))
        label = {0: "first frame", len(cameras) - 1: "last frame"}.get(t)
        outline = frusta[t][[0, 1, 2, 0, 3, 4, 0, 2, 3, 4, 1]]  # apex, corners clockwise from the top left
        axes.plot(outline[:, across], outline[:, up], color=color, linewidth=2.5 if label else 1, label=label)
    axes.scatter([0], [0], marker="x", s=40, color=ink, label="source camera", zorder=3)


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
    """Frames [H, 3 W, 3]: the source [T, H, W, 3], the color and the mask of its prior side by side."""
    for frame, color, visible in zip(source, prior.color, prior.visible):
        yield torch.cat([resize_frame(frame, size_of(prior.visible)), color, visible[..., None].expand_as(color)], 1)


def sheet_moments(count: int, moments: int = SHEET_MOMENTS) -> list[int]:
    """Which of so many frames a contact sheet shows: from first to last, evenly."""
    return torch.linspace(0, count - 1, min(moments, count)).round().long().tolist()


def prior_loop(source: Tensor | Sequence[Tensor], prior: Prior, moments: int = LOOP_MOMENTS) -> Tensor:
    """Source, color and mask side by side over the coverage of every frame, at so many moments, [N, h, w, 3]."""
    times = sheet_moments(len(prior), moments)
    height, width = size_of(prior.visible)
    scale = min(PANEL / max(height, width), 1)
    size = (max(round(height * scale), 1), max(round(width * scale), 1))
    few = Prior(torch.stack([resize_frame(prior.color[t].cpu(), size) for t in times]), torch.stack(
        [resize_frame(prior.visible[t, ..., None].cpu().float(), size)[..., 0] > 0.5 for t in times]))
    pictures = stitch([source[t].cpu() for t in times], few)
    coverage = prior.coverage.tolist()
    return torch.stack([torch.cat([picture, draw_coverage(coverage, t, picture.shape[1])])
                        for t, picture in zip(times, pictures)])


def draw_coverage(coverage: Sequence[float], frame: int, width: int) -> Tensor:
    """The coverage of every frame as a curve, and that of one in words, [STRIP, width, 3]."""
    from PIL import Image, ImageDraw, ImageFont

    strip = Image.new("RGB", (width, STRIP), GROUND)
    pen = ImageDraw.Draw(strip)
    floor, high = STRIP - 1, STRIP - 38  # below the words
    places = [(round(t * (width - 1) / max(len(coverage) - 1, 1)), floor - round(high * share))
              for t, share in enumerate(coverage)]
    pen.polygon([(0, floor), *places, (width - 1, places[-1][1]), (width - 1, floor)], fill="#3d6b8c")
    pen.line([(places[frame][0], floor - high), (places[frame][0], floor)], fill=INK, width=3)
    pen.text((8, 2), f"frame {frame}: {coverage[frame]:.0%} seen in the source", fill=INK,
             font=ImageFont.load_default(28))
    return torch.frombuffer(bytearray(strip.tobytes()), dtype=torch.uint8).reshape(STRIP, width, 3) / 255


def draw_sheet(columns: Sequence[tuple[str, Sequence[Tensor]]]) -> Tensor:
    """A contact sheet [H, W, 3] of uint8: in every column a title over pictures [H, W] or [H, W, 3] of uint8."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = columns[0][1][0].shape[:2]
    cell = SHEET_WIDTH, max(1, round(SHEET_WIDTH * height / width))
    rows = len(columns[0][1])
    sheet = Image.new("RGB", (len(columns) * (cell[0] + SHEET_GAP) + SHEET_GAP,
                              SHEET_TITLE + rows * (cell[1] + SHEET_GAP)), SHEET_GRAY)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for k, (title, pictures) in enumerate(columns):
        left = SHEET_GAP + k * (cell[0] + SHEET_GAP)
        draw.text((left + cell[0] / 2, SHEET_TITLE / 2), title, "black", font, anchor="mm")
        for row, picture in enumerate(pictures):
            small = Image.fromarray(picture.numpy()).convert("RGB").resize(cell, Image.Resampling.BOX)
            sheet.paste(small, (left, SHEET_TITLE + row * (cell[1] + SHEET_GAP)))
    return torch.from_numpy(np.array(sheet))


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
