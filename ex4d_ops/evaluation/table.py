"""Means over clips with intervals, as tables: a row per method, a column per range."""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .measures import MEASURES, Measure
from .one_run import Figures, summarize

ROUNDS = 2000  # of the bootstrap
INTERVAL = (2.5, 97.5)  # percentiles
ALL = "all"  # ranges together


@dataclass(frozen=True)
class Cell:
    """The mean over clips of one measure; low, high: its interval, None where there is one clip alone."""

    method: str
    range: str
    measure: str
    mean: float
    low: float | None
    high: float | None
    clips: int


def tabulate(entries: Iterable[dict]) -> list[Cell]:
    """A cell for every method, range and measure that entries have figures of, and for all ranges together."""
    values: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    for entry in entries:
        if "skipped" in entry:
            continue
        for measure, value in summarize(entry).items():
            for span in (entry["range"], ALL):
                values.setdefault((entry["method"], span, measure), {}).setdefault(entry["clip"], []).append(value)
    return [make_cell(*place, [sum(several) / len(several) for several in by_clip.values()])
            for place, by_clip in values.items()]


def make_cell(method: str, span: str, measure: str, clips: list[float]) -> Cell:
    """The mean over clips, and the interval that bootstrapping over them gives; the same every time."""
    low = high = None
    if len(clips) > 1:
        draw = np.random.default_rng(zlib.crc32(f"{method}:{span}:{measure}".encode()))
        drawn = np.array(clips)[draw.integers(0, len(clips), (ROUNDS, len(clips)))].mean(1)
        low, high = map(float, np.percentile(drawn, INTERVAL))
    return Cell(method, span, measure, sum(clips) / len(clips), low, high, len(clips))


def write_csv(cells: Iterable[Cell]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["method", "range", "measure", "mean", "low", "high", "clips"])
    rows.writerows([cell.method, cell.range, cell.measure, *("" if value is None else f"{value:.6g}" for value in (
        cell.mean, cell.low, cell.high)), cell.clips] for cell in cells)
    return text.getvalue()


def best_of(cells: Iterable[Cell], measure: Measure) -> float:
    return (max if measure.higher else min)(cell.mean for cell in cells)


def write_markdown(cells: list[Cell]) -> str:
    """A table per measure; the best of every column is bold."""
    return "\n\n".join(f"**{measure.title}**{f', {measure.unit}' if measure.unit else ''} "
                       f"({'higher' if measure.higher else 'lower'} is better). {measure.text}.\n\n" + "\n".join(rows)
                       for measure, rows in markdown_tables(cells))


def markdown_tables(cells: list[Cell]) -> Iterator[tuple[Measure, list[str]]]:
    for measure, (head, body) in text_tables(cells):
        yield measure, markdown_rows(head, body)


def markdown_rows(head: list[str], body: list[list[tuple[str, bool]]]) -> list[str]:
    lines = [head, ["---"] * len(head), *([f"**{text}**" if best else text for text, best in row] for row in body)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def text_tables(cells: list[Cell]) -> Iterator[tuple[Measure, tuple[list[str], list[list[tuple[str, bool]]]]]]:
    """Of every measure that there are figures of: the head, and rows of (text, whether it is the best)."""
    methods = list(dict.fromkeys(cell.method for cell in cells))
    spans = [span for span in dict.fromkeys(cell.range for cell in cells) if span != ALL]
    spans += [ALL] if len(spans) > 1 else []
    for name, measure in MEASURES.items():
        placed = {(cell.method, cell.range): cell for cell in cells if cell.measure == name}
        if not placed:
            continue
        best = {span: best_of([cell for cell in placed.values() if cell.range == span], measure)
                for span in spans if any(place[1] == span for place in placed)}
        rows = []
        for method in methods:
            row = [(method, False)]
            for cell in (placed.get((method, span)) for span in spans):
                row.append((describe(cell, measure), cell is not None and cell.mean == best[cell.range]))
            rows.append(row)
        yield measure, (["method", *spans], rows)


def describe_figures(figures: Figures) -> str:
    """The means over frames of one video, a measure a line."""
    known = [(MEASURES[name], mean) for name, mean in summarize({"frames": figures}).items()]
    width = max((len(measure.title) for measure, _ in known), default=0)
    return "\n".join(f"{measure.title:{width}}  {f'{mean:.{measure.digits}f} {measure.unit}'.strip()} "
                     f"({'higher' if measure.higher else 'lower'} is better)" for measure, mean in known)


def describe(cell: Cell | None, measure: Measure) -> str:
    """A mean, and its interval where there is one."""
    if cell is None:
        return "-"
    mean = f"{round(cell.mean, measure.digits) + 0.0:.{measure.digits}f}"  # never -0.0
    if cell.low is None or cell.high is None:
        return mean
    return f"{mean} [{cell.low:.{measure.digits}f}, {cell.high:.{measure.digits}f}]"
