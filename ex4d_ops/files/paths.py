"""Reading and writing camera paths.

format            file                     world              written   holds
ex4d              .json                    the file's         yes       everything
keyframes         .json, a list            the source's       no        what keyframes.py says
released          .npz of EX-4D            the file's         yes       everything
colmap            folder with images.txt   the file's         yes       all but source frames
chan              .chan of Nuke            the file's         yes       all but source frames; centred square pixels
realestate        .txt, also CameraCtrl    its first camera   yes       all but source frames
recammaster       .json                    its first camera   yes       where cameras stand and look, in metres
trajectorycrafter .txt                     its first camera   no        angles and distance of an orbit

Formats whose own tools take cameras relative to the first are anchored there: it becomes the world, the camera of
source frame 0. world="file" keeps what is written, and brings back a path that does not begin at the source camera.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ..camera import CameraPath, check_rigid, cover_intrinsics, invert_rigid, move_to
from . import path_formats as formats
from .parsing import are_numbers, read_json, read_lines
from .path_formats import Request, Size
from .whole import written_whole


@dataclass(frozen=True)
class Format:
    """How a kind of file is read and written. write gives the content of every file, "" being the path itself."""

    world: Literal["first", "file"]
    read: Callable[[Path, Request], CameraPath]
    write: Callable[[CameraPath], dict[str, bytes]] | None


FORMATS = {
    "ex4d": Format("file", formats.read_ex4d, formats.write_ex4d),
    "keyframes": Format("file", formats.read_keyframes, None),
    "released": Format("file", formats.read_released, formats.write_released),
    "colmap": Format("file", formats.read_colmap, formats.write_colmap),
    "chan": Format("file", formats.read_chan, formats.write_chan),
    "realestate": Format("first", formats.read_realestate, formats.write_realestate),
    "recammaster": Format("first", formats.read_recammaster, formats.write_recammaster),
    "trajectorycrafter": Format("first", formats.read_trajectorycrafter, None),
}


def read_path(path: str | os.PathLike, size: Size | None = None, frames: int | None = None, format: str | None = None,
              world: Literal["first", "file"] | None = None, radius: float | None = None,
              intrinsics: Tensor | None = None, camera: str | None = None) -> CameraPath:
    """Read a camera path; the format is told from suffix and content unless named.

    size: (H, W) to use it at, needed where the file stores none; a view stored for another size is resampled.
    frames: the length it must have. world: see above. radius: scene units from the source camera to the target, for
    keyframes and trajectorycrafter. intrinsics: [3, 3] of the source, for formats that store none. camera: which one,
    where recammaster holds several. Raises ValueError naming the file.
    """
    request = Request(size, frames, radius, camera, intrinsics)
    try:
        kind = FORMATS[check_format(format or guess_format(Path(path)))]
        cameras = kind.read(Path(path), request)
        check_cameras(cameras)
        if (world or kind.world) == "first":
            cameras = anchor_at_first(cameras)
        return at_size(cameras, request)
    except OSError as error:
        raise ValueError(f"{path}: can't be read ({error.strerror or error})") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def write_path(path: str | os.PathLike, cameras: CameraPath, format: str | None = None) -> None:
    """Write a camera path; unless the format is named, the suffix tells: .json .npz .chan .txt, or a COLMAP folder.

    Raises ValueError where the format can't hold the path, OSError where the place can't be written; both name it.
    """
    path = Path(path)
    try:
        name = check_format(format or guess_from_suffix(path.suffix.lower()))
        if FORMATS[name].write is None:
            raise ValueError(f"{name} can't hold every path and is not written; use .json")
        contents = FORMATS[name].write(move_to(cameras, torch.device("cpu")))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    with written_whole(path) as part:
        if "" not in contents:
            part.mkdir()
        for file_name, content in contents.items():
            (part / file_name).write_bytes(content)


def check_format(name: str) -> str:
    if name not in FORMATS:
        raise ValueError(f"there is no path format '{name}'; use one of {', '.join(FORMATS)}")
    return name


def guess_format(path: Path) -> str:
    """The format of a file, from its suffix and, for .json and .txt, its content."""
    if path.is_dir() or path.name in ("images.txt", "cameras.txt"):
        return "colmap"
    if path.suffix.lower() == ".json":
        content = read_json(path)
        if isinstance(content, list):
            return "keyframes"
        return "recammaster" if isinstance(content, dict) and "frame0" in content else "ex4d"
    if path.suffix.lower() == ".txt":
        rows = [line.split() for line in read_lines(path)]
        cameras = {len(row) for row in rows} == {formats.REALESTATE_COLUMNS}
        orbit = len(rows) == 3 and all(map(are_numbers, rows)) and not cameras
        return "trajectorycrafter" if orbit else "realestate"
    return guess_from_suffix(path.suffix.lower())


def guess_from_suffix(suffix: str) -> str:
    known = {".json": "ex4d", ".npz": "released", "": "colmap", ".chan": "chan", ".txt": "realestate"}
    if suffix not in known:
        raise ValueError(f"'{suffix}' is not a camera path; use .json, .npz, .txt, .chan or a COLMAP folder")
    return known[suffix]


def anchor_at_first(cameras: CameraPath) -> CameraPath:
    """The same path in the world of its first camera."""
    moved = cameras.cam_from_world.double() @ invert_rigid(cameras.cam_from_world[0].double())
    return CameraPath(moved.float(), cameras.intrinsics, cameras.size, cameras.source_frame)


def at_size(cameras: CameraPath, request: Request) -> CameraPath:
    """The path at the size asked for, or ValueError where it has another length."""
    if request.frames is not None and len(cameras) != request.frames:
        raise ValueError(f"has {len(cameras)} frames, {request.frames} are needed; read it as it is and fit it, or "
                         "write one that long")
    size = request.size or cameras.size
    intrinsics = cover_intrinsics(cameras.intrinsics, cameras.size, size)
    return CameraPath(cameras.cam_from_world, intrinsics, tuple(size), cameras.source_frame)


def check_cameras(cameras: CameraPath) -> None:
    """Raise ValueError unless cameras are rigid and their intrinsics upright pinholes."""
    check_rigid("cameras", cameras.cam_from_world)
    intrinsics = cameras.intrinsics
    if not torch.isfinite(intrinsics).all() or (intrinsics[:, [0, 1], [0, 1]] <= 0).any():
        raise ValueError("intrinsics: focal lengths must be positive and every entry a number")
    rest = intrinsics[:, [0, 1, 2, 2, 2], [1, 0, 0, 1, 2]] - intrinsics.new_tensor([0, 0, 0, 0, 1])
    if rest.abs().max() > 1e-6:
        raise ValueError("intrinsics: must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], without skew")
    if min(cameras.size) < 1 or (cameras.source_frame < 0).any():
        raise ValueError("size and source frames must not be negative")
