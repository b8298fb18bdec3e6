"""Stand-ins for Wan 2.1, CogVideoX and encoders, small enough for a CPU and made without weights, to train on."""

from __future__ import annotations

import math
import zlib

import torch
from torch import Tensor

from ex4d_ops.clip import LATENT_CHANNELS, WAN_STRIDE
from ex4d_ops.dataset import Encoders
from ex4d_ops.wan import IMAGE_TO_VIDEO_CHANNELS, open_comfyui

DIM, FFN_DIM, BLOCKS = 256, 512, 3
BLOCK = 8  # pixels per latent and side
SPREAD = 0.15  # of pictures in [-1, 1] around their mean, so that latents spread about 1 as Wan's do
TOKENS = 16  # of a caption and of a picture


def draw_tiny_wan(seed: int = 0, kind: str = "i2v", dim: int = DIM, blocks: int = BLOCKS) -> dict[str, Tensor]:
    """Weights by ComfyUI's names: of Wan 2.1 I2V ("i2v"), or without CLIP vision as Wan 2.2's experts ("t2v").

    Its head undoes its patch embedding, so that it predicts about its noisy input: near the velocity that is right at
    high noise, which is what makes it a base to train on.
    """
    open_comfyui()
    from comfy import ops
    from comfy.ldm.wan.model import WanModel

    wan = WanModel(kind, in_dim=IMAGE_TO_VIDEO_CHANNELS, dim=dim, ffn_dim=FFN_DIM, num_heads=dim // 128,
                   num_layers=blocks, device="meta", dtype=torch.float32, operations=ops.manual_cast)
    generator = torch.Generator().manual_seed(seed)
    weights = {name: draw_weight(name, weight.shape, generator) for name, weight in wan.state_dict().items()}
    patches = torch.linalg.qr(torch.randn(dim, IMAGE_TO_VIDEO_CHANNELS * 4, generator=generator))[0]
    patches = patches.reshape(dim, IMAGE_TO_VIDEO_CHANNELS, 4)  # pixels of a patch last
    return weights | {
        "patch_embedding.weight": 2 * patches.reshape(dim, IMAGE_TO_VIDEO_CHANNELS, 1, 2, 2).contiguous(),
        "patch_embedding.bias": torch.zeros(dim),
        "head.head.weight": patches[:, :16].permute(2, 1, 0).reshape(64, dim).contiguous(),
        "head.head.bias": torch.zeros(64), "head.modulation": torch.zeros(1, 2, dim)}


def draw_tiny_cogvideox(seed: int = 0, channels: int = 2 * LATENT_CHANNELS, dim: int = DIM,
                        blocks: int = BLOCKS) -> dict[str, Tensor]:
    """Weights by ComfyUI's names: of CogVideoX, image to video. Its head undoes its patch embedding, as Wan's."""
    open_comfyui()
    from comfy import ops
    from comfy.ldm.cogvideo.model import CogVideoXTransformer3DModel

    model = CogVideoXTransformer3DModel(dim // 64, 64, channels, num_layers=blocks, device="meta", dtype=torch.float32,
                                        use_rotary_positional_embeddings=True, operations=ops.manual_cast)
    generator = torch.Generator().manual_seed(seed)
    weights = {name: draw_weight(name, weight.shape, generator) for name, weight in model.state_dict().items()}
    patches = torch.linalg.qr(torch.randn(dim, channels * 4, generator=generator))[0].reshape(dim, channels, 2, 2)
    return weights | {
        "patch_embed.proj.weight": 2 * patches.contiguous(), "patch_embed.proj.bias": torch.zeros(dim),
        "norm_final.weight": torch.ones(dim), "norm_final.bias": torch.zeros(dim),
        "norm_out.linear.weight": torch.zeros_like(weights["norm_out.linear.weight"]),
        "norm_out.linear.bias": torch.zeros_like(weights["norm_out.linear.bias"]),
        "norm_out.norm.weight": torch.ones(dim), "norm_out.norm.bias": torch.zeros(dim),
        "proj_out.weight": 0.3 * patches[:, :16].flatten(1).T.contiguous(), "proj_out.bias": torch.zeros(64)}


def draw_weight(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    values = torch.randn(shape, generator=generator)
    if "norm" in name and name.endswith("weight") and len(shape) == 1:
        return 1 + 0.2 * values
    if name.endswith(("bias", "modulation")):
        return 0.1 * values
    return values / values[0].numel() ** 0.5 * (0.3 if name.startswith("time_") or ".linear." in name else 1)


# ---- encoders -----------------------------------------------------------------------------------


def tiny_encoders() -> Encoders:
    """What `prepare` encodes with: pictures as the lowest frequencies of their blocks, words as random numbers."""
    return Encoders(encode_video, encode_text, encode_picture)


def encode_video(frames: Tensor) -> Tensor:
    """Latents [1, 16, t, H/8, W/8] of frames [T, H, W, 3]: frame 0, then means of four."""
    groups = [frames[:1], *frames[1:].split(WAN_STRIDE)]
    pictures = torch.stack([group.mean(0) for group in groups]) * 2 - 1
    count, height, width = pictures.shape[:3]
    blocks = pictures.reshape(count, height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3)
    return torch.einsum("thywxc,kyxc->kthw", blocks, frequencies())[None] / (BLOCK * SPREAD)


def decode_video(latents: Tensor) -> Tensor:
    """Frames [T, H, W, 3] in [0, 1] of a latent video [16, t, h, w], what encode_video kept of them."""
    blocks = torch.einsum("kthw,kyxc->thywxc", latents * BLOCK * SPREAD, frequencies())
    pictures = blocks.flatten(1, 2).flatten(2, 3)  # [t, H, W, 3]
    times = torch.tensor([1] + [WAN_STRIDE] * (len(pictures) - 1))
    return (pictures / 2 + 0.5).clamp(0, 1).repeat_interleave(times, 0)


def frequencies() -> Tensor:
    """The 16 lowest of the orthonormal cosines over a block and its colors, [16, y, x, color]."""
    places = (torch.arange(BLOCK) + 0.5) * math.pi / BLOCK
    waves = torch.stack([(order * places).cos() * (2 / BLOCK if order else 1 / BLOCK) ** 0.5 for order in range(3)])
    orders = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0)]
    planes = torch.stack([torch.outer(waves[down], waves[across]) for down, across in orders])
    both = torch.einsum("kyx,cd->kcyxd", planes, torch.eye(3))  # one plane per color
    return both.flatten(0, 1)[:LATENT_CHANNELS]


def encode_text(caption: str) -> Tensor:
    generator = torch.Generator().manual_seed(zlib.crc32(caption.encode()))
    return torch.randn(1, TOKENS, 4096, generator=generator)


def encode_picture(frame: Tensor) -> Tensor:
    """Tokens [1, 16, 1280] of a frame [H, W, 3]: its colors on a grid of 4 x 4."""
    grid = torch.nn.functional.adaptive_avg_pool2d(frame.movedim(-1, 0), 4).flatten(1).T  # [16, 3]
    return torch.nn.functional.pad(grid, (0, 1280 - 3))[None]
