"""Which videos to take clips of: all of a folder, or the rows of a table."""

from __future__ import annotations

import csv
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

VIDEO_SUFFIXES = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v"}
COLUMNS = {"video": ("video", "path", "file"), "caption": ("caption", "text", "prompt")}  # OpenVid's names first


@dataclass(frozen=True)
class Source:
    """A video to take a clip of. name: its path inside the folder of videos; key: what its clip is called."""

    path: Path
    name: str
    caption: str = ""

    @property
    def key(self) -> str:
        words = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(self.name).with_suffix("").as_posix())[-60:]
        return f"{words}-{zlib.crc32(self.name.encode()):08x}"


def list_sources(place: Path, videos: Path | None = None) -> Iterator[Source]:
    """The videos of a folder, in all its folders, or of a table (CSV) with a column of them.

    videos: where a table's videos lie, None for beside it. OpenVid's columns are understood, others by name. Raises
    ValueError where there is neither.
    """
    if place.is_dir():
        for path in sorted(place.rglob("*")):
            if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith("."):
                yield Source(path, path.relative_to(place).as_posix())
    elif place.suffix.lower() in (".csv", ".tsv") and place.is_file():
        yield from read_table(place, videos or place.parent)
    else:
        raise ValueError(f"{place}: is neither a folder of videos nor a CSV file; give one of them")


def read_table(table: Path, videos: Path) -> Iterator[Source]:
    """The rows of a CSV file, one at a time."""
    csv.field_size_limit(2**24)  # captions can be long
    with open(table, newline="", encoding="utf-8-sig") as content:
        rows = csv.DictReader(content, delimiter="\t" if table.suffix.lower() == ".tsv" else ",")
        names = {name.strip().lower(): name for name in rows.fieldnames or ()}
        video, caption = (next((names[known] for known in COLUMNS[what] if known in names), None)
                          for what in ("video", "caption"))
        if video is None:
            raise ValueError(f"{table}: has no column of videos; name one {', '.join(COLUMNS['video'])}")
        for row in rows:
            yield Source(videos / row[video], row[video], (row[caption] or "") if caption else "")
