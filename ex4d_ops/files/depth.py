"""Depth from npz, npy, EXR, 16-bit PNG and gray video, and back."""

from __future__ import annotations

import json
import logging
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ..clip import Progress
from ..depth import (
    DEPTH_KINDS,
    DepthUnits,
    VideoDepth,
    check_depth,
    depth_from,
    fill_invalid,
    make_video_depth,
)
from ..doubts import doubt_units
from ..parallel import one_by_one
from .footage import UNTIMED_FPS, frame_span, stack_pictures
from .pictures import list_pictures
from .timing import follow_clip
from .video import encode, open_footage, write_pngs
from .whole import written_whole

DepthForm = Literal["npz", "exr", "png", "video"]
FORMS: dict[str, DepthForm] = {".npz": "npz", ".mkv": "video"}
ARRAY_NAMES = ("depth", "depths", "disparity", "disparities", "disp")  # in an npz of any origin
CAMERAS = ("intrinsics", "world_from_cam")
STEPS = 65535  # of a 16-bit number
SIDECAR = "depth.json"

# What numpy raises over damaged files.
DAMAGED = (OSError, ValueError, EOFError, KeyError, SyntaxError, TypeError, MemoryError, OverflowError,
           NotImplementedError, tokenize.TokenError, zipfile.BadZipFile, zlib.error)

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Meaning:
    """What a depth file says of its numbers, None where it doesn't."""

    units: DepthUnits | None = None
    intrinsics: Tensor | None = None
    world_from_cam: Tensor | None = None

    def of_frames(self, frames: Tensor) -> Meaning:
        """The same for these frames; matrices for all of a clip, or for other frames, stay."""
        cameras = {name: getattr(self, name) for name in CAMERAS}
        return Meaning(self.units, **{
            name: given[frames] if given is not None and given.ndim == 3 and len(given) > frames.max() else given
            for name, given in cameras.items()})


def read_depth(path: str | Path, units: DepthUnits | None = None, start: int = 0, frames: int | None = None,
               fill: bool = False, progress: Progress | None = None, clip: str | Path | None = None) -> VideoDepth:
    """Read the depth of a clip: npz, npy, EXR or 16-bit PNG (a file or a folder of them), or gray video.

    units: what the numbers mean, where the file doesn't say or to overrule it. start, frames: as in read_video;
    relative disparity is normalised over what is read, and numbers that look like the other kind are warned of. fill:
    give pixels without depth that of their neighbours (see fill_invalid) instead of refusing them. progress: called
    after every picture; what it raises stops the reading. clip: the file whose frames these are, without which the
    frames of one with a variable rate are not found (see follow_clip). Raises ValueError in one sentence.
    """
    path = Path(path)
    span, shown = frame_span(path, start, frames), None
    if clip is not None:
        span, shown = follow_clip(path, count_pictures, Path(clip), span)
    values, white, said = read_numbers(path, span, progress)
    if shown is not None:
        values, said = values[shown], said.of_frames(shown)
    units = units or said.units
    if units is None:
        raise ValueError(f"{path}: does not say what its numbers mean; "
                         f"give the depth kind, one of {', '.join(DEPTH_KINDS)}")
    if units.kind.startswith("normalized"):
        values = values / white
    try:
        depth = depth_from(values, units)
        depth = fill_invalid(depth) if fill else depth
        check_depth(depth)
        if doubt := doubt_units(values, units):
            log.warning("%s: %s", path, doubt)
        return make_video_depth(depth, said.intrinsics, said.world_from_cam, units.metric)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def count_pictures(path: Path) -> int:
    """How many pictures a depth file holds."""
    if path.suffix.lower() in (".npz", ".npy"):
        return len(read_arrays(path, slice(0, None))[0])
    if path.suffix.lower() == ".exr" or path.is_dir() and any(path.glob("*.exr")):
        return len(list_pictures(path, {".exr"})) if path.is_dir() else 1
    return open_footage(path, slice(0, None), gray=True).length


def read_numbers(path: Path, span: slice, progress: Progress | None) -> tuple[Tensor, float, Meaning]:
    """The numbers [T, H, W] float32 of a depth file, the one that stands for white, and what it says of them."""
    suffix = path.suffix.lower()
    if suffix in (".npz", ".npy"):
        return read_arrays(path, span)
    if suffix == ".exr" or path.is_dir() and any(path.glob("*.exr")):
        files = list_pictures(path, {".exr"})[span] if path.is_dir() else [path][span]
        pictures = one_by_one(map(read_exr, files), len(files), progress)
        return stack_pictures(path, pictures, len(files)), 1.0, read_sidecar(path, span)
    footage = open_footage(path, span, gray=True)
    pictures = one_by_one(footage.pictures, footage.length, progress)
    return stack_pictures(path, pictures, footage.length), footage.white, read_sidecar(path, span)


def read_arrays(path: Path, span: slice) -> tuple[Tensor, float, Meaning]:
    """Read our npz, another's with an array of depth in it, or an npy.

    An array named depth is taken for z in scene units, unless it spans exactly 0..1: so DepthCrafter stores disparity.
    """
    arrays = load_arrays(path)
    name = next((name for name in ARRAY_NAMES if name in arrays), next(iter(arrays)) if len(arrays) == 1 else None)
    if name is None:
        raise ValueError(f"{path}: holds {', '.join(arrays) or 'nothing'}; the depth must be named depth")
    values = as_values(path, arrays[name], span)
    relative = values.min() == 0 and values.max() == 1
    metric = "metric" in arrays and bool(arrays["metric"].any())
    units = DepthUnits("depth", metric=metric) if name == "depth" and not relative else None
    cameras = {key: as_cameras(path, key, arrays[key], span) for key in CAMERAS if key in arrays}
    return values, 1.0, Meaning(units, **cameras)


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz by name, or the one of an npy. Raises ValueError where it is neither, or damaged."""
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        return {"": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except DAMAGED as error:
        raise ValueError(f"{path}: cannot be read as {path.suffix[1:]} ({error})") from error


def as_values(path: Path, array: np.ndarray, span: slice) -> Tensor:
    """Numbers [T, H, W] float32 of an array [T, H, W] or [H, W]. Raises ValueError where it is none of these."""
    if array.dtype.kind not in "fiu" or array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"{path}: depth is {list(array.shape)} {array.dtype}, must be numbers [frames, height, width]")
    values = array[None][span] if array.ndim == 2 else array[span]
    if len(values) == 0:
        raise ValueError(f"{path}: holds {len(array)} frames, none from {span.start} on; start earlier")
    with np.errstate(over="ignore"):  # beyond float32 is infinitely far
        return torch.from_numpy(np.array(values, np.float32))


def as_cameras(path: Path, name: str, array: np.ndarray, span: slice) -> Tensor:
    """Matrices [3, 3] or [T, n, n] float32 of the frames read. Raises ValueError where they are none."""
    if array.dtype.kind not in "fiu" or array.ndim not in (2, 3):
        raise ValueError(f"{path}: {name} is {list(array.shape)} {array.dtype}, must be one matrix per frame")
    with np.errstate(over="ignore"):  # checked to be finite later
        return torch.from_numpy(np.array(array if array.ndim == 2 else array[span], np.float32))


def read_exr(path: Path) -> np.ndarray:
    """The depth channel [H, W] float32 of an EXR file: Z, the only one, or three that agree."""
    import OpenEXR

    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: channel.pixels for part in file.parts for name, channel in part.channels.items()}
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise ValueError(f"{path}: cannot be read as EXR ({error})") from error
    named = [pixels for name, pixels in channels.items() if name.split(".")[-1].lower() in ("z", "depth")]
    if len(named) == 1 or len(channels) == 1:
        return np.asarray((named or list(channels.values()))[0], np.float32)
    planes = [np.asarray(channels[name], np.float32) for name in "RGB" if name in channels]
    if len(planes) == 3 and all(np.array_equal(planes[0], plane, equal_nan=True) for plane in planes):
        return planes[0]
    raise ValueError(f"{path}: holds the channels {', '.join(channels)}; the depth must be Z, the only one, or gray")


def sidecar_of(path: Path) -> Path:
    """Where a folder or video of depth says what its numbers mean."""
    return path / SIDECAR if path.is_dir() else path.with_suffix(".json")


def read_sidecar(path: Path, span: slice) -> Meaning:
    """What the json beside a folder or video of depth says of its numbers; nothing where it isn't ours."""
    file = sidecar_of(path)
    if not file.is_file():
        return Meaning()
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(said, dict) or "depth_units" not in said:
            return Meaning()
        cameras = [as_cameras(file, key, np.array(said[key]), span) for key in CAMERAS]
        return Meaning(DepthUnits(**said["depth_units"]), *cameras)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{file}: cannot be read as what depth says of itself ({error})") from error


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
        raise ValueError(f"{path}: the suffix names no depth format; use .npz or .mkv, or say exr or png for a folder")
    units = DepthUnits("depth", metric=depth.metric)
    if form in ("png", "video"):
        units = DepthUnits("disparity", scale=1 / (STEPS * float(depth.depth.min())), metric=depth.metric)
    frames = one_by_one(depth.depth, len(depth), progress)
    with written_whole(path) as part:
        if form == "npz":
            np.savez(part, depth=depth.depth.cpu(), intrinsics=depth.intrinsics.cpu(),
                     world_from_cam=depth.world_from_cam.cpu(), metric=depth.metric)
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
