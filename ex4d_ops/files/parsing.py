"""Text, JSON and numbers out of files; what is wrong with them in one sentence."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .damage import quote

LISTED = 12  # names of a file that a sentence lists at most


def read_lines(path: Path) -> list[str]:
    """Lines of a text file, less empty ones and comments (#)."""
    lines = [line for line in read_text(path).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        raise ValueError("is empty")
    return lines


def read_text(path: Path) -> str:
    """A text in UTF-8, or in UTF-16 with the mark that Windows puts before it."""
    content = path.read_bytes()
    try:
        return content.decode(text_encoding(content))
    except UnicodeDecodeError:
        raise ValueError("is not a text file in UTF-8; save it as one") from None


def text_encoding(start: bytes) -> str:
    """The encoding of a text that begins with these bytes."""
    return "utf-16" if start.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"


def read_json(path: Path) -> object:
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno} is not JSON ({error.msg})") from None
    except RecursionError:
        raise ValueError("is nested too deep for a camera path") from None
    except ValueError:  # Python reads no more than some thousand digits
        raise ValueError("contains a number of too many digits") from None


def list_names(names: Iterable[str]) -> str:
    """Names out of a file as a sentence lists them, the first few."""
    names = [quote(name, "") for name in names]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more or "nothing"


def natural_order(name: str) -> list[tuple[int, int | str]]:
    """What to sort names by so that numbers in them count by their value."""
    return [(0, int(part)) if part.isdecimal() and len(part) < 100 else (1, part) for part in re.split(r"(\d+)", name)]


def are_numbers(words: list[str]) -> bool:
    try:
        return bool([float(word) for word in words])
    except ValueError:
        return False


def number_row(line: str, counts: tuple[int, ...], layout: str) -> list[float]:
    """The numbers of a line, or ValueError where there are not so many."""
    words = line.split()
    if len(words) not in counts or not are_numbers(words):
        raise ValueError(f"{quote(line)} should read: {layout}")
    return [float(word) for word in words]


def number_array(name: str, value: object, shape: tuple[int | None, ...]) -> Tensor:
    """Nested lists or an array as finite doubles of this shape (None: any), or ValueError."""
    try:
        array = np.asarray(value)
        numbers = array.astype(np.float64) if array.dtype.kind in "fiu" else None
    except (TypeError, ValueError, OverflowError):
        numbers = None
    expected = str([n or "T" for n in shape]).replace("'", "") if shape else "one number"
    if numbers is None:
        raise ValueError(f"{name} must be numbers {expected}" if shape else f"{name} must be a number")
    if numbers.ndim != len(shape) or any(n not in (None, got) for n, got in zip(shape, numbers.shape)):
        raise ValueError(f"{name} is {list(numbers.shape)}, must be {expected}")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} contains NaN or infinity; every entry must be a number")
    return torch.from_numpy(np.ascontiguousarray(numbers))
