"""One video measured: per frame and on average."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from .. import files
from ..clip import Clip, Progress, fit_frame, resize_frame, size_of
from ..files.whole import written_whole
from ..parallel import one_by_one
from .agreement import compare_frame, misplacement, seams, ssim_map, subject_off, unsteadiness
from .cameras import camera_errors, find_path
from .cell import Cell
from .measures import MEASURES
from .runs import Run
from .second_opinion import find_path_again

Differing = Literal["skip", "use", "stop"]  # what to do with videos that are not as planned
SAME_RATE = 0.01  # share by which frame rates may differ
DIGITS = 6  # of what is kept
PREVIEW_SIDE = 240  # pixels of the longer side
PERCENT = 100.0
Figures = dict[str, list[float | None]]  # of every measure, one per frame


@dataclass(frozen=True)
class Measuring:
    """differing: see above; second_opinion: whether cameras are found by COLMAP too."""

    differing: Differing = "skip"
    second_opinion: bool = False


@dataclass(frozen=True, eq=False)
class Given:
    """A video, and what its frames and those that follow are compared with, all of one size."""

    video: Tensor
    cell: Cell


@torch.no_grad()
def measure_run(run: Run, read: Callable[[Run], Cell], rules: Measuring, out: Path, fingerprint: str) -> str:
    """Measure a run's video, and write its figures, or why there are none, and a small copy of it. Returns its key.

    read: see cell.read_cell. Raises ValueError where the video is not as planned and that shall stop.
    """
    entry: dict = {"method": run.method, "clip": run.clip, "range": run.range, "fingerprint": fingerprint}
    try:
        cell = read(run)
        given, notes = read_given(run, cell, rules.differing)
        frames = measure(given) | (measure_again(given) if rules.second_opinion else {})
    except (ValueError, OSError) as error:
        if rules.differing == "stop":
            raise ValueError(f"{run.name}: {error}") from None
        entry["skipped"] = str(error)
    else:
        fps = cell.planned.fps
        entry |= {"notes": notes, "fps": fps, "size": list(size_of(given.video)), "frames": {
            name: [round_figure(value) for value in values] for name, values in frames.items()}}
        write_preview(out / f"{run.key}.mp4", given.video, fps)
    with written_whole(out / f"{run.key}.json") as part:
        part.write_text(json.dumps(entry))
    return run.key


def round_figure(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def read_given(run: Run, cell: Cell, differing: Differing) -> tuple[Given, list[str]]:
    """A run's video beside what it is compared with, and in which ways it is not as planned.

    Raises ValueError where it differs and is not to be used, or is damaged.
    """
    video = files.read_video(run.video, 0, len(cell.planned) + 1)
    differs = describe_differences(video, cell.planned)
    if differs and differing != "use":
        raise ValueError(f"{run.video}: {'; '.join(differs)}; use it all the same with --differing use")
    with blame(run.video):
        return fit_video(video.frames, cell), differs


@contextmanager
def blame(path: Path) -> Iterator[None]:
    """Let errors begin with the file that they are about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def fit_video(frames: Tensor, cell: Cell) -> Given:
    """Frames [T, H, W, 3] made as long and large as planned, or ValueError where there is one alone."""
    length = min(len(frames), len(cell.planned))
    if length < 2:
        raise ValueError("has one frame, but 2 or more are needed; give a video")
    shown = torch.stack([fit_frame(frame, cell.planned.size, "crop") for frame in frames[:length]])
    return Given(shown, cell)


def describe_differences(video: Clip, planned: Clip) -> list[str]:
    """In which ways a video is not as planned."""
    differs = []
    if len(video) != len(planned):
        more = "or more" if len(video) > len(planned) else ""
        differs.append(f"has {len(video)} {more} frames, but {len(planned)} are planned".replace("  ", " "))
    if video.size != planned.size:
        (height, width), (high, wide) = video.size, planned.size
        differs.append(f"is {width}x{height}, but {wide}x{high} is planned")
    if abs(video.fps / planned.fps - 1) > SAME_RATE:
        differs.append(f"has {video.fps:g} frames per second, but {planned.fps:g} are planned")
    return differs


def measure(given: Given, progress: Progress | None = None) -> Figures:
    """All figures of a video, per frame."""
    return measure_frames(given, progress) | measure_cameras(given, progress)


def measure_frames(given: Given, progress: Progress | None = None) -> Figures:
    """What pixels tell, per frame."""
    frames = one_by_one(range(len(given.video)), len(given.video), progress)
    rows = [measure_frame(given, t) for t in frames]
    return {name: [row[name] for row in rows] for name in rows[0]}


def measure_frame(given: Given, t: int) -> dict[str, float | None]:
    """What the pixels of one frame tell."""
    reference = given.cell.reference
    shown, wanted, seen = given.video[t], reference.frames[t], reference.visible[t]
    similar = ssim_map(shown, wanted)
    inside = compare_frame(shown, wanted, seen, similar)
    whole = compare_frame(shown, wanted, torch.ones_like(seen), similar) if reference.exact else dict.fromkeys(inside)
    last = t + 1 == len(given.video)
    steady = dict.fromkeys(("inside", "outside")) if last else unsteadiness(given.video, reference, t)
    return {"psnr": inside["psnr"], "ssim": inside["ssim"], "misplaced": misplacement(shown, wanted, seen),
            "subject": None if reference.subject is None else subject_off(shown, wanted, reference.subject[t]),
            "unsteady": steady["inside"], "unsteady_outside": steady["outside"],
            "seams": seams(shown, wanted, seen, reference.exact), "exact_psnr": whole["psnr"],
            "exact_ssim": whole["ssim"]}


def measure_cameras(given: Given, progress: Progress | None = None) -> Figures:
    """How the video follows its path, per frame; nothing where the depth is not known."""
    scene = given.cell.scene
    if scene is None:
        return {}
    followed = find_path(given.video, scene.mesh, scene.cameras, progress)
    errors = camera_errors(followed, scene.cameras, scene.nearest, given.cell.exact_path)
    return {name: tell_frames(name, values) for name, values in errors.items()}


def measure_again(given: Given) -> Figures:
    """A second opinion of it, of frames whose camera is found."""
    scene = given.cell.scene
    if scene is None:
        return {}
    followed = find_path_again(given.video, scene.mesh, scene.cameras)
    errors = camera_errors(followed, scene.cameras, scene.nearest, given.cell.exact_path_again)
    return {f"{name}_colmap": tell_frames(name, errors[name] if name == "found" else
                                          errors[name].masked_fill(~followed.found, torch.nan))
            for name in ("rotation", "translation", "found")}


def tell_frames(name: str, values: Tensor) -> list[float | None]:
    """The values [T] of a measure in its unit, None where it says nothing."""
    scale = PERCENT if name in ("translation", "found") else 1.0
    return [None if math.isnan(value) else value for value in (scale * values).tolist()]


def write_preview(path: Path, frames: Tensor, fps: float) -> None:
    """Write a small copy that browsers play."""
    size = size_of(frames)
    scale = min(PREVIEW_SIDE / max(size), 1)
    size = (max(round(size[0] * scale), 2), max(round(size[1] * scale), 2))
    files.write_video(path, (resize_frame(frame, size) for frame in frames), fps, "h264")


def summarize(entry: dict) -> dict[str, float]:
    """The mean over the frames of every measure that an entry has figures of, and those of the whole video."""
    known = {name: [value for value in entry["frames"].get(name, []) if value is not None] for name in MEASURES}
    return {name: sum(values) / len(values) for name, values in known.items() if values} | entry.get("whole", {})
