"""How good an adapter is on clips it is not trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import files
from .clips import ClipLatents, Clips, stack_clips
from .objective import flow_loss, generator_for, mix, noise_levels

LOSS_LEVELS = 8  # noise levels at which the loss is taken
FPS = 15.0


@dataclass(frozen=True, eq=False)
class Validation:
    """clips: prepared ones; decode: a latent video [16, t, h, w] to frames [T, H, W, 3] in [0, 1], for the samples."""

    clips: Clips
    decode: Callable[[Tensor], Tensor]


@torch.no_grad()
def validation_loss(model: nn.Module, clips: Clips, shift: float, seed: int,
                    device: torch.device) -> float:
    """Mean squared error of the velocity over all clips, always at the same noise and levels."""
    losses = []
    for number in range(len(clips)):
        batch = stack_clips([clips[number]], device)
        video = batch["video_latent"].float()
        for index, level in enumerate(noise_levels(shift, LOSS_LEVELS).to(device).unbind()):
            noise = torch.randn(video.shape, generator=generator_for(seed, "validation", number, index)).to(device)
            velocity = model(mix(video, noise, level[None]), level[None], batch)
            losses.append(flow_loss(velocity, video, noise, torch.ones(1, device=device)))
    return float(torch.stack(losses).mean())


@torch.no_grad()
def sample_video(model: nn.Module, batch: ClipLatents, noise: Tensor, steps: int, shift: float) -> Tensor:
    """Latent videos [B, 16, t, h, w] from noise by Euler steps, for the prompt of the clips alone (no guidance)."""
    video = noise
    levels = torch.cat([noise_levels(shift, steps), torch.zeros(1)]).to(noise.device)
    for level, following in pairwise(levels.unbind()):
        video = video + (following - level) * model(video, level.expand(len(video)), batch)
    return video


def write_samples(folder: Path, model: nn.Module, validation: Validation, steps: int, shift: float, seed: int,
                  device: torch.device, write: bool = True) -> None:
    """Sample every clip into folder/N.mp4: the clip, what the adapter is shown of it and what it makes of it.

    write: only one of several processes does, all of them sample.
    """
    for number in range(len(validation.clips)):
        clip = validation.clips[number]
        batch = stack_clips([clip], device)
        noise = torch.randn(batch["video_latent"].shape, generator=generator_for(seed, "sample", number)).to(device)
        video = sample_video(model, batch, noise, steps, shift)
        if write:
            rows = (clip["video_latent"], clip["prior_latent"][:16], video[0].cpu())
            folder.mkdir(parents=True, exist_ok=True)
            files.write_video(folder / f"{number}.mp4", torch.cat([validation.decode(row.float()) for row in rows], 2),
                              FPS)
