"""A user study: a page that shows what methods made of the same clips, under letters, and what people answered.

The page's videos have names that tell nothing; which method made which is in a key that stays with the host.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from .. import files
from ..clip import fit_frame, resize_frame
from ..files.whole import written_whole
from .runs import Run
from .study_page import write_study_page

SITE, PAGE, VIDEOS, KEY = "page", "index.html", "videos", "key.json"
LARGEST = 512  # pixels of a video's longer side
CHECKS = 2  # clips by which is seen whether somebody looks
BLOCKS = 8  # across the shorter side of a video that nobody can take for good
QUESTIONS = {
    "consistency": "Physical consistency: in which video do things best keep their shape, size and place, as in a real "
                   "scene?",
    "viewpoint": "Quality of the new view: which video best shows the scene from the side that the source has not "
                 "seen?",
}


@dataclass(frozen=True)
class StudyRules:
    """title: of the page; clips: that each participant sees; post: address that answers are sent to, None: they are
    downloaded; seed: of the videos' names.
    """

    title: str
    clips: int
    post: str | None
    seed: int


def build_study(runs: Sequence[Run], rules: StudyRules, out: Path,
                report: Callable[[], object] = lambda: None) -> tuple[int, list[str]]:
    """Write the page of a study and its key; how many clips it has, and those left out, for a method is missing there.

    report: called after each clip. Raises ValueError where fewer than two methods can be compared.
    """
    shown, lacking = complete_cells(runs)
    draw = random.Random(rules.seed)
    numbers = draw.sample(range(10**6), sum(map(len, shown)) + len(shown) + CHECKS * (1 + len(shown[0])))
    names = iter(f"v{number:06d}" for number in numbers)
    (out / SITE / VIDEOS).mkdir(parents=True, exist_ok=True)
    trials, checks, key = [], [], {}
    for number, cell in enumerate(shown):
        source, *made = (next(names) for _ in range(1 + len(cell)))
        write_video(out, source, read_source(cell[0]), cell[0])
        for name, run in zip(made, cell):
            write_video(out, name, read_fitted(run), run)
        trials.append({"trial": f"t{number}", "source": source, "videos": draw.sample(made, len(made))})
        key[f"t{number}"] = {"clip": cell[0].clip, "range": cell[0].range,
                             "videos": {name: run.method for name, run in zip(made, cell)}}
        report()
    right = {}
    for number in range(CHECKS):
        cell = shown[number % len(shown)]
        source, *made = (next(names) for _ in range(1 + len(cell)))
        frames = read_source(cell[0])
        for name in (source, *made):
            write_video(out, name, frames if name in (source, made[0]) else spoil(frames), cell[0])
        checks.append({"trial": f"c{number}", "source": source, "videos": draw.sample(made, len(made))})
        right[f"c{number}"] = made[0]
    known = {"title": rules.title, "clips": rules.clips, "post": rules.post, "trials": trials, "checks": checks}
    study = f"{zlib.crc32(json.dumps([known, key]).encode()):08x}"
    questions = [{"name": name, "text": text} for name, text in QUESTIONS.items()]
    write_text(out / KEY, json.dumps({"study": study, "trials": key, "checks": right}, indent=1) + "\n")
    write_text(out / SITE / PAGE, write_study_page({"study": study, "questions": questions, **known}))
    return len(shown), lacking


def complete_cells(runs: Sequence[Run]) -> tuple[list[list[Run]], list[str]]:
    """The runs of each clip and range of which every method made a video, and the names of the others."""
    methods = {run.method for run in runs}
    cells: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        cells.setdefault((run.clip, run.range), []).append(run)
    whole = [cell for cell in cells.values() if {run.method for run in cell} == methods]
    if len(methods) < 2 or not whole:
        raise ValueError("a study compares two or more methods on the same clips; give videos of all of them for at "
                         "least one clip")
    return whole, [f"{clip}, {span}" for (clip, span), cell in cells.items() if cell not in whole]


def read_source(run: Run) -> Tensor:
    return files.read_video(run.source).frames


def read_fitted(run: Run) -> Tensor:
    """A method's frames [T, H, W, 3] at the size and length of its source, so that neither tells who made it."""
    source = files.read_video(run.source)
    made = files.read_video(run.video, 0, len(source)).frames
    return torch.stack([fit_frame(frame, source.size, "crop") for frame in made])


def spoil(frames: Tensor) -> Tensor:
    """Frames [T, H, W, 3] upside down and in coarse blocks."""
    height, width = frames.shape[1:3]
    side = min(height, width) / BLOCKS
    planes = frames.flip(1).movedim(-1, 1)
    coarse = interpolate(planes, (max(round(height / side), 1), max(round(width / side), 1)), mode="area")
    return interpolate(coarse, (height, width), mode="nearest").movedim(1, -1)


def write_video(out: Path, name: str, frames: Tensor, run: Run) -> None:
    height, width = frames.shape[1:3]
    scale = min(LARGEST / max(height, width), 1)
    size = (round(scale * height), round(scale * width))
    rate, path = files.read_video(run.source, 0, 1).fps, out / SITE / VIDEOS / f"{name}.mp4"
    files.write_video(path, (resize_frame(frame, size) for frame in frames), rate, "h264")


def write_text(path: Path, text: str) -> None:
    with written_whole(path) as part:
        part.write_text(text, encoding="utf-8")
