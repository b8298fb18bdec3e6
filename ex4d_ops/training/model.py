"""A video model with the parts that are trained: the LoRA in its blocks and the prior's encoder before them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..adapter import PriorEncoder
from ..bases import base_of, patch_layer
from ..checkpoint import COGVIDEOX, LAYOUTS
from ..cogvideox import nearest_timesteps

RELEASED_HIDDEN = 1024  # channels inside the released encoder
MAX_TIMESTEP = 1000  # at noise level 1; Wan


class AdaptedBase(nn.Module):
    """ComfyUI's module, frozen, with a LoRA of scale 1 and a prior encoder, both float32 and trainable.

    It predicts what the module alone does until it is trained: the LoRA's B and the encoder's last layer start at zero.
    The module handed in gets the LoRA injected. seed: draws the other weights. recompute: keep one tensor per block
    for the backward pass and compute the rest of the block again (gradient checkpointing).
    """

    def __init__(self, base, rank: int = 16, hidden_channels: int = RELEASED_HIDDEN, seed: int = 0,
                 recompute: bool = True) -> None:
        super().__init__()
        if recompute:
            # Not through ComfyUI's block replacement: what it hands over runs the last block when called again.
            for block in base.blocks:
                block.forward = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.base = base.requires_grad_(False)
            inject_lora(self.base, rank, LAYOUTS[base_of(base)].pattern)
            self.encoder = PriorEncoder(hidden_channels, base.dim)
        for weight in self.encoder.latent_patch_embedding.parameters():
            nn.init.zeros_(weight)

    def trained(self) -> dict[str, nn.Parameter]:
        """What is trained, by the released names."""
        return {released_name(name): weight for name, weight in self.named_parameters() if weight.requires_grad}


class AdaptedWan(AdaptedBase):
    """Wan 2.1 I2V, or an expert of Wan 2.2 I2V."""

    _no_split_modules = ("WanAttentionBlock",)  # what accelerate shards as one, unless its config names others

    def __init__(self, base, *rest, **options) -> None:
        self.dtype = base.head.head.weight.dtype  # Wan computes in what its head is kept in
        super().__init__(base, *rest, **options)

    def forward(self, noisy: Tensor, level: Tensor, clip: dict[str, Tensor]) -> Tensor:
        """Velocity [B, 16, t, h, w], float32, of a noisy video at noise levels [B] in [0, 1].

        clip: prior_latent [B, 32, t, h, w], image_latent [B, 16, t, h, w], context [B, 512, 4096] and clip_fea
        [B, 257, 1280] of the clips; models without CLIP vision leave the last one out.
        """
        given = torch.zeros_like(noisy[:, :4])
        given[:, :, 0] = 1  # the first frame is
        video = torch.cat([noisy, given, clip["image_latent"].to(noisy)], 1)
        tokens = self.encoder(clip["prior_latent"].float())  # [B, dim, t, h/2, w/2]
        seen = None if self.base.img_emb is None else clip["clip_fea"].to(self.dtype)
        with added_to_output(patch_layer(self.base), tokens):
            velocity = self.base(video.to(self.dtype), level * MAX_TIMESTEP, clip["context"].to(self.dtype),
                                 clip_fea=seen, transformer_options={})
        return velocity.float()


class AdaptedCogVideoX(AdaptedBase):
    """CogVideoX I2V, whose noise and answer are turned into Wan's, so that it is trained and sampled the same way."""

    _no_split_modules = ("CogVideoXBlock",)

    def __init__(self, base, *rest, **options) -> None:
        self.dtype = base.proj_out.weight.dtype
        super().__init__(base, *rest, **options)

    def forward(self, noisy: Tensor, level: Tensor, clip: dict[str, Tensor]) -> Tensor:
        """As AdaptedWan's; context: [B, 226, 4096].

        A level s mixes (1 - s) of the video x with s of the noise e. Divided by the length of both factors, this is
        CogVideoX's a x + b e with a^2 + b^2 = 1, of which it predicts a e - b x.
        """
        level = level.reshape(-1, 1, 1, 1, 1)
        length = ((1 - level).square() + level.square()).sqrt()
        a, b, noisy = (1 - level) / length, level / length, noisy / length
        image = torch.zeros_like(noisy)
        image[:, :, :1] = clip["image_latent"][:, :, :1]  # the later frames are nothing, not gray
        tokens = self.encoder(clip["prior_latent"].float())
        with added_to_output(patch_layer(self.base), tokens.transpose(1, 2).flatten(0, 1)):
            answer = self.base(torch.cat([noisy, image], 1).to(self.dtype), nearest_timesteps(a.flatten()),
                               clip["context"].to(self.dtype), transformer_options={}).float()
        return (b - a) * noisy + (a + b) * answer


def adapt(base: nn.Module, rank: int, hidden_channels: int, seed: int, recompute: bool) -> AdaptedBase:
    """A module of bases.build_base with what is trained, whichever it is."""
    kind = AdaptedCogVideoX if base_of(base) == COGVIDEOX else AdaptedWan
    return kind(base, rank, hidden_channels, seed, recompute)


def inject_lora(base: nn.Module, rank: int, layers: str) -> nn.Module:
    """The same module with a float32 LoRA of this rank, alpha = rank, on the layers that a pattern names."""
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora import LoraLayer

    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=layers)
    inject_adapter_in_model(config, base)
    for layer in base.modules():
        if isinstance(layer, LoraLayer):  # peft kept them in the dtype of the base, which may be float8
            layer.lora_A.float()
            layer.lora_B.float()
            layer.reset_lora_parameters("default", True)
    return base


def released_name(name: str) -> str:
    """What the released state dict calls a trained parameter of AdaptedBase."""
    return name.removeprefix("base.").removeprefix("encoder.")


@contextmanager
def added_to_output(layer: nn.Module, tokens: Tensor) -> Iterator[None]:
    """Add tokens to what the layer's first call returns while the block runs."""
    waiting = [tokens]

    def add(module: nn.Module, arguments: tuple, output: Tensor) -> Tensor:
        return output + waiting.pop().to(output) if waiting else output

    hook = layer.register_forward_hook(add)
    try:
        yield
    finally:
        hook.remove()
