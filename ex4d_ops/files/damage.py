"""Broken and hostile files: whatever their readers raise becomes one sentence.

No list names what numpy, zipfile, Pillow, OpenEXR, torch, safetensors, tarfile and PyYAML raise over bytes that are not
what they claim to be: it is nearly every exception there is, and differs between releases. So all of it counts, and
inside `reading` stands nothing but the call of such a reader.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LINE = 160  # characters of a reader's own words that a refusal quotes
QUOTED = 60  # letters of a file that it quotes


@contextmanager
def reading(path: str | Path, kind: str, advice: str = "") -> Iterator[None]:
    """Let whatever a reader raises inside the block be a ValueError: path cannot be read as kind, in one sentence."""
    try:
        yield
    except Exception as error:
        tail = f"; {advice}" if advice else ""
        raise ValueError(f"{path}: cannot be read as {kind} ({first_line(error)}){tail}") from error


def first_line(error: Exception) -> str:
    """What an error says, cut to one line, or its kind where it says nothing."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return next(iter(said.strip().splitlines()), "")[:LINE].rstrip() or type(error).__name__


def quote(value: object, marks: str = "'") -> str:
    """A value out of a file as an error shows it: on one line, of printable letters, cut where it is long.

    marks: around text.
    """
    if not isinstance(value, str):
        short = reprlib.Repr()
        short.maxlevel, short.maxstring, short.maxother, short.maxlong = 2, QUOTED, QUOTED, 30
        return short.repr(value)[:LINE]
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in value[:QUOTED * 4]).split())
    return f"{marks}{line if len(line) <= QUOTED else f'{line[:QUOTED]}...'}{marks}"
