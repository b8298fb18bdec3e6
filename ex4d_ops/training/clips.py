"""Prepared clips as training takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..dataset import LATENT_NAMES

ClipLatents = dict[str, Tensor]  # by LATENT_NAMES


class Clips(Protocol):
    """Clips by their number: a list, or a folder of which each is read when it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> ClipLatents: ...


def stack_clips(clips: Sequence[ClipLatents], device: torch.device) -> ClipLatents:
    """Clips of one size as a batch."""
    return {name: torch.stack([clip[name] for clip in clips]).to(device) for name in LATENT_NAMES}


def check_clips(clips: Clips, batch: int) -> None:
    """Raise ValueError where the clips have no latents, or batches of them can't be made; the first of them tell."""
    first, *others = (clips[index] for index in range(min(batch, len(clips))))
    missing = [name for name in LATENT_NAMES if name not in first]
    if missing:
        raise ValueError(f"the clips lack {', '.join(missing)}; prepare them again with --vae, --clip-vision and "
                         "--text-encoder")
    shape = tuple(first["video_latent"].shape)
    if any(tuple(other["video_latent"].shape) != shape for other in others):
        raise ValueError(f"batch: clips differ in size ({shape} and others); use batch 1 and accumulation {batch}")
