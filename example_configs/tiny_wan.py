"""A Wan 2.1 I2V small enough for a CPU, drawn instead of trained, to try training on."""

from __future__ import annotations

import torch
from torch import Tensor

from ex4d_ops.wan import IMAGE_TO_VIDEO_CHANNELS, open_comfyui

DIM, FFN_DIM, BLOCKS = 256, 512, 3


def draw_tiny_wan(seed: int = 0) -> dict[str, Tensor]:
    """Weights by ComfyUI's names. Its head undoes its patch embedding, so that it predicts about its noisy input: near
    the velocity that is right at high noise, which is what makes it a base to train on.
    """
    open_comfyui()
    from comfy import ops
    from comfy.ldm.wan.model import WanModel

    wan = WanModel("i2v", in_dim=IMAGE_TO_VIDEO_CHANNELS, dim=DIM, ffn_dim=FFN_DIM, num_heads=DIM // 128,
                   num_layers=BLOCKS, device="meta", dtype=torch.float32, operations=ops.manual_cast)
    generator = torch.Generator().manual_seed(seed)
    weights = {name: draw_weight(name, weight.shape, generator) for name, weight in wan.state_dict().items()}
    patches = torch.linalg.qr(torch.randn(DIM, IMAGE_TO_VIDEO_CHANNELS * 4, generator=generator))[0]
    patches = patches.reshape(DIM, IMAGE_TO_VIDEO_CHANNELS, 4)  # pixels of a patch last
    return weights | {
        "patch_embedding.weight": 2 * patches.reshape(DIM, IMAGE_TO_VIDEO_CHANNELS, 1, 2, 2).contiguous(),
        "patch_embedding.bias": torch.zeros(DIM),
        "head.head.weight": patches[:, :16].permute(2, 1, 0).reshape(64, DIM).contiguous(),
        "head.head.bias": torch.zeros(64), "head.modulation": torch.zeros(1, 2, DIM)}


def draw_weight(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    values = torch.randn(shape, generator=generator)
    if "norm" in name and name.endswith("weight"):
        return 1 + 0.2 * values
    if name.endswith(("bias", "modulation")):
        return 0.1 * values
    return values / values[0].numel() ** 0.5 * (0.3 if name.startswith("time_") else 1)
