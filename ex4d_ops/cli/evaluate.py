"""`ex4d evaluate`: generated videos compared by what was asked for."""

from __future__ import annotations

import os
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from ..evaluation.measures import MEASURES, NETWORK_MEASURES, VBENCH, Measure
from ..evaluation.runs import COLUMNS, MORE_COLUMNS, Run, list_runs
from ..rules import Engine
from .estimate import add_models_option
from .terminal import add_command, parse_device, say

if TYPE_CHECKING:
    from ..evaluation.table import Cell

TABLE, FIGURES, PAGE = "table.md", "table.csv", "index.html"
BY_NETWORKS = {name: measure for name, measure in MEASURES.items() if name in NETWORK_MEASURES}
BY_VBENCH = {name: measure for name, measure in MEASURES.items() if name.startswith(VBENCH)}


def list_measures(measures: dict[str, Measure]) -> str:
    return "\n".join(f"  {measure.title:18}{measure.text}" for measure in measures.values())


EPILOG = f"""\
examples:
  ex4d evaluate runs/ --out report
  ex4d evaluate runs.csv --out report --differing use

RUNS is a folder in which each RUNS/CLIP/RANGE/ has source.mkv, depth.npz, prior/ (as ex4d prior writes it) and a folder
per method with its video, result.mp4, or a CSV file with the columns
  {', '.join(COLUMNS)},
and, if known, {' and '.join(MORE_COLUMNS)}. Its paths are relative to its folder; prior is a folder.

measures without weights (those of cameras need the depth of the source):
{list_measures({name: measure for name, measure in MEASURES.items() if name not in {**BY_NETWORKS, **BY_VBENCH}})}

measures by networks, as far as their weights are in --models (nothing is downloaded; ex4d download fetches them):
{list_measures(BY_NETWORKS)}

files in the folder --out:
  index.html            tables, and the videos in step with their figures per frame, worst first
  table.md, table.csv   means over clips, with 95 % intervals by bootstrap
  parts/                what is measured of each video; the command can be stopped and started again at any time
"""


def add_evaluate_command(commands) -> None:
    parser = add_command(commands, "evaluate", make_report, "Compare generated videos by what was asked for.", EPILOG)
    parser.add_argument("runs", type=Path, metavar="RUNS", help="folder of runs, or CSV file")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--differing", choices=("skip", "use", "stop"), default="skip",
                        help="what to do with a video whose length, size or frame rate is not as planned. skip: leaves "
                        "it out, and says so; use: crops, resizes and trims it; stop: stops (default: skip)")
    add_models_option(parser)
    parser.add_argument("--against", choices=("source", "exact"), default="source",
                        help="which frames FID, KID and FVD compare those of a method with. source: those of the "
                        "source clips; exact: the exact views, of procedural clips (default: source)")
    parser.add_argument("--device", type=parse_device, default="cpu",
                        help="device that networks compute on, e.g. cuda or cuda:1 (default: cpu)")
    parser.add_argument("--second-opinion", action="store_true",
                        help="also find the cameras by features and COLMAP's solver; needs pip install pycolmap")
    add_work_options(parser)


def add_work_options(parser) -> None:
    parser.add_argument("--engine", choices=get_args(Engine), default="processes",
                        help="where to work. processes: on this machine; ray: on the cluster at RAY_ADDRESS, whose "
                        "machines must all see the folders (default: processes)")
    parser.add_argument("--workers", type=int, metavar="N", help="number of videos at once (default: one per core)")


def count_workers(options) -> int:
    workers = os.cpu_count() or 1 if options.workers is None else options.workers
    if workers < 1:
        raise ValueError(f"--workers: got {workers}, must be 1 or more")
    return workers


def make_report(options) -> None:
    workers = count_workers(options)
    if options.second_opinion and not find_spec("pycolmap"):
        raise ValueError("--second-opinion: pycolmap is not installed; get it with pip install pycolmap")
    runs, missing = list_runs(options.runs)

    from ..evaluation.all_runs import PARTS
    from ..evaluation.page import write_page
    from ..evaluation.paper import write_layouts
    from ..evaluation.table import write_csv, write_markdown
    from ..files.whole import written_whole

    entries, cells, remarks = measure_all(options, runs, workers)
    remarks = [f"{name}: is missing" for name in missing] + remarks
    for remark in remarks:
        say(remark)
    if not cells:
        raise ValueError(f"{options.runs}: none of its videos could be measured; see what is said of them above")
    tables = f"{write_markdown(cells)}{write_layouts(cells)}\n\n"
    texts = {TABLE: tables + "".join(f"- {remark}\n" for remark in remarks),
             FIGURES: write_csv(cells), PAGE: write_page(runs, entries, cells, remarks, options.out / PARTS)}
    for name, text in texts.items():
        with written_whole(options.out / name) as part:
            part.write_text(text, encoding="utf-8")
    left_out = sum("skipped" in entry for entry in entries)
    print(f"{options.out / PAGE}: {len(runs) - left_out} videos of {len({run.method for run in runs})} methods; "
          f"{left_out} left out, {len(missing)} missing")


def measure_all(options, runs: list[Run], workers: int) -> tuple[list[dict], list[Cell], list[str]]:
    """The entries of all runs, their means, and what is to be said of them."""
    from tqdm import tqdm

    from ..evaluation.all_runs import PARTS, evaluate
    from ..evaluation.seen import Looking, look_at_runs
    from ..evaluation.table import tabulate
    from ..evaluation.vbench import recall_vbench

    with tqdm(total=len(runs), desc="measuring", unit="video", disable=None) as bar:
        entries = evaluate(runs, options.out, options.differing, options.engine, workers, lambda key: bar.update(),
                           options.second_opinion)
    remarks = [f"{run.name}: left out, because {entry['skipped']}" for run, entry in zip(runs, entries)
               if "skipped" in entry]
    remarks += [f"{run.name}: {note}" for run, entry in zip(runs, entries) for note in entry.get("notes", [])]
    parts = options.out / PARTS
    with ExitStack() as bars:
        def report(title: str, videos: int):
            bar = bars.enter_context(tqdm(total=videos, desc=title, unit="video", disable=None))
            return lambda place: bar.update()

        rules = Looking(options.models, parts, options.against, options.device, options.engine, workers)
        entries, cells, more = look_at_runs(runs, entries, rules, report)
    entries = recall_vbench(runs, entries, parts)
    return entries, tabulate(entries) + cells, remarks + more
