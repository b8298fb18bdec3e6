"""Arrays of cameras in an npz: EX-4D's own, OpenCV's of reconstruction networks, and Vista4D's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...camera import FLIP_YZ, CameraPath, invert_rigid
from ..arrays import find_array, list_arrays
from ..parsing import list_names, number_array
from .ours import whole_frames
from .request import Request, Size, centered_size, make_path, pinhole, pinhole_row, shared_lens, whole_size

log = logging.getLogger(__name__)
LARGEST_ARRAY = 2**26  # bytes of one array of cameras
MATRICES = ("extrinsics", "extrinsic")  # Depth Anything 3 writes the first, VGGT the second
LENSES = ("intrinsics", "intrinsic")


def read_arrays(path: Path, wanted: Sequence[str]) -> dict[str, np.ndarray | None]:
    """The arrays of an npz by name; None for those that are not wanted, which are not read."""
    members = list_arrays(path)
    arrays: dict[str, np.ndarray | None] = dict.fromkeys(members)
    for name in members.keys() & set(wanted):
        found = find_array(path, members[name])
        if found.size > LARGEST_ARRAY:
            raise ValueError(f"{name} is {found.describe()}, which is too large for cameras")
        arrays[name] = found.read()
    return arrays


def pick_array(arrays: dict[str, np.ndarray | None], names: Sequence[str]) -> np.ndarray:
    """The first array that has one of these names, or ValueError."""
    for name in names:
        found = arrays.get(name)
        if found is not None:
            return found
    raise ValueError(f"has no {names[0]}; it has {list_names(arrays)}")


def read_released(path: Path, request: Request) -> CameraPath:
    """The npz of the released code: extrinsics [T, 4, 4] and intrinsics [3, 3]; ours adds size and source_frame.

    Without a size it is 2 cx by 2 cy, as the released code centers its pictures.
    """
    content = read_arrays(path, ("extrinsics", "intrinsics", "size", "source_frame"))
    stored = number_array("extrinsics", pick_array(content, ["extrinsics"]), (None, 4, 4))
    intrinsics = lens_matrices(pick_array(content, ["intrinsics"]), len(stored))
    size = whole_size(content["size"]) if "size" in content else None
    source_frame = whole_frames(content["source_frame"], len(stored)) if "source_frame" in content else None
    return make_path(undo_negated_rows(stored), *lens_and_size(intrinsics, request, size), source_frame)


def write_released(cameras: CameraPath) -> dict[str, bytes]:
    """The npz of the released code; intrinsics are [T, 3, 3] where the path zooms."""
    constant = (cameras.intrinsics == cameras.intrinsics[:1]).all()
    file = BytesIO()
    np.savez_compressed(file, extrinsics=undo_negated_rows(cameras.cam_from_world).cpu().numpy(),
                        intrinsics=cameras.intrinsics[0 if constant else slice(None)].cpu().numpy(),
                        size=np.array(cameras.size), source_frame=cameras.source_frame.cpu().numpy())
    return {"": file.getvalue()}


def undo_negated_rows(stored: Tensor) -> Tensor:
    """cam_from_world of matrices as the released code saves them, and back.

    It negates rows 0 to 2 of its (left, down, forward) when it saves, which makes them OpenGL's (right, up, back).
    """
    return FLIP_YZ.to(stored) @ stored


def read_opencv(path: Path, request: Request) -> CameraPath:
    """The npz of Depth Anything 3 and VGGT: cam_from_world [T, 3 or 4, 4] or [1, T, 3 or 4, 4], and intrinsics."""
    content = read_arrays(path, MATRICES + LENSES)
    cameras = square_matrices("extrinsics", pick_array(content, MATRICES))
    intrinsics = lens_matrices(pick_array(content, LENSES), len(cameras))
    return make_path(cameras, *lens_and_size(intrinsics, request))


def read_vista4d(path: Path, request: Request) -> CameraPath:
    """The npz of Vista4D's camera editor, and of MegaSaM: cam_c2w [T, 4, 4] is world_from_cam in OpenCV's axes.

    intrinsics are (fx, fy, cx, cy) or matrices.
    """
    content = read_arrays(path, ("cam_c2w", *LENSES))
    world_from_cam = square_matrices("cam_c2w", pick_array(content, ["cam_c2w"]))
    lens = pick_array(content, LENSES)
    if lens.shape[-1:] == (4,):
        intrinsics = pinhole(*number_array("intrinsics", lens, (len(world_from_cam), 4)).unbind(-1))
    else:
        intrinsics = lens_matrices(lens, len(world_from_cam))
    return make_path(invert_rigid(world_from_cam), *lens_and_size(intrinsics, request))


def write_vista4d(cameras: CameraPath) -> dict[str, bytes]:
    """The npz of Vista4D's camera editor, whose intrinsics are rows (fx, fy, cx, cy)."""
    file = BytesIO()
    np.savez(file, cam_c2w=invert_rigid(cameras.cam_from_world.double()).float().numpy(),
             intrinsics=pinhole_row(cameras).float().numpy())
    return {"": file.getvalue()}


def square_matrices(name: str, stored: np.ndarray) -> Tensor:
    """Matrices [T, 4, 4] of [T, 3 or 4, 4] or [1, T, 3 or 4, 4], or ValueError."""
    stored = stored[0] if stored.ndim == 4 and len(stored) == 1 else stored
    if stored.shape[1:] != (3, 4):
        return number_array(name, stored, (None, 4, 4))
    rows = number_array(name, stored, (None, 3, 4))
    return torch.cat([rows, rows.new_tensor([0, 0, 0, 1]).expand(len(rows), 1, 4)], 1)


def lens_matrices(stored: np.ndarray, frames: int) -> Tensor:
    """Intrinsics [3, 3] or [T, 3, 3] as stored, or of [1, T, 3, 3]; ValueError for anything else."""
    stored = stored[0] if stored.ndim == 4 and len(stored) == 1 else stored
    return number_array("intrinsics", stored, (3, 3) if stored.ndim == 2 else (frames, 3, 3))


def lens_and_size(intrinsics: Tensor, request: Request, size: Size | None = None) -> tuple[Tensor, Size]:
    """Intrinsics [3, 3] or [T, 3, 3] in pixels and the size of their picture, where it isn't known 2 cx by 2 cy.

    Those that are shares of the picture's sides, as MoGe gives them, become pixels of the size asked for.
    """
    rows = intrinsics.reshape(-1, 9)[:, [0, 4, 2, 5]]  # fx, fy, cx, cy
    if size is None and ((rows[:, 2:] > 0) & (rows[:, 2:] <= 1)).all():
        size = request.needed_size()
        lens = shared_lens(rows, (1.0, float(rows[0, 1] / rows[0, 0])), size)
        return lens if intrinsics.ndim == 3 else lens[0], size
    return intrinsics, size or centered_size(intrinsics.reshape(-1, 3, 3))


def guess_npz(path: Path) -> str:
    """Which of the formats an npz is. Matrices alone don't say their axes: what is taken for them is said."""
    names = list_arrays(path)
    if "cam_c2w" in names:
        return "vista4d"
    if "frame_matrices" in names:
        return "neoverse"
    if "extrinsic" in names and "extrinsics" not in names:
        return "opencv"
    if "extrinsics" not in names or "source_frame" in names:
        return "released"
    stored = pick_array(read_arrays(path, ["extrinsics"]), ["extrinsics"])
    if stored.shape[-2:] == (3, 4) or stored.ndim == 4:
        return "opencv"
    first = number_array("extrinsics", stored, (None, 4, 4))[:1, :3, :3]
    if torch.allclose(first, FLIP_YZ[:3, :3].expand_as(first), atol=1e-3):  # as every released path begins
        return "released"
    # OpenCV's second row is the camera's down, the released one's its up.
    name = "opencv" if (first[:, 1, 1] > 0).all() and len(first) else "released"
    log.warning("%s: the file does not say which axes its cameras have, so it is read as %s; if the cameras look "
                "backwards or upside down, choose the format: %s", path,
                *{"opencv": ("OpenCV's, world to camera", "released"),
                  "released": ("the released EX-4D's", "opencv")}[name])
    return name
