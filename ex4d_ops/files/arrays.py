"""Arrays out of npz and npy files: only those asked for, and only the frames asked for of them."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from .damage import reading

HEAD = 2**14  # bytes; numpy reads no header longer than 10,000
MAX_EXPANSION = 500  # times its compressed size; nothing that holds a scene comes near
STEP = 2**20  # bytes unpacked at once on the way to what is asked for
SMALL = 2**28  # bytes that any file may hold, whatever it expands to


@dataclass(frozen=True)
class StoredArray:
    """An array in a file; only its header has been read. by_column: it lies in Fortran's order."""

    path: Path
    member: str | None
    shape: tuple[int, ...]
    dtype: np.dtype
    by_column: bool
    offset: int

    @property
    def size(self) -> int:
        """How many bytes it claims to be."""
        return math.prod(self.shape) * self.dtype.itemsize

    def describe(self) -> str:
        return f"{list(self.shape)} {self.dtype}"

    def read(self) -> np.ndarray:
        """The whole array. Raises ValueError where the file is damaged or cut short."""
        with opened(self.path, self.member) as file:
            skip(self, file)
            numbers = np.frombuffer(take(self, file, self.size), self.dtype)
        return numbers.reshape(self.shape[::-1]).T if self.by_column else numbers.reshape(self.shape)

    def frames(self, shape: tuple[int, int, int], span: slice) -> Iterator[np.ndarray]:
        """The frames of span, one by one, of the array seen as [T, H, W]. Raises ValueError as read does."""
        if self.by_column:
            yield from self.read().reshape(shape)[span]
            return
        first, end, _ = span.indices(shape[0])
        frame = math.prod(shape[1:]) * self.dtype.itemsize
        with opened(self.path, self.member) as file:
            skip(self, file, first * frame)
            for _ in range(first, end):
                yield np.frombuffer(take(self, file, frame), self.dtype).reshape(shape[1:])


def list_arrays(path: Path) -> dict[str, str | None]:
    """The members of an npz by the names of their arrays; of an npy None, named "". Raises ValueError where neither."""
    kind = path.suffix[1:]
    with reading(path, kind), open(path, "rb") as file:
        start = file.read(6)
        if start == b"\x93NUMPY":
            return {"": None}
        if start[:2] != b"PK":
            raise ValueError("is empty" if not start else "does not begin like one")
        with zipfile.ZipFile(file) as archive:
            return {name.removesuffix(".npy"): name for name in archive.namelist()}


def find_array(path: Path, member: str | None) -> StoredArray:
    """The array of a member of an npz, or of an npy (None), before its numbers are read.

    Raises ValueError where it is not an array of numbers, is damaged, or claims more than the file can hold.
    """
    with opened(path, member) as file, reading(path, path.suffix[1:]):
        head = io.BytesIO(file.read(HEAD))
        version = np.lib.format.read_magic(head)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"{member or 'it'} is a table, not an array of numbers")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_column, dtype = read_header(head)
        if dtype.hasobject or any(side < 0 for side in shape):
            raise ValueError(f"{member or 'it'} contains {list(shape)} {dtype}, not numbers")
    array = StoredArray(path, member, shape, dtype, by_column, head.tell())
    check_claim(array)
    return array


def check_claim(array: StoredArray) -> None:
    """Raise ValueError, before anything is allocated, where an array claims to be larger than the file lets it be."""
    path, stored = array.path, array.path.stat().st_size
    held = stored
    if array.member is not None:
        with reading(path, "npz"), zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(array.member)
        stored, held = min(stored, entry.compress_size), entry.file_size
    if array.offset + array.size > held:
        raise ValueError(f"{path}: {array.member or 'it'} claims to be {array.describe()}, but the file contains only "
                         f"{held} bytes of it; it is damaged or cut short")
    if array.size > max(SMALL, MAX_EXPANSION * stored):
        raise ValueError(f"{path}: {array.member or 'it'} claims to be {array.describe()}, packed into only {stored} "
                         "bytes; that cannot be depth, check the file")


@contextmanager
def opened(path: Path, member: str | None) -> Iterator[IO[bytes]]:
    """Open an npy, or a member of an npz, for reading its bytes."""
    with ExitStack() as stack:
        with reading(path, path.suffix[1:]):
            file = stack.enter_context(open(path, "rb"))
            if member is not None:
                file = stack.enter_context(stack.enter_context(zipfile.ZipFile(file)).open(member))
        yield file


def skip(array: StoredArray, file: IO[bytes], count: int = 0) -> None:
    """Move to the bytes of an array, or so many bytes into them."""
    left = array.offset + count
    if array.member is None:
        file.seek(left)
    while left > 0 and array.member is not None:  # zipfile's own seek holds far more than a step
        left -= len(take(array, file, min(left, STEP)))


def take(array: StoredArray, file: IO[bytes], size: int) -> bytes:
    """The next bytes of an array. Raises ValueError where there are not so many."""
    with reading(array.path, array.path.suffix[1:]):
        content = file.read(size)
        if len(content) < size:
            raise ValueError("it is cut short")
        return content
