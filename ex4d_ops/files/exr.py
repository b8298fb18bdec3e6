"""Depth out of OpenEXR files: which of many channels it is, and where its pixels lie in the picture."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .damage import reading
from .footage import MAX_PIXELS

MAGIC = 20000630
DEEP, PARTS = 0x800, 0x1000  # flags of the version field
MAX_HEADER = 2**20  # bytes of one attribute but previews, which are skipped
MAX_NUMBERS = 2**30  # of all channels of a file, which OpenEXR reads at once
NAMED = 12  # channels that an error lists
# What renderers call the layer or channel of a depth pass: Arnold, Blender, V-Ray, Redshift, Houdini, Unreal.
DEPTH_WORDS = {"z", "depth", "zdepth", "depthz", "vrayzdepth", "pz", "scenedepth", "worlddepth", "cameradepth"}

Box = tuple[int, int, int, int]  # first column, first row, last column, last row


@dataclass(frozen=True)
class Channel:
    """A channel of a file. name: as the file has it, behind the name of its part where there are several."""

    name: str
    part: int
    key: str

    @property
    def layer(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def last(self) -> str:
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class Part:
    """The header of one part of a file."""

    name: str
    keys: tuple[str, ...]
    data: Box
    display: Box


# ---- choosing the channel -----------------------------------------------------------------------


def find_channels(path: Path, wanted: str | None = None) -> tuple[str, ...]:
    """The names of the channels that hold a file's depth: one, or three that are to agree.

    wanted: a channel, or a layer of one channel or of R, G and B. Without it: the depth pass that renderers write, the
    only channel, or R, G and B. Raises ValueError where there is no such channel, or where several might be meant.
    """
    channels = list_channels(read_parts(path))
    if wanted is not None:
        return tuple(channel.name for channel in named_channels(path, channels, wanted))
    found = depth_channels(channels) or (channels if len(channels) == 1 else [])
    if len(found) > 1:
        raise ValueError(f"{path}: contains more than one depth, {describe_channels(found)}; give the name of the "
                         "depth channel")
    if not found:
        layers = [gray for layer in {channel.layer: None for channel in channels}
                  if (gray := gray_channels(channels, layer))]
        if len(layers) != 1:
            raise ValueError(no_depth(path, channels))
        found = layers[0]
    return tuple(channel.name for channel in found)


def no_depth(path: Path, channels: Iterable[Channel]) -> str:
    return (f"{path}: contains the channels {describe_channels(channels)}, and it is not clear which of them is the "
            "depth; give the name of the depth channel")


def depth_channels(channels: list[Channel]) -> list[Channel]:
    """The channels that look like a depth pass: those of its own name first, else all that end in Z or depth.

    A Z beside an X or Y is the third number of a normal, a position or a motion; a Y alone is gray.
    """
    siblings: dict[str, set[str]] = {}
    for channel in channels:
        siblings.setdefault(channel.layer, set()).add(channel.last.lower())
    alone = [channel for channel in channels if not (siblings[channel.layer] - {channel.last.lower()}) & {"x", "y"}]
    ending = [channel for channel in alone if channel.last.lower() in ("z", "depth")]
    for group in ([channel for channel in ending if channel.name == channel.key == channel.last],
                  [channel for channel in alone if len(siblings[channel.layer]) == 1 and names_depth(channel.layer)],
                  [channel for channel in alone if names_depth(channel.last)]):
        if group:
            return group
    return ending


def names_depth(name: str) -> bool:
    """Whether the last word of a layer's or channel's name is one for depth."""
    return re.sub("[^a-z]", "", re.split(r"[./]", name.lower())[-1]) in DEPTH_WORDS


def named_channels(path: Path, channels: list[Channel], wanted: str) -> list[Channel]:
    """The channel or the layer of a name, in whatever case where that leaves no doubt."""
    for fold in (str, str.lower):
        name = fold(wanted)
        found = ([channel for channel in channels if fold(channel.name) == name]
                 or [channel for channel in channels if fold(channel.key) == name]
                 or [channel for channel in channels if fold(channel.layer) == name])
        if len(found) == 1:
            return found
        if found and (gray := gray_channels(found, found[0].layer)):
            return gray
    raise ValueError(f"{path}: has no channel '{wanted[:60]}', or more than one; it contains "
                     f"{describe_channels(channels)}")


def gray_channels(channels: list[Channel], layer: str) -> list[Channel]:
    """The three channels R, G and B of a layer, [] where it lacks one."""
    found = [channel for color in "RGB" for channel in channels if (channel.layer, channel.last) == (layer, color)]
    return found if len(found) == 3 else []


def describe_channels(channels: Iterable[Channel]) -> str:
    names = [channel.name for channel in channels]
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "") or "none"


def list_channels(parts: list[Part]) -> list[Channel]:
    """All channels of a file, those of several parts behind their part's name unless they begin with it."""
    channels = []
    for index, part in enumerate(parts):
        for key in part.keys:
            bare = len(parts) == 1 or key.startswith(f"{part.name}.")
            channels.append(Channel(key if bare else f"{part.name}.{key}", index, key))
    return channels


# ---- reading ------------------------------------------------------------------------------------


def read_exr(path: Path, names: tuple[str, ...], outside: float | None) -> np.ndarray:
    """The numbers [H, W] float32 of channels that agree, over the whole picture (the display window).

    outside: what stands where the file holds no pixels (off its data window); None: such a file is refused. Raises
    ValueError where a channel is missing, the channels differ, or the file is damaged.
    """
    import OpenEXR

    parts = read_parts(path)
    by_name = {channel.name: channel for channel in list_channels(parts)}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise ValueError(f"{path}: has no channel {missing[0]}, which the clip's first file has; it contains "
                         f"{describe_channels(list(by_name.values()))}")
    chosen = [by_name[name] for name in names]
    with reading(path, "EXR"), OpenEXR.File(str(path), separate_channels=True) as file:
        planes = [read_plane(file, channel, parts[channel.part]) for channel in chosen]
    if not all(np.array_equal(planes[0], plane, equal_nan=True) for plane in planes[1:]):
        raise ValueError(no_depth(path, by_name.values()))
    return place(path, planes[0], parts[chosen[0].part], outside)


def read_plane(file, channel: Channel, part: Part) -> np.ndarray:
    """The pixels of a channel of an opened file. Raises ValueError where they are not those of its data window."""
    read = file.parts[channel.part].channels if channel.part < len(file.parts) else {}
    if channel.key not in read:  # OpenEXR 3.5 warns of damaged pixels and leaves them out
        raise ValueError("its pixels are damaged or cut short")
    plane = np.asarray(read[channel.key].pixels, np.float32)
    if plane.shape != size_of(part.data):
        raise ValueError(f"its channel {channel.name} has {list(plane.shape)} numbers, but the others have "
                         f"{list(size_of(part.data))}")
    return plane


def place(path: Path, plane: np.ndarray, part: Part, outside: float | None) -> np.ndarray:
    """The pixels of a data window where they lie in the display window: what is past it goes, what lacks is outside."""
    if part.data == part.display:
        return plane
    (left, top, right, bottom), (x, y, last_x, last_y) = part.data, part.display
    rows, columns = slice(max(top, y), min(bottom, last_y) + 1), slice(max(left, x), min(right, last_x) + 1)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        raise ValueError(f"{path}: its data window is outside its display window, so the picture is empty; write it "
                         "again")
    inside = plane[rows.start - top:rows.stop - top, columns.start - left:columns.stop - left]
    if inside.shape == size_of(part.display):
        return inside
    if outside is None:
        raise ValueError(f"{path}: contains only {inside.shape[1]}x{inside.shape[0]} of its {last_x - x + 1}x"
                         f"{last_y - y + 1} pixels (its data window is smaller than its display window), and the rest "
                         "cannot be filled with this depth kind; write whole pictures, or use depth or disparity")
    whole = np.full(size_of(part.display), outside, np.float32)
    whole[rows.start - y:rows.stop - y, columns.start - x:columns.stop - x] = inside
    return whole


def size_of(box: Box) -> tuple[int, int]:
    """Height and width of a window."""
    return box[3] - box[1] + 1, box[2] - box[0] + 1


# ---- headers ------------------------------------------------------------------------------------


def read_parts(path: Path) -> list[Part]:
    """The headers of a file's parts. Raises ValueError where it is not an EXR, is deep, or claims too many pixels."""
    with reading(path, "EXR"), open(path, "rb") as file:
        magic, version = struct.unpack("<II", file.read(8))
        if magic != MAGIC:
            raise ValueError("it does not begin like one")
        if version & DEEP:
            raise ValueError("it is deep, with several numbers a pixel; flatten it")
        parts = []
        while attributes := read_attributes(file):
            parts.append(read_part(attributes))
            if not version & PARTS:
                break
        check_claims(parts)
    return parts


def read_part(attributes: dict[str, bytes]) -> Part:
    """A part from the attributes of its header; those named here are required in every file."""
    data, display = (struct.unpack("<4i", attributes[name]) for name in ("dataWindow", "displayWindow"))
    return Part(attributes.get("name", b"").rstrip(b"\0").decode(), read_keys(attributes["channels"]), data, display)


def read_attributes(file: BinaryIO) -> dict[str, bytes]:
    """The attributes of the next header as they are stored; {} where none follows."""
    attributes = {}
    while name := read_name(file):
        read_name(file)  # its type
        size, = struct.unpack("<i", file.read(4))
        if 0 <= size <= MAX_HEADER:
            attributes[name] = file.read(size)
        elif size > 0:
            file.seek(size, 1)
        else:
            raise ValueError(f"{name[:60]} has a negative size")
    return attributes


def read_name(file: BinaryIO) -> str:
    """A name that ends with a zero. Raises ValueError where none does."""
    name = b""
    while (byte := file.read(1)) != b"\0":
        if not byte or len(name) > 255:
            raise ValueError("its header is damaged or cut short")
        name += byte
    return name.decode()


def read_keys(content: bytes) -> tuple[str, ...]:
    """The names in a list of channels, where 16 bytes follow each name."""
    keys, start = [], 0
    while content[start]:
        end = content.index(b"\0", start)
        keys.append(content[start:end].decode())
        start = end + 17
    return tuple(keys)


def check_claims(parts: list[Part]) -> None:
    """Raise ValueError where windows are turned inside out, or claim more pixels than are read."""
    if not parts:
        raise ValueError("it does not contain a part")
    for part in parts:
        for window in (part.data, part.display):
            height, width = size_of(window)
            if height < 1 or width < 1 or height * width > MAX_PIXELS:
                raise ValueError(f"it claims {width}x{height} pixels, 1 to {MAX_PIXELS} are read")
    numbers = sum(len(part.keys) * size_of(part.data)[0] * size_of(part.data)[1] for part in parts)
    if numbers > MAX_NUMBERS:
        raise ValueError(f"it claims {numbers} numbers in its channels, at most {MAX_NUMBERS} are read")
