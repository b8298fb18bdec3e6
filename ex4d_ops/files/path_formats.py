"""The formats of camera paths: one reader, one writer and one change of convention each.

Readers take a path and what the caller says beside it, and give a CameraPath in the file's own world; writers give
the content of each file. Values are checked by read_path, which also names the file in every error.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..camera import CameraPath, default_intrinsics, invert_rigid, rigid
from ..rotation import quaternion_of, rotate_about, rotation_of
from ..trajectory.keyframes import keyframe_path, parse_keyframes
from .parsing import number_array, number_row, read_json, read_lines, read_text

Size = tuple[int, int]
CONVENTION = ("OpenCV: x right, y down, z forward; p_cam = cam_from_world @ p_world, the world is the camera of source "
              "frame 0; intrinsics in pixels, the first pixel's centre at (0.5, 0.5); size is [height, width]")
BROKEN_NPZ = (OSError, EOFError, KeyError, MemoryError, NotImplementedError, OverflowError, RuntimeError, SyntaxError,
              ValueError, struct.error, zipfile.BadZipFile, zlib.error)
REALESTATE_COLUMNS = 19
FLIP_YZ = torch.diag(torch.tensor([1.0, -1, -1, 1], dtype=torch.float64))  # between OpenCV and OpenGL axes
UNREAL_FROM_OPENCV = torch.tensor([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], dtype=torch.float64)
CENTIMETRES = 100.0  # per metre; Unreal's unit
TRAJECTORYCRAFTER_FRAMES = 49  # its default video_length


@dataclass(frozen=True)
class Request:
    """What the caller says beside the file: see read_path."""

    size: Size | None = None
    frames: int | None = None
    radius: float | None = None
    camera: str | None = None
    intrinsics: Tensor | None = None

    def needed_size(self) -> Size:
        if self.size is None:
            raise ValueError("stores no picture size; say for which size (height, width) to read it")
        return self.size

    def needed_radius(self) -> float:
        if self.radius is None:
            raise ValueError("holds distances as shares of the radius; say the radius, the distance to the target")
        return self.radius

    def lens(self) -> Tensor:
        """Intrinsics [3, 3] for a format that stores none: the caller's, or the released focal length."""
        return default_intrinsics(self.needed_size()) if self.intrinsics is None else self.intrinsics.cpu()


def make_path(cam_from_world: Tensor, intrinsics: Tensor, size: Size, source_frame: Tensor | None = None) -> CameraPath:
    """A CameraPath of doubles [T, 4, 4] and [T, 3, 3] or [3, 3], or ValueError where it has no frame."""
    frames = len(cam_from_world)
    if not frames:
        raise ValueError("holds no camera")
    return CameraPath(cam_from_world.float(), intrinsics.float().expand(frames, 3, 3), size, source_frame)


def read_ex4d(path: Path, request: Request) -> CameraPath:
    """Our own JSON: the fields of CameraPath."""
    content = read_json(path)
    if not isinstance(content, dict) or "cam_from_world" not in content:
        raise ValueError("has no cam_from_world; a camera path in JSON is ours, ReCamMaster's or a list of keyframes")
    if content.get("version") != 1:
        raise ValueError(f"is version {content.get('version')!r}; this reads version 1")
    for field in ("intrinsics", "size", "source_frame"):
        if field not in content:
            raise ValueError(f"has no {field}")
    cam_from_world = number_array("cam_from_world", content["cam_from_world"], (None, 4, 4))
    frames = len(cam_from_world)
    return make_path(cam_from_world, number_array("intrinsics", content["intrinsics"], (frames, 3, 3)),
                     whole_size(content["size"]), whole_frames(content["source_frame"], frames))


def write_ex4d(cameras: CameraPath) -> dict[str, bytes]:
    """Our own JSON, a field a line; float32 values come back to the bit."""
    fields = {"format": "ex4d-cameras", "version": 1, "convention": CONVENTION, "size": list(cameras.size),
              "source_frame": cameras.source_frame.tolist(), "intrinsics": cameras.intrinsics.tolist(),
              "cam_from_world": cameras.cam_from_world.tolist()}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in fields.items())
    return {"": f"{{\n{lines}\n}}\n".encode()}


def read_keyframes(path: Path, request: Request) -> CameraPath:
    """Our keyframes: see keyframes.py."""
    if request.frames is None:
        raise ValueError("is a list of keyframes; say how many frames the path has")
    keyframes = parse_keyframes(read_text(path), request.frames)
    return keyframe_path(keyframes, request.frames, request.needed_radius(), request.lens(), request.needed_size())


def whole_size(value: object) -> Size:
    height, width = number_array("size", value, (2,)).tolist()
    if not (1 <= height <= 2**16 and 1 <= width <= 2**16) or height % 1 or width % 1:
        raise ValueError(f"size is {height:g} by {width:g}, must be whole pixels")
    return int(height), int(width)


def whole_frames(value: object, frames: int) -> Tensor:
    numbers = number_array("source_frame", value, (frames,))
    if not (numbers.abs() <= 2**31).all():
        raise ValueError("source_frame must be frame numbers")
    return numbers.long()


def read_released(path: Path, request: Request) -> CameraPath:
    """The npz of the released code: extrinsics [T, 4, 4] and intrinsics [3, 3]; ours adds size and source_frame.

    Without a size it is 2 cx by 2 cy, as the released code centres its pictures.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            content = {name: archive[name] for name in archive.files}
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except (AttributeError, *BROKEN_NPZ):
        raise ValueError("is not an npz file, or a damaged one") from None
    for name in ("extrinsics", "intrinsics"):
        if name not in content:
            raise ValueError(f"has no {name}; it has {', '.join(content) or 'nothing'}")
    stored = number_array("extrinsics", content["extrinsics"], (None, 4, 4))
    shape = (3, 3) if content["intrinsics"].ndim == 2 else (len(stored), 3, 3)
    intrinsics = number_array("intrinsics", content["intrinsics"], shape)
    size = content.get("size", (2 * intrinsics.reshape(-1, 3, 3)[:1, [1, 0], 2]).round()[0].tolist())
    source_frame = whole_frames(content["source_frame"], len(stored)) if "source_frame" in content else None
    return make_path(undo_negated_rows(stored), intrinsics, whole_size(size), source_frame)


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


def read_realestate(path: Path, request: Request) -> CameraPath:
    """RealEstate10K and CameraCtrl: a line with the clip's address, then a line a frame.

    Its time in microseconds, fx fy cx cy as shares of width and height, two distortions, cam_from_world 3x4 row by row.
    """
    height, width = request.needed_size()
    lines = read_lines(path)
    if not lines[0].split()[0].lstrip("-").isdigit():
        lines = lines[1:]
    layout = "time fx fy cx cy k1 k2 and 12 numbers of a 3x4 matrix"
    rows = torch.tensor([number_row(line, (REALESTATE_COLUMNS,), layout) for line in lines], dtype=torch.float64)
    if not len(rows):
        raise ValueError("holds no camera")
    if rows[:, 5:7].any():
        raise ValueError("has lens distortion (k1, k2); undistort the clip and set them to 0")
    fx, fy, cx, cy = (rows[:, 1:5] * rows.new_tensor([width, height, width, height])).unbind(-1)
    poses = rows[:, 7:].unflatten(-1, (3, 4))
    return make_path(rigid(poses[:, :, :3], poses[:, :, 3]), pinhole(fx, fy, cx, cy), request.needed_size())


def write_realestate(cameras: CameraPath) -> dict[str, bytes]:
    """RealEstate10K and CameraCtrl; the time column counts frames."""
    height, width = cameras.size
    lens = pinhole_row(cameras) / cameras.intrinsics.new_tensor([width, height, width, height]).double()
    lines = ["ex4d"]
    for t, (shares, pose) in enumerate(zip(lens.tolist(), cameras.cam_from_world[:, :3].flatten(1).tolist())):
        lines.append(" ".join(map(repr, [t, *shares, 0, 0, *pose])))
    return {"": text_file(lines)}


def pinhole(fx: Tensor, fy: Tensor, cx: Tensor, cy: Tensor) -> Tensor:
    """Intrinsics [T, 3, 3] of focal lengths and centres [T]."""
    zero, one = torch.zeros_like(fx), torch.ones_like(fx)
    return torch.stack([fx, zero, cx, zero, fy, cy, zero, zero, one], -1).unflatten(-1, (3, 3))


def pinhole_row(cameras: CameraPath) -> Tensor:
    """(fx, fy, cx, cy) of every camera, [T, 4]."""
    return cameras.intrinsics.double()[:, [0, 1, 0, 1], [0, 1, 2, 2]]


def text_file(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def read_colmap(path: Path, request: Request) -> CameraPath:
    """COLMAP's text model: a folder with cameras.txt and images.txt, frames in the order of their names.

    Its axes, directions and pixel centres are ours. Lenses must be pinholes.
    """
    folder = path if path.is_dir() else path.parent
    lenses = dict(read_colmap_camera(line) for line in read_lines(folder / "cameras.txt"))
    images = [line.split(maxsplit=9) for line in read_lines(folder / "images.txt") if is_colmap_image(line)]
    images.sort(key=lambda words: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", words[9])])
    if not images:
        raise ValueError("images.txt holds no image")
    missing = {words[8] for words in images} - set(lenses)
    if missing:
        raise ValueError(f"cameras.txt lacks camera {min(missing)}")
    sizes = {lenses[words[8]][0] for words in images}
    if len(sizes) > 1:
        raise ValueError(f"has pictures of {len(sizes)} sizes; a path needs one")
    layout = "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME"
    poses = torch.tensor([number_row(" ".join(words[1:8]), (7,), layout) for words in images], dtype=torch.float64)
    if (poses[:, :4].norm(dim=-1) < 1e-6).any():
        raise ValueError("images.txt has a quaternion of length 0")
    lens = torch.tensor([lenses[words[8]][1] for words in images], dtype=torch.float64)
    return make_path(rigid(rotation_of(poses[:, :4]), poses[:, 4:]), pinhole(*lens.unbind(-1)), sizes.pop())


def is_colmap_image(line: str) -> bool:
    """Whether a line of images.txt names an image; the others list its points, three numbers each."""
    words = line.split()
    return len(words) >= 10 and (len(words) % 3 != 0 or not words[9].replace(".", "", 1).lstrip("-").isdigit())


def read_colmap_camera(line: str) -> tuple[str, tuple[Size, list[float]]]:
    """Identity, size and (fx, fy, cx, cy) of a line of cameras.txt."""
    words = line.split()
    if len(words) < 4 or words[1] not in ("PINHOLE", "SIMPLE_PINHOLE"):
        model = words[1] if len(words) > 1 else line
        raise ValueError(f"camera model {model[:40]} is no pinhole; undistort first (colmap image_undistorter)")
    counts = (6,) if words[1] == "PINHOLE" else (5,)
    width, height, *lens = number_row(" ".join(words[2:]), counts, f"CAMERA_ID {words[1]} WIDTH HEIGHT PARAMS")
    return words[0], (whole_size([height, width]), lens if len(lens) == 4 else [lens[0], *lens])


def write_colmap(cameras: CameraPath) -> dict[str, bytes]:
    """COLMAP's text model, with one camera per lens and no points."""
    height, width = cameras.size
    lenses, numbers = pinhole_row(cameras).unique(dim=0, return_inverse=True)
    camera_lines = [f"{number} PINHOLE {width} {height} {' '.join(map(repr, lens))}"
                    for number, lens in enumerate(lenses.tolist(), 1)]
    quaternions = quaternion_of(cameras.cam_from_world[:, :3, :3])
    poses = torch.cat([quaternions, cameras.cam_from_world[:, :3, 3].double()], 1)
    image_lines = []
    for t, (pose, number) in enumerate(zip(poses.tolist(), numbers.tolist())):
        image_lines += [f"{t + 1} {' '.join(map(repr, pose))} {number + 1} frame_{t:05d}.png", ""]
    return {"cameras.txt": text_file(["# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]", *camera_lines]),
            "images.txt": text_file(["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME, then its points",
                                     *image_lines]),
            "points3D.txt": text_file(["# no points"])}


def read_chan(path: Path, request: Request) -> CameraPath:
    """Nuke's chan: frame, place, angles of rotation order ZXY, and mostly the vertical field of view; degrees."""
    lines = read_lines(path)
    columns = (8,) if len(lines[0].split()) == 8 else (7,)
    layout = "frame tx ty tz rx ry rz [vertical field of view]"
    rows = torch.tensor([number_row(line, columns, layout) for line in lines], dtype=torch.float64)
    x, y, z = torch.deg2rad(rows[:, 4:7]).unbind(-1)
    turn = rotate_about("y", y) @ rotate_about("x", x) @ rotate_about("z", z)
    cameras = invert_rigid(FLIP_YZ @ rigid(turn, rows[:, 1:4]) @ FLIP_YZ)  # y up and z back, both world and camera
    lens = request.lens() if columns == (7,) else viewed_lens(torch.deg2rad(rows[:, 7]), request.needed_size())
    return make_path(cameras, lens, request.needed_size())


def viewed_lens(view: Tensor, size: Size) -> Tensor:
    """Intrinsics [T, 3, 3] of vertical fields of view [T], radians."""
    if not ((view > 0) & (view < math.pi)).all():
        raise ValueError("the field of view must lie between 0 and 180 degrees")
    height, width = size
    focal, middle = height / 2 / torch.tan(view / 2), torch.ones_like(view)
    return pinhole(focal, focal, middle * width / 2, middle * height / 2)


def write_chan(cameras: CameraPath) -> dict[str, bytes]:
    """Nuke's chan from frame 1, angles unwound so that they run on between frames."""
    height, width = cameras.size
    fx, fy, cx, cy = pinhole_row(cameras).unbind(-1)
    if ((fx / fy - 1).abs() > 1e-4).any() or ((cx - width / 2).abs() + (cy - height / 2).abs() > 0.01).any():
        raise ValueError("a chan file holds centred pictures of square pixels only; use json")
    world_from_cam = FLIP_YZ @ invert_rigid(cameras.cam_from_world.double()) @ FLIP_YZ
    angles = np.unwrap(torch.rad2deg(zxy_angles(world_from_cam[:, :3, :3])).numpy(), axis=0, period=360.0)
    view = torch.rad2deg(2 * torch.atan(height / 2 / fy))
    rows = torch.cat([world_from_cam[:, :3, 3], torch.from_numpy(angles), view[:, None]], 1).tolist()
    return {"": text_file([" ".join(map(repr, [frame, *row])) for frame, row in enumerate(rows, 1)])}


def zxy_angles(rotation: Tensor) -> Tensor:
    """(x, y, z) [T, 3] in radians with rotation = Ry @ Rx @ Rz; z is 0 where the camera looks straight up or down."""
    level = torch.hypot(rotation[:, 0, 2], rotation[:, 2, 2])
    upright = level > 1e-7
    x = torch.atan2(-rotation[:, 1, 2], level)
    y = torch.where(upright, torch.atan2(rotation[:, 0, 2], rotation[:, 2, 2]),
                    torch.atan2(-rotation[:, 2, 0], rotation[:, 0, 0]))
    z = torch.where(upright, torch.atan2(rotation[:, 1, 0], rotation[:, 1, 1]), torch.zeros_like(x))
    return torch.stack([x, y, z], -1)


def read_recammaster(path: Path, request: Request) -> CameraPath:
    """ReCamMaster's camera_extrinsics.json: for every frame the matrices of several cameras as Unreal has them."""
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("frame0"), dict):
        raise ValueError('has no cameras of "frame0"')
    names = content["frame0"]
    name = request.camera or (next(iter(names)) if len(names) == 1 else None)
    if name not in names:
        raise ValueError(f"has no camera {name}; choose one of {', '.join(names)}" if name else
                         f"holds the cameras {', '.join(names) or 'none'}; say which")
    frames = sorted((key for key in content if re.fullmatch(r"frame\d{1,6}", key)), key=lambda key: int(key[5:]))
    poses = torch.stack([unreal_matrix(key, content[key], name) for key in frames])
    return make_path(invert_rigid(opencv_from_unreal(poses)), request.lens(), request.needed_size())


def unreal_matrix(frame: str, cameras: object, name: str) -> Tensor:
    """The matrix [4, 4] of one camera in one frame, "[1 0 0 0] [0 1 0 0] [0 0 1 0] [x y z 1]"."""
    text = cameras.get(name) if isinstance(cameras, dict) else None
    rows = re.findall(r"\[([^][]*)\]", text) if isinstance(text, str) else []
    if len(rows) != 4:
        raise ValueError(f"{frame}, {name}: must be four rows [a b c d]")
    return torch.tensor([number_row(row, (4,), "four numbers") for row in rows], dtype=torch.float64)


def write_recammaster(cameras: CameraPath) -> dict[str, bytes]:
    """ReCamMaster's camera_extrinsics.json with one camera, cam01; scene units count as metres."""
    poses = unreal_from_opencv(invert_rigid(cameras.cam_from_world.double()))
    content = {f"frame{t}": {"cam01": " ".join(f"[{' '.join(map(repr, row))}]" for row in pose) + " "}
               for t, pose in enumerate(poses.tolist())}
    return {"": json.dumps(content, indent=1).encode()}


def opencv_from_unreal(poses: Tensor) -> Tensor:
    """world_from_cam [T, 4, 4] of Unreal's row-vector matrices: x forward, y right, z up, left-handed, centimetres."""
    columns = poses.mT.clone()
    columns[:, :3, 3] /= CENTIMETRES
    return UNREAL_FROM_OPENCV.T @ columns @ UNREAL_FROM_OPENCV


def unreal_from_opencv(world_from_cam: Tensor) -> Tensor:
    columns = UNREAL_FROM_OPENCV @ world_from_cam @ UNREAL_FROM_OPENCV.T
    columns[:, :3, 3] *= CENTIMETRES
    return columns.mT


def read_trajectorycrafter(path: Path, request: Request) -> CameraPath:
    """TrajectoryCrafter's txt: three lines, theta (up) and phi (right) in degrees and r (forward, share of the radius).

    As its code does: the camera first moves r along the source's axis, then theta and then phi turn around the target.
    """
    radius, lines = request.needed_radius(), read_lines(path)
    if len(lines) != 3:
        raise ValueError(f"has {len(lines)} lines, must have three: theta, phi, r")
    frames = request.frames or TRAJECTORYCRAFTER_FRAMES
    theta, phi, r = (number_row(line, (len(line.split()),), "numbers") for line in lines)
    theta, phi = (torch.deg2rad(run_through(values, frames)) for values in (theta, phi))
    r = run_through([radius * share for share in r], frames)
    turn = rotate_about("y", phi) @ rotate_about("x", theta)
    target = torch.zeros(frames, 3, dtype=torch.float64)
    target[:, 2] = radius
    forward = target.clone()
    forward[:, 2] += r
    cameras = rigid(turn, target - (turn @ forward[..., None])[..., 0])
    return make_path(cameras, request.lens(), request.needed_size())


def run_through(values: list[float], frames: int) -> Tensor:
    """Values at even steps made one a frame: beyond three a smoothing spline that keeps both ends, else lines."""
    if not np.isfinite(values).all() or np.abs(values).max() > 1e6:
        raise ValueError("every entry must be a number within +-1e6")
    knots, at = np.linspace(0, 1, len(values)), np.linspace(0, 1, frames)
    if len(values) <= 3:
        return torch.from_numpy(np.interp(at, knots, values))
    from scipy.interpolate import UnivariateSpline

    smooth = UnivariateSpline(knots, values, k=3)(at)
    smooth[0], smooth[-1] = values[0], values[-1]
    return torch.from_numpy(smooth)
