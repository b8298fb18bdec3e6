"""What the commands share with the person at the terminal: words, bars and clocks."""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .. import __name__ as library
from ..clip import WAN_GRID
from ..files.damage import first_line
from ..rules import parse_frame

OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")  # torch names no type for it on CPUs
M_ARENA_MAX = -8  # of mallopt, malloc.h


def add_command(commands, name: str, run: Callable, help: str, epilog: str | None = None) -> argparse.ArgumentParser:
    """Add a subcommand that calls run(options)."""
    parser = commands.add_parser(name, help=help, description=help, epilog=epilog,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(command=run)
    return parser


def parse_size(text: str) -> tuple[int, int]:
    """(H, W) of "WxH"."""
    try:
        width, height = (int(side) for side in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write WIDTHxHEIGHT, e.g. 832x480") from None
    if min(width, height) < WAN_GRID:
        raise argparse.ArgumentTypeError(f"{text} is too small; use {WAN_GRID} pixels or more for each side")
    return height, width


def parse_place(text: str) -> tuple[float, ...]:
    """A pixel "x,y" or a box "x,y,x,y"."""
    try:
        place = tuple(float(value) for value in text.split(","))
    except ValueError:
        place = ()
    if len(place) not in (2, 4):
        raise argparse.ArgumentTypeError(f"{text!r} is not a place in the picture; write X,Y, e.g. 320,180, or the box "
                                         "X,Y,X,Y")
    return place


def parse_erosion(text: str) -> int | str:
    """"released", or pixels."""
    if text == "released":
        return text
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not an erosion; write released, or pixels: 0, 1, 2 ...")
    return int(text)


def parse_anchor(text: str) -> tuple[int, Path]:
    """The frame and the file of "N=FILE"."""
    word, _, name = text.partition("=")
    try:
        frame = parse_frame(word)
    except ValueError:
        name = ""
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} does not name a frame and its picture; write N=FILE, e.g. "
                                         "24=middle.png or last=end.png")
    return frame, Path(name)


def parse_device(text: str) -> str:
    """The name of a torch device that is there."""
    if text == "cpu":
        return text
    import torch

    try:
        device = torch.device(text)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # builds without CUDA assert
        raise argparse.ArgumentTypeError(f"{text!r} is not a device that runs here ({first_line(error)}); use "
                                         "cpu") from None
    return text


def hyphened(choices: Iterable[str]) -> list[str]:
    """The library's choices as they are typed: "as given" is as-given."""
    return [choice.replace(" ", "-") for choice in choices]


def spaced(choice: str) -> Any:
    """What the library calls a choice that was typed."""
    return choice.replace("-", " ")


def describe_size(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"


def check_exists(*paths: Path | None) -> None:
    """Raise ValueError where one that was given is not there, before anything is imported to read it with."""
    for path in paths:
        if path is not None and not path.exists():
            raise ValueError(f"{path}: there is no such file or folder")


def share_free_memory() -> None:
    """Let threads take the memory that others gave back, where glibc would keep some for each: 25 MB of a prior."""
    if sys.platform == "linux":
        import ctypes

        with suppress(AttributeError):  # other C libraries have no such setting
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def say(line: str) -> None:
    print(f"ex4d: {line}", file=sys.stderr)


class OnTheTerminal(logging.Handler):
    """Says what the library warns of on stderr, once: a file may be opened more than once."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if (message := record.getMessage()) not in self.said:
            self.said.add(message)
            say(f"warning: {message}")


def attempt(command: Callable[[], object]) -> str | None:
    """Run a command, whose warnings are said. Returns what was wrong in one sentence, None where nothing was."""
    library_log, terminal = logging.getLogger(library), OnTheTerminal(logging.WARNING)
    library_log.addHandler(terminal)
    try:
        command()
    except ValueError as error:
        return str(error)
    except OSError as error:  # the library's own says more than the system's
        return str(error) if error.errno is None else (
            f"{error.filename}: cannot be read or written ({error.strerror}); check the path, and your rights to it")
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        return "out of memory; use fewer --frames or a smaller --size"
    finally:
        library_log.removeHandler(terminal)


@contextmanager
def timed(seconds: dict[str, float], stage: str):
    """Note in seconds how long the block took."""
    begin = time.perf_counter()
    yield
    seconds[stage] = time.perf_counter() - begin


@contextmanager
def progress_bar(stage: str, unit: str = "frame"):
    """Yield progress(done, total) that draws a bar on a terminal, but in one of several processes none."""
    from tqdm import tqdm

    with tqdm(desc=stage, unit=unit, disable=None if multiprocessing.parent_process() is None else True) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress
