"""How the weights and inputs behind adapter.npz are drawn: a tiny Wan 2.1 I2V, its adapter, and one call of it."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DIM, FFN, BLOCKS, IN_CHANNELS, HIDDEN, RANK = 256, 512, 3, 36, 64, 16
SEED = 0
ATTENTION = [f"{kind}_attn.{name}" for kind in ("self", "cross") for name in "qkvo"]


def golden(name: str) -> Tensor:
    return torch.from_numpy(np.load(Path(__file__).with_name("adapter.npz"))[name])


def draw(name: str, shape: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(f"{SEED}:{name}".encode()))
    return torch.randn(shape, generator=generator)


def wan_weight(name: str, shape: tuple[int, ...]) -> Tensor:
    values = draw(f"wan.{name}", shape)
    if "norm" in name and name.endswith("weight"):
        return 1 + 0.2 * values
    if name.endswith("bias"):
        return 0.1 * values
    return 0.2 * values if "modulation" in name else values / values[0].numel() ** 0.5


def adapter_weight(name: str, shape: tuple[int, ...]) -> Tensor:
    values = draw(f"ex4d.{name}", shape)
    if ".lora_" in name:
        return 0.7 * values / shape[1] ** 0.5
    return 1.4 * values / values[0].numel() ** 0.5 if values.ndim > 1 else 0.1 * values


def adapter_shapes(dim: int = DIM, ffn: int = FFN, blocks: int = BLOCKS, hidden: int = HIDDEN,
                   rank: int = RANK) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of a released state dict for a Wan of these sizes."""
    shapes = {}
    for block in range(blocks):
        for layer in [*ATTENTION, "ffn.0", "ffn.2"]:
            inputs, outputs = {"ffn.0": (dim, ffn), "ffn.2": (ffn, dim)}.get(layer, (dim, dim))
            shapes[f"blocks.{block}.{layer}.lora_A.default.weight"] = (rank, inputs)
            shapes[f"blocks.{block}.{layer}.lora_B.default.weight"] = (outputs, rank)
    for layer, inputs in ((0, 32), (2, hidden), (4, hidden)):
        shapes[f"latent_encoder.{layer}.weight"] = (hidden, inputs, 1, 1, 1)
        shapes[f"latent_encoder.{layer}.bias"] = (hidden,)
    return shapes | {"latent_patch_embedding.weight": (dim, hidden, 1, 2, 2), "latent_patch_embedding.bias": (dim,)}


def adapter_weights() -> dict[str, Tensor]:
    return {name: adapter_weight(name, shape) for name, shape in adapter_shapes().items()}


def inputs() -> dict[str, Tensor]:
    """x, image_latent, prior_latent [1, C, 5, 8, 12]; context and context_negative; clip_fea; timestep."""
    shapes = {"x": (1, 16, 5, 8, 12), "image_latent": (1, 16, 5, 8, 12), "prior_latent": (1, 32, 5, 8, 12),
              "context": (1, 512, 4096), "context_negative": (1, 512, 4096), "clip_fea": (1, 257, 1280)}
    drawn = {name: draw(f"input.{name}", shape) for name, shape in shapes.items()}
    drawn["context"][:, 37:] = 0
    drawn["context_negative"][:, 91:] = 0
    return drawn | {"timestep": torch.tensor([837.5])}
