"""Disparity without any model: how far pixels move between two frames of a moving camera.

Flow, the two views' geometry, and what it leaves unknown filled in along edges of the picture. Things that move by
themselves come out wrong; a camera at rest has no parallax, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from ..camera import default_intrinsics, pixel_centers, ray_of, resize_intrinsics
from ..clip import Progress, size_of
from ..opencv import need_opencv
from ..optical_flow import Flow, find_flow, shrink
from .estimate import Estimate, Work

SIDE = 384  # pixels of the longer side at which it is worked
STEPS = (16, 8, 4, 2, 1)  # frames to a partner; the farthest in which enough is found again is taken
ENOUGH = 0.005  # of the width: median way that pixels must move beyond the camera's turn
LEAST_TRUSTED = 0.5  # share of pixels that must be found in the partner
PRECISE, EPIPOLAR = 0.25, 1.0  # pixels off its epipolar line: of a pixel that fixes the geometry, of one that fits it
SEED = 1  # of OpenCV's random samples
SAMPLES = 2000  # pixels that the two views' geometry is found from
RADII = (48, 16, 5)  # pixels around which unknown disparity is filled in, coarse to fine
GUIDANCE = 1e-3  # variance of brightness below which a window counts as one surface
KNOWN = 0.02  # weight per pixel of a window from which its own filling is used


@torch.no_grad()
def estimate_parallax(frames: Tensor, intrinsics: Tensor | None = None,
                      progress: Progress | None = None) -> Estimate:
    """Relative disparity of frames [T, H, W, 3] in [0, 1], each in a scale of its own.

    intrinsics: [3, 3], by default the released ones. Raises ValueError where the camera stands still or only turns.
    """
    count, size = len(frames), size_of(frames)
    work = Work(progress, count, count)
    gray = lru_cache(2 * STEPS[0] + 1)(lambda t: shrink(frames[t], SIDE))
    lens = default_intrinsics(size) if intrinsics is None else intrinsics.cpu()
    height, width = gray(0).shape
    lens = resize_intrinsics(lens, size, (height, width)).double()
    values = torch.empty(count, *size)
    for t in range(count):
        disparity, weight = find_parallax(gray, count, t, lens)
        filled = fill_along_edges(disparity, weight, torch.from_numpy(gray(t)).float() / 255)
        values[t] = interpolate(filled[None, None], size, mode="bilinear")[0, 0]
        work.add(1)
    return Estimate(values, "disparity")


def find_parallax(gray: Callable[[int], np.ndarray], count: int, t: int, lens: Tensor) -> tuple[Tensor, Tensor]:
    """Disparity [H, W] of frame t, its median 1, and how well each pixel is known [H, W], from its best partner.

    gray: of each of the `count` frames.
    """
    for step in STEPS:
        for partner in (t + step, t - step):
            if not 0 <= partner < count:
                continue
            flow = find_flow(gray(t), gray(partner))
            if flow.trusted.float().mean() < LEAST_TRUSTED:
                continue
            found = triangulate(flow, lens)
            if found is not None:
                return found
    raise ValueError(f"parallax: around frame {t} the camera stands still or only turns, so distances cannot be found; "
                     "use a depth model")


def triangulate(flow: Flow, lens: Tensor) -> tuple[Tensor, Tensor] | None:
    """Disparity and weight [H, W] from the flow between two views, None where there is too little parallax."""
    cv2 = need_opencv()
    height, width = flow.trusted.shape
    source, target = (ray_of(places.double(), lens) for places in (pixel_centers((height, width)), flow.target))
    trusted = flow.trusted.flatten().nonzero()[:, 0]
    picked = trusted[torch.linspace(0, len(trusted) - 1, SAMPLES).long()]
    first, second = (rays.reshape(-1, 3)[picked, :2].numpy() for rays in (source, target))
    pixel = 1 / float(lens[0, 0])
    cv2.setRNGSeed(SEED)
    essential, agree = cv2.findEssentialMat(first, second, np.eye(3), cv2.USAC_MAGSAC, 0.99999, PRECISE * pixel)
    if essential is None or essential.shape != (3, 3):
        return None
    _, rotation, direction, _ = cv2.recoverPose(essential, first, second, np.eye(3), mask=agree)
    turned = source @ torch.from_numpy(rotation).T
    towards = torch.from_numpy(direction[:, 0]).expand_as(target)
    way = (turned[..., :2] / turned[..., 2:] - target[..., :2]).norm(dim=-1)
    if way[flow.trusted].median() < ENOUGH * width * pixel:
        return None
    across, step = torch.linalg.cross(target, turned), torch.linalg.cross(target, towards)
    disparity = -(across * step).sum(-1) / step.square().sum(-1).clamp(min=1e-12)
    off = (across + disparity[..., None] * step).norm(dim=-1) / target.norm(dim=-1)
    known = flow.trusted & (disparity > 0) & (off < EPIPOLAR * pixel)
    weight = known * step.square().sum(-1)
    disparity = torch.where(known, disparity, 0.0)
    return (disparity / disparity[known].median()).float(), (weight / weight[known].mean()).float()


def fill_along_edges(values: Tensor, weight: Tensor, guide: Tensor) -> Tensor:
    """Values [H, W] known by weight [H, W], filled in and smoothed where the guide [H, W] shows one surface.

    He et al.'s guided filter, weighted, in windows from wide to narrow: a narrow one is used where it knows enough.
    """
    filled = (values * weight).sum() / weight.sum().clamp(min=1e-12) * torch.ones_like(values)
    weight = weight.clamp(max=4.0)
    for radius in RADII:
        radius = min(radius, (min(values.shape) - 1) // 2)
        around = box(weight, radius)
        sure = around.clamp(min=1e-6)
        mean_guide, mean_values = box(weight * guide, radius) / sure, box(weight * values, radius) / sure
        variance = box(weight * guide**2, radius) / sure - mean_guide**2
        covariance = box(weight * guide * values, radius) / sure - mean_guide * mean_values
        slope = covariance / (variance.clamp(min=0) + GUIDANCE)
        level = mean_values - slope * mean_guide
        share = (around / KNOWN).clamp(max=1.0)
        spread = box(share, radius).clamp(min=1e-6)
        fine = (box(share * slope, radius) * guide + box(share * level, radius)) / spread
        filled = torch.lerp(filled, fine, share)
    return filled.clamp(min=0)


def box(plane: Tensor, radius: int) -> Tensor:
    """Mean of a plane [H, W] within `radius` pixels across and down, of what lies inside it."""
    for shape, pad in (((2 * radius + 1, 1), (radius, 0)), ((1, 2 * radius + 1), (0, radius))):
        plane = avg_pool2d(plane[None, None], shape, 1, pad, count_include_pad=False)[0, 0]
    return plane
