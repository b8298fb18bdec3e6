"""Files that exist whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sweep(folder: Path) -> None:
    """Remove what killed runs left half written in a folder."""
    for part in folder.glob(".*.part*"):
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink()


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a name beside path to write a file or folder to; it becomes path once the block ends well, else it goes.

    Raises OSError in one sentence where the disk is full, the folder missing or not writable, or path a folder in use.
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")  # encoders choose by the suffix
    try:
        yield part
        if part.is_dir() and path.is_dir():
            path.rmdir()  # only if empty: what stands there may be someone's work
        os.replace(part, path)
    except OSError as error:
        raise OSError(f"{path}: cannot be written ({error.strerror or error}); "
                      "check that the folder exists, is writable and has free space") from error
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
