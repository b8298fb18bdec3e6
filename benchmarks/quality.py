"""How right the prior is: on procedural scenes, whose every view is known exactly.

    python benchmarks/quality.py

At the end of the released paths 30, 60 and 90, for every scene, two seeds and two moments: how well what a mask calls
visible matches the exact view, and how much of what the source camera never saw it calls visible. Prints a Markdown
table and leaves it in results/quality.md with quality.json and quality.png.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from report import describe_machine, publish, publish_picture, table
from torch import Tensor

from ex4d_ops.camera import CameraPath, invert_rigid
from ex4d_ops.depth import VideoDepth
from ex4d_ops.mesh import BORDER_DEPTH, MeshRules, build_dw_mesh, occluded_faces
from ex4d_ops.plot import draw_figure
from ex4d_ops.prior import Prior, RenderRules, render_prior
from ex4d_ops.raster import torch_raster
from ex4d_ops.raster.grid import face_vertices, pixels_from_grid, place_vertices
from ex4d_ops.scene import SCENES, Scene, make_scene
from ex4d_ops.trajectory import RELEASED_FRAMES, automatic_radius, released_path

SIZE = (512, 512)
PRESETS = ("30", "60", "90")
SEEDS = (0, 1)
MOMENTS = (0, 24)  # frames of the clip
PICTURED = ("gallery", "garden")
WRONG = torch.tensor([1.0, 0.0, 1.0])  # how the picture marks what is wrongly called visible
NOTES = """\
PSNR is the mean over the views, inside the mask; the shares are of all pixels that were never seen from the source, or
were. The visible mesh is the same surface without its hidden faces, the far border and the back: nothing closes it, and
nothing hides what lies behind. Points are the pixels of the source, one pixel each, the nearest kept. DW-Mesh is drawn
without erosion, its rim then darkened by the black vertices of hidden faces, and with the released erosion of 2 to 8
pixels, made to remove that. Frame 0 is drawn like any other."""


@dataclass(frozen=True, eq=False)
class Source:
    """Some moments of a scene as the source camera filmed them."""

    scene: Scene
    cameras: CameraPath
    frames: Tensor
    depth: VideoDepth


def main() -> None:
    scores = {(method, preset): defaultdict(list) for method in METHODS for preset in PRESETS}
    pictures = {}
    for name in SCENES:
        for seed in SEEDS:
            source = film(make_scene(name, seed))
            for preset in PRESETS:
                exact, seen, priors = compare(source, preset)
                for method, prior in priors.items():
                    add_scores(scores[method, preset], prior, exact, seen)
                if name in PICTURED and seed == SEEDS[0]:
                    pictures[name, preset] = exact[0], [mark_wrong(prior, seen) for prior in priors.values()]
    figures = {method: {preset: summarize(scores[method, preset]) for preset in PRESETS} for method in METHODS}
    header = ["at the end of", "method", "PSNR where visible, dB", "called visible of what was never seen",
              "called visible of what was seen"]
    rows = [[preset, method, f"{figures[method][preset]['psnr']:.1f}", f"{figures[method][preset]['wrong']:.1%}",
             f"{figures[method][preset]['shown']:.1%}"] for preset in PRESETS for method in METHODS]
    views = f"{len(SCENES)} scenes, {len(SEEDS)} seeds, {len(MOMENTS)} moments, {SIZE[1]}x{SIZE[0]}"
    machine = describe_machine(["warp-lang"])
    publish("quality", f"{table(header, rows)}\n\n{judge(figures)}\n\n{views}.\n{NOTES}\n{machine}",
            {"views": views, "machine": machine, "figures": figures})
    publish_picture("quality", draw_sheet(pictures))


def film(scene: Scene) -> Source:
    every = scene.source_cameras(RELEASED_FRAMES, SIZE)
    moments = torch.tensor(MOMENTS)
    cameras = CameraPath(every.cam_from_world[moments], every.intrinsics[moments], SIZE, moments)
    frames, depth = scene.render(cameras)
    return Source(scene, every, frames,
                  VideoDepth(depth, cameras.intrinsics, invert_rigid(cameras.cam_from_world), metric=True))


def compare(source: Source, preset: str) -> tuple[Tensor, Tensor, dict[str, Prior]]:
    """The exact views [M, H, W, 3] at the end of a path, what of them the source saw [M, H, W], and every method's."""
    path = released_path(preset, RELEASED_FRAMES, automatic_radius(source.depth), source.depth.intrinsics[0], SIZE)
    last = path.cam_from_world[-1:].expand(len(MOMENTS), 4, 4)
    cameras = CameraPath(last, source.depth.intrinsics, SIZE)  # whose frames are those of the source
    scene_cameras = CameraPath(last, source.depth.intrinsics, SIZE, torch.tensor(MOMENTS))
    exact, _ = source.scene.render(scene_cameras)
    seen = source.scene.seen_from_source(scene_cameras, source.cameras)
    return exact, seen, {name: method(source, cameras) for name, method in METHODS.items()}


# ---- methods -------------------------------------------------------------------------------------


def draw_dw_mesh(source: Source, cameras: CameraPath, erosion="released") -> Prior:
    mesh = build_dw_mesh(source.frames, source.depth)
    return render_prior(mesh, cameras, RenderRules(anchor_first=False, erosion=erosion))


def draw_visible_mesh(source: Source, cameras: CameraPath) -> Prior:
    """The surface the source saw and no more: hidden faces are dropped, so what lies behind them shows through."""
    return draw_frames(source, cameras, draw_visible_faces)


def draw_visible_faces(depth: Tensor, rgba: Tensor, intrinsics: Tensor, points: Tensor) -> Tensor:
    """RGBA [H, W, 4] of the faces of depth [H, W] that are not hidden; points: place_vertices of them."""
    hidden = occluded_faces(depth, intrinsics, MeshRules()).permute(2, 0, 1).reshape(-1)
    nearest = torch.zeros(SIZE[0] * SIZE[1], dtype=torch.int64)
    for face in (~hidden).nonzero()[:, 0].split(torch_raster.FACES_AT_ONCE):
        torch_raster.draw_faces(face, points[face_vertices(face, depth.shape)], SIZE, nearest)
    return torch_raster.shade(nearest, points, rgba, SIZE).rgba


def draw_points(source: Source, cameras: CameraPath) -> Prior:
    """Every source pixel as one pixel."""
    return draw_frames(source, cameras, splat)


def splat(depth: Tensor, rgba: Tensor, intrinsics: Tensor, points: Tensor) -> Tensor:
    """RGBA [H, W, 4] of points [N, 4] in the pixels they fall into, the nearest of each."""
    column, row = points[:, :2].round().unbind(1)
    ahead = (points[:, 2] == 1) & (column >= 0) & (column < SIZE[1]) & (row >= 0) & (row < SIZE[0])
    index = ahead.nonzero()[:, 0]
    pixel = (row * SIZE[1] + column)[index].long()
    nearest = torch.zeros(SIZE[0] * SIZE[1], dtype=torch.int64)
    nearest.scatter_reduce_(0, pixel, torch_raster.pack(points[index, 3], index), "amax")
    kept = torch.where(nearest > 0, 0xFFFFFFFF - (nearest & 0xFFFFFFFF), 0)
    return (rgba.reshape(-1, 4)[kept] * (nearest > 0)[:, None]).reshape(*SIZE, 4)


def draw_frames(source: Source, cameras: CameraPath, draw: Callable[..., Tensor]) -> Prior:
    """The prior whose frames draw(depth, rgba, intrinsics, placed vertices) gives; sky lies at the border's depth."""
    pictures = []
    for t, depth in enumerate(source.depth.depth.clamp(max=BORDER_DEPTH)):
        intrinsics = source.depth.intrinsics[t]
        cam_from_mesh = cameras.cam_from_world[t] @ source.depth.world_from_cam[t]
        points = place_vertices(depth, pixels_from_grid(intrinsics, cam_from_mesh, cameras.intrinsics[t]))
        pictures.append(draw(depth, torch.nn.functional.pad(source.frames[t], (0, 1), value=1.0), intrinsics, points))
    rgba = torch.stack(pictures)
    return Prior(rgba[..., :3].contiguous(), rgba[..., 3] > 0.5)


DW_MESH, VISIBLE_MESH, POINTS = "DW-Mesh", "visible mesh", "points"
METHODS: dict[str, Callable[[Source, CameraPath], Prior]] = {
    DW_MESH: lambda source, cameras: draw_dw_mesh(source, cameras, 0),
    f"{DW_MESH}, eroded": draw_dw_mesh,
    VISIBLE_MESH: draw_visible_mesh,
    POINTS: draw_points,
}


# ---- scores --------------------------------------------------------------------------------------


def add_scores(scores: dict[str, list[float]], prior: Prior, exact: Tensor, seen: Tensor) -> None:
    for color, visible, truth, known in zip(prior.color, prior.visible, exact, seen):
        scores["psnr"].append(float(-10 * (color - truth)[visible].square().mean().log10()))
        scores["unseen"].append(int((~known).sum()))
        scores["unseen visible"].append(int((visible & ~known).sum()))
        scores["seen"].append(int(known.sum()))
        scores["seen visible"].append(int((visible & known).sum()))


def summarize(scores: dict[str, list[float]]) -> dict[str, float]:
    return {"psnr": sum(scores["psnr"]) / len(scores["psnr"]),
            "wrong": sum(scores["unseen visible"]) / sum(scores["unseen"]),
            "shown": sum(scores["seen visible"]) / sum(scores["seen"])}


def judge(figures: dict[str, dict[str, dict[str, float]]]) -> str:
    """A line that says whether DW-Mesh calls the least of what was never seen visible, at every angle."""
    wins = all(figures[DW_MESH][preset]["wrong"] < figures[other][preset]["wrong"]
               for preset in PRESETS for other in (VISIBLE_MESH, POINTS))
    return f"- [{'x' if wins else ' '}] {DW_MESH} calls the least of what was never seen visible, at every angle"


# ---- the picture ---------------------------------------------------------------------------------


def mark_wrong(prior: Prior, seen: Tensor) -> Tensor:
    """The first frame [H, W, 3] of a prior, what it wrongly calls visible marked."""
    wrong = prior.visible[0] & ~seen[0]
    return torch.where(wrong[..., None], WRONG, prior.color[0])


def draw_sheet(pictures: dict[tuple[str, str], tuple[Tensor, list[Tensor]]]) -> Tensor:
    """Every scene and angle a row: the exact view, then each method's."""
    columns = ["exact view", *METHODS]
    figure = Figure(figsize=(2.4 * len(columns), 2.4 * len(pictures) + 0.5), dpi=100, layout="constrained")
    axes = figure.subplots(len(pictures), len(columns), squeeze=False)
    for row, ((scene, preset), (exact, drawn)) in zip(axes, pictures.items()):
        for ax, title, picture in zip(row, columns, (exact, *drawn)):
            ax.imshow(picture.clamp(0, 1).numpy())
            ax.set(xticks=[], yticks=[])
            ax.set_title(title, fontsize=10)
        row[0].set_ylabel(f"{scene}, {preset}°", fontsize=10)
    figure.suptitle("Black is called unseen; magenta was never seen and is called visible", fontsize=10)
    return draw_figure(figure)


if __name__ == "__main__":
    main()
