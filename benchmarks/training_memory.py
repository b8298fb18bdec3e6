"""What training an adapter for Wan 2.1 14B takes of a GPU's memory, COMPUTED without one.

The real model is built on torch's meta device, of tensors that have shapes and no values; what its forward pass keeps
for the backward pass is counted. Attention is counted as the fused kernels keep it: queries, keys, values, output and
one number per row. Not counted: CUDA's own (about 0.5 GiB) and what the allocator loses between blocks.

Usage: python benchmarks/training_memory.py
"""

from __future__ import annotations

import torch
from torch import Tensor

from ex4d_ops import wan as seam
from ex4d_ops.training import AdaptedWan

WAN_14B = {"model_type": "i2v", "in_dim": 36, "dim": 5120, "ffn_dim": 13824, "num_heads": 40, "num_layers": 40}
FRAMES, SIZE = 49, 512
GIB = 2**30
CARDS = (80, 48)  # GB as sold
ROOM = 0.95  # of a card, for tensors


class FusedAttention(torch.autograd.Function):
    """The shapes of fused attention, forward and kept; no values."""

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, output, query.new_empty(query.shape[:-1], dtype=torch.float32))
        return output


def build(blocks: int, base: torch.dtype, recompute: bool, rank: int) -> AdaptedWan:
    from comfy import ops
    from comfy.ldm.wan.model import WanModel

    wan = WanModel(**WAN_14B | {"num_layers": blocks}, operations=ops.manual_cast, dtype=base)
    for name, weight in wan.named_parameters():
        weight.data = weight.data.to(seam.kept_dtype(name, weight, base))
    return AdaptedWan(wan, rank, recompute=recompute)


def kept_bytes(model: AdaptedWan) -> int:
    """What one forward pass keeps for the backward pass, beside the weights."""
    own = {weight.untyped_storage()._cdata for weight in model.parameters()}
    kept = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage  # held, so that no other takes its place
        return tensor

    t, side = (FRAMES - 1) // 4 + 1, SIZE // 8
    clip = {"prior_latent": torch.empty(1, 32, t, side, side), "image_latent": torch.empty(1, 16, t, side, side),
            "context": torch.empty(1, 512, 4096), "clip_fea": torch.empty(1, 257, 1280)}
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(torch.empty(1, 16, t, side, side), torch.empty(1), clip)
    return sum(storage.nbytes() for storage in kept.values())


def measure(base: torch.dtype, recompute: bool, rank: int) -> dict[str, float]:
    """GiB of each part, with all 40 blocks."""
    blocks = WAN_14B["num_layers"]
    with torch.device("meta"):
        # What a block keeps is the same for all: two runs tell it apart from the rest.
        one, two = (kept_bytes(build(count, base, recompute, rank)) for count in (1, 2))
        one_whole, two_whole = (kept_bytes(build(count, base, False, rank)) for count in (1, 2))
        model = build(blocks, base, recompute, rank)
        trained = sum(weight.nbytes for weight in model.trained().values())
        frozen = sum(weight.nbytes for weight in model.parameters() if not weight.requires_grad)
    return {"Wan": frozen / GIB, "adapter, gradients, moments": 4 * trained / GIB,
            "kept by 40 blocks": (two - one) * blocks / GIB, "kept by the rest": (2 * one - two) / GIB,
            "one block, recomputed": (two_whole - one_whole) / GIB if recompute else 0.0}


def main() -> None:
    seam.open_comfyui()
    torch.nn.functional.scaled_dot_product_attention = lambda query, key, value, *_, **__: FusedAttention.apply(
        query, key, value)
    print(f"Computed, not measured: Wan 2.1 I2V 14B, {FRAMES} frames of {SIZE} x {SIZE}, batch 1, GiB.\n")
    rows = [(base, recompute, rank) for base in ("bfloat16", "float8") for recompute in (True, False)
            for rank in (16, 64) if recompute or rank == 16]
    for number, (base, recompute, rank) in enumerate(rows):
        with seam.differentiable():
            parts = measure(seam.BASE_DTYPES[base], recompute, rank)
        total = sum(parts.values())
        if number == 0:
            columns = ["base", "rank", "recompute", *parts, "together", *(f"{card} GB" for card in CARDS)]
            print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
        fits = " | ".join("yes" if total < ROOM * card * 1e9 / GIB else "no" for card in CARDS)
        print(f"| {base} | {rank} | {'yes' if recompute else 'no'} | "
              f"{' | '.join(f'{part:.1f}' for part in parts.values())} | {total:.1f} | {fits} |", flush=True)


if __name__ == "__main__":
    main()
