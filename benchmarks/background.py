"""What moves and what the background adds, against the truth: python benchmarks/background.py [--seeds N]

Motion in every procedural scene, whose solids say where they are; what other frames add at the ends of the released
paths 30, 60 and 90: how much of all that `colonnade`, filmed by a walking camera, ever showed, and in every scene
whether pictures stay as right as they were. With exact depth and with depth as estimators give it (estimated.py),
aligned by our own steadiness. Then what drawing costs, and how memory grows with the clip.
Prints Markdown tables and leaves them in results/background.md with background.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

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
TIMES = torch.arange(0, FRAMES, 6)  # frames of which the clip is made: those that motion is judged by
MOMENTS = torch.tensor([0, 4, 8])  # frames of that clip which are shown
PRESETS = ("30", "60", "90")
WALKING = "colonnade"
LEFT = 1.5  # pixels; a surface farther from a place than this has left it
TURNING = 500  # pixels; what turns in place in fewer says nothing
REACH = 0.1
FLAT = 50  # MiB
LENGTHS = (9, 49)  # frames of the clips whose memory is compared
FOUND = {"of what leaves its place is found": 0.98, "of what turns in it": 0.9, "of what is found moves": 0.8}
WALKED = {"30": (0.95, 0.022), "60": (0.97, 0.0035), "90": (0.97, 0.0035)}  # least shown of seen, most of never seen
PLAIN = RenderRules(anchor_first=False, erosion=0)


@dataclass(frozen=True, eq=False)
class Take:
    """A scene as it was filmed at TIMES, with the depth to work with. truth: of every frame, see true_motion."""

    scene: Scene
    cameras: CameraPath
    frames: Tensor
    depth: VideoDepth
    truth: list[tuple[Tensor, Tensor, Tensor]]


def film(name: str, seed: int, side: int) -> Take:
    scene = make_scene(name, seed)
    every = scene.source_cameras(FRAMES, (side, side))
    cameras = CameraPath(every.cam_from_world[TIMES], every.intrinsics[TIMES], every.size, TIMES)
    frames, depth = scene.render(cameras)
    truth = [true_motion(scene, cameras, k) for k in range(len(TIMES))]
    return Take(scene, cameras, frames, VideoDepth(depth, cameras.intrinsics, invert_rigid(cameras.cam_from_world),
                                                   metric=True), truth)


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
    return shot.trace_all()[2].view(shot.size), shot.points()


def at_rest(scene: Scene, owner: Tensor) -> Tensor:
    """Which pixels show sky or a solid that never moves."""
    over_time = places(scene)
    still = (over_time - over_time[:1]).abs().amax((0, 2, 3)) < 1e-9
    return (owner == SKY) | still[owner.clamp(min=0)]


def true_motion(scene: Scene, cameras: CameraPath, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Which pixels [H, W] of frame k belong to what moves; leave their place; and move a pixel or more within it."""
    owner, points = owners(Shot(scene, cameras, k))
    moving, over_time = ~at_rest(scene, owner), places(scene)
    left, turned = torch.zeros_like(moving).view(-1), torch.zeros_like(moving).view(-1)
    for number in owner[moving].unique().tolist():
        index = (owner.view(-1) == number).nonzero()[:, 0]
        solid, mine = scene.solids[number], points[:, index]
        now = solid.world_from_unit(int(cameras.source_frame[k]) / FPS)
        pixel = (cameras.cam_from_world[k].double() @ mine)[2] / float(cameras.intrinsics[k, 0, 0])
        for later in over_time[:, number]:
            unit = (torch.linalg.inv(later) @ mine)[:3]
            off = torch.stack([unit[axes].norm(dim=0) for axes in SHAPES[solid.shape]]).amax(0) - 1
            left[index] |= off.abs() * min(solid.half) > LEFT * pixel
            turned[index] |= (later @ torch.linalg.inv(now) @ mine - mine)[:3].norm(dim=0) > pixel
    return moving, left.view_as(moving), (turned & ~left).view_as(moving)


@dataclass(frozen=True, eq=False)
class View:
    """The end of a path at MOMENTS. exact: [M, H, W, 3]; still: what is at rest; ever: seen by a frame, if known."""

    cameras: CameraPath
    exact: Tensor
    still: Tensor
    ever: Tensor | None


def look_from(take: Take, preset: str, knowing: bool) -> View:
    size, depth = take.cameras.size, take.depth
    path = released_path(preset, FRAMES, automatic_radius(depth), depth.intrinsics[0], size)
    last, intrinsics = path.cam_from_world[-1:].expand(len(MOMENTS), 4, 4), path.intrinsics[:len(MOMENTS)]
    cameras = CameraPath(last, intrinsics, size, TIMES[MOMENTS])
    exact, _ = take.scene.render(cameras)
    still, ever = [], []
    for k, moment in enumerate(MOMENTS.tolist()):
        owner, points = owners(Shot(take.scene, cameras, k))
        still.append(at_rest(take.scene, owner))
        if knowing:
            seen = torch.stack([Shot(take.scene, take.cameras, key).sees(points).view(size)
                                for key in range(len(TIMES))])
            ever.append(seen[moment] | seen.any(0) & still[-1])
    return View(CameraPath(last, intrinsics, size, MOMENTS), exact, torch.stack(still),
                torch.stack(ever) if knowing else None)


# ---- scores -------------------------------------------------------------------------------------


def score_motion(take: Take, moving: Tensor) -> list[float]:
    """Share found of what leaves its place, of what turns in it, and share of what is found that moves."""
    truth, left, turned = (torch.stack(planes) for planes in zip(*take.truth))
    shares = [float((moving & part).sum() / part.sum()) for part in (left, turned)]
    if turned.sum() < TURNING:
        shares[1] = float("nan")
    return [*shares, float((moving & truth).sum() / moving.sum())]


def paint_truth(background: Background, take: Take) -> Background:
    """The same background whose colors say what of it belongs to what moves."""
    layers = []
    for layer in background.layers or ():
        left, top = (take.depth.intrinsics[layer.frame] - layer.intrinsics)[:2, 2].round().int().tolist()
        height, width = layer.depth.shape
        moving = pad(take.truth[layer.frame][0], (1, 1, 1, 1))[top + 1:top + 1 + height, left + 1:left + 1 + width]
        rgba = layer.rgba.clone()
        rgba[..., :3] = moving[..., None].float()
        layers.append(replace(layer, rgba=rgba, gain=torch.ones_like(layer.gain)))
    return replace(background, layers=tuple(layers))


def draw_all(take: Take, moving: Tensor, views: dict[str, View]) -> dict[tuple[str, str], list[float]]:
    """Scores of every method at the end of every path."""
    released, bounded = build_both(take)
    background = make_background(bounded, moving)
    truth = paint_truth(background, take)
    scores = {}
    for preset, view in views.items():
        ghosts = render_prior(bounded, view.cameras, PLAIN, background=truth).color[..., 0] > 0.5
        for method, (mesh, added) in {"released": (released, None), "bounded": (bounded, None),
                                      "filled": (bounded, background)}.items():
            scores[preset, method] = score(render_prior(mesh, view.cameras, PLAIN, background=added), view, ghosts)
    return scores


def score(prior: Prior, view: View, ghosts: Tensor) -> list[float]:
    """PSNR, wrong, shown, filled, and of what is filled: taken from what moves, and where something that moves is."""
    visible = prior.visible
    own = view.cameras.source_frame[:, None, None]
    filled = torch.zeros_like(visible) if prior.origin is None else visible & (prior.origin != own)
    psnr = [float(-10 * (color - exact)[seen].square().mean().log10())
            for color, exact, seen in zip(prior.color, view.exact, visible)]
    known = [float("nan")] * 2
    if view.ever is not None:
        known = [float(((visible & part).sum((1, 2)) / part.sum((1, 2)).clamp(min=1)).mean())
                 for part in (~view.ever, view.ever)]
    share = max(int(filled.sum()), 1)
    return [sum(psnr) / len(psnr), *known, float(filled.float().mean()), float((filled & ghosts).sum() / share),
            float((filled & ~view.still).sum() / share)]


def build_both(take: Take) -> tuple[DWMesh, DWMesh]:
    """The released mesh and the one whose hidden faces are bounded."""
    return (build_dw_mesh(take.frames, take.depth),
            build_dw_mesh(take.frames, take.depth, MeshRules(hidden_reach=REACH)))


# ---- cost ---------------------------------------------------------------------------------------


def measure_cost(take: Take, moving: Tensor) -> dict[str, float]:
    """Milliseconds per frame of drawing on all cores, the best of three turns."""
    released, bounded = build_both(take)
    background = make_background(bounded, moving)
    path = released_path("60", FRAMES, automatic_radius(take.depth), take.depth.intrinsics[0], take.cameras.size)
    path = replace(path, source_frame=torch.arange(FRAMES) % len(TIMES))
    works = {"released": (released, None), "bounded": (bounded, None), "filled": (bounded, background)}
    best = dict.fromkeys(works, float("inf"))
    for _ in range(3):
        for name, (mesh, added) in works.items():
            begun = time.perf_counter()
            render_prior(mesh, path, background=added)
            best[name] = min(best[name], (time.perf_counter() - begun) / FRAMES * 1e3)
    return best


def measure_memory(take: Take) -> dict[str, float]:
    """MiB that finding, choosing and filling take at most beyond the clip and their results, by length of the clip."""
    return {f"{length} frames": measure_peak(partial(keep_background, repeat_clip(take, length)))
            for length in LENGTHS}


def repeat_clip(take: Take, length: int) -> tuple[Tensor, VideoDepth]:
    index = torch.arange(length) % len(TIMES)
    return take.frames[index], VideoDepth(take.depth.depth[index], take.depth.intrinsics[index],
                                          take.depth.world_from_cam[index])


def keep_background(clip: tuple[Tensor, VideoDepth]) -> list[Tensor]:
    """All that a background's user holds in the end."""
    frames, depth = clip
    mesh = build_dw_mesh(frames, depth, MeshRules(hidden_reach=REACH))
    moving = find_motion(frames, depth)
    path = released_path("60", len(frames), automatic_radius(depth), depth.intrinsics[0], depth.size)
    prior = render_prior(mesh, path, background=make_background(mesh, moving))
    assert prior.origin is not None
    return [mesh.depth, mesh.occluded, moving, prior.color, prior.visible, prior.origin]


def measure_peak(work: Callable[[], list[Tensor]]) -> float:
    """MiB of memory that work takes at most beyond what it returns."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = read_memory("VmRSS")
    kept = work()
    return read_memory("VmHWM") - before - sum(part.numel() * part.element_size() for part in kept) / 2**20


def read_memory(field: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


# ---- all ----------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=512, help="of the frames, pixels")
    parser.add_argument("--seeds", type=int, default=2, help="of every scene, for what moves")
    parser.add_argument("--scenes", nargs="+", choices=list(SCENES), default=list(SCENES))
    options = parser.parse_args()
    motion, scores, cost, memory = {}, {}, {}, {}
    for name in options.scenes:
        for seed in range(options.seeds):
            exact = film(name, seed, options.side)
            takes = {"exact": exact, "estimated": as_estimated(exact, seed)}
            found = {kind: find_motion(take.frames, take.depth) for kind, take in takes.items()}
            motion |= {(name, str(seed), kind): score_motion(exact, moving) for kind, moving in found.items()}
            if seed:
                continue
            views = {preset: look_from(exact, preset, name == WALKING) for preset in PRESETS}
            for kind, take in takes.items():
                scores |= {(name, kind, *key): row for key, row in draw_all(take, found[kind], views).items()}
            if name == WALKING:
                known = torch.stack([frame[0] for frame in exact.truth])
                scores |= {(name, "exact, motion known", *key): row
                           for key, row in draw_all(exact, known, views).items()}
                cost, memory = measure_cost(exact, found["exact"]), measure_memory(exact)
    report(motion, scores, cost, memory, f"{options.side}x{options.side}, {options.seeds} seeds")


def report(motion: dict, scores: dict, cost: dict, memory: dict, what: str) -> None:
    tables = [table(["scene", "seed", "depth", "found of what leaves its place", "of what turns in it",
                     "right of what is found"], [[*key, *map(percent, row)] for key, row in motion.items()]),
              table(["scene", "depth", "at", "method", "PSNR where visible, dB", "never seen, called visible",
                     "shown of what was ever seen", "filled", "of it from what moves", "of it where something moves"],
                    [[*key, f"{row[0]:.1f}", *map(percent, row[1:])] for key, row in scores.items()])]
    if cost:
        times = ", ".join(f"{name} {spent:.1f} ({spent / cost['released']:.2f} x)" for name, spent in cost.items())
        sizes = ", ".join(f"{length} {size:.0f} MiB" for length, size in memory.items())
        tables.append(f"Drawing, ms per frame on all cores: {times}.\nMemory beyond the clip and the results: {sizes}.")
    tables.append("\n".join(f"- [{'x' if held else ' '}] {line}" for line, held in judge(motion, scores, cost, memory)))
    machine = describe_machine(["warp-lang"])
    publish("background", "\n\n".join([*tables, f"{what}, every sixth of {FRAMES} frames. {machine}"]),
            {"motion": {", ".join(key): row for key, row in motion.items()},
             "background": {", ".join(key): row for key, row in scores.items()},
             "cost": cost, "memory": memory, "machine": machine})


def judge(motion: dict, scores: dict, cost: dict, memory: dict) -> Iterator[tuple[str, bool]]:
    """What was to be reached, and whether it is."""
    for part, (what, least) in enumerate(FOUND.items()):
        worst = min(row[part] for row in motion.values() if row[part] == row[part])
        yield f"{least:.0%} or more {what}: {worst:.2%} at the least", worst >= least
    filled = {key[:-1]: row for key, row in scores.items() if key[-1] == "filled"}
    for preset, (least, most) in WALKED.items():
        _, wrong, shown, *_ = filled.get((WALKING, "exact", preset), [float("nan")] * 3)
        yield f"{WALKING} at {preset}: {least:.0%} or more of what was ever seen is shown: {shown:.2%}", shown >= least
        yield f"{WALKING} at {preset}: {most:.2%} or less of what was never seen is shown: {wrong:.2%}", wrong <= most
    lost = max(scores[(*key, "bounded")][0] - row[0] for key, row in filled.items() if key[1] == "estimated")
    yield f"as estimated, what is filled lowers PSNR by 0.5 dB at the most: {lost:.2f}", lost <= 0.5
    ghosts = max(row[4] for row in filled.values())
    yield f"0.5 % or less of what is filled is taken from what moves: {ghosts:.2%} at the most", ghosts <= 0.005
    if cost:
        times = cost["filled"] / cost["released"]
        yield f"filled takes 4 times the released drawing or less: {times:.2f}", times <= 4
        short, long = memory.values()
        yield (f"beyond the clip, {' and '.join(memory)} take as much memory: {short:.0f} and {long:.0f} MiB",
               abs(long - short) < FLAT)


def percent(share: float) -> str:
    return "" if share != share else f"{share:.2%}"


if __name__ == "__main__":
    main()
