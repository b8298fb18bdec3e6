"""Figures laid out like tables 1 and 2 of the EX-4D paper, with what its authors published of their own beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .measures import MEASURES, VBENCH
from .runs import RANGES
from .table import ALL, Cell, best_of, describe, markdown_rows

FIRST = ("fid", "fvd_i3d")
SECOND = tuple(name for name in MEASURES if name.startswith(VBENCH))
THEIRS = "EX-4D's authors"
# README of github.com/tau-yihouxiang/EX-4D at commit d7045fa, June 2025: FID and FVD by range, VBench's score.
AUTHORS: dict[str, tuple[dict[tuple[str, str], float], float]] = {
    "ReCamMaster": ({("90", "fid"): 64.68, ("90", "fvd_i3d"): 943.45}, 0.434),
    "TrajectoryCrafter": ({("90", "fid"): 65.33, ("90", "fvd_i3d"): 893.80}, 0.447),
    "TrajectoryAttention": ({("90", "fid"): 62.49, ("90", "fvd_i3d"): 912.14}, 0.389),
    "EX-4D": ({("30", "fid"): 44.19, ("60", "fid"): 50.30, ("90", "fid"): 55.42, ("90", "fvd_i3d"): 823.61}, 0.450),
}
NOTE = (f"Rows of {THEIRS} are theirs, on clips of theirs: they do not say which frames they compared with, so these "
        "are not to be ranked among the others")


@dataclass(frozen=True)
class Layout:
    """A table of the paper. rows: of (text, whether it is the best)."""

    title: str
    text: str
    head: list[str]
    rows: list[list[tuple[str, bool]]]


def lay_out(cells: Sequence[Cell]) -> list[Layout]:
    """The tables of the paper, as far as there are figures for them."""
    placed = {(cell.method, cell.range, cell.measure): cell for cell in cells}
    methods = list(dict.fromkeys(cell.method for cell in cells))
    spans = [span for span in RANGES if any(place[1] == span for place in placed)]
    layouts = []
    columns = [(span, name) for span in spans for name in FIRST]
    if any(place[1:] in columns for place in placed):
        rows = [fill_row(method, columns, placed) for method in methods]
        rows += [[(f"{name} ({THEIRS})", False), *((f"{known[column]:.2f}" if column in known else "-", False)
                                                     for column in columns)] for name, (known, _) in AUTHORS.items()]
        layouts.append(Layout("Table 1 of the paper", f"FID and FVD by range, lower is better. {NOTE}",
                              ["method", *(f"{MEASURES[name].title} {span}" for span, name in columns)], rows))
    columns = [(ALL, name) for name in SECOND]
    if any(place[1:] in columns for place in placed):
        rows = [[*fill_row(method, columns, placed), ("-", False)] for method in methods]
        rows += [[(f"{name} ({THEIRS})", False), *[("-", False)] * len(columns), (f"{score:.3f}", False)]
                 for name, (_, score) in AUTHORS.items()]
        layouts.append(Layout("Table 2 of the paper", f"VBench over all ranges, higher is better. {NOTE}; they say one "
                              "score alone and not how it is made",
                              ["method", *(MEASURES[name].title for _, name in columns), "their score"], rows))
    return layouts


def write_layouts(cells: Sequence[Cell]) -> str:
    """The same as Markdown."""
    return "".join(f"\n\n**{layout.title}**. {layout.text}.\n\n" + "\n".join(markdown_rows(layout.head, layout.rows))
                   for layout in lay_out(cells))


def fill_row(method: str, columns: Sequence[tuple[str, str]], placed: dict[tuple[str, str, str], Cell]
             ) -> list[tuple[str, bool]]:
    row = [(method, False)]
    for span, name in columns:
        cell = placed.get((method, span, name))
        among = [other for place, other in placed.items() if place[1:] == (span, name)]
        row.append((describe(cell, MEASURES[name]), cell is not None and cell.mean == best_of(among, MEASURES[name])))
    return row
