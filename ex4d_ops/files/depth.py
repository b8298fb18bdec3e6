"""Depth from npz, npy, EXR, pictures and gray video, and back."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Any, Literal

import numpy as np
from torch import Tensor

from ..clip import Progress
from ..depth import VideoDepth, check_depth, depth_from, fill_invalid, make_video_depth
from ..depth_units import DEPTH_KINDS, DepthUnits
from ..doubts import doubt_units
from ..parallel import one_by_one
from .damage import quote, reading
from .depth_arrays import CAMERAS, Meaning, Numbers, as_matrices, count_frames, cut, open_arrays
from .exr import find_channels, read_exr
from .footage import UNTIMED_FPS, frame_span, stack_pictures
from .parsing import read_text
from .pictures import list_pictures
from .timing import follow_clip
from .video import encode, open_footage, write_pngs
from .whole import written_whole

DepthForm = Literal["npz", "exr", "png", "video"]
FORMS: dict[str, DepthForm] = {".npz": "npz", ".mkv": "video"}
ARRAYS = {".npz", ".npy"}
STEPS = 65535  # of a 16-bit number
SIDECAR = "depth.json"

log = logging.getLogger(__name__)


def read_depth(path: str | Path, units: DepthUnits | None = None, start: int = 0, frames: int | None = None,
               fill: bool = False, progress: Progress | None = None, clip: str | Path | None = None,
               channel: str | None = None) -> VideoDepth:
    """Read the depth of a clip: npz, npy, EXR or picture (a file or a folder of them), or gray video.

    units: what the numbers mean, where the file doesn't say or to overrule it. start, frames: as in read_video;
    relative disparity is normalised over what is read, and numbers that look like the other kind are warned of. fill:
    give pixels without depth that of their neighbours (see fill_invalid) instead of refusing them. progress: called
    after every picture; what it raises stops the reading. clip: the file whose frames these are, without which the
    frames of one with a variable rate are not found (see follow_clip). channel: which channel of an EXR or array of an
    npz holds depth, None to find it. Raises ValueError in one sentence.
    """
    path = Path(path)
    numbers, said, units, shown = find_numbers(path, units, start, frames, clip, channel)
    values = stack_pictures(path, one_by_one(numbers.frames(), numbers.length, progress), numbers.length)
    values = values if shown is None else values[shown]
    if units.kind.startswith("normalized"):
        values /= numbers.white
    try:
        doubt = doubt_units(values, units)
        depth = depth_from(values, units, out=values)  # a clip may fill the memory, so there is never a second one
        depth = fill_invalid(depth, out=depth) if fill else depth
        check_depth(depth)
        if doubt:
            log.warning("%s: %s", path, doubt)
        made = make_video_depth(depth, said.intrinsics, said.world_from_cam, units.metric)
        return replace(made, confidence=said.read_confidence())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def find_numbers(path: Path, units: DepthUnits | None, start: int, frames: int | None, clip: str | Path | None,
                 channel: str | None) -> tuple[Numbers, Meaning, DepthUnits, Tensor | None]:
    """The numbers of a depth file for some frames, still to be read; what it says of the frames; what the numbers mean;
    and which of them each frame shows, None for all in turn. Settings and errors are those of read_depth.
    """
    span, shown = frame_span(path, start, frames), None
    if clip is not None:
        span, shown = follow_clip(path, partial(count_pictures, channel=channel), Path(clip), span)
    numbers, said = open_numbers(path, span, units, channel)
    return numbers, said if shown is None else said.of_frames(shown), known_units(path, units, said), shown


def known_units(path: Path, units: DepthUnits | None, said: Meaning) -> DepthUnits:
    """What the numbers of a depth file mean. Raises ValueError where nobody says."""
    if units is None and said.units is None:
        raise ValueError(f"{path}: does not say what its numbers mean; "
                         f"give the depth kind, one of {', '.join(DEPTH_KINDS)}")
    return units or said.units  # pyright: ignore[reportReturnType]


def count_pictures(path: Path, channel: str | None) -> int:
    """How many pictures a depth file holds."""
    if path.suffix.lower() in ARRAYS:
        return count_frames(path, channel)
    if holds_exr(path):
        return len(list_pictures(path, {".exr"})) if path.is_dir() else 1
    return open_footage(path, slice(0, None), gray=True).length


def holds_exr(path: Path) -> bool:
    """Whether depth is an EXR file or a folder of them."""
    names = [file.name for file in path.iterdir()] if path.is_dir() else [path.name]
    return any(name.lower().endswith(".exr") and not name.startswith(".") for name in names)


def open_numbers(path: Path, span: slice, units: DepthUnits | None, channel: str | None) -> tuple[Numbers, Meaning]:
    """The numbers of a depth file, still to be read, and what it says of them."""
    if path.suffix.lower() in ARRAYS:
        return open_arrays(path, span, channel, units is not None)
    said = read_sidecar(path, span)
    if holds_exr(path):
        return open_exrs(path, span, nothing_in(units or said.units), channel), said
    if channel is not None:
        raise ValueError(f"{path}: only EXR and npz files have named channels; leave the depth channel out")
    footage = open_footage(path, span, gray=True)
    unused = [footage]  # it can be read once
    return Numbers(lambda: (unused.pop() if unused else open_footage(path, span, gray=True)).pictures, footage.length,
                   footage.white), said


def open_exrs(path: Path, span: slice, outside: float | None, channel: str | None) -> Numbers:
    """The numbers of an EXR file or of a folder of them, all from the channel of the first."""
    files = list_pictures(path, {".exr"}) if path.is_dir() else [path]
    names = find_channels(files[0], channel)
    return Numbers(lambda: (read_exr(file, names, outside) for file in files[span]), len(files[span]))


def nothing_in(units: DepthUnits | None) -> float | None:
    """The number of a pixel in which no surface is seen, None where a kind has none."""
    if units is not None and units.kind == "disparity" and units.shift == 0:
        return 0.0
    return math.inf if units is not None and units.kind == "depth" else None


def sidecar_of(path: Path) -> Path:
    """Where a folder or video of depth says what its numbers mean."""
    return path / SIDECAR if path.is_dir() else path.with_suffix(".json")


def read_sidecar(path: Path, span: slice) -> Meaning:
    """What the json beside a folder or video of depth says of its numbers; nothing where it isn't ours."""
    file = sidecar_of(path)
    if not file.is_file():
        return Meaning()
    with reading(file, "the description of a depth file"):
        said = json.loads(read_text(file))
        if not isinstance(said, dict) or "depth_units" not in said:
            return Meaning()
        cameras = [cut(as_matrices(key, np.array(said[key])), span) for key in CAMERAS]
        return Meaning(as_units(said["depth_units"]), cameras[0], cameras[1])


def as_units(said: object) -> DepthUnits:
    """DepthUnits of what json holds. Raises ValueError, or what DepthUnits does, where a value is of another type."""
    if not isinstance(said, dict):
        raise ValueError(f"depth_units is {quote(said)}, must be an object of settings")
    for name, value in said.items():
        kinds = {"kind": str, "metric": bool}.get(name, (int, float, NoneType))
        if not isinstance(value, kinds) or isinstance(value, bool) and kinds is not bool:
            raise ValueError(f"{quote(name)} is {quote(value)}, which is of the wrong type")
    settings: dict[str, Any] = {name: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
                                for name, value in said.items()}
    return DepthUnits(**settings)


# ---- writing ------------------------------------------------------------------------------------


def write_depth(path: str | Path, depth: VideoDepth, form: DepthForm | None = None,
                progress: Progress | None = None) -> None:
    """Write the depth of a clip with its cameras.

    form: "npz" and "exr" (a folder) keep float32 bit for bit; "png" (a folder) and "video" (lossless gray mkv) keep
    1 / z in 65535 steps from sky to the nearest point, so depth z is off by at most z^2 / (131070 nearest). None: by
    the suffix .npz or .mkv. progress: called after every picture; what it raises leaves no file. Raises ValueError, or
    OSError where the disk is full or the folder not writable.
    """
    path = Path(path)
    form = form or FORMS.get(path.suffix.lower())
    if form is None:
        raise ValueError(f"{path}: is not a depth file name; use .npz or .mkv, or choose exr or png for a folder")
    units = DepthUnits("depth", metric=depth.metric)
    if form in ("png", "video"):
        units = DepthUnits("disparity", scale=1 / (STEPS * float(depth.depth.min())), metric=depth.metric)
    frames = one_by_one(depth.depth, len(depth), progress)
    with written_whole(path) as part:
        if form == "npz":
            sure: dict[str, Any] = {} if depth.confidence is None else {"confidence": depth.confidence.cpu()}
            np.savez(part, depth=depth.depth.cpu(), intrinsics=depth.intrinsics.cpu(),
                     world_from_cam=depth.world_from_cam.cpu(), metric=depth.metric, **sure)
        elif form == "exr":
            write_exrs(part, frames)
        elif form == "png":
            write_pngs(part, in_steps(frames, units))
        else:
            encode(part, in_steps(frames, units), UNTIMED_FPS, "ffv1")
        if part.is_dir():
            write_sidecar(sidecar_of(part), depth, units)
    if form == "video":
        write_sidecar(sidecar_of(path), depth, units)


def in_steps(depth: Iterable[Tensor], units: DepthUnits) -> Iterator[np.ndarray]:
    """Frames [H, W] uint16 of 1 / z by units, 0 in the sky, of frames of depth."""
    for frame in depth:
        yield (1 / (frame.cpu().double() * units.scale)).round().clamp(max=STEPS).numpy().astype(np.uint16)


def write_exrs(folder: Path, depth: Iterable[Tensor]) -> None:
    """Write frames of depth [H, W] as 000000.exr, 000001.exr ... with one channel Z into a new folder."""
    import OpenEXR

    folder.mkdir()
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    for t, frame in enumerate(depth):
        try:
            OpenEXR.File(header, {"Z": frame.cpu().numpy()}).write(str(folder / f"{t:06d}.exr"))
        except RuntimeError as error:  # how OpenEXR reports a full disk
            raise OSError(str(error)) from error


def write_sidecar(file: Path, depth: VideoDepth, units: DepthUnits) -> None:
    """Write what numbers of depth mean, and its cameras, as json."""
    said = {"depth_units": asdict(units), "intrinsics": depth.intrinsics.tolist(),
            "world_from_cam": depth.world_from_cam.tolist()}
    with written_whole(file) as part:
        part.write_text(json.dumps(said), encoding="utf-8")
