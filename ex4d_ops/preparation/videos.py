"""Which videos to take clips of: all of a folder, or the rows of a table."""

from __future__ import annotations

import csv
import logging
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

VIDEO_SUFFIXES = {".mp4", ".mkv", ".mov", ".webm", ".avi", ".m4v"}
# Names of columns, in any case: OpenVid's first, then those of Hugging Face's video folders and of others.
COLUMNS = {"video": ("video", "path", "file", "file_name", "filename", "video_path", "file_path", "videopath"),
           "caption": ("caption", "text", "prompt", "description")}
DEPTH_SUFFIXES = (".npz", ".npy", ".exr", ".mkv", ".mp4", "")  # "": a folder of pictures
BESIDE = ("{stem}.npz", "{stem}.depth.npz", "depth.npz")  # names of depth that lies beside its video
DELIMITERS = (",", "\t", ";")
NO_CHARACTER = "\ufffd"  # Unicode's stand-in for what is not one

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A video to take a clip of. name: its path inside the folder of videos; key: what its clip is called."""

    path: Path
    name: str
    caption: str = ""

    @property
    def key(self) -> str:
        words = re.sub(r"[^A-Za-z0-9_-]+", "-", os.path.splitext(Path(self.name).as_posix())[0])[-60:]
        return f"{words}-{zlib.crc32(self.name.encode()):08x}"


def list_sources(place: Path, videos: Path | None = None) -> Iterator[Source]:
    """The videos of a folder, in all its folders, or of a table (CSV) with a column of them.

    videos: where a table's videos lie, None for beside it. Raises ValueError where there is neither, or the table
    cannot be read.
    """
    if place.is_dir():
        return (Source(path, path.relative_to(place).as_posix()) for path in sorted(place.rglob("*"))
                if path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith("."))
    if place.suffix.lower() in (".csv", ".tsv") and place.is_file():
        return read_table(place, videos or place.parent)
    raise ValueError(f"{place}: is not a folder of videos or a CSV file; give one of them")


def find_depth_file(source: Source, folder: Path | None) -> Path:
    """The depth of a video: named like it in a folder of depth, or where there is none beside it.

    Raises ValueError where it is not there.
    """
    stem = Path(source.name).with_suffix("")
    places = [source.path.parent / name.format(stem=stem.name) for name in BESIDE] if folder is None else [
        folder / f"{stem}{suffix}" for suffix in DEPTH_SUFFIXES]
    place = next((place for place in places if place.exists() and place.resolve() != source.path.resolve()), None)
    if place is None:
        raise ValueError(f"depth not found at {places[0]}")
    return place


def read_table(table: Path, videos: Path) -> Iterator[Source]:
    """The rows of a CSV file, one at a time; one that names no video is warned of and left out."""
    from ..files.parsing import text_encoding

    csv.field_size_limit(2**24)  # captions can be long
    with open(table, "rb") as content:
        encoding = text_encoding(content.read(2))
    with open(table, newline="", encoding=encoding) as content:
        lines = (line.replace("\0", NO_CHARACTER) for line in content)  # Python 3.10's csv refuses the whole table
        rows = csv.DictReader([])
        try:
            head = next(lines, "")
            head = next(lines, "") if head.startswith("sep=") else head  # which Excel understands and writes
            rows = csv.DictReader(chain([head], lines), delimiter=choose_delimiter(head))
            video, caption = (find_column(rows.fieldnames or (), what) for what in ("video", "caption"))
            if video is None:
                raise ValueError(f"{table}: does not have a column of videos; name one {', '.join(COLUMNS['video'])}")
            for row in rows:
                name = (row[video] or "").strip()
                if name and NO_CHARACTER not in name:
                    yield Source(videos / name, name, (row[caption] or "") if caption else "")
                else:
                    log.warning("%s: line %d does not name a video; it is left out", table, rows.line_num)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{table}: cannot be read as a table after line {rows.line_num} ({error}); save it as CSV "
                             "in UTF-8") from None


def choose_delimiter(head: str) -> str:
    """What stands between the columns of a table with this first line: a comma unless another makes a column of videos.

    Where commas are in numbers, Excel writes semicolons.
    """
    return next((mark for mark in DELIMITERS if find_column(head.rstrip("\r\n").replace('"', "").split(mark), "video")),
                DELIMITERS[0])


def find_column(names: Sequence[str], what: str) -> str | None:
    """The name of the column of videos or captions, None where there is none."""
    known = {re.sub(r"[\s-]+", "_", name.strip().lower()): name for name in names if name}
    return next((known[name] for name in COLUMNS[what] if name in known), None)
