"""What generating with EX-4D takes of a GPU's memory and time, COMPUTED without one.

Wan 2.1 I2V 14B, its text encoder's output and the adapter are built on torch's meta device, of tensors that have shapes
and no values, and their bytes are counted; working memory is what ComfyUI itself reserves for a call with one prompt.
Where all of it exceeds a card, ComfyUI keeps the rest of Wan in main memory and moves it over with every call. Time is
that of the matrix products at half of a card's peak, plus those moves. Not counted: text encoder and VAE, which ComfyUI
unloads before sampling, unpacking of GGUF weights, and what CUDA takes itself.

Usage: python benchmarks/generation_memory.py
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from ex4d_ops import wan as seam
from ex4d_ops.adapter import PriorEncoder
from ex4d_ops.checkpoint import LAYERS
from ex4d_ops.clip import WAN_STRIDE

WAN_14B = {"image_model": "wan2.1", "model_type": "i2v", "in_dim": 36, "dim": 5120, "ffn_dim": 13824, "num_heads": 40,
           "num_layers": 40}
RANK, HIDDEN, CONTEXT = 16, 1024, 512 + 257  # of the released adapter; text and image tokens
GIB = 2**30
ROOM = 0.93  # of a card, for tensors: the rest is CUDA's and the desktop's
EFFICIENCY = 0.5  # of the peak that large matrix products reach
BUS = 20e9  # bytes a second from main memory; PCIe 4.0 x16 in practice


class Card(NamedTuple):
    name: str
    gigabytes: int  # as sold
    flops: float  # dense bf16 with float32 sums, by its data sheet


CARDS = (Card("RTX 4080", 16, 97.5e12), Card("RTX 4090", 24, 165e12), Card("RTX 6000 Ada", 48, 364e12))
PRECISIONS = {"fp16": 2.0, "fp8": 1.0, "GGUF Q4_K_M": 4.85 / 8}  # bytes of a weight of the blocks
SIZES = ((49, 512, 512), (81, 832, 480))  # frames, width, height
SAMPLINGS = {"25 steps, CFG 5": 50, "4 steps, CFG 1": 4}  # calls


def build_wan() -> tuple[torch.nn.Module, float]:
    """Wan without values, and ComfyUI's own factor of its working memory."""
    import comfy.ldm.wan.model
    import comfy.ops
    import comfy.supported_models

    with torch.device("meta"):
        settings = {name: value for name, value in WAN_14B.items() if name != "image_model"}
        wan = comfy.ldm.wan.model.WanModel(**settings, operations=comfy.ops.disable_weight_init)
    return wan, comfy.supported_models.WAN21_I2V(dict(WAN_14B)).memory_usage_factor


def weight_bytes(wan: torch.nn.Module, block_bytes: float) -> float:
    """Bytes of Wan with the matrices of its blocks at that precision and all else in 16 bit."""
    return sum(weight.numel() * (block_bytes if name.startswith("blocks.") and weight.ndim == 2 else 2)
               for name, weight in wan.named_parameters())


def adapter_bytes() -> tuple[int, int]:
    """Bytes of the encoder and of the LoRA, in 16 bit; the LoRA becomes part of Wan's weights."""
    with torch.device("meta"):
        encoder = PriorEncoder(HIDDEN, WAN_14B["dim"])
    widths = {"ffn.0": WAN_14B["dim"] + WAN_14B["ffn_dim"], "ffn.2": WAN_14B["dim"] + WAN_14B["ffn_dim"]}
    lora = WAN_14B["num_layers"] * sum(RANK * widths.get(layer, 2 * WAN_14B["dim"]) for layer in LAYERS)
    return 2 * sum(weight.numel() for weight in encoder.parameters()), 2 * lora


def tokens_of(frames: int, width: int, height: int) -> int:
    return ((frames - 1) // WAN_STRIDE + 1) * (width // 16) * (height // 16)


def call_flops(wan: torch.nn.Module, tokens: int) -> float:
    """Of one call: every weight of the blocks times every token it sees, and attention among them."""
    dim, blocks = WAN_14B["dim"], WAN_14B["num_layers"]
    of_context = ("cross_attn.k.", "cross_attn.v.", "cross_attn.k_img.", "cross_attn.v_img.")
    products = sum(2 * weight.numel() * (CONTEXT if any(part in name for part in of_context) else tokens)
                   for name, weight in wan.blocks.named_parameters() if weight.ndim == 2)
    return products + blocks * 4 * dim * tokens * (tokens + CONTEXT)


def working_bytes(size: tuple[int, int, int], factor: float) -> float:
    """What ComfyUI reserves for a call with one prompt, in 16 bit with fused attention."""
    frames, width, height = size
    return 4 * tokens_of(frames, width, height) * 2 * 0.01 * factor * 2**20  # BaseModel.memory_required


def main() -> None:
    seam.open_comfyui()
    wan, factor = build_wan()
    encoder, lora = adapter_bytes()
    print("Computed, not measured.\n")
    print(f"Encoder {encoder / 2**20:.0f} MiB, loaded beside Wan; LoRA {lora / 2**20:.0f} MiB, merged into it. In main "
          "memory: latents of the prior, and what the encoder makes of them:\n")
    print("| video | latent | prior's latents, MiB | prior's tokens, MiB |\n|---|---|---|---|")
    for frames, width, height in SIZES:
        tokens = tokens_of(frames, width, height)
        print(f"| {frames} x {width} x {height} | {tokens} tokens | {4 * 32 * 4 * tokens / 2**20:.1f} | "
              f"{2 * WAN_14B['dim'] * tokens / 2**20:.0f} |")
    columns = ["video", "Wan", "weights", "working", "together",
               *(f"{card.gigabytes} GB ({card.name})" for card in CARDS)]
    print(f"\nGiB; per card: part of Wan in main memory, minutes for {' / '.join(SAMPLINGS)}.\n")
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for size in SIZES:
        for precision, block_bytes in PRECISIONS.items():
            weights, working = weight_bytes(wan, block_bytes), working_bytes(size, factor)
            total = weights + encoder + working
            cells = [f"{part / GIB:.1f}" for part in (weights, working, total)]
            for card in CARDS:
                outside = max(0.0, total - ROOM * card.gigabytes * 1e9)
                seconds = call_flops(wan, tokens_of(*size)) / (EFFICIENCY * card.flops) + outside / BUS
                minutes = " / ".join(f"{calls * seconds / 60:.1f}" for calls in SAMPLINGS.values())
                cells.append(f"{outside / GIB:.1f}; {minutes} min" if outside else f"all; {minutes} min")
            print(f"| {size[0]} x {size[1]} x {size[2]} | {precision} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
