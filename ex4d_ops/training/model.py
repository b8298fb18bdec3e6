"""Wan with the parts that are trained: the LoRA in its blocks and the prior's encoder before them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..adapter import PriorEncoder

# The layers that the released LoRA sits on: not k_img and v_img.
LORA_LAYERS = r"blocks\.\d+\.((self|cross)_attn\.[qkvo]|ffn\.[02])"
RELEASED_HIDDEN = 1024  # channels inside the released encoder
MAX_TIMESTEP = 1000  # at noise level 1; Wan


class AdaptedWan(nn.Module):
    """ComfyUI's Wan, frozen, with a LoRA of scale 1 and a prior encoder, both float32 and trainable.

    It predicts what Wan alone does until it is trained: the LoRA's B and the encoder's last layer start at zero.
    The Wan handed in gets the LoRA injected. seed: draws the other weights. recompute: keep one tensor per block
    for the backward pass and compute the rest of the block again (gradient checkpointing).
    """

    _no_split_modules = ("WanAttentionBlock",)  # what accelerate shards as one, unless its config names others

    def __init__(self, wan, rank: int = 16, hidden_channels: int = RELEASED_HIDDEN, seed: int = 0,
                 recompute: bool = True) -> None:
        super().__init__()
        self.dtype = wan.head.head.weight.dtype  # Wan computes in what its head is kept in
        if recompute:
            # Not through ComfyUI's block replacement: what it hands over runs the last block when called again.
            for block in wan.blocks:
                block.forward = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.wan = wan.requires_grad_(False)
            inject_lora(self.wan, rank)
            self.encoder = PriorEncoder(hidden_channels, wan.dim)
        for weight in self.encoder.latent_patch_embedding.parameters():
            nn.init.zeros_(weight)

    def forward(self, noisy: Tensor, level: Tensor, clip: dict[str, Tensor]) -> Tensor:
        """Velocity [B, 16, t, h, w], float32, of a noisy video at noise levels [B] in [0, 1].

        clip: prior_latent [B, 32, t, h, w], image_latent [B, 16, t, h, w], context [B, 512, 4096] and clip_fea
        [B, 257, 1280] of the clips; models without CLIP vision leave the last one out.
        """
        given = torch.zeros_like(noisy[:, :4])
        given[:, :, 0] = 1  # the first frame is
        video = torch.cat([noisy, given, clip["image_latent"].to(noisy)], 1)
        tokens = self.encoder(clip["prior_latent"].float())  # [B, dim, t, h/2, w/2]
        seen = None if self.wan.img_emb is None else clip["clip_fea"].to(self.dtype)
        with added_to_output(self.wan.patch_embedding, tokens):
            velocity = self.wan(video.to(self.dtype), level * MAX_TIMESTEP, clip["context"].to(self.dtype),
                                clip_fea=seen, transformer_options={})
        return velocity.float()

    def trained(self) -> dict[str, nn.Parameter]:
        """What is trained, by the released names."""
        return {released_name(name): weight for name, weight in self.named_parameters() if weight.requires_grad}


def inject_lora(wan: nn.Module, rank: int) -> nn.Module:
    """The same module with a float32 LoRA of this rank, alpha = rank, on the layers the released one has."""
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.lora import LoraLayer

    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=LORA_LAYERS)
    inject_adapter_in_model(config, wan)
    for layer in wan.modules():
        if isinstance(layer, LoraLayer):  # peft kept them in the dtype of the base, which may be float8
            layer.lora_A.float()
            layer.lora_B.float()
            layer.reset_lora_parameters("default", True)
    return wan


def released_name(name: str) -> str:
    """What the released state dict calls a trained parameter of AdaptedWan."""
    return name.removeprefix("wan.").removeprefix("encoder.")


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
