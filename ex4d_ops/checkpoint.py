"""EX-4D's weights: reading whatever file holds them, checking every tensor, writing safetensors."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from .clip import LATENT_CHANNELS
from .files.tensors import SAFETENSORS, read_tensors
from .files.whole import written_whole

log = logging.getLogger(__name__)

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
ATTENTION = ("q", "k", "v", "o")
ENCODER = tuple(f"{layer}.{part}" for layer in ("latent_encoder.0", "latent_encoder.2", "latent_encoder.4",
                                                "latent_patch_embedding") for part in ("weight", "bias"))
PREFIXES = ("state_dict.", "diffusion_model.", "model.", "module.", "pipe.", "dit.", "base_model.", "camera_encoder.")
MODEL = "diffusion_model."  # what ComfyUI and others call the video model in the keys of a LoRA
RELEASED_BASE = "Wan 2.1 I2V"
EXPERTS = "Wan 2.2 I2V"  # two models, for high and for low noise, of the same layers as the released one's 14B
COGVIDEOX = "CogVideoX I2V"
SIZES = {(5120, 40): "14B", (3072, 30): "5B", (3072, 42): "5B", (1536, 30): "1.3B"}  # by dim and number of blocks
NAMED = 8  # names of further keys that a warning or error gives


@dataclass(frozen=True)
class Layout:
    """The layers of every block that the LoRA sits on: those of attention, the feed-forward's first and its last."""

    attention: tuple[str, ...]
    widens: str
    narrows: str

    @property
    def layers(self) -> tuple[str, ...]:
        return (*self.attention, self.widens, self.narrows)

    @property
    def pattern(self) -> str:
        """Matches the names of these layers in all blocks."""
        return rf"blocks\.\d{{1,3}}\.(?:{'|'.join(map(re.escape, self.layers))})"


WAN = Layout((*(f"self_attn.{name}" for name in ATTENTION), *(f"cross_attn.{name}" for name in ATTENTION)), "ffn.0",
             "ffn.2")
LAYOUTS = {RELEASED_BASE: WAN, EXPERTS: WAN, COGVIDEOX: Layout(("q", "k", "v", "attn_out"), "ff_proj", "ff_out")}
BASES = tuple(LAYOUTS)
LAYERS = WAN.layers  # of the released adapter


@dataclass(frozen=True, eq=False)
class Adapter:
    """EX-4D's weights. encoder: as PriorEncoder names them; lora: "blocks.N.LAYER.lora_A", [rank, in], and lora_B,
    [out, rank], of the layers of every block; the LoRA's scale is alpha / rank. base: which of BASES it was trained on.
    """

    encoder: dict[str, Tensor]
    lora: dict[str, Tensor]
    alpha: float
    base: str = RELEASED_BASE

    @property
    def layout(self) -> Layout:
        return LAYOUTS[self.base]

    @property
    def rank(self) -> int:
        return self.lora[f"blocks.0.{self.layout.widens}.lora_A"].shape[0]

    @property
    def dim(self) -> int:
        return self.lora[f"blocks.0.{self.layout.widens}.lora_A"].shape[1]

    @property
    def ffn_dim(self) -> int:
        return self.lora[f"blocks.0.{self.layout.widens}.lora_B"].shape[0]

    @property
    def blocks(self) -> int:
        return len(self.lora) // (2 * len(self.layout.layers))

    @property
    def made_for(self) -> str:
        """The model that it fits, in words: "Wan 2.1 I2V 14B"."""
        return f"{self.base} {name_size(self.dim, self.blocks)}"

    def describe(self) -> str:
        """What it holds, in words."""
        encoder, lora = (sum(weight.numel() for weight in part.values()) for part in (self.encoder, self.lora))
        return (f"LoRA of rank {self.rank}, alpha {self.alpha:g} on {self.blocks} blocks of dim {self.dim}: "
                f"{lora / 1e6:.1f} M parameters; encoder: {encoder / 1e6:.1f} M; "
                f"together {(encoder + lora) / 1e6:.1f} M")

    def check_base(self, dim: int, ffn_dim: int, blocks: int) -> None:
        """Raise ValueError unless it was made for a model of this width and depth."""
        if (dim, ffn_dim, blocks) != (self.dim, self.ffn_dim, self.blocks):
            raise ValueError(f"the adapter was made for {self.made_for}, with {self.blocks} blocks of dim {self.dim} "
                             f"(ffn {self.ffn_dim}), the model has {blocks} of dim {dim} (ffn {ffn_dim}); load the "
                             "model that it was trained on")

    def doubt_base(self, name: str) -> str | None:
        """What speaks against using it on a model of this name that it fits, in one sentence; None if nothing does."""
        if name.startswith(self.base):
            return None
        return (f"the model is {name}, but the adapter was trained on {self.base}, whose layers have the same shapes "
                "and other weights; it may lead the video less well")


def name_size(dim: int, blocks: int) -> str:
    """What users call the size of a model."""
    return SIZES.get((dim, blocks), f"of {blocks} blocks of {dim}")


# ---- reading ------------------------------------------------------------------------------------


def load_adapter(path: str | Path) -> Adapter:
    """Read EX-4D's weights from ex4d.ckpt, or any torch state dict or safetensors file of them.

    float32, float16 or bfloat16. Usual prefixes and peft's ".default" are understood; further keys are named in one
    warning and ignored. Raises ValueError in one sentence where the file is damaged, of another kind, or lacks a
    tensor or has one of another shape: it lists all of them. Nothing a pickle asks to run is run.
    """
    path = Path(path)
    nested = read_tensors(path)
    base = read_base(path, nested)
    try:
        values = dict(flatten(nested))
        found, further = sort_keys(values, LAYOUTS[base])
        adapter = check_adapter(found, list(values), base)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error
    if further:
        log.warning("%s: ignores keys that are not part of EX-4D: %s", path, some_of(further))
    return adapter


def read_base(path: Path, values: dict) -> str:
    """Which of BASES a file of these values says that it was trained on, the released one where it says nothing.

    Safetensors files say it in their metadata, torch files by an entry `base`, which is taken out.
    """
    said = values.pop("base") if isinstance(values.get("base"), str) else ""
    if path.suffix.lower() in SAFETENSORS:
        from safetensors import safe_open

        with safe_open(path, "pt") as file:
            said = (file.metadata() or {}).get("base", "")
    return next((base for base in BASES if said.startswith(base)), RELEASED_BASE)


def flatten(values: object, name: str = "") -> Iterator[tuple[str, object]]:
    """The leaves of nested dicts, under their keys joined by dots."""
    if not isinstance(values, dict):
        yield name, values
        return
    for key, value in values.items():
        yield from flatten(value, f"{name}.{key}" if name else str(key))


def sort_keys(values: dict[str, object], layout: Layout) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors that EX-4D's weights consist of, under their own names, and the names of everything else."""
    lora_key = re.compile(rf"({layout.pattern})\.(lora_[AB]|alpha)(?:\.default)?(?:\.weight)?")
    found: dict[str, Tensor] = {}
    further = []
    for name, value in values.items():
        key = own_name(name, lora_key)
        if key is None or not isinstance(value, Tensor):
            further.append(name)
        elif key in found:
            raise ValueError(f"contains {key} twice, the second time as {name}; keep one of them")
        else:
            found[key] = value
    return found, further


def own_name(name: str, lora_key: re.Pattern) -> str | None:
    """The name in Adapter of a tensor in a file, None where the tensor is not part of EX-4D."""
    while prefix := next((prefix for prefix in PREFIXES if name.startswith(prefix)), None):
        name = name.removeprefix(prefix)
    if name in ENCODER:
        return name
    match = lora_key.fullmatch(name)
    return f"{match[1]}.{match[2]}" if match else None


# ---- checking -----------------------------------------------------------------------------------


def check_adapter(found: dict[str, Tensor], names: list[str], base: str) -> Adapter:
    """The adapter of the tensors found. Raises ValueError with all that is wrong; names: all tensors in the file."""
    encoder = {key: value for key, value in found.items() if key in ENCODER}
    lora = {key: value for key, value in found.items() if key.endswith(("lora_A", "lora_B"))}
    alphas = {key: value for key, value in found.items() if key.endswith("alpha")}
    if not encoder and not lora:
        raise ValueError(f"does not contain weights of EX-4D, only {some_of(names) or 'an empty table'}; choose "
                         "ex4d.ckpt, or a file made from it by ex4d convert-checkpoint")
    if not encoder:
        raise ValueError("is a LoRA without EX-4D's encoder (latent_encoder, latent_patch_embedding); choose the "
                         "whole adapter, or load this one with a LoRA loader")
    if not lora:
        raise ValueError("is EX-4D's encoder without its LoRA; choose the whole adapter")
    faults = list_faults(found, LAYOUTS[base])
    if faults:
        raise ValueError(f"{len(faults)} of its tensors are wrong: {'; '.join(gather_blocks(faults))}; it is damaged "
                         "or was made for something else")
    # Off the disk, whatever becomes of the file; in rows, as files are written.
    own = {key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in found.items()}
    adapter = Adapter({key: own[key] for key in ENCODER}, {key: own[key] for key in own if key in lora}, 0.0, base)
    # peft and ComfyUI: scale 1 where not said
    return replace(adapter, alpha=float(next(iter(alphas.values()), adapter.rank)))


def list_faults(found: dict[str, Tensor], layout: Layout) -> dict[str, str]:
    """What is wrong with each tensor that is missing, misshapen, of no known type or not finite, by its name."""
    faults = {}
    for key, shape in expected_shapes(found, layout).items():
        tensor = found.get(key)
        if tensor is None:
            faults[key] = "missing"
        elif not is_shaped(tensor, shape):
            faults[key] = f"{list(tensor.shape)}, must be {[side or 'any' for side in shape]}".replace("'", "")
        elif tensor.dtype not in DTYPES or not is_plain(tensor):
            faults[key] = f"{describe_kind(tensor)}, must be float32, float16 or bfloat16"
        elif repeats(tensor):
            faults[key] = f"{list(tensor.shape)}, but only {tensor.untyped_storage().nbytes()} bytes of it are stored"
        elif not torch.isfinite(tensor).all():
            faults[key] = "NaN or infinite"
    alphas = {key: value for key, value in found.items() if key.endswith("alpha")}
    for key, alpha in alphas.items():
        plain = is_plain(alpha) and not alpha.is_complex() and alpha.numel() == 1
        if not plain or not 0 < alpha < torch.inf or not torch.equal(alpha, next(iter(alphas.values()))):
            faults[key] = "not a positive number that all blocks share"
    return faults


def is_plain(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and not tensor.is_meta


def repeats(tensor: Tensor) -> bool:
    """Whether a tensor claims more numbers than are stored: a single stored number can be repeated to gigabytes."""
    return tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size()


def describe_kind(tensor: Tensor) -> str:
    kinds = [tensor.dtype, *([tensor.layout] if tensor.layout != torch.strided else [])]
    return " ".join(str(kind).removeprefix("torch.") for kind in kinds) + (" without values" if tensor.is_meta else "")


def expected_shapes(found: dict[str, Tensor], layout: Layout) -> dict[str, tuple[int | None, ...]]:
    """The shape that each tensor must have, None for sides that no tensor tells, by its name."""

    def side(key: str, axis: int) -> int | None:
        shape = found[key].shape if key in found else ()
        return shape[axis] if axis < len(shape) else None

    hidden = side("latent_encoder.0.weight", 0)
    first = f"blocks.0.{layout.widens}"
    dim, rank, ffn = side("latent_patch_embedding.weight", 0), side(f"{first}.lora_A", 0), side(f"{first}.lora_B", 0)
    shapes: dict[str, tuple[int | None, ...]] = {
        "latent_encoder.0.weight": (hidden, 2 * LATENT_CHANNELS, 1, 1, 1), "latent_encoder.0.bias": (hidden,),
        "latent_encoder.2.weight": (hidden, hidden, 1, 1, 1), "latent_encoder.2.bias": (hidden,),
        "latent_encoder.4.weight": (hidden, hidden, 1, 1, 1), "latent_encoder.4.bias": (hidden,),
        "latent_patch_embedding.weight": (dim, hidden, 1, 2, 2), "latent_patch_embedding.bias": (dim,)}
    blocks = 1 + max(int(key.split(".")[1]) for key in found if key.startswith("blocks."))
    for block in range(blocks):
        for layer in layout.layers:
            inputs, outputs = {layout.widens: (dim, ffn), layout.narrows: (ffn, dim)}.get(layer, (dim, dim))
            shapes[f"blocks.{block}.{layer}.lora_A"] = (rank, inputs)
            shapes[f"blocks.{block}.{layer}.lora_B"] = (outputs, rank)
    return shapes


def is_shaped(tensor: Tensor, shape: tuple[int | None, ...]) -> bool:
    return tensor.ndim == len(shape) and all(want in (None, got) and got for want, got in zip(shape, tensor.shape))


def gather_blocks(faults: dict[str, str]) -> list[str]:
    """The faults, those that blocks share as one: "blocks.0-3,7.ffn.2.lora_A: missing"."""
    shared: dict[tuple[str, str], list[int]] = {}
    lines = []
    for key, fault in faults.items():
        if key.startswith("blocks."):
            _, block, rest = key.split(".", 2)
            shared.setdefault((rest, fault), []).append(int(block))
        else:
            lines.append(f"{key}: {fault}")
    return lines + [f"blocks.{ranges(blocks)}.{rest}: {fault}" for (rest, fault), blocks in shared.items()]


def ranges(numbers: list[int]) -> str:
    """Ascending numbers in short: "0-3,7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def some_of(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


# ---- writing ------------------------------------------------------------------------------------


def stock_lora(adapter: Adapter) -> dict[str, Tensor]:
    """The LoRA as loaders of LoRAs know it."""
    stock = {f"{MODEL}{key}.weight": value for key, value in adapter.lora.items()}
    if adapter.alpha != adapter.rank:
        layers = {key.rpartition(".")[0] for key in adapter.lora}
        stock |= {f"{MODEL}{layer}.alpha": torch.tensor(adapter.alpha) for layer in sorted(layers)}
    return stock


def save_adapter(path: str | Path, adapter: Adapter) -> None:
    """Write the whole adapter as safetensors; LoRA loaders find the LoRA in it."""
    write(path, adapter, "adapter", {**stock_lora(adapter), **adapter.encoder})


def save_parts(lora_path: str | Path, encoder_path: str | Path, adapter: Adapter) -> None:
    """Write the LoRA for any loader and the encoder as a safetensors file each."""
    write(lora_path, adapter, "lora", stock_lora(adapter))
    write(encoder_path, adapter, "encoder", adapter.encoder)


def write(path: str | Path, adapter: Adapter, part: str, tensors: dict[str, Tensor]) -> None:
    from safetensors.torch import save

    about = {"format": "pt", "model": "EX-4D", "part": part, "contents": adapter.describe(),
             "base": f"{adapter.base}, {adapter.blocks} blocks of dim {adapter.dim}",
             "rank": str(adapter.rank), "alpha": f"{adapter.alpha:g}"}
    with written_whole(path) as whole:
        whole.write_bytes(save(tensors, about))
