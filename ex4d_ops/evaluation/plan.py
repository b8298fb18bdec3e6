"""Folders for runs: the clip, its depth, prior and path, and what each method takes of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from .. import files
from ..camera import CameraPath
from ..clip import Clip, Fit, fit_frame
from ..depth import VideoDepth, fit_depth, lay_over, match_depth
from ..files.whole import written_whole
from ..guide import accompany, guide_video
from ..mesh import build_dw_mesh
from ..motion import find_motion
from ..prior import Prior, render_prior
from ..rules import Engine
from ..scene import FPS, make_scene, sample_clip
from ..trajectory import automatic_radius, released_path
from .all_runs import WORK
from .methods import METHODS
from .orbits import ORBITS, tell_orbit
from .runs import CAMERAS, COLOR, DEPTH, EXACT, PLAN, PRIOR, RANGES, SOURCE, SUBJECT, VISIBLE
from .workflows import adapt_workflow

GUIDE = ("guide.mkv", "paint.mkv", "source.mkv")
WORKFLOW = "workflow_api.json"


@dataclass(frozen=True)
class Planned:
    """A clip and a range. source, depth: its files; None for a procedural scene, whose exact views are known."""

    clip: str
    range: str
    source: Path | None = None
    depth: Path | None = None

    @property
    def folder(self) -> Path:
        return Path(self.clip) / self.range


@dataclass(frozen=True)
class PlanRules:
    """frames, size (H, W), fit: of the clips; methods: of METHODS; seed: of procedural scenes."""

    frames: int
    size: tuple[int, int]
    fit: Fit
    methods: tuple[str, ...]
    seed: int = 0


class Told(NamedTuple):
    """What planning one folder says: why it is left out, nothing where it is made; and what is to be known of it."""

    refusal: str
    remarks: list[str]


def begin_planning(rules: PlanRules, out: Path) -> Callable[[Planned], Told]:
    """What plans one clip after the other in a worker; there is nothing to load."""
    return lambda planned: plan_one(planned, rules, out)


def plan(wanted: Sequence[Planned], rules: PlanRules, out: Path, engine: Engine = "processes", workers: int = 1,
         report: Callable[[Told], object] = lambda told: None) -> list[Told]:
    """Make the folders of all clips and ranges; those that are finished are left as they are. What is said of others.

    report: called with what is said of each. Raises ValueError where the folder was begun by other rules.
    """
    out.mkdir(parents=True, exist_ok=True)
    noted = json.loads(json.dumps(vars(rules)))
    path = out / PLAN
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != noted:
        raise ValueError(f"{out}: was planned with other settings; use those, or another --out")
    with written_whole(path) as part:
        part.write_text(json.dumps(noted, indent=2) + "\n")
    todo = (planned for planned in wanted if not (out / planned.folder / PLAN).exists())
    said = []
    for told in WORK[engine](todo, partial(begin_planning, rules, out.resolve()), workers):
        report(told)
        said.append(told)
    return said


def plan_one(planned: Planned, rules: PlanRules, out: Path) -> Told:
    """Make one folder, or say why it cannot be made."""
    folder = out / planned.folder
    try:
        clip, depth = film(planned, rules)
    except (ValueError, OSError) as error:
        return Told(f"{planned.folder}: left out, because {error}", [])
    (folder / PRIOR).mkdir(parents=True, exist_ok=True)
    radius = automatic_radius(depth)
    cameras = released_path(RANGES[planned.range], len(clip), radius, depth.intrinsics[0], clip.size)
    prior = render_prior(build_dw_mesh(clip.frames, depth), cameras)
    files.write_video(folder / SOURCE, clip.frames, clip.fps)
    files.write_depth(folder / DEPTH, depth)
    files.write_path(folder / PRIOR / CAMERAS, cameras)
    files.write_video(folder / PRIOR / VISIBLE, prior.visible, clip.fps)
    files.write_video(folder / PRIOR / COLOR, prior.color, clip.fps)
    if (moving := find_motion(clip.frames, depth)).any():
        files.write_video(folder / SUBJECT, moving, clip.fps)
    if planned.source is None:
        files.write_video(folder / EXACT, make_scene(planned.clip, rules.seed).render(cameras)[0], clip.fps)
    remarks = []
    for name in rules.methods:
        give_method(name, folder / name, clip, prior, out.name)
        remarks += [f"{planned.folder}: {said}" for said in give_path(name, folder / name, cameras, radius)]
    with written_whole(folder / PLAN) as part:  # last, so that where it is everything is
        part.write_text(json.dumps({"clip": planned.clip, "range": planned.range}) + "\n")
    return Told("", remarks)


def film(planned: Planned, rules: PlanRules) -> tuple[Clip, VideoDepth]:
    """The clip and its depth at the size and length of the plan."""
    if planned.source is None:
        frames, depth = sample_clip(planned.clip, rules.frames, rules.size, rules.seed)
        return Clip(frames, FPS), depth
    if planned.depth is None:
        raise ValueError(f"{planned.source}: its depth is not found; put it beside the clip, or give --depth")
    clip = files.read_video(planned.source, 0, rules.frames)
    if len(clip) < rules.frames:
        raise ValueError(f"{planned.source}: has {len(clip)} frames, but {rules.frames} are needed; use fewer --frames")
    depth = files.read_depth(planned.depth, None, 0, rules.frames, clip=planned.source)
    frames = torch.stack([fit_frame(frame, rules.size, rules.fit) for frame in clip.frames])
    laid = lay_over(depth, clip.size, rules.size, str(planned.depth))
    return Clip(frames, clip.fps), match_depth(frames, fit_depth(laid, rules.size, rules.fit))


def give_path(name: str, folder: Path, cameras: CameraPath, radius: float) -> list[str]:
    """Write a method's file of cameras; what is to be known of it."""
    method = METHODS[name]
    if method.format not in ORBITS:
        files.write_path(folder / method.cameras, cameras, method.format)
        return []
    text, off = tell_orbit(method.format, cameras, radius)
    with written_whole(folder / method.cameras) as part:
        part.write_text(text, encoding="utf-8")
    return [f"{name} takes only an orbit; the nearest one is up to {off.degrees:.1f} degrees and {off.share:.1%} of "
            "the radius off the path"]


def give_method(name: str, folder: Path, clip: Clip, prior: Prior, runs: str) -> None:
    """Write what a method takes beside its cameras: its guide, and how ComfyUI runs it."""
    method = METHODS[name]
    folder.mkdir(exist_ok=True)
    if method.style is not None:
        guide = guide_video(prior, method.style, clip.fps, rate="as given", size=clip.size)
        for file, frames in zip(GUIDE, (guide.color, guide.paint, accompany(guide, clip.frames))):
            files.write_video(folder / file, frames, guide.fps)
    if graph := adapt_workflow(name, f"{runs}/{folder.parent.parent.name}/{folder.parent.name}", clip):
        with written_whole(folder / WORKFLOW) as part:
            part.write_text(json.dumps(graph, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
