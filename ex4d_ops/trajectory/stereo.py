"""A camera path as two eyes: parallel cameras whose pictures meet at one distance."""

from __future__ import annotations

from dataclasses import replace

from ..camera import CameraPath


def eye_distance_of_share(cameras: CameraPath, share: float, convergence: float) -> float:
    """The distance of two eyes, scene units, whose pictures of what is infinitely far are a share of the width apart.

    convergence: the distance at which both see the same; the same share is that of a point at half that distance.
    """
    focal = float(cameras.intrinsics[0, 0, 0])
    return share * cameras.size[1] * convergence / focal


def stereo_paths(cameras: CameraPath, distance: float, convergence: float) -> tuple[CameraPath, CameraPath]:
    """The paths of a left and a right eye, each half a distance to its side of a path.

    Both look ahead, parallel; their lenses are shifted, so that a point at depth `convergence` is at the same place in
    both pictures. Disparity, left minus right, in pixels: focal * distance * (1 / depth - 1 / convergence).
    """
    left, right = (shift_eye(cameras, side * distance / 2, convergence) for side in (-1, 1))
    return left, right


def shift_eye(cameras: CameraPath, offset: float, convergence: float) -> CameraPath:
    """The path of an eye that stands an offset to the right of another, looking at the same plane ahead."""
    cam_from_world, intrinsics = cameras.cam_from_world.clone(), cameras.intrinsics.clone()
    cam_from_world[:, 0, 3] -= offset
    intrinsics[:, 0, 2] += intrinsics[:, 0, 0] * offset / convergence
    return replace(cameras, cam_from_world=cam_from_world, intrinsics=intrinsics)
