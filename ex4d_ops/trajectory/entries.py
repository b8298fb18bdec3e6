"""Objects of a JSON text that people write by hand: their fields, checked, and errors that name the line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .moves import EASES

SEGMENT_EASES = [name for name in EASES if name != "there-and-back"]
LARGEST = 1e6  # of any number
NEXT = re.compile(r"[^\s,:]")


@dataclass(frozen=True)
class Entry:
    """One object of a list as written, from start to end of the text. name: what the list is of."""

    name: str
    index: int
    fields: dict
    text: str
    start: int
    end: int

    def refuse_others(self, known: tuple[str, ...]) -> None:
        for field in self.fields:
            if field not in known:
                where = f"{self.name} {self.index} (line {self.line_of(field)})"
                raise ValueError(f"{where}: {repr(field)[1:-1]:.40} is unknown; use {', '.join(known)}")

    def refuse_both(self, field: str, *others: str) -> None:
        for other in others:
            if field in self.fields and other in self.fields:
                raise self.error(other, f"cannot be used with {field}; keep one of them")

    def frame_number(self, frames: int) -> float:
        """Where it stands in a path of so many frames."""
        if "time" in self.fields:
            return self.number("time", 0.0, 0, 1) * (frames - 1)
        if "frame" not in self.fields:
            raise self.error("frame", "is missing; give frame (from 0) or time (0..1)")
        return self.number("frame", 0.0, 0, frames - 1)

    def number(self, field: str, default: float, low: float, high: float) -> float:
        value = self.fields.get(field, default)
        if not is_number(value) or not low <= value <= high:
            raise self.error(field, f"must be a number in {low:g}..{high:g}")
        return float(value)

    def vector(self, field: str) -> tuple[float, float, float]:
        value = self.fields[field]
        if not (isinstance(value, list) and len(value) == 3 and all(map(is_number, value))):
            raise self.error(field, "must be three numbers [x, y, z], in radii, within +-1e6")
        x, y, z = map(float, value)
        return x, y, z

    def ease(self) -> str:
        value = self.fields.get("ease", "linear")
        if value not in SEGMENT_EASES:
            raise self.error("ease", f"must be one of {', '.join(SEGMENT_EASES)}")
        return value

    def error(self, field: str, message: str) -> ValueError:
        """A sentence that names the entry, the field and its line."""
        return ValueError(f"{self.name} {self.index} (line {self.line_of(field)}): {field} {message}")

    def line_of(self, field: str) -> int:
        """The line of a field, or the object's where the field is missing."""
        found = re.compile(re.escape(json.dumps(field)) + r"\s*:").search(self.text, self.start, self.end)
        return self.text.count("\n", 0, found.start() if found else self.start) + 1


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST


def read_text(text: str, name: str) -> object:
    """What a JSON text holds, or ValueError with its line."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name}: line {error.lineno} is not JSON ({error.msg})") from None
    except RecursionError:
        raise ValueError(f"{name}: nested too deep; write a flat list of objects") from None
    except ValueError:  # Python reads no more than some thousand digits
        raise ValueError(f"{name}: contains a number of too many digits") from None


def split_list(text: str, start: int, name: str) -> list[Entry]:
    """The objects of the JSON list that begins at start, each with where it stands in the text."""
    entries = []
    for index, (value, begin, end) in enumerate(values_of(text, start)):
        if not isinstance(value, dict):
            raise ValueError(f"{name} {index} (line {text.count(chr(10), 0, begin) + 1}): must be an object {{...}}")
        entries.append(Entry(name, index, value, text, begin, end))
    return entries


def split_object(text: str) -> dict[str, tuple[object, int]]:
    """The members of the JSON object that a text holds: their values, and where these begin."""
    parts = list(values_of(text, text.index("{")))
    return {str(name): (value, begin) for (name, _, _), (value, begin, _) in zip(parts[::2], parts[1::2])}


def values_of(text: str, start: int) -> Iterator[tuple[object, int, int]]:
    """(value, begin, end) of everything in the JSON list or object that begins at start; an object's names too."""
    decoder, end = json.JSONDecoder(), start + 1
    while True:
        found = NEXT.search(text, end)
        if found is None or found.group() in "]}":
            return
        value, end = decoder.raw_decode(text, found.start())
        yield value, found.start(), end
