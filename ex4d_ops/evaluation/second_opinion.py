"""The cameras of a video found a second way: by SIFT features, not flow, and COLMAP's solver, not OpenCV's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import raster
from ..camera import CameraPath, invert_rigid, resize_intrinsics, transform
from ..clip import Progress
from ..estimators.packages import need
from ..estimators.source_camera import SIDE, find_features, make_reference, match
from ..mesh import DWMesh
from ..motion import grow
from ..optical_flow import shrink
from ..parallel import one_by_one
from ..prior import VISIBLE_ALPHA, paint_vertices
from ..rules import BORDER_DEPTH
from .cameras import FARTHEST, RIM, FollowedPath, enlarge_frame

OFF = 4.0  # pixels by which a match may miss its place
FEWEST, AGREED = 12, 0.25  # matches that must agree about a camera, and their share of all
SEED = 0  # of COLMAP's draws


class Match(NamedTuple):
    """A camera, how many matches agree about it (0: too few), and the share of the picture in which some could be."""

    camera: Tensor
    agree: int
    seen: float


def find_path_again(frames: Tensor, mesh: DWMesh, cameras: CameraPath,
                    progress: Progress | None = None) -> FollowedPath:
    """The same as cameras.find_path.

    Each frame is matched with the mesh of its own moment, as seen from the camera that was asked for and from the last
    that was found, and again from the camera that this gives.
    """
    asked = cameras.cam_from_world.double()
    last, placed, found, seen = asked[0], [], [], []
    for t in one_by_one(range(len(frames)), len(frames), progress):
        gray = shrink(enlarge_frame(frames[t]), SIDE)
        features, size = find_features(gray), (gray.shape[0], gray.shape[1])
        first = best = match_camera(features, size, mesh, cameras, t, asked[t])
        for _ in range(2):
            near = best.camera if best.agree else last
            best = max(best, match_camera(features, size, mesh, cameras, t, near), key=lambda each: each.agree)
        last = best.camera if best.agree else last
        seen.append(first.seen)
        placed.append(last)
        found.append(best.agree > 0)
    return FollowedPath(torch.stack(placed).float(), torch.tensor(found), torch.tensor(seen))


def match_camera(features: tuple[np.ndarray, np.ndarray], size: tuple[int, int], mesh: DWMesh, cameras: CameraPath,
                 t: int, near: Tensor) -> Match:
    """The camera that features of frame t, of this size, show, by those of the mesh as seen from one near it."""
    pycolmap = need("pycolmap", "--second-opinion")
    source, intrinsics = int(cameras.source_frame[t]), resize_intrinsics(cameras.intrinsics[t], cameras.size, size)
    drawn = raster.rasterize(mesh.depth[source], paint_vertices(mesh, source), mesh.intrinsics[source],
                             near.float() @ mesh.world_from_cam[source], intrinsics, size)
    hidden = grow((drawn.rgba[..., 3] <= VISIBLE_ALPHA) | (drawn.depth > FARTHEST * BORDER_DEPTH), RIM)
    seen, matrix = 1 - float(hidden.float().mean()), intrinsics.double().numpy()
    reference = make_reference(find_features(shrink(drawn.rgba[..., :3].clamp(0, 1), SIDE)),
                               drawn.depth.masked_fill(hidden, torch.inf), matrix, size, invert_rigid(near))
    pairs = match(reference, features)
    pairs = pairs[np.unique(pairs[:, 1], return_index=True)[1]]  # no place of the frame counts twice
    if len(pairs) < FEWEST:
        return Match(near, 0, seen)
    points = transform(reference.world_from_cam, torch.from_numpy(reference.points[pairs[:, 0]])).numpy()
    camera = pycolmap.Camera(model="PINHOLE", width=size[1], height=size[0],
                             params=[matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]])
    options = pycolmap.AbsolutePoseEstimationOptions()
    options.ransac.max_error = OFF
    pycolmap.set_random_seed(SEED)
    pose = pycolmap.estimate_and_refine_absolute_pose(features[0][pairs[:, 1]], points, camera, options)
    if pose is None or pose["num_inliers"] < max(FEWEST, AGREED * len(pairs)):
        return Match(near, 0, seen)
    found = torch.eye(4, dtype=torch.float64)
    found[:3] = torch.from_numpy(pose["cam_from_world"].matrix())
    return Match(found, int(pose["num_inliers"]), seen)
