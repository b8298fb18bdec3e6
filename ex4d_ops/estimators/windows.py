"""Windows over a clip: which frames each sees, how their results are brought to one scale and blended."""

from __future__ import annotations

import torch
from torch import Tensor


def fit_scale_shift(values: Tensor, reference: Tensor) -> tuple[float, float]:
    """The scale and shift that bring values closest to a reference of the same shape, least squares; 1, 0 if flat."""
    x, y = values.cpu().double().flatten(), reference.cpu().double().flatten()
    spread = x - x.mean()
    variance = spread.square().sum()
    if variance == 0:
        return 1.0, 0.0
    scale = (spread * (y - y.mean())).sum() / variance
    return float(scale), float(y.mean() - scale * x.mean())


def ramp(length: int, like: Tensor) -> Tensor:
    """Weights 0..1 of a later window over `length` frames that it shares with an earlier one, [length, 1, ...]."""
    return torch.linspace(0, 1, length, device=like.device, dtype=like.dtype).reshape(-1, *[1] * (like.ndim - 1))
