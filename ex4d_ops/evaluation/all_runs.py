"""All videos measured side by side; what is measured already is not measured again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

from ..files.damage import reading
from ..files.whole import sweep
from ..rules import Engine
from ..side_by_side import in_processes, on_a_cluster
from .cell import Cell, read_cell
from .one_run import Differing, Measuring, measure_run
from .runs import Run

PARTS = "parts"  # folder of what is measured
MEASURED_AS = 3  # counted up when a measure changes, so that older figures are not taken for it


WORK = {"processes": in_processes, "ray": on_a_cluster}


def begin_measuring(parts: Path, rules: Measuring) -> Callable[[Run], str]:
    """What measures one run after the other in a worker, and reads what the methods of a cell share once for all."""
    last: dict[tuple, Cell] = {}

    def read(run: Run) -> Cell:
        if run.beside not in last:
            last.clear()  # before the next is read, for memory's sake
            last[run.beside] = read_cell(run)
        return last[run.beside]

    return lambda run: measure_run(run, read, rules, parts, fingerprint(run, rules))


def evaluate(runs: Sequence[Run], out: Path, differing: Differing = "skip", engine: Engine = "processes",
             workers: int = 1, report: Callable[[str], object] = lambda key: None,
             second_opinion: bool = False) -> list[dict]:
    """Measure all runs into a folder, and give their entries in the order of the runs: see one_run.measure_run.

    What the folder holds already is measured again only where a file of the run has changed. report: called with the
    key of each run that is done. second_opinion: see one_run.Measuring. Raises ValueError where a video is not as
    planned and differing is "stop".
    """
    rules, parts = Measuring(differing, second_opinion), out / PARTS
    parts.mkdir(parents=True, exist_ok=True)
    sweep(parts)
    todo = [run for run in runs if read_entry(parts, run).get("fingerprint") != fingerprint(run, rules)]
    for run in set(runs) - set(todo):
        report(run.key)
    for key in WORK[engine](map(at_full_paths, todo), partial(begin_measuring, parts.resolve(), rules), workers):
        report(key)
    return [read_entry(parts, run) for run in runs]


def at_full_paths(run: Run) -> Run:
    """The same run for processes that stand in other folders."""
    paths = {field.name: getattr(run, field.name) for field in fields(run)}
    return replace(run, **{name: path.resolve() for name, path in paths.items() if isinstance(path, Path)})


def read_entry(parts: Path, run: Run) -> dict:
    """What was measured of a run, nothing where it was not."""
    path = parts / f"{run.key}.json"
    if not path.is_file():
        return {}
    with reading(path, "the figures of a run", "delete it, and run the command again"):
        return dict(json.loads(path.read_text(encoding="utf-8")))


def fingerprint(run: Run, rules: Measuring) -> str:
    """What a run's figures depend on: its files as they are, and how they are measured."""
    stamps = [(path.stat().st_size, path.stat().st_mtime_ns) if path is not None and path.exists() else None
              for path in (run.video, *run.beside)]
    return json.dumps([MEASURED_AS, rules.differing, rules.second_opinion, stamps])
