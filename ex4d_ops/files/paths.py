"""Reading and writing camera paths.

format             file                     world               written  holds
ex4d               .json                    the file's          yes      everything
keyframes          .json, a list            the source's        no       what keyframes.py says
released           .npz of EX-4D            the file's          yes      everything
colmap             a model or its project   the file's          yes      all but source frames
chan               .chan of Nuke            the file's          yes      all but source frames; centred square pixels
realestate         .txt, also CameraCtrl    its first camera    yes      all but source frames
recammaster        .json                    its first camera    yes      where cameras stand and look, in metres
trajectorycrafter  .txt                     its first camera    no       angles and distance of an orbit
viewcrafter        .txt                     its first camera    no       the same, otherwise ordered and signed
opencv             .npz of DA3, VGGT        its first camera    no       cameras and lenses
vista4d            .npz, also MegaSaM       the file's          yes      cameras and lenses
nerfstudio         transforms.json          its first camera    no       cameras and lenses
3dgs               cameras.json             its first camera    no       cameras and focal lengths
neoverse           .json, .npz              the source's        yes      cameras and zoom
crossviewwarp      .json, a list            the source's        no       angles and distance of an orbit
gltf               .glb, .gltf              the file's          no       an animated camera and its view

Formats whose own tools take cameras relative to the first, and those of reconstructions, whose world is any, are
anchored there: it becomes the world, the camera of source frame 0. world="file" keeps what is written, and brings back
a path that does not begin at the source camera.

Where each convention comes from: the released code's saved camera file (released); COLMAP's documentation, "Output
Format", and sensor/models.h (colmap); Nuke's reference of the Camera node and Blender's export_nuke_chan (chan);
RealEstate10K's data page and CameraCtrl's pose reader (realestate); ReCamMaster's and InfCam's data sets (recammaster);
the readers of the two programs' --traj_txt (trajectorycrafter, viewcrafter) and ViewCrafter's docs/gradio_tutorial.md;
Depth Anything 3's export/npz.py and VGGT's pose_encoding_to_extri_intri (opencv); Vista4D's utils/media.py and camera
editor (vista4d); docs.nerf.studio, "Data conventions" (nerfstudio); camera_to_JSON of 3D Gaussian Splatting; NeoVerse's
docs/trajectory_format.md and coordinate_system.md; ComfyUI-CrossViewWarp's README; glTF 2.0, 3.10 Cameras.
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
from ..trajectory.editing import fit, lay_on, scale_places
from .path_formats import chan, colmap, gltf, neoverse, npz, orbits, ours, pose_rows, transforms, unreal
from .path_formats.recognition import guess_format, guess_from_suffix
from .path_formats.request import Request, Size
from .path_settings import check_choice
from .whole import written_whole


@dataclass(frozen=True)
class Format:
    """How a kind of file is read and written. write gives the content of every file, "" being the path itself."""

    world: Literal["first", "file"]
    read: Callable[[Path, Request], CameraPath]
    write: Callable[[CameraPath], dict[str, bytes]] | None = None
    suffix: str = ""  # of what is written


FORMATS = {
    "ex4d": Format("file", ours.read_ex4d, ours.write_ex4d, ".json"),
    "keyframes": Format("file", ours.read_keyframes),
    "released": Format("file", npz.read_released, npz.write_released, ".npz"),
    "colmap": Format("file", colmap.read_colmap, colmap.write_colmap),
    "chan": Format("file", chan.read_chan, chan.write_chan, ".chan"),
    "realestate": Format("first", pose_rows.read_realestate, pose_rows.write_realestate, ".txt"),
    "recammaster": Format("first", unreal.read_recammaster, unreal.write_recammaster, ".json"),
    "trajectorycrafter": Format("first", orbits.read_trajectorycrafter),
    "viewcrafter": Format("first", orbits.read_viewcrafter),
    "opencv": Format("first", npz.read_opencv),
    "vista4d": Format("file", npz.read_vista4d, npz.write_vista4d, ".npz"),
    "nerfstudio": Format("first", transforms.read_nerfstudio),
    "3dgs": Format("first", transforms.read_gaussians),
    "neoverse": Format("file", neoverse.read_neoverse, neoverse.write_neoverse, ".json"),
    "crossviewwarp": Format("file", orbits.read_crossviewwarp),
    "gltf": Format("file", gltf.read_gltf),
}
WRITTEN = {name: kind.suffix for name, kind in FORMATS.items() if kind.write}


def read_path(path: str | os.PathLike, size: Size | None = None, frames: int | None = None, format: str | None = None,
              world: Literal["first", "file", "auto"] | None = None, radius: float | None = None,
              intrinsics: Tensor | None = None, camera: str | None = None, rotation_order: str | None = None,
              length: Literal["exact", "fit"] = "exact", scale: float | Literal["auto"] = 1.0,
              source: Tensor | None = None) -> CameraPath:
    """Read a camera path; the format is told from suffix and content unless named.

    size: (H, W) to use it at, needed where the file stores none; a view stored for another size is resampled.
    frames: the length it must have, or is made to have with length="fit". world: see above. radius: scene units from
    the source camera to the target, for orbits and keyframes. intrinsics: [3, 3] of the source, for formats that store
    none. camera: which one, where a file holds several. rotation_order: of a chan file, "ZXY" turns about z first.
    scale: multiplies distances; "auto" lays the path onto source, world_from_cam [T, 4, 4] of the clip. "auto" or None
    leaves any other setting to the file. Raises ValueError naming the file.
    """
    try:
        order = check_choice("rotation_order", rotation_order)
        request = Request(size, frames, radius, camera, intrinsics, order, source)
        kind = FORMATS[check_choice("format", format) or guess_format(Path(path))]
        cameras = kind.read(Path(path), request)
        check_cameras(cameras)
        if (check_choice("world", world) or kind.world) == "first":
            cameras = anchor_at_first(cameras)
        cameras = at_size(at_length(cameras, frames, check_choice("length", length)), request)
        return at_scale(cameras, scale, source)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValueError as error:  # those of arrays name the file already
        raise ValueError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from None


def write_path(path: str | os.PathLike, cameras: CameraPath, format: str | None = None) -> None:
    """Write a camera path; unless the format is named, the suffix tells: .json .npz .chan .txt, or a COLMAP folder.

    Raises ValueError where the format can't hold the path, OSError where the place can't be written; both name it.
    """
    path = Path(path)
    try:
        name = check_choice("format", format) or guess_from_suffix(path.suffix.lower())
        write = FORMATS[name].write
        if write is None:
            raise ValueError(f"{name} cannot store every path, so it is not written; use .json")
        contents = write(move_to(cameras, torch.device("cpu")))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    with written_whole(path) as part:
        if "" not in contents:
            part.mkdir()
        for file_name, content in contents.items():
            (part / file_name).write_bytes(content)


def anchor_at_first(cameras: CameraPath) -> CameraPath:
    """The same path in the world of its first camera."""
    moved = cameras.cam_from_world.double() @ invert_rigid(cameras.cam_from_world[0].double())
    return CameraPath(moved.float(), cameras.intrinsics, cameras.size, cameras.source_frame)


def at_length(cameras: CameraPath, frames: int | None, length: str | None) -> CameraPath:
    """The path, fitted to that many frames where asked for, or ValueError where it has another length."""
    if frames is None or len(cameras) == frames:
        return cameras
    if length == "fit":
        return fit(cameras, frames)
    raise ValueError(f"has {len(cameras)} frames, but {frames} are needed; choose the path length fit, or write a path "
                     "of that length")


def at_size(cameras: CameraPath, request: Request) -> CameraPath:
    """The path at the size asked for."""
    height, width = request.size or cameras.size
    intrinsics = cover_intrinsics(cameras.intrinsics, cameras.size, (height, width))
    return CameraPath(cameras.cam_from_world, intrinsics, (height, width), cameras.source_frame)


def at_scale(cameras: CameraPath, scale: float | Literal["auto"], source: Tensor | None) -> CameraPath:
    """The path with its distances multiplied, or laid onto the source cameras."""
    if scale != "auto":
        return cameras if scale == 1 else scale_places(cameras, scale)
    if source is None or (source == torch.eye(4, device=source.device)).all():
        raise ValueError("scale: cannot be found, because the motion of the clip's own camera is not known; give a "
                         "number")
    return lay_on(cameras, source.cpu())


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
