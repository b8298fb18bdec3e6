"""What training minimises: flow matching between a clip and noise, at levels drawn per sample."""

from __future__ import annotations

import hashlib
from typing import Literal

import torch
from torch import Tensor

LEVELS = 1000  # noise levels that training draws from
RELEASED_SHIFT = 5.0
OBJECTIVES = ("velocity", "noise")
EXPERT_BOUNDARY = 0.9  # noise level at which Wan 2.2 I2V hands over from its high-noise to its low-noise expert

Objective = Literal["velocity", "noise"]
Expert = Literal["both", "high", "low"]


def noise_levels(shift: float, count: int = LEVELS) -> Tensor:
    """Noise levels from 1 towards 0, [count]: evenly spaced ones, shifted as Wan's schedule is."""
    even = torch.linspace(1, 0, count + 1)[:-1]
    return shift * even / (1 + (shift - 1) * even)


def levels_of(expert: Expert, shift: float) -> Tensor:
    """Which of the LEVELS are drawn for an expert, [LEVELS] rising numbers of them; each for a model of all levels."""
    levels = noise_levels(shift)
    of = {"both": levels > 0, "high": levels >= EXPERT_BOUNDARY, "low": levels < EXPERT_BOUNDARY}[expert]
    known = of.nonzero()[:, 0]
    return known[torch.arange(LEVELS) * len(known) // LEVELS]


def level_weights(levels: Tensor, objective: Objective) -> Tensor:
    """How much the squared error of the velocity counts at each of the levels that are drawn.

    velocity: a bell around level 1/2 that is 0 at its ends and 1 on average, as Wan is fine-tuned. noise: paper eq. 6,
    the error of the noise; a velocity v at level s tells the noise x + (1 - s) v, so it is (1 - s) times the
    velocity's.
    """
    if objective == "noise":
        return (1 - levels).square()
    bell = torch.exp(-2 * (levels - 0.5).square())
    bell = bell - bell.min()
    return bell / bell.mean()


def flow_loss(velocity: Tensor, video: Tensor, noise: Tensor, weight: Tensor) -> Tensor:
    """Weighted squared error of the velocity [B, ...] from a video to noise; weight: [B]."""
    error = (velocity - (noise - video)).square().flatten(1).mean(1)  # [B]
    return (weight * error).mean()


def mix(video: Tensor, noise: Tensor, level: Tensor) -> Tensor:
    """The video [B, ...] as noisy as levels [B] say."""
    level = level.reshape(-1, *[1] * (video.ndim - 1))
    return (1 - level) * video + level * noise


def generator_for(seed: int, *of: int | str) -> torch.Generator:
    """A generator for one purpose alone, so that no draw depends on how many came before it."""
    digest = hashlib.blake2b(":".join(map(str, (seed, *of))).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "little"))


def draw_noise(shape: tuple[int, ...], seed: int, sample: int) -> tuple[int, Tensor]:
    """Which of the LEVELS, and what noise, the sample of this number gets."""
    generator = generator_for(seed, "sample", sample)
    return int(torch.randint(LEVELS, (), generator=generator)), torch.randn(shape, generator=generator)


def clip_of_sample(sample: int, clips: int, seed: int) -> int:
    """Which clip the sample of this number shows: every clip once, in a new order, before any comes again."""
    epoch, place = divmod(sample, clips)
    return int(torch.randperm(clips, generator=generator_for(seed, "epoch", epoch))[place])
