"""The video models that adapters are trained on, whichever door they come through: ComfyUI's Wan or its CogVideoX."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from . import cogvideox, wan
from .checkpoint import COGVIDEOX
from .dataset import Encoders

Sizes = tuple[int, int, int]  # width, feed-forward width and number of the blocks


def load_base(path: str | Path, dtype: torch.dtype = torch.bfloat16, comfyui: str | Path | None = None) -> nn.Module:
    """The model of a file, frozen, on the CPU; see wan.build_wan for dtype and errors."""
    wan.open_comfyui(comfyui)
    weights = wan.read_weights(path)
    try:
        return build_base(weights, dtype)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def build_base(weights: dict[str, Tensor], dtype: torch.dtype) -> nn.Module:
    """ComfyUI's module with these weights, frozen; see wan.build_wan."""
    build = cogvideox.build_cogvideox if cogvideox.name_cogvideox(wan.detect(weights)[0]) else wan.build_wan
    return build(weights, dtype)


def base_of(model: nn.Module) -> str:
    """Which of BASES a module of build_base is."""
    return COGVIDEOX if cogvideox.is_cogvideox(model) else wan.base_of(model)


def name_base(config: dict) -> str:
    """What users call a model of ComfyUI's config, without its size; nothing where it is neither Wan nor CogVideoX."""
    return cogvideox.name_cogvideox(config) or wan.name_base(config)


def sizes_of(config: dict) -> Sizes:
    """How wide and deep a model of ComfyUI's config is."""
    if cogvideox.name_cogvideox(config):
        dim = config["num_attention_heads"] * config["attention_head_dim"]
        return dim, 4 * dim, config["num_layers"]  # as ComfyUI builds it
    return config["dim"], config["ffn_dim"], config["num_layers"]


def patch_layer(model) -> nn.Module:
    """The layer that makes tokens of the video alone."""
    return model.patch_embed.proj if cogvideox.is_cogvideox(model) else model.patch_embedding


def as_video(tokens: Tensor, frames: int) -> Tensor:
    """What patch_layer returns for a video of so many latent frames, seen as [B, C, t, h, w]; it shares its memory."""
    return tokens if tokens.ndim == 5 else tokens.unflatten(0, (-1, frames)).transpose(1, 2)


def load_encoders(vae: str | Path, text_encoder: str | Path, clip_vision: str | Path | None,
                  comfyui: str | Path | None = None) -> Encoders:
    """What prepares clips for Wan, or without CLIP vision for CogVideoX, of its files; see the doors for errors."""
    wan.open_comfyui(comfyui)
    if clip_vision is None:
        return cogvideox.load_encoders(vae, text_encoder)
    return wan.load_encoders(vae, text_encoder, clip_vision)


def load_decoder(vae: str | Path) -> Callable[[Tensor], Tensor]:
    """What makes frames [T, H, W, 3] in [0, 1] of a latent video [16, t, h, w], by a VAE's file."""
    if cogvideox.is_vae(loaded := wan.read_vae(vae)):
        return partial(cogvideox.decode, loaded)
    wan.check_vae(vae, loaded)
    return partial(wan.decode, loaded)
