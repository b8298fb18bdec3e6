"""What the pictures are made of: sample clips, their meshes, and looks at them, each made once."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from ex4d_ops.camera import CameraPath
from ex4d_ops.depth import VideoDepth
from ex4d_ops.mesh import DWMesh, MeshRules, build_dw_mesh
from ex4d_ops.prior import RenderRules, render_prior
from ex4d_ops.scene import sample_clip
from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves

SIZE = (512, 512)  # what the released model works at
CLIP_FRAMES = 25
PLAIN = RenderRules(anchor_first=False, erosion=0)


@cache
def clip(scene: str) -> tuple[Tensor, VideoDepth]:
    return sample_clip(scene, CLIP_FRAMES, SIZE)


@cache
def mesh(scene: str, rules: MeshRules = MeshRules()) -> DWMesh:
    return build_dw_mesh(*clip(scene), rules)


def path(moves: str, scene: VideoDepth | DWMesh, frames: int = 49, radius: float | None = None) -> CameraPath:
    """A path in words, see parse_moves, around this scene."""
    return move_path(parse_moves(moves), frames, radius or automatic_radius(scene), scene.intrinsics[0], SIZE)


def frozen(cameras: CameraPath, t: int) -> CameraPath:
    """One camera of a path and the source frame it shows."""
    return CameraPath(cameras.cam_from_world[[t]], cameras.intrinsics[[t]], cameras.size, cameras.source_frame[[t]])


def look(scene: DWMesh, cameras: CameraPath, frame: int, source: int = 0, rules: RenderRules = PLAIN) -> Tensor:
    """What one camera of a path sees of one source frame, [H, W, 3]."""
    camera = CameraPath(cameras.cam_from_world[[frame]], cameras.intrinsics[[frame]], cameras.size,
                        torch.tensor([source]))
    return render_prior(scene, camera, rules).color[0]
