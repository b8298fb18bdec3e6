"""What is compared: the videos of a folder that was planned, or the rows of a table. Names alone, before torch is."""

from __future__ import annotations

import csv
import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from ..files.damage import quote, reading

RANGES = {"30": "30", "60": "60", "90": "90", "full": "180"}  # and the released path of each
COLUMNS = ("method", "clip", "range", "video", "source", "prior", "cameras")
MORE_COLUMNS = ("depth", "exact", "prompt", "subject")
PLAN = "plan.json"
PRIOR, COLOR, VISIBLE, CAMERAS = "prior", "color.mkv", "visible.mkv", "cameras.json"
SOURCE, DEPTH, EXACT, PROMPT, SUBJECT = "source.mkv", "depth.npz", "exact.mkv", "prompt.txt", "subject.mkv"
RESULT = "result"  # how the names of videos that are dropped into a method's folder begin
RESULT_SUFFIXES = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".gif", ""}


@dataclass(frozen=True)
class Run:
    """A video that a method made of a clip along a path.

    prior: folder with color.mkv and visible.mkv; cameras: file of the path; depth: of the source, None where it is not
    known, and then neither is the path that the video follows; exact: what the new camera would have filmed; prompt:
    the text that the video was generated from; subject: masks of the source, white where what people look at is.
    """

    method: str
    clip: str
    range: str
    video: Path
    source: Path
    prior: Path
    cameras: Path
    depth: Path | None = None
    exact: Path | None = None
    prompt: str = ""
    subject: Path | None = None

    @property
    def beside(self) -> tuple[Path | None, ...]:
        """All its files but the video, which all methods of its clip and range share."""
        return (self.source, self.prior / COLOR, self.prior / VISIBLE, self.cameras, self.depth, self.exact,
                self.subject)

    @property
    def name(self) -> str:
        return f"{self.clip}, {self.range}, {self.method}"

    @property
    def key(self) -> str:
        words = re.sub(r"[^A-Za-z0-9_-]+", "-", "-".join((self.clip, self.range, self.method)))[-80:]
        return f"{words}-{zlib.crc32(self.name.encode()):08x}"


def list_runs(place: Path) -> tuple[list[Run], list[str]]:
    """The runs of a folder or a CSV file, in order, and the names of those whose video is missing.

    Raises ValueError where there is neither, or nothing in it can be compared.
    """
    if place.is_dir():
        wanted = [run for cell in find_cells(place) for run in cell_runs(place, cell)]
    elif place.suffix.lower() in (".csv", ".tsv") and place.is_file():
        wanted = read_table(place)
    else:
        raise ValueError(f"{place}: is not a folder of runs or a CSV file; give one of them")
    if not wanted:
        raise ValueError(f"{place}: does not contain runs; make folders for them with ex4d evaluate plan")
    return ([run for run in wanted if run.video.exists()], [run.name for run in wanted if not run.video.exists()])


def find_cells(place: Path) -> list[Path]:
    """The folders CLIP/RANGE that hold a prior."""
    return sorted(color.parent.parent for color in place.glob(f"*/*/{PRIOR}/{COLOR}"))


def cell_runs(place: Path, cell: Path) -> list[Run]:
    """What is in one folder CLIP/RANGE, for every method of the plan and every other folder with a result."""
    methods = planned_methods(place)
    methods += sorted(folder.name for folder in cell.iterdir()
                      if folder.is_dir() and folder.name not in (PRIOR, *methods) and find_result(folder))
    depth, exact, subject = (path if path.exists() else None for path in (cell / DEPTH, cell / EXACT, cell / SUBJECT))
    prompt = read_prompt(cell.parent / PROMPT)
    return [Run(method, cell.parent.name, cell.name, find_result(cell / method) or cell / method / f"{RESULT}.mp4",
                cell / SOURCE, cell / PRIOR, cell / PRIOR / CAMERAS, depth, exact, prompt, subject)
            for method in methods]


def read_prompt(path: Path) -> str:
    if not path.is_file():
        return ""
    with reading(path, "a prompt", "save it as text in UTF-8"):
        return path.read_text(encoding="utf-8-sig").strip()


def planned_methods(place: Path) -> list[str]:
    """The methods that a folder was planned for, none where it was not."""
    path = place / PLAN
    if not path.is_file():
        return []
    with reading(path, "a plan of runs", "plan again, or delete it"):
        return [str(method) for method in json.loads(path.read_text(encoding="utf-8"))["methods"]]


def find_result(folder: Path) -> Path | None:
    """The last of the videos result*, or folders of images, in a method's folder; None where there is none."""
    found = sorted(path for path in folder.glob(f"{RESULT}*") if path.suffix.lower() in RESULT_SUFFIXES
                   and (path.is_dir() or path.suffix))
    return found[-1] if found else None


def read_table(table: Path) -> list[Run]:
    """The rows of a CSV file; its paths are relative to its folder."""
    runs = []
    with reading(table, "a table", "save it as CSV in UTF-8"), open(table, newline="", encoding="utf-8-sig") as content:
        rows = list(csv.DictReader(content, delimiter="\t" if table.suffix.lower() == ".tsv" else ","))
    lacking = [name for name in COLUMNS if not rows or name not in rows[0]]
    if lacking:
        raise ValueError(f"{table}: does not have the column {lacking[0]}; it needs {', '.join(COLUMNS)}")
    for line, row in enumerate(rows, 2):
        empty = [name for name in COLUMNS if not (row[name] or "").strip()]
        if empty:
            raise ValueError(f"{table}: line {line} lacks {empty[0]}; fill it in, or delete the line")
        method, clip, span = (row[name].strip() for name in COLUMNS[:3])
        video, source, prior, cameras = (table.parent / row[name].strip() for name in COLUMNS[3:])
        depth, exact, subject = (table.parent / said if (said := (row.get(name) or "").strip()) else None
                                 for name in ("depth", "exact", "subject"))
        runs.append(Run(method, clip, span, video, source, prior, cameras, depth, exact,
                        (row.get("prompt") or "").strip(), subject))
    repeated = next((run for k, run in enumerate(runs) if run.name in {other.name for other in runs[:k]}), None)
    if repeated:
        raise ValueError(f"{table}: has {quote(repeated.name)} twice; keep one of them")
    return runs
