"""What all methods are compared with in one clip and range, read and found once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from .. import files, raster
from ..camera import CameraPath
from ..clip import Clip
from ..depth import fit_depth, match_depth
from ..mesh import DWMesh, build_dw_mesh
from ..prior import paint_vertices
from .agreement import Reference
from .cameras import FollowedPath, find_path
from .runs import COLOR, VISIBLE, Run
from .second_opinion import find_path_again


@dataclass(frozen=True, eq=False)
class Scene:
    """The surfaces that a prior was drawn of, and the path. nearest: distance of the nearest point of frame 0."""

    mesh: DWMesh
    cameras: CameraPath
    nearest: float


@dataclass(frozen=True, eq=False)
class Cell:
    """planned: the prior's colors, whose length, size and rate every video must have; scene: None where the depth is
    not known, and then cameras are not measured.
    """

    planned: Clip
    reference: Reference
    scene: Scene | None

    @cached_property
    def exact_path(self) -> FollowedPath | None:
        """The cameras that are found of the exact view, None where that or the scene is not known."""
        return self.follow_exact(find_path)

    @cached_property
    def exact_path_again(self) -> FollowedPath | None:
        """The same by the second opinion."""
        return self.follow_exact(find_path_again)

    def follow_exact(self, find: Callable[[Tensor, DWMesh, CameraPath], FollowedPath]) -> FollowedPath | None:
        if self.scene is None or not self.reference.exact:
            return None
        return find(self.reference.frames, self.scene.mesh, self.scene.cameras)


def read_cell(run: Run) -> Cell:
    """What a run's video, and those of all other methods beside it, are compared with.

    Raises ValueError where a file of it is missing or damaged.
    """
    color, visible = (files.read_video(run.prior / name) for name in (COLOR, VISIBLE))
    cameras = files.read_path(run.cameras, color.size, len(color), world="file")
    exact = color if run.exact is None else files.read_video(run.exact, 0, len(color), color.size)
    if len(exact) < len(color):
        raise ValueError(f"{run.exact}: has {len(exact)} frames, but {len(color)} are needed; make it anew")
    scene = None if run.depth is None else read_scene(run, run.depth, cameras)
    seen = visible.frames[..., 0] > 0.5
    subject = None
    if scene is not None and run.subject is not None:
        subject = project_subject(scene, read_subject(run.subject, scene.mesh))
    return Cell(color, Reference(exact.frames, seen, run.exact is not None, subject), scene)


def read_scene(run: Run, depth_file: Path, cameras: CameraPath) -> Scene:
    """The mesh of those frames of the source that a path shows."""
    frames = int(cameras.source_frame.max()) + 1
    clip = files.read_video(run.source, 0, frames)
    depth = files.read_depth(depth_file, None, 0, frames, clip=run.source)
    depth = match_depth(clip.frames, fit_depth(depth, clip.size, "stretch"))
    return Scene(build_dw_mesh(clip.frames, depth), cameras, depth.nearest)


def read_subject(path: Path, mesh: DWMesh) -> Tensor:
    """Where the source shows its subject, [T, H, W] bool."""
    masks = files.read_video(path, 0, len(mesh), mesh.size)
    if len(masks) < len(mesh):
        raise ValueError(f"{path}: has {len(masks)} frames, but {len(mesh)} are needed; make a mask per frame")
    return masks.frames[..., 0] > 0.5


def project_subject(scene: Scene, subject: Tensor) -> Tensor:
    """Where a path sees the subject [T, H, W] of the source's frames, as the source saw it, [T, H, W] bool."""
    mesh, cameras, seen = scene.mesh, scene.cameras, []
    for t, source in enumerate(cameras.source_frame.tolist()):
        rgba = paint_vertices(mesh, source)
        rgba[..., :3] = subject[source, ..., None]
        rgba[..., :3] *= rgba[..., 3:]
        drawn = raster.rasterize(mesh.depth[source], rgba, mesh.intrinsics[source],
                                 cameras.cam_from_world[t] @ mesh.world_from_cam[source], cameras.intrinsics[t],
                                 cameras.size)
        seen.append(drawn.rgba[..., 0] > 0.5)
    return torch.stack(seen)
