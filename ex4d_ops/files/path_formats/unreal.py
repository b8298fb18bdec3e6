"""ReCamMaster's json: for every frame the matrices of several cameras, as Unreal has them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from torch import Tensor

from ...camera import CameraPath, invert_rigid
from ..damage import quote
from ..parsing import list_names, number_row, read_json
from .request import Request, make_path, tell_gaps

UNREAL_FROM_OPENCV = torch.tensor([[0.0, 0, 1, 0], [1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], dtype=torch.float64)
CENTIMETRES = 100.0  # per metre; Unreal's unit


def read_recammaster(path: Path, request: Request) -> CameraPath:
    """ReCamMaster's camera_extrinsics.json, in Unreal's left-handed world or, as InfCam's, in a right-handed one."""
    content = read_json(path)
    if not isinstance(content, dict) or not isinstance(content.get("frame0"), dict):
        raise ValueError('has no cameras of "frame0"')
    names = content["frame0"]
    name = request.camera or (next(iter(names)) if len(names) == 1 else None)
    if name is None or name not in names:
        raise ValueError(f"does not contain a camera {quote(name, '')}; choose one of {list_names(names)}" if name else
                         f"contains the cameras {list_names(names)}; give the name of one")
    frames = sorted((key for key in content if re.fullmatch(r"frame\d{1,6}", key)), key=lambda key: int(key[5:]))
    tell_gaps(path, [int(key[5:]) for key in frames])
    poses = torch.stack([unreal_matrix(key, content[key], name) for key in frames])
    return make_path(invert_rigid(opencv_from_unreal(poses)), request.lens(), request.needed_size())


def unreal_matrix(frame: str, cameras: object, name: str) -> Tensor:
    """The matrix [4, 4] of one camera in one frame, "[1 0 0 0] [0 1 0 0] [0 0 1 0] [x y z 1]"."""
    text = cameras.get(name) if isinstance(cameras, dict) else None
    rows = re.findall(r"\[([^][]*)\]", text) if isinstance(text, str) else []
    if len(rows) != 4:
        raise ValueError(f"{frame}, {quote(name)}: must be four rows [a b c d]")
    return torch.tensor([number_row(row, (4,), "four numbers") for row in rows], dtype=torch.float64)


def write_recammaster(cameras: CameraPath) -> dict[str, bytes]:
    """ReCamMaster's camera_extrinsics.json with one camera, cam01; scene units count as metres."""
    poses = unreal_from_opencv(invert_rigid(cameras.cam_from_world.double()))
    content = {f"frame{t}": {"cam01": " ".join(f"[{' '.join(map(repr, row))}]" for row in pose) + " "}
               for t, pose in enumerate(poses.tolist())}
    return {"": json.dumps(content, indent=1).encode()}


def opencv_from_unreal(poses: Tensor) -> Tensor:
    """world_from_cam [T, 4, 4] of row-vector matrices: the camera's forward, right and up, its place in centimetres.

    Those three make a left-handed triple in a right-handed world, so that their determinant tells the world's hand.
    A left-handed world is turned into OpenCV's; a right-handed one is kept.
    """
    columns = poses.mT.clone()
    columns[:, :3, 3] /= CENTIMETRES
    right_handed = torch.linalg.det(columns[:, :3, :3]) < 0
    if right_handed.any() and not right_handed.all():
        odd = int((right_handed != right_handed[0]).nonzero()[0])
        raise ValueError(f"cameras: frame {odd} is mirrored relative to frame 0; negate one axis of it")
    return (columns if right_handed.all() else UNREAL_FROM_OPENCV.T @ columns) @ UNREAL_FROM_OPENCV


def unreal_from_opencv(world_from_cam: Tensor) -> Tensor:
    columns = UNREAL_FROM_OPENCV @ world_from_cam @ UNREAL_FROM_OPENCV.T
    columns[:, :3, 3] *= CENTIMETRES
    return columns.mT
