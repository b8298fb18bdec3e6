"""Figures of what networks have seen: LPIPS and CLIP per frame, FID, KID and FVD per method and range."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ..estimators.weights import find_weights
from ..files.whole import written_whole
from ..rules import Engine
from .distances import frechet_distance, kernel_distance
from .measures import MEASURES
from .networks import NETWORKS, Seen, Sight
from .one_run import Figures, round_figure
from .runs import Run
from .sights import SEEN, Against, list_sights, look, place_of, recall
from .table import ALL, Cell
from .weights import ALEXNET, CLIP, EVALUATORS, FOLDER, I3D, INCEPTION, VIDEOMAE

cdfvd_distance = partial(frechet_distance, lost=0)
DISTANCES = {  # of every network: measure: distance, and the least number of clips
    INCEPTION: {"fid": (frechet_distance, 1), "kid": (kernel_distance, 1)},
    I3D: {"fvd_i3d": (cdfvd_distance, 2)}, VIDEOMAE: {"fvd_videomae": (cdfvd_distance, 2)}}


@dataclass(frozen=True)
class Looking:
    """How networks look. models: folder ordered like ComfyUI's; parts: of what is measured; against: which frames those
    of a method are compared with as a distribution.
    """

    models: Path
    parts: Path
    against: Against = "source"
    device: str = "cpu"
    engine: Engine = "processes"
    workers: int = 1

    @property
    def weights(self) -> Path:
        return self.models / FOLDER


def look_at_runs(runs: Sequence[Run], entries: Sequence[dict], rules: Looking,
                 report: Callable[[str, int], Callable[[str], object]]) -> tuple[list[dict], list[Cell], list[str]]:
    """What the networks tell whose weights are there: the entries with figures per frame added, cells, and remarks.

    report: called with the title of a network and the number of videos; what it gives is called with each.
    """
    measured = [(run, entry) for run, entry in zip(runs, entries) if "skipped" not in entry]
    sources: dict[str, Path] = {}  # one of every clip: those of other ranges are the same
    for run, _ in measured:
        sources.setdefault(run.clip, run.source)
    figures: dict[Run, Figures] = {}
    cells, remarks = [], []
    for name, network in NETWORKS.items():
        try:
            find_weights(name, [rules.weights], EVALUATORS)
            shown = {run: list_sights(name, replace(run, source=sources[run.clip]), entry, rules.against)
                     for run, entry in measured}
            sights = list(dict.fromkeys(sight for several in shown.values() for sight in several))
            refused = look(name, sights, rules.weights, rules.parts, rules.device, rules.engine, rules.workers,
                           report(network.title, len(sights)))
        except ValueError as error:
            remarks.append(f"{network.title}: left out, because {error}")
            continue
        remarks += [f"{network.title}: {sight.video} is left out, because {said}" for sight, said in refused.items()]
        usable = {run: several for run, several in shown.items() if not refused.keys() & set(several)}
        if name in DISTANCES:
            more, why = measure_distances(name, usable, rules)
            cells, remarks = cells + more, remarks + why
        else:
            for run, several in usable.items():
                seen = [recall(name, sight, rules.weights, rules.parts) for sight in several]
                figures[run] = figures.get(run, {}) | frame_figures(name, seen)
            if name == CLIP and any(not run.prompt for run in usable):
                remarks.append(f"{MEASURES['clip_text'].title}: left out where there is no prompt; write it into "
                               "CLIP/prompt.txt, or into the column prompt")
    return [{**entry, "frames": entry["frames"] | figures[run]} if run in figures else entry
            for run, entry in zip(runs, entries)], cells, remarks


# ---- per frame ----------------------------------------------------------------------------------


def frame_figures(network: str, seen: Sequence[Seen]) -> Figures:
    """Figures per frame of what a network saw of a run: its own video, and its source."""
    if network == ALEXNET:
        return {name: tell(values) for name, values in seen[0].items()}
    own, source = seen[0]["frames"], seen[1]["frames"]
    count = min(len(own), len(source))
    figures = {"clip_frames": tell((own[:-1] * own[1:]).sum(1)) + [None],
               "clip_source": tell((own[:count] * source[:count]).sum(1)) + [None] * (len(own) - count)}
    return figures | ({"clip_text": tell(own @ seen[0]["prompt"][0])} if "prompt" in seen[0] else {})


def tell(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else round_figure(float(value)) for value in values]


# ---- distributions ------------------------------------------------------------------------------


def measure_distances(network: str, shown: dict[Run, list[Sight]], rules: Looking) -> tuple[list[Cell], list[str]]:
    """The cells of the distances that a network serves, and why some are left out."""
    cells: list[Cell] = []
    missing: dict[tuple[str, str], list[str]] = {}
    for measure, (distance, least) in DISTANCES[network].items():
        for method, span in cells_of(shown):
            chosen = {run: several for run, several in shown.items()
                      if run.method == method and span in (run.range, ALL)}
            clips = {run.clip for run in chosen}
            found = why_not(chosen, clips, least)
            if not found:
                found = keep_distance(measure, distance, network, chosen, rules)
            if isinstance(found, str):
                missing.setdefault((measure, found), []).append(f"{method}, {span}")
            else:
                cells.append(Cell(method, span, measure, found, None, None, len(clips)))
    remarks = []
    for (measure, why), names in missing.items():
        whose = "" if len(names) == len(cells_of(shown)) else f" for {'; '.join(names)}"
        remarks.append(f"{MEASURES[measure].title}: left out{whose}, because {why}")
    return cells, remarks


def cells_of(runs: Iterable[Run]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((run.method, span) for run in runs for span in (run.range, ALL)))


def why_not(chosen: dict[Run, list[Sight]], clips: set[str], least: int) -> str:
    """Why a distance of some runs is not measured, or nothing."""
    if len(clips) < least:
        return f"it needs {least} clips or more, and there is one"
    if any(len(several) < 2 for several in chosen.values()):
        return "the exact view is not known of every clip; compare with the source instead"
    return ""


def keep_distance(measure: str, distance: Callable[..., float], network: str, chosen: dict[Run, list[Sight]],
                  rules: Looking) -> float | str:
    """The distance of some runs, measured once, or why there is none."""
    own = [several[0] for several in chosen.values()]
    others = {(run.clip if rules.against == "source" else run): several[1] for run, several in chosen.items()}
    names = [[place_of(network, sight, rules.weights, rules.parts).stem for sight in sights]
             for sights in (own, others.values())]
    path = rules.parts / SEEN / f"{measure}-{hashlib.sha256(repr(names).encode()).hexdigest()[:20]}.json"
    if not path.exists():
        first, second = (torch.from_numpy(np.concatenate([
            next(iter(recall(network, sight, rules.weights, rules.parts).values())) for sight in sights]))
            for sights in (own, others.values()))
        if min(len(first), len(second)) < 2:
            return "its videos are shorter than the 16 frames that it looks at"
        with written_whole(path) as part:
            part.write_text(json.dumps(round_figure(distance(first, second))))
    return json.loads(path.read_text())
