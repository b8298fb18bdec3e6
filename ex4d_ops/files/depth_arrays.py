"""Depth out of npz and npy files, whoever wrote them, and what they say of it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..camera import anchor, invert_rigid, resize_intrinsics
from ..depth_units import DepthUnits
from .arrays import StoredArray, find_array, list_arrays
from .footage import MAX_PIXELS

DEPTHS = ("depth", "depths", "disparity", "disparities", "disp")
LENSES = ("intrinsics", "intrinsic", "K")  # pixels
CAMERAS = ("intrinsics", "world_from_cam")
OURS = "world_from_cam"  # in the world of the clip's first frame
CAMERA_WORDS = re.compile(r"pose|extrinsic|c2w|w2c|cam|traj|intrinsic|focal", re.IGNORECASE)
FEW = 2**24  # numbers that say something of a depth rather than are it

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Numbers:
    """The numbers of a depth file, read frame by frame, [H, W] float32, as often as asked for.

    length: how many frames, about; white: the number that stands for white.
    """

    frames: Callable[[], Iterator[np.ndarray]]
    length: int
    white: float = 1.0


@dataclass(frozen=True)
class Convention:
    """How many rows a program's camera matrices have, and whether they map from the world to the camera."""

    rows: int
    from_world: bool


# By the array's name: MegaSaM, Depth Anything 3, VGGT, pycolmap. OpenCV's axes; the world may be any camera's.
MOTIONS = {"cam_c2w": Convention(4, False), "extrinsics": Convention(3, True), "extrinsic": Convention(3, True),
           "cam_from_world": Convention(4, True)}


@dataclass(frozen=True, eq=False)
class Meaning:
    """What a depth file says about its numbers, None where it says nothing."""

    units: DepthUnits | None = None
    intrinsics: Tensor | None = None
    world_from_cam: Tensor | None = None
    read_confidence: Callable[[], Tensor | None] = lambda: None

    def of_frames(self, frames: Tensor) -> Meaning:
        """The same for these frames; matrices for all of a clip, or for other frames, stay."""

        def pick(given: Tensor | None) -> Tensor | None:
            per_frame = given is not None and given.ndim == 3 and len(given) > frames.max()
            return given[frames] if given is not None and per_frame else given

        return Meaning(self.units, pick(self.intrinsics), pick(self.world_from_cam),
                       lambda: pick(self.read_confidence()))


def count_frames(path: Path, name: str | None) -> int:
    """How many frames the array has that open_arrays would read."""
    members = list_arrays(path)
    return clip_shape(path, find_array(path, members[choose_array(path, members, name)]))[0]


def open_arrays(path: Path, span: slice, name: str | None, is_said: bool) -> tuple[Numbers, Meaning]:
    """The numbers of the frames of span, still to be read, and what the file says of them.

    name: of the array, None to find it. is_said: what the numbers mean is known already. Else an array named depth is
    taken for z in scene units, unless the whole of it spans exactly 0..1: so DepthCrafter stores disparity.
    """
    members = list_arrays(path)
    name = choose_array(path, members, name)
    array = find_array(path, members[name])
    shape = clip_shape(path, array)
    count = len(range(shape[0])[span])
    if count == 0:
        raise ValueError(f"{path}: has only {shape[0]} frames, so frame {span.start} is past its end; start earlier")
    numbers = Numbers(lambda: map(to_float32, array.frames(shape, span)), count)
    units = None
    if name == "depth" and not is_said and not is_relative(array, shape):
        units = DepthUnits("depth", metric=read_metric(path, members))
    lens, motion = read_lens(path, members, shape), read_motion(path, members, shape[0], name)
    return numbers, Meaning(units, cut(lens, span), cut(motion, span),
                            lambda: read_confidence(path, members, shape, span))


def choose_array(path: Path, members: dict[str, str | None], name: str | None) -> str:
    """The name of the array that holds depth: the one asked for, a usual one, or the only one."""
    found = [name] if name is not None else [usual for usual in DEPTHS if usual in members] or list(members)
    if name is None and len(found) > 1 and found[0] not in DEPTHS or not found or found[0] not in members:
        held = ", ".join(list(members)[:12])[:200] or "nothing"
        asked = "the depth must be named depth" if name is None else f"there is no array '{name[:60]}' in it"
        raise ValueError(f"{path}: contains {held}; {asked}")
    return found[0]


def clip_shape(path: Path, array: StoredArray) -> tuple[int, int, int]:
    """[T, H, W] of an array of numbers, whose further axes must have length 1. Raises ValueError where they do not."""
    shape = array.shape
    sides = tuple(side for side in shape if side != 1)
    if len(shape) > 3 and len(sides) in (2, 3):
        shape = sides
    elif len(shape) == 3 and shape[2] == 1:
        shape = shape[:2]
    if array.dtype.kind not in "fiu" or len(shape) not in (2, 3) or 0 in shape or prod(shape[-2:]) > MAX_PIXELS:
        raise ValueError(f"{path}: depth is {array.describe()}, must be numbers [frames, height, width], with at most "
                         f"{MAX_PIXELS} pixels a frame")
    frames, height, width = shape if len(shape) == 3 else (1, *shape)
    return frames, height, width


def to_float32(frame: np.ndarray) -> np.ndarray:
    if frame.dtype == np.float16:
        return torch.from_numpy(np.array(frame)).float().numpy()  # NumPy takes ten times as long
    with np.errstate(over="ignore"):  # beyond float32 is infinitely far
        return frame.astype(np.float32)


def is_relative(array: StoredArray, shape: tuple[int, int, int]) -> bool:
    """Whether all numbers of an array lie in 0..1 and both ends occur: decided by the whole, whatever is read of it."""
    low, high = np.inf, -np.inf
    for frame in array.frames(shape, slice(None)):
        known = frame[~np.isnan(frame)]
        if len(known):
            low, high = min(low, known.min()), max(high, known.max())
        if low < 0 or high > 1:
            return False
    return bool(low == 0 and high == 1)


# ---- what else the file says --------------------------------------------------------------------


def read_few(path: Path, members: dict[str, str | None], name: str) -> np.ndarray:
    """A small array. Raises ValueError where it isn't small, or not of numbers or truths."""
    array = find_array(path, members[name])
    if array.dtype.kind not in "fiub" or prod(array.shape) > FEW:
        raise ValueError(f"{path}: {name} is {array.describe()}, must be a few numbers")
    return array.read()


def read_confidence(path: Path, members: dict[str, str | None], shape: tuple[int, int, int],
                    span: slice) -> Tensor | None:
    """How sure the depth's source is, [T, H, W] float32, None where the file is not ours or does not say."""
    if not {OURS, "confidence"} <= set(members):
        return None
    array = find_array(path, members["confidence"])
    if array.shape != shape or array.dtype.kind != "f":
        return None
    return torch.from_numpy(np.stack([to_float32(frame) for frame in array.frames(shape, span)]))


def read_metric(path: Path, members: dict[str, str | None]) -> bool:
    return "metric" in members and bool(read_few(path, members, "metric").any())


def read_lens(path: Path, members: dict[str, str | None], shape: tuple[int, int, int]) -> Tensor | None:
    """Intrinsics [3, 3] or [T, 3, 3] float32 in pixels, None where the file holds none."""
    name = next((name for name in LENSES if name in members), None)
    array = None if name is None else without_batch(read_few(path, members, name))
    if array is None or name != LENSES[0] and array.shape not in ((3, 3), (shape[0], 3, 3)):
        return None
    lens = as_matrices(f"{path}: {name}", array)
    center = lens[..., :2, 2]
    if lens.shape[-1] == 3 and ((center > 0) & (center <= 1)).all() and min(shape[1:]) > 2:
        return resize_intrinsics(lens, (1, 1), shape[1:])  # shares of the picture, as MoGe gives them
    return lens


def read_motion(path: Path, members: dict[str, str | None], frames: int, depth: str) -> Tensor | None:
    """world_from_cam [T, 4, 4] float32, None where the file holds none; says so where it holds one of unknown ways."""
    if OURS in members:
        return as_matrices(f"{path}: {OURS}", read_few(path, members, OURS))
    for name in MOTIONS:
        array = without_batch(read_few(path, members, name)) if name in members else None
        if array is not None and array.shape == (frames, MOTIONS[name].rows, 4):
            cameras = as_matrices(f"{path}: {name}", array, torch.float64)
            return anchor(f"{path}: {name}", cameras if MOTIONS[name].from_world else invert_rigid(cameras))
    unread = [name for name in members if CAMERA_WORDS.search(name) and name not in (depth, *LENSES)]
    if unread:
        log.warning("%s: its cameras in %s are not read, because their convention is not known, and the source camera "
                    "is taken to stand still; name them cam_from_world, [frames, 4, 4] in OpenCV's axes", path,
                    ", ".join(unread)[:200])
    return None


def without_batch(array: np.ndarray) -> np.ndarray:
    """Matrices [T, n, m] of [1, T, n, m], as networks give them."""
    return array[0] if array.ndim == 4 and len(array) == 1 else array


def as_matrices(name: str, array: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
    """Matrices [n, n] or [T, n, n] of an array. Raises ValueError where they are none."""
    if array.dtype.kind not in "fiu" or array.ndim not in (2, 3):
        raise ValueError(f"{name} is {list(array.shape)} {array.dtype}, must be one matrix per frame")
    with np.errstate(over="ignore"):  # checked to be finite later
        return torch.from_numpy(array.astype(np.float64)).to(dtype)


def cut(matrices: Tensor | None, span: slice) -> Tensor | None:
    """Those of the frames read; one matrix is that of all frames."""
    return matrices if matrices is None or matrices.ndim == 2 else matrices[span]

