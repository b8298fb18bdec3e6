"""Depth as estimators give it, made of exact depth: a smooth error, a scale per frame, smeared edges."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator, Tensor
from torch.nn.functional import avg_pool2d, interpolate

from ex4d_ops.depth import VideoDepth

SMOOTH_ERROR = 0.03  # standard deviation, of the depth
SCALE_ERROR = 0.02  # standard deviation between frames, of the depth
SMEAR = 5  # pixels, side of the square over which inverse depth is averaged
BUMPS = 6  # across a frame, of the smooth error


def misjudge_depth(depth: VideoDepth, generator: Generator) -> VideoDepth:
    """The same clip's depth as if it had been estimated, the errors drawn; sky stays where all around it is sky."""
    return replace(depth, depth=torch.stack([misjudge_frame(frame, generator) for frame in depth.depth]))


def misjudge_frame(depth: Tensor, generator: Generator) -> Tensor:
    """One frame [H, W]."""
    smeared = 1 / avg_pool2d(1 / depth[None], SMEAR, 1, SMEAR // 2, count_include_pad=False)[0]
    bumps = interpolate(torch.randn(1, 1, BUMPS, BUMPS, generator=generator), depth.shape, mode="bicubic",
                        align_corners=True)[0, 0]
    scale = SCALE_ERROR * torch.randn((), generator=generator)
    return smeared * (SMOOTH_ERROR * (bumps - bumps.mean()) / bumps.std() + scale).exp()
