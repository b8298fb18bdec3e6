"""The source camera's own motion, from features of the frames, two-view geometry and the frames' depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..camera import invert_rigid, ray_of, resize_intrinsics, rigid
from ..clip import Progress, no_progress
from ..depth import EDGE_RATIO, VideoDepth
from ..opencv import need_opencv
from ..optical_flow import shrink

SIDE = 640  # pixels of the longer side at which features are found
FEATURES = 1500
DISTINCT = 0.75  # a match's descriptor must be so much closer than the second best
EPIPOLAR = 1.0  # pixels; how far a still point may lie off its epipolar line
REPROJECTION, COARSEST = 2.0, 8.0  # pixels; how far a still point may be seen off its place, at last and at first
FEWEST = 24  # still points that a camera is found from
WORN = 0.4  # share of its first matches below which a reference frame is replaced
LARGEST_RESIDUAL = 0.004  # of the width; 2 pixels at 512. A noisier path is worse than none
SEED = 1  # of OpenCV's random samples

Motion = tuple[np.ndarray, np.ndarray]  # rotation [3, 3] and translation [3, 1], cam_from_reference
AT_REST: Motion = (np.eye(3), np.zeros((3, 1)))


@dataclass(frozen=True, eq=False)
class CameraTrack:
    """Where the source camera stood. world_from_cam: [T, 4, 4]; residual: how far the typical matched point is
    seen off its place, as a share of the width; still: share of matches that agree with the motion.
    """

    world_from_cam: Tensor
    residual: float
    still: float

    def __str__(self) -> str:
        return (f"source camera: matched points are off by {self.residual:.2%} of the width, "
                f"{self.still:.0%} of them stand still")


@dataclass(frozen=True, eq=False)
class Reference:
    """A frame that others are matched to. points: [N, 3] of its features, in its camera; world_from_cam: [4, 4]."""

    descriptors: np.ndarray
    points: np.ndarray
    world_from_cam: Tensor


def track_source_camera(frames: Tensor, depth: VideoDepth, progress: Progress | None = None) -> CameraTrack:
    """The motion of the camera that filmed frames [T, H, W, 3] in [0, 1], in the units of their depth.

    Things that move are left out as outliers. progress(done, T) may raise to cancel. Raises ValueError, with the
    residual, where no motion explains the matches: noise is worse than a camera at rest.
    """
    report = progress or no_progress
    size = shrink(frames[0], SIDE).shape
    intrinsics = resize_intrinsics(depth.intrinsics.cpu(), depth.size, size).double().numpy()
    placed, residuals, shares = [torch.eye(4, dtype=torch.float64)], [], []
    before = find_features(shrink(frames[0], SIDE))
    reference, most, motion = make_reference(before, depth.depth[0], intrinsics[0], size, placed[0]), 0, AT_REST
    for t in range(1, len(frames)):
        features = find_features(shrink(frames[t], SIDE))
        pairs = match(reference, features)
        if len(pairs) < max(WORN * most, FEWEST) and t > 1:
            reference, most = make_reference(before, depth.depth[t - 1], intrinsics[t - 1], size, placed[-1]), 0
            pairs, motion = match(reference, features), AT_REST
        most = max(most, len(pairs))
        pixel = 1 / float(intrinsics[t, 0, 0])
        rays = to_rays(features[0][pairs[:, 1]], intrinsics[t])
        motion, miss = find_camera(reference.points[pairs[:, 0]], rays, pixel, motion, t)
        rotation, translation = map(torch.from_numpy, motion)
        placed.append(reference.world_from_cam @ invert_rigid(rigid(rotation, translation[:, 0])))
        residuals.append(np.median(miss) / pixel / size[1])
        shares.append((miss < REPROJECTION * pixel).mean())
        before = features
        report(t + 1, len(frames))
    residual, still = float(np.mean(residuals or [0.0])), float(np.mean(shares or [1.0]))
    track = CameraTrack(torch.stack(placed).float(), residual, still)
    if track.residual > LARGEST_RESIDUAL:
        raise ValueError(f"source cameras: no camera motion fits the frames and their depth (points are off by "
                         f"{track.residual:.2%} of the width, at most {LARGEST_RESIDUAL:.1%} is "
                         "accepted); leave the source camera at rest, or use a steadier depth")
    return track


def find_features(gray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Image coordinates [N, 2] and descriptors [N, 128] of distinct places of a gray frame."""
    cv2 = need_opencv()
    keypoints, descriptors = cv2.SIFT.create(FEATURES, contrastThreshold=0.01).detectAndCompute(gray, None)
    places = np.array([keypoint.pt for keypoint in keypoints], np.float64).reshape(-1, 2) + 0.5
    return places, descriptors if len(places) else np.zeros((0, 128), np.float32)


def make_reference(features: tuple[np.ndarray, np.ndarray], depth: Tensor, intrinsics: np.ndarray,
                   size: tuple[int, int], world_from_cam: Tensor) -> Reference:
    """The features of a frame lifted by its depth [H, W]; those at depth edges and in the sky are left out."""
    places, descriptors = features
    points, usable = lift_places(places, depth, intrinsics, size)
    return Reference(descriptors[usable], points, world_from_cam)


def lift_places(places: np.ndarray, depth: Tensor, intrinsics: np.ndarray,
                size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Image coordinates [N, 2] of a frame of size (H, W) lifted by its depth [h, w], [M, 3], and which they are [N].

    Those at depth edges and in the sky are left out.
    """
    scale = np.array([depth.shape[1] / size[1], depth.shape[0] / size[0]])
    x, y = np.floor(places * scale).astype(int).T
    x, y = x.clip(0, depth.shape[1] - 1), y.clip(0, depth.shape[0] - 1)
    padded = torch.nn.functional.pad(depth[None, None].cpu(), (1, 1, 1, 1), mode="replicate")[0, 0].numpy()
    around = np.stack([padded[y + i, x + j] for i in range(3) for j in range(3)])
    usable = np.isfinite(around).all(0) & (around.max(0) < EDGE_RATIO * around.min(0))
    rays = to_rays(places[usable], intrinsics)
    return np.concatenate([rays, np.ones((len(rays), 1))], 1) * around[4][usable, None], usable


def to_rays(places: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Image coordinates [N, 2] on the image plane z = 1."""
    return ray_of(torch.from_numpy(places), torch.from_numpy(intrinsics))[:, :2].numpy()


def match(reference: Reference, features: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Which features of the reference and of a frame are the same place, [N, 2] indices."""
    cv2 = need_opencv()
    if min(len(reference.descriptors), len(features[1])) < 2:
        return np.zeros((0, 2), int)
    found = cv2.BFMatcher().knnMatch(reference.descriptors, features[1], k=2)
    return np.array([(best.queryIdx, best.trainIdx) for best, second in found
                     if best.distance < DISTINCT * second.distance], int).reshape(-1, 2)


def find_camera(points: np.ndarray, rays: np.ndarray, pixel: float, before: Motion,
                t: int) -> tuple[Motion, np.ndarray]:
    """The motion to frame t, in which points [N, 3] of the reference are seen along rays [N, 2], and their misses [N].

    pixel: its size on the plane z = 1, where the misses are measured. before: of the frame before, in case that two
    views do not tell.
    """
    cv2 = need_opencv()
    if len(points) < FEWEST:
        raise ValueError(f"source cameras: only {len(points)} points of frame {t} are found in the frames before it, "
                         f"but {FEWEST} are needed; leave the source camera at rest")
    cv2.setRNGSeed(SEED)
    seen = points[:, :2] / points[:, 2:]
    essential, agree = cv2.findEssentialMat(seen, rays, np.eye(3), cv2.RANSAC, 0.999, EPIPOLAR * pixel)
    agree = agree[:, 0].astype(bool)
    found = [settle(before, points, rays, misses(points, rays, *before) < COARSEST * pixel, pixel),
             settle(guess_motion(essential, seen, rays, points, agree), points, rays, agree, pixel)]
    return min(found, key=lambda found_miss: np.median(found_miss[1]))


def settle(motion: Motion, points: np.ndarray, rays: np.ndarray, still: np.ndarray,
           pixel: float) -> tuple[Motion, np.ndarray]:
    """Refine a motion on the points that stand still, then on those that do by it, ever more strictly; its misses."""
    cv2 = need_opencv()
    rotation, translation = motion
    for bound in (COARSEST, (COARSEST + REPROJECTION) / 2, REPROJECTION, REPROJECTION):
        if still.sum() < FEWEST // 2:
            break
        turn = cv2.Rodrigues(rotation)[0]
        turn, translation = cv2.solvePnPRefineLM(points[still], rays[still], np.eye(3), np.zeros(4), turn,
                                                 np.array(translation))  # a copy, which it writes into
        rotation = cv2.Rodrigues(turn)[0]
        still = misses(points, rays, rotation, translation) < bound * pixel
    return (rotation, translation), misses(points, rays, rotation, translation)


def misses(points: np.ndarray, rays: np.ndarray, rotation: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """How far off its ray each point is seen, on the image plane z = 1; infinite behind the camera."""
    moved = points @ rotation.T + translation.T
    off = np.linalg.norm(moved[:, :2] / np.maximum(moved[:, 2:], 1e-9) - rays, axis=1)
    return np.where(moved[:, 2] > 0, off, np.inf)


def guess_motion(essential: np.ndarray | None, seen: np.ndarray, rays: np.ndarray, points: np.ndarray,
               agree: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotation [3, 3] and translation [3, 1] of the essential matrix, its length from the points' depth.

    The length that best carries each point onto its ray, the median of all: 0 for a camera that only turns.
    """
    cv2 = need_opencv()
    if essential is None or essential.shape != (3, 3):
        return np.eye(3), np.zeros((3, 1))
    _, rotation, direction, _ = cv2.recoverPose(essential, seen, rays, np.eye(3), mask=agree.astype(np.uint8)[:, None])
    towards = np.concatenate([rays, np.ones((len(rays), 1))], 1)[agree]
    off, step = np.cross(towards, points[agree] @ rotation.T), np.cross(towards, direction[:, 0])
    length = -(off * step).sum(1) / np.maximum((step**2).sum(1), 1e-12)
    return rotation, direction * np.median(length)
