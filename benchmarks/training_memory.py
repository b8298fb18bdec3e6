"""What training for Wan 2.1 14B takes of a GPU's memory: of an adapter, and of a ControlNet. COMPUTED without one.

The real model is built on torch's meta device, of tensors that have shapes and no values; what its forward pass keeps
for the backward pass is counted. Attention is counted as the fused kernels keep it: queries, keys, values, output and
one number per row. Not counted: CUDA's own (about 0.5 GiB) and what the allocator loses between blocks.

Usage: python benchmarks/training_memory.py
       python benchmarks/training_memory.py --measure bfloat16   an adapter's steps, and calls, on a GPU; random weights
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ex4d_ops import wan as seam
from ex4d_ops.adapter import PriorEncoder
from ex4d_ops.training import AdaptedWan
from ex4d_ops.training.model import RELEASED_HIDDEN

WAN_14B = {"model_type": "i2v", "in_dim": 36, "dim": 5120, "ffn_dim": 13824, "num_heads": 40, "num_layers": 40}
FRAMES, SIZE = 49, 512
SAMPLED = ((49, 512, 512), (81, 832, 480))  # frames, width, height
GIB = 2**30
CARDS = (80, 48)  # GB as sold
ROOM = 0.95  # of a card, for tensors
COPIES = 4  # of what is trained: itself, its gradients and AdamW's two moments


class FusedAttention(torch.autograd.Function):
    """The shapes of fused attention, forward and kept; no values."""

    @staticmethod
    def forward(ctx, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = torch.empty_like(query)
        ctx.save_for_backward(query, key, value, output, query.new_empty(query.shape[:-1], dtype=torch.float32))
        return output


# ---- a ControlNet in place of the LoRA ----------------------------------------------------------


class ControlledBlock(nn.Module):
    """A block of Wan, frozen, and a trained copy of it, whose answer is added through a layer that begins at zero.

    states: what the copy before this one has answered, shared by all of them.
    """

    def __init__(self, block: nn.Module, dim: int, states: list[Tensor], trained: torch.dtype) -> None:
        super().__init__()
        self.block, self.copy, self.states = block, deepcopy(block).to(trained).requires_grad_(True), states
        self.zero = nn.Linear(dim, dim, dtype=trained)
        for weight in self.zero.parameters():
            nn.init.zeros_(weight)

    def forward(self, x: Tensor, **given) -> Tensor:
        state = checkpoint(self.copy, self.states.pop() if self.states else x, use_reentrant=False, **given)
        self.states.append(state)
        added = nn.functional.linear(state, self.zero.weight.to(x), self.zero.bias.to(x))
        return checkpoint(self.block, x, use_reentrant=False, **given) + added


class ControlledWan(AdaptedWan):
    """Wan, frozen, with trained copies of its first blocks, which see the prior: a ControlNet.

    As ControlNets for transformers copy blocks one by one. The prior is added to the tokens, as the adapter does.
    """

    def __init__(self, wan, copies: int, trained: torch.dtype) -> None:
        nn.Module.__init__(self)
        self.dtype, self.base, self.states = wan.head.head.weight.dtype, wan.requires_grad_(False), []
        for number in range(copies):
            wan.blocks[number] = ControlledBlock(wan.blocks[number], wan.dim, self.states, trained)
        for block in wan.blocks[copies:]:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        self.encoder = PriorEncoder(RELEASED_HIDDEN, wan.dim)

    def forward(self, noisy: Tensor, level: Tensor, clip: dict[str, Tensor]) -> Tensor:
        self.states.clear()
        return super().forward(noisy, level, clip)


# ---- counting -----------------------------------------------------------------------------------


def build_wan(blocks: int, base: torch.dtype) -> nn.Module:
    from comfy import ops
    from comfy.ldm.wan.model import WanModel

    wan = WanModel(**WAN_14B | {"num_layers": blocks}, operations=ops.manual_cast, dtype=base)
    for name, weight in wan.named_parameters():
        weight.data = weight.data.to(seam.kept_dtype(name, weight, base))
    return wan


def build(blocks: int, base: torch.dtype, recompute: bool, rank: int) -> AdaptedWan:
    return AdaptedWan(build_wan(blocks, base), rank, recompute=recompute)


def random_clip(frames: int, width: int, height: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Noise in place of what a model of the 14B is given, and the time."""
    video = ((frames - 1) // 4 + 1, height // 8, width // 8)
    return torch.randn(1, 16, *video), torch.rand(1), {
        "prior_latent": torch.randn(1, 32, *video), "image_latent": torch.randn(1, 16, *video),
        "context": torch.randn(1, 512, 4096), "clip_fea": torch.randn(1, 257, 1280)}


def kept_bytes(model: AdaptedWan) -> int:
    """What one forward pass keeps for the backward pass, beside the weights."""
    own = {weight.untyped_storage()._cdata for weight in model.parameters()}
    kept = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage  # held, so that no other takes its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model(*random_clip(FRAMES, SIZE, SIZE))
    return sum(storage.nbytes() for storage in kept.values())


def weight_bytes(model: nn.Module) -> tuple[int, int]:
    """Bytes of what is frozen, and of what is trained with its gradients and moments."""
    trained = sum(weight.nbytes for weight in model.parameters() if weight.requires_grad)
    return sum(weight.nbytes for weight in model.parameters() if not weight.requires_grad), COPIES * trained


def measure(base: torch.dtype, recompute: bool, rank: int) -> dict[str, float]:
    """GiB of each part, with all 40 blocks."""
    blocks = WAN_14B["num_layers"]
    with torch.device("meta"):
        # What a block keeps is the same for all: two runs tell it apart from the rest.
        one, two = (kept_bytes(build(count, base, recompute, rank)) for count in (1, 2))
        one_whole, two_whole = (kept_bytes(build(count, base, False, rank)) for count in (1, 2))
        frozen, trained = weight_bytes(build(blocks, base, recompute, rank))
    return {"Wan": frozen / GIB, "adapter, gradients, moments": trained / GIB,
            "kept by 40 blocks": (two - one) * blocks / GIB, "kept by the rest": (2 * one - two) / GIB,
            "one block, recomputed": (two_whole - one_whole) / GIB if recompute else 0.0}


def measure_controlnet(base: torch.dtype, copies: int, trained: torch.dtype) -> dict[str, float]:
    """GiB of each part of a ControlNet that copies so many of 40 blocks, with recomputation."""
    blocks = WAN_14B["num_layers"]
    with torch.device("meta"):
        kept = {(count, copied): kept_bytes(ControlledWan(build_wan(count, base), copied, trained))
                for count, copied in ((1, 1), (2, 2), (2, 1))}
        one_whole, two_whole = (kept_bytes(build(count, base, False, 16)) for count in (1, 2))
        frozen, moved = weight_bytes(ControlledWan(build_wan(blocks, base), copies, trained))
    plain, copied = kept[2, 1] - kept[1, 1], kept[2, 2] - kept[1, 1]
    return {"Wan": frozen / GIB, "ControlNet, gradients, moments": moved / GIB,
            "kept by 40 blocks": ((blocks - copies) * plain + copies * copied) / GIB,
            "kept by the rest": (kept[1, 1] - copied) / GIB, "one block, recomputed": (two_whole - one_whole) / GIB}


# ---- tables -------------------------------------------------------------------------------------


def show(head: tuple[str, ...], rows) -> None:
    """Print a table of (cells, parts of the memory), as its rows are computed."""
    for number, (cells, parts) in enumerate(rows):
        total = sum(parts.values())
        if number == 0:
            columns = [*head, *parts, "together", *(f"{card} GB" for card in CARDS)]
            print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
        fits = " | ".join("yes" if total < ROOM * card * 1e9 / GIB else "no" for card in CARDS)
        print(f"| {' | '.join(cells)} | {' | '.join(f'{part:.1f}' for part in parts.values())} | {total:.1f} | "
              f"{fits} |", flush=True)


def adapter_rows():
    for base in ("bfloat16", "float8"):
        for recompute, rank in ((True, 16), (True, 64), (False, 16)):
            with seam.differentiable():
                parts = measure(seam.BASE_DTYPES[base], recompute, rank)
            yield (base, str(rank), "yes" if recompute else "no"), parts


def controlnet_rows():
    for base, copies, trained in (("bfloat16", 40, "float32"), ("bfloat16", 20, "float32"), ("float8", 20, "float32"),
                                  ("bfloat16", 20, "bfloat16")):
        with seam.differentiable():
            parts = measure_controlnet(seam.BASE_DTYPES[base], copies, seam.BASE_DTYPES[trained])
        yield (base, str(copies), trained), parts


# ---- on a GPU -----------------------------------------------------------------------------------


def measure_steps(base: str) -> None:
    """Print the seconds and the most memory of steps that train an adapter, then of calls as sampling makes them."""
    with seam.differentiable(), torch.device("cuda"):
        model = build(WAN_14B["num_layers"], seam.BASE_DTYPES[base], True, 16)
        for weight in model.parameters():
            weight.data = (0.02 * torch.randn(weight.shape, dtype=torch.bfloat16)).to(weight.dtype)
        optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad])

        def step() -> None:
            model(*random_clip(FRAMES, SIZE, SIZE)).float().square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()

        print(f"{torch.cuda.get_device_name()}, Wan 2.1 I2V 14B in {base}, random weights; {torch.__version__}\n\n"
              "| what | seconds | at the peak, GiB |\n|---|---|---|")
        report(f"a step, {FRAMES} frames of {SIZE}x{SIZE}", step)
        with torch.no_grad():
            for size in SAMPLED:
                report("a call, {} frames of {}x{}".format(*size), lambda size=size: model(*random_clip(*size)))


def report(what: str, work: Callable[[], object]) -> None:
    torch.cuda.reset_peak_memory_stats()
    for _ in range(3):
        begun = time.perf_counter()
        work()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - begun
    print(f"| {what} | {seconds:.2f} | {torch.cuda.max_memory_allocated() / GIB:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", choices=seam.BASE_DTYPES, help="measure on a GPU, with Wan kept in this")
    measured = parser.parse_args().measure
    seam.open_comfyui()
    if measured:
        measure_steps(measured)
        return
    torch.nn.functional.scaled_dot_product_attention = lambda query, key, value, *_, **__: FusedAttention.apply(
        query, key, value)
    print(f"Computed, not measured: Wan 2.1 I2V 14B, {FRAMES} frames of {SIZE} x {SIZE}, batch 1, GiB.\n")
    show(("base", "rank", "recompute"), adapter_rows())
    print("\nA ControlNet in place of the LoRA, with recomputation; copied: how many of Wan's 40 blocks.\n")
    show(("base", "copied", "trained in"), controlnet_rows())


if __name__ == "__main__":
    main()
