"""Distances of two sets of features: what FID, KID and FVD are made of."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def frechet_distance(first: Tensor, second: Tensor, lost: int = 1) -> float:
    """Frechet distance of the normal distributions of two sets of features [N, D].

    lost: of the degrees of freedom of a covariance: 1 in torch-fidelity and torchmetrics, 0 in cd-fvd. The trace of the
    root of the product of both covariances is the sum of the singular values of A @ B.T, which exists however few
    samples there are; roots of D x D matrices of a rank below D don't in floating point.
    """
    means = first.double().mean(0) - second.double().mean(0)
    spread, other = (whiten(features, lost) for features in (first, second))
    shared = torch.linalg.svdvals(spread @ other.mT).sum()
    return max(float(means.square().sum() + spread.square().sum() + other.square().sum() - 2 * shared), 0.0)


def whiten(features: Tensor, lost: int) -> Tensor:
    """Rows A [min(N, D), D] whose A.T @ A is the covariance of features [N, D]."""
    rows = (features.double() - features.double().mean(0)) / math.sqrt(len(features) - lost)
    return torch.linalg.qr(rows).R if len(rows) > rows.shape[1] else rows


def kernel_distance(first: Tensor, second: Tensor) -> float:
    """Unbiased squared maximum mean discrepancy of two sets of features [N, D] by KID's kernel.

    Of all samples at once: what the mean over random subsets, of which torch-fidelity draws 100, tends to.
    """
    x, y = first.double(), second.double()
    own = [(kernel(each, each).sum() - kernel(each, each).diagonal().sum()) / (len(each) * (len(each) - 1))
           for each in (x, y)]
    return float(own[0] + own[1] - 2 * kernel(x, y).mean())


def kernel(first: Tensor, second: Tensor) -> Tensor:
    """Binkowski et al. 2018: cubic, offset 1, over the number of features."""
    return (first @ second.mT / first.shape[1] + 1) ** 3
