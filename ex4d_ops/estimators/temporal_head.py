"""Video-Depth-Anything's head: a dense prediction transformer whose coarse levels look along time.

Chen et al., arXiv 2501.12375; Ranftl et al., arXiv 2103.13413. Parameter names are those of the public weights.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu, scaled_dot_product_attention

from .dinov2 import PATCH

HEADS = 8  # of attention along time
GROUPS = 32  # of the normalisation before it
LAST_CHANNELS = 32
FINE_FRAMES = 4  # worked on at once where frames no longer see each other


class TemporalHead(nn.Module):
    """width: of a backbone token; channels: of the four levels, fine to coarse; features: of all once joined."""

    def __init__(self, width: int, channels: Sequence[int], features: int, frames: int) -> None:
        super().__init__()
        self.projects = nn.ModuleList(nn.Conv2d(width, count, 1) for count in channels)
        self.resize_layers = nn.ModuleList([nn.ConvTranspose2d(channels[0], channels[0], 4, 4),
                                            nn.ConvTranspose2d(channels[1], channels[1], 2, 2),
                                            nn.Identity(), nn.Conv2d(channels[3], channels[3], 3, 2, 1)])
        self.scratch = nn.ModuleDict({
            **{f"layer{k + 1}_rn": nn.Conv2d(count, features, 3, 1, 1, bias=False) for k, count in enumerate(channels)},
            **{f"refinenet{k}": Fusion(features) for k in (1, 2, 3, 4)},
            "output_conv1": nn.Conv2d(features, features // 2, 3, 1, 1),
            "output_conv2": nn.Sequential(nn.Conv2d(features // 2, LAST_CHANNELS, 3, 1, 1), nn.ReLU(),
                                          nn.Conv2d(LAST_CHANNELS, 1, 1), nn.ReLU())})
        self.motion_modules = nn.ModuleList(
            nn.Sequential(OrderedDict(temporal_transformer=AlongTime(count, frames)))
            for count in (channels[2], channels[3], features, features))

    def forward(self, tokens: list[Tensor], grid: tuple[int, int]) -> Tensor:
        """Disparity or depth [T, 14 h, 14 w] float32 of a window, of the backbone's tokens, each [T, h w, C]."""
        third, fourth = (self.look(k, self.level(tokens, k + 2, grid)) for k in (0, 1))
        third, fourth = self.scratch["layer3_rn"](third), self.scratch["layer4_rn"](fourth)
        coarse = self.look(2, self.scratch["refinenet4"](fourth, size=third.shape[-2:]))
        second = (2 * grid[0], 2 * grid[1])
        coarse = self.look(3, self.scratch["refinenet3"](coarse, third, size=second))
        parts = range(0, len(coarse), FINE_FRAMES)
        return torch.cat([self.refine([level[k:k + FINE_FRAMES] for level in tokens[:2]],
                                      coarse[k:k + FINE_FRAMES], grid) for k in parts])

    def level(self, tokens: list[Tensor], k: int, grid: tuple[int, int]) -> Tensor:
        """The feature map [T, C, ...] of one depth of the backbone at the resolution of its level."""
        return self.resize_layers[k](self.projects[k](rearrange(tokens[k], "t (h w) c -> t c h w", h=grid[0])))

    def look(self, k: int, features: Tensor) -> Tensor:
        return self.motion_modules[k](features)

    def refine(self, tokens: list[Tensor], coarse: Tensor, grid: tuple[int, int]) -> Tensor:
        """Values [N, 14 h, 14 w] of some frames, of their two fine levels and the joined coarse ones."""
        first, second = (self.scratch[f"layer{k + 1}_rn"](self.level(tokens, k, grid)) for k in (0, 1))
        joined = self.scratch["refinenet2"](coarse, second, size=first.shape[-2:])
        joined = self.scratch["output_conv1"](self.scratch["refinenet1"](joined, first))
        joined = interpolate(joined, (grid[0] * PATCH, grid[1] * PATCH), mode="bilinear", align_corners=True)
        last = self.scratch["output_conv2"]
        return last(joined.to(next(last.parameters()).dtype))[:, 0].float()


class Fusion(nn.Module):
    """Adds a finer level to the joined coarser ones and enlarges the sum."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.resConfUnit1, self.resConfUnit2 = Residual(features), Residual(features)
        self.out_conv = nn.Conv2d(features, features, 1)

    def forward(self, joined: Tensor, level: Tensor | None = None, size: tuple[int, int] | None = None) -> Tensor:
        joined = joined if level is None else joined + self.resConfUnit1(level)
        joined = self.resConfUnit2(joined)
        height, width = joined.shape[-2:]
        return self.out_conv(interpolate(joined, size or (2 * height, 2 * width), mode="bilinear", align_corners=True))


class Residual(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(features, features, 3, 1, 1), nn.Conv2d(features, features, 3, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.conv2(relu(self.conv1(relu(features))))


class AlongTime(nn.Module):
    """Attention of each place of a feature map [T, C, h, w] to itself at all times of the window."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels, eps=1e-6)
        self.proj_in, self.proj_out = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.transformer_blocks = nn.ModuleList([TimeBlock(channels, frames)])

    def forward(self, features: Tensor) -> Tensor:
        places = self.proj_in(rearrange(self.norm(features), "t c h w -> (h w) t c"))
        for block in self.transformer_blocks:
            places = block(places)
        return features + rearrange(self.proj_out(places), "(h w) t c -> t c h w", h=features.shape[-2])


class TimeBlock(nn.Module):
    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.attention_blocks = nn.ModuleList(TimeAttention(channels, frames) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))
        self.ff = nn.ModuleDict({"net": nn.Sequential(GatedGelu(channels), nn.Identity(),
                                                      nn.Linear(4 * channels, channels))})
        self.ff_norm = nn.LayerNorm(channels)

    def forward(self, places: Tensor) -> Tensor:
        for attention, norm in zip(self.attention_blocks, self.norms):
            places = places + attention(norm(places))
        return places + self.ff["net"](self.ff_norm(places))


class TimeAttention(nn.Module):
    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, channels, bias=False) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])
        self.pos_encoder = nn.Module()
        self.pos_encoder.register_buffer("pe", sinusoids(frames, channels))

    def forward(self, places: Tensor) -> Tensor:
        places = places + self.pos_encoder.get_buffer("pe")[:, :places.shape[1]].to(places.dtype)
        query, key, value = (rearrange(project(places), "n t (heads c) -> n heads t c", heads=HEADS)
                             for project in (self.to_q, self.to_k, self.to_v))
        mixed = scaled_dot_product_attention(query, key, value)
        return self.to_out[0](rearrange(mixed, "n heads t c -> n t (heads c)"))


class GatedGelu(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Linear(channels, 8 * channels)

    def forward(self, places: Tensor) -> Tensor:
        kept, gate = self.proj(places).chunk(2, -1)
        return kept * nn.functional.gelu(gate)


def sinusoids(frames: int, channels: int) -> Tensor:
    """Position encodings [1, frames, channels]: sines at even channels, cosines at odd ones."""
    angle = torch.arange(frames)[:, None] * torch.exp(torch.arange(0, channels, 2) * (-math.log(10000.0) / channels))
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)[None]
