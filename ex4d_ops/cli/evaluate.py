"""`ex4d evaluate`: generated videos compared by what was asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

from ..evaluation.measures import MEASURES
from ..evaluation.runs import COLUMNS, MORE_COLUMNS, list_runs
from ..rules import Engine
from .terminal import add_command, say

TABLE, FIGURES, PAGE = "table.md", "table.csv", "index.html"
MEASURED = "\n".join(f"  {measure.title:18}{measure.text}" for measure in MEASURES.values())
EPILOG = f"""\
examples:
  ex4d evaluate runs/ --out report
  ex4d evaluate runs.csv --out report --differing use

RUNS is a folder in which each RUNS/CLIP/RANGE/ has source.mkv, depth.npz, prior/ (as ex4d prior writes it) and a folder
per method with its video, result.mp4, or a CSV file with the columns
  {', '.join(COLUMNS)},
and, if known, {' and '.join(MORE_COLUMNS)}. Its paths are relative to its folder; prior is a folder.

measures (none needs weights; those of cameras need the depth of the source):
{MEASURED}

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
    runs, missing = list_runs(options.runs)
    from tqdm import tqdm

    from ..evaluation.all_runs import PARTS, evaluate
    from ..evaluation.page import write_page
    from ..evaluation.table import tabulate, write_csv, write_markdown
    from ..files.whole import written_whole

    with tqdm(total=len(runs), desc="measuring", unit="video", disable=None) as bar:
        entries = evaluate(runs, options.out, options.differing, options.engine, workers, lambda key: bar.update())
    remarks = [f"{name}: is missing" for name in missing]
    remarks += [f"{run.name}: left out, because {entry['skipped']}" for run, entry in zip(runs, entries)
                if "skipped" in entry]
    remarks += [f"{run.name}: {note}" for run, entry in zip(runs, entries) for note in entry.get("notes", [])]
    for remark in remarks:
        say(remark)
    cells = tabulate(entries)
    if not cells:
        raise ValueError(f"{options.runs}: none of its videos could be measured; see what is said of them above")
    texts = {TABLE: f"{write_markdown(cells)}\n\n" + "".join(f"- {remark}\n" for remark in remarks),
             FIGURES: write_csv(cells), PAGE: write_page(runs, entries, cells, remarks, options.out / PARTS)}
    for name, text in texts.items():
        with written_whole(options.out / name) as part:
            part.write_text(text, encoding="utf-8")
    left_out = sum("skipped" in entry for entry in entries)
    print(f"{options.out / PAGE}: {len(runs) - left_out} videos of {len({run.method for run in runs})} methods; "
          f"{left_out} left out, {len(missing)} missing")
