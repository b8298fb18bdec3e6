"""DINOv2's vision transformer, as far as depth needs it: tokens of four depths of one picture.

Oquab et al., arXiv 2304.07193. Parameter names are those of the public weights.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

PATCH = 14  # pixels per token and side
HEAD_WIDTH = 64
POSITION_OFFSET = 0.1  # added to the grid's size before it is divided; the public weights were used with it


class DinoV2(nn.Module):
    """width: of a token; depth: blocks; places: position embeddings, one per patch in training and one more."""

    def __init__(self, width: int, depth: int, places: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, places, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))  # in the weights, used in their training only
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, PATCH)})
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, pictures: Tensor, taps: tuple[int, ...]) -> list[Tensor]:
        """Normalised patch tokens [N, h w, C] after each of the blocks `taps`, of pictures [N, 3, 14 h, 14 w]."""
        grid = self.patch_embed["proj"](pictures)
        patches = rearrange(grid, "n c h w -> n (h w) c")
        tokens = torch.cat([self.cls_token.expand(len(pictures), -1, -1), patches], 1) + self.positions(grid.shape[-2:])
        taken = []
        for k, block in enumerate(self.blocks):
            tokens = block(tokens)
            if k in taps:
                taken.append(self.norm(tokens)[:, 1:])
        return taken

    def positions(self, grid: tuple[int, int]) -> Tensor:
        """Position embeddings [1, 1 + h w, C] for a grid of h by w patches."""
        side = math.isqrt(self.pos_embed.shape[1] - 1)
        if tuple(grid) == (side, side):
            return self.pos_embed
        square = rearrange(self.pos_embed[:, 1:].float(), "n (h w) c -> n c h w", h=side)
        scale = [(length + POSITION_OFFSET) / side for length in grid]
        resized = interpolate(square, scale_factor=scale, mode="bicubic").to(self.pos_embed.dtype)
        return torch.cat([self.pos_embed[:, :1], rearrange(resized, "n c h w -> n (h w) c")], 1)


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn, self.mlp = Attention(width), Mlp(width)
        self.ls1, self.ls2 = LayerScale(width), LayerScale(width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        return tokens + self.ls2(self.mlp(self.norm2(tokens)))


class Attention(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = rearrange(self.qkv(tokens), "n l (three heads c) -> three n heads l c", three=3,
                                      heads=self.heads)
        mixed = scaled_dot_product_attention(query, key, value)
        return self.proj(rearrange(mixed, "n heads l c -> n l (heads c)"))


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(nn.functional.gelu(self.fc1(tokens)))


class LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens * self.gamma
