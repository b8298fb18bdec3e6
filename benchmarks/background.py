"""What moves and what the background adds, against the truth: python benchmarks/background.py [--side PX] [--seeds N]

Motion of every procedural scene, whose solids say where they are; the background of `colonnade`, filmed by a
walking camera, and of the scenes filmed at rest, at the ends of the released paths 30, 60 and 90. With exact depth and
with depth as estimators give it (estimated.py), aligned by our own steadiness.
Prints Markdown tables and leaves them in results/background.md with background.json.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from dataclasses import dataclass, replace

import torch
from estimated import misjudge_depth
from report import describe_machine, publish, table
from torch import Tensor
from torch.nn.functional import pad

from ex4d_ops.background import Background, find_motion, make_background
from ex4d_ops.camera import CameraPath, invert_rigid
from ex4d_ops.depth import VideoDepth
from ex4d_ops.estimators.steadiness import align
from ex4d_ops.mesh import DWMesh, MeshRules, build_dw_mesh
from ex4d_ops.prior import Prior, RenderRules, render_prior
from ex4d_ops.scene import FPS, SCENES, Scene, make_scene
from ex4d_ops.scene.scene import SKY, Shot
from ex4d_ops.scene.solids import SHAPES
from ex4d_ops.trajectory import automatic_radius, released_path

FRAMES = 49
PRESETS = ("30", "60", "90")
MOMENTS = (0, 24, 48)  # frames that are shown
KEYS = range(0, FRAMES, 6)  # frames that "ever seen" looks at, and that motion is judged in
LEFT = 1.5  # pixels; a surface farther from a place than this has left it
REACH = 0.1
PLAIN = RenderRules(anchor_first=False, erosion=0)


@dataclass(frozen=True, eq=False)
class Take:
    """A scene as it was filmed, with the depth to work with, and what is known of it."""

    scene: Scene
    cameras: CameraPath
    frames: Tensor
    depth: VideoDepth


def film(name: str, seed: int, side: int) -> Take:
    scene = make_scene(name, seed)
    cameras = scene.source_cameras(FRAMES, (side, side))
    frames, depth = scene.render(cameras)
    return Take(scene, cameras, frames,
                VideoDepth(depth, cameras.intrinsics, invert_rigid(cameras.cam_from_world), metric=True))


def as_estimated(take: Take, seed: int) -> Take:
    """The same with depth as estimators give it, made steady as EstimateVideoDepth does."""
    wrong = misjudge_depth(take.depth, torch.Generator().manual_seed(seed)).depth
    disparity = (1 / wrong).masked_fill(wrong.isinf(), torch.nan)
    scale = align(take.frames, disparity, "scale", take.depth.intrinsics[0])[:, 0, None, None]
    return replace(take, depth=replace(take.depth, depth=wrong / scale))


# ---- the truth ----------------------------------------------------------------------------------


def places(scene: Scene) -> Tensor:
    """Where every solid is at every fourth frame, [K, S, 4, 4]."""
    return torch.stack([torch.stack([solid.world_from_unit(t / FPS) for solid in scene.solids])
                        for t in range(0, FRAMES, 4)])


def owners(shot: Shot) -> tuple[Tensor, Tensor]:
    """The solid [H, W] that each pixel shows, SKY for none, and the homogeneous points there [4, H*W]."""
    pixels = shot.centers()
    return shot.trace(pixels, shot.cast(pixels))[1].view(shot.size), shot.points()


def at_rest(scene: Scene, owner: Tensor) -> Tensor:
    """Which pixels show sky or a solid that never moves."""
    over_time = places(scene)
    still = (over_time - over_time[:1]).abs().amax((0, 2, 3)) < 1e-9
    return (owner == SKY) | still[owner.clamp(min=0)]


def true_motion(take: Take, t: int) -> tuple[Tensor, Tensor, Tensor]:
    """Which pixels [H, W] of frame t belong to what moves; leave their place; and move a pixel or more within it."""
    shot = Shot(take.scene, take.cameras, t)
    owner, points = owners(shot)
    moving, over_time = ~at_rest(take.scene, owner), places(take.scene)
    left, turned = torch.zeros_like(moving).view(-1), torch.zeros_like(moving).view(-1)
    now = {k: take.scene.solids[k].world_from_unit(t / FPS) for k in owner[moving].unique().tolist()}
    for k, place in now.items():
        index = (owner.view(-1) == k).nonzero()[:, 0]
        solid, mine = take.scene.solids[k], points[:, index]
        pixel = (take.cameras.cam_from_world[t].double() @ mine)[2] / float(take.depth.intrinsics[t, 0, 0])
        for later in over_time[:, k]:
            unit = (torch.linalg.inv(later) @ mine)[:3]
            off = torch.stack([unit[axes].norm(dim=0) for axes in SHAPES[solid.shape]]).amax(0) - 1
            left[index] |= off.abs() * min(solid.half) > LEFT * pixel
            turned[index] |= (later @ torch.linalg.inv(place) @ mine - mine)[:3].norm(dim=0) > pixel
    return moving, left.view_as(moving), (turned & ~left).view_as(moving)


# ---- motion -------------------------------------------------------------------------------------


def score_motion(take: Take, moving: Tensor) -> dict[str, float]:
    counts = defaultdict(int)
    for t in KEYS:
        truth, left, turned = true_motion(take, t)
        for name, part in (("left", left), ("turned", turned)):
            counts[name] += int(part.sum())
            counts[f"{name} found"] += int((moving[t] & part).sum())
        counts["found"] += int(moving[t].sum())
        counts["right"] += int((moving[t] & truth).sum())
    return {"leave": counts["left found"] / max(counts["left"], 1) if counts["left"] else float("nan"),
            "in place": counts["turned found"] / counts["turned"] if counts["turned"] > 100 else float("nan"),
            "precision": counts["right"] / max(counts["found"], 1)}


# ---- background ---------------------------------------------------------------------------------


def paint_truth(background: Background, take: Take) -> Background:
    """The same background whose colors say what of it belongs to what moves."""
    layers = []
    for layer in background.layers:
        moving = true_motion(take, layer.frame)[0]
        left, top = (take.depth.intrinsics[layer.frame] - layer.intrinsics)[:2, 2].round().int().tolist()
        height, width = layer.depth.shape
        rgba = layer.rgba.clone()
        moving = pad(moving, (1, 1, 1, 1))[top + 1:top + 1 + height, left + 1:left + 1 + width]
        rgba[..., :3] = moving[..., None].float()
        layers.append(replace(layer, rgba=rgba, gain=torch.ones_like(layer.gain)))
    return replace(background, layers=tuple(layers))


def build_both(take: Take) -> tuple[DWMesh, DWMesh]:
    """The released mesh and the one whose hidden faces are bounded."""
    return (build_dw_mesh(take.frames, take.depth),
            build_dw_mesh(take.frames, take.depth, MeshRules(hidden_reach=REACH)))


def score_background(take: Take, exact_depth: VideoDepth, scores: dict) -> None:
    """Add the scores of every method at the end of every path to scores[preset, method]."""
    size, moments = take.cameras.size, torch.tensor(MOMENTS)
    released, bounded = build_both(take)
    background = make_background(bounded, find_motion(take.frames, take.depth))
    truth = paint_truth(background, take)
    for preset in PRESETS:
        path = released_path(preset, FRAMES, automatic_radius(exact_depth), exact_depth.intrinsics[0], size)
        cameras = CameraPath(path.cam_from_world[-1:].expand(len(moments), 4, 4), path.intrinsics[:len(moments)], size,
                             moments)
        exact, _ = take.scene.render(cameras)
        priors = {"released": render_prior(released, cameras, PLAIN), "bounded": render_prior(bounded, cameras, PLAIN),
                  "filled": render_prior(bounded, cameras, PLAIN, background=background)}
        ghosts = render_prior(bounded, cameras, PLAIN, background=truth).color[..., 0] > 0.5
        for k, t in enumerate(MOMENTS):
            owner, points = owners(Shot(take.scene, cameras, k))
            still = at_rest(take.scene, owner)
            seen = [Shot(take.scene, take.cameras, key).sees(points).view(size) for key in (t, *KEYS)]
            ever = seen[0] | (torch.stack(seen[1:]).any(0) & still)
            for method, prior in priors.items():
                scores[preset, method].append(score_view(prior, k, t, exact[k], ever, still, ghosts[k]))


def score_view(prior: Prior, k: int, t: int, exact: Tensor, ever: Tensor, still: Tensor, ghosts: Tensor) -> list[float]:
    """PSNR, wrong, shown, filled, and of what is filled: taken from what moves, and where something that moves is."""
    visible = prior.visible[k]
    filled = torch.zeros_like(visible) if prior.origin is None else visible & (prior.origin[k] != t)
    share = max(int(filled.sum()), 1)
    return [float(-10 * (prior.color[k] - exact)[visible].square().mean().log10()),
            float((visible & ~ever).sum() / (~ever).sum().clamp(min=1)), float((visible & ever).sum() / ever.sum()),
            float(filled.float().mean()), float((filled & ghosts).sum() / share),
            float((filled & ~still).sum() / share)]


def measure_cost(take: Take) -> dict[str, float]:
    """Milliseconds per frame of drawing, the best of three."""
    released, bounded = build_both(take)
    background = make_background(bounded, find_motion(take.frames, take.depth))
    path = released_path("60", FRAMES, automatic_radius(take.depth), take.depth.intrinsics[0], take.cameras.size)
    works = {"released": (released, None), "bounded": (bounded, None), "filled": (bounded, background)}
    best = dict.fromkeys(works, float("inf"))
    for _ in range(3):
        for name, (mesh, added) in works.items():
            begin = time.process_time()
            render_prior(mesh, path, background=added)
            best[name] = min(best[name], (time.process_time() - begin) / FRAMES * 1e3)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512, help="of the frames, pixels")
    parser.add_argument("--seeds", type=int, default=1, help="of every scene")
    parser.add_argument("--scenes", nargs="+", choices=list(SCENES), default=list(SCENES))
    options = parser.parse_args()
    motion, scores, cost = [], defaultdict(list), {}
    for name in options.scenes:
        for seed in range(options.seeds):
            exact = film(name, seed, options.side)
            for kind, take in (("exact", exact), ("estimated", as_estimated(exact, seed))):
                found = score_motion(take, find_motion(take.frames, take.depth))
                motion.append([name, str(seed), kind, *(f"{found[key]:.1%}" for key in found)])
                part = defaultdict(list)
                score_background(take, exact.depth, part)
                for (preset, method), rows in part.items():
                    scores[name, kind, preset, method] += rows
            if name == "colonnade" and seed == 0:
                cost = measure_cost(exact)
    rows = [[*key, *format_scores(torch.tensor(values).nanmean(0))] for key, values in scores.items()]
    tables = [table(["scene", "seed", "depth", "found of what leaves its place", "of what moves in it", "precision"],
                    motion),
              table(["scene", "depth", "at", "method", "PSNR where visible, dB", "visible though never seen",
                     "shown of what was ever seen", "filled", "of it from what moves",
                     "of it where something moves"], rows),
              f"Drawing, ms of processor time per frame: {', '.join(f'{k} {v:.1f}' for k, v in cost.items())}."]
    machine = describe_machine(["warp-lang"])
    publish("background", "\n\n".join([*tables, f"{options.side}x{options.side}, {options.seeds} seeds. {machine}"]),
            {"motion": motion, "background": rows, "cost": cost, "machine": machine})


def format_scores(values: Tensor) -> list[str]:
    psnr, *shares = values.tolist()
    return [f"{psnr:.1f}", *(f"{share:.2%}" for share in shares)]


if __name__ == "__main__":
    main()
