"""Reading weights files without executing them, and loading them without leaving a tensor out."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Protocol

import torch
from torch import Tensor

from ..files.damage import first_line
from ..files.tensors import read_tensors


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or a torch file by name. Raises ValueError where it is neither, or damaged."""
    weights = read_tensors(path)
    if not all(isinstance(value, Tensor) for value in weights.values()):
        raise ValueError(f"{path}: does not contain a state dict of tensors; use the public weights file")
    return weights


def load_strictly(path: Path, model: torch.nn.Module, weights: dict[str, Tensor]) -> None:
    """Give a model on the meta device these tensors. Raises ValueError naming what is missing, misshapen, unknown."""
    expected = model.state_dict()
    faults = [f"no {name}" for name in expected if name not in weights]
    faults += [f"{name} is {list(weights[name].shape)}, not {list(value.shape)}"
               for name, value in expected.items() if name in weights and weights[name].shape != value.shape]
    faults += [f"unknown {name}" for name in weights if name not in expected]
    if faults:
        more = f" and {len(faults) - 4} more" if len(faults) > 4 else ""
        raise ValueError(f"{path}: does not fit the model: {'; '.join(faults[:4])}{more}")
    model.load_state_dict(weights, assign=True)


class Loader(Protocol):
    """A class of diffusers or transformers whose models are read from folders."""

    @classmethod
    def from_pretrained(cls, folder: str, /, **options) -> tuple[torch.nn.Module, dict]: ...


def load_part(kind: type[Loader], folder: Path, dtype: torch.dtype) -> torch.nn.Module:
    """A part by diffusers' or transformers' own loader, from disk only. Raises ValueError where a tensor is missing.

    Of a folder without safetensors the older pytorch_model.bin is read, as tensors alone: the loaders' own default.
    """
    safe = any(folder.glob("*.safetensors")) or not any(folder.glob("*.bin"))
    variant = "fp16" if any(folder.glob(f"*.fp16.{'safetensors' if safe else 'bin'}")) else None
    remedy = "download it again" if safe else "download it again, in safetensors where it is offered"
    try:
        part, told = kind.from_pretrained(str(folder), torch_dtype=dtype, variant=variant, local_files_only=True,
                                          use_safetensors=safe, output_loading_info=True)
    except Exception as error:  # as in `reading`
        reason = "it is damaged or contains code" if isinstance(error, UnpicklingError) else first_line(error)
        raise ValueError(f"{folder}: cannot be loaded ({reason}); {remedy}") from None
    faults = [*told["missing_keys"], *told["mismatched_keys"]]
    if faults:
        first = sorted(map(str, faults))[0]
        raise ValueError(f"{folder}: lacks {len(faults)} tensors, the first is {first}; {remedy}")
    return part.eval()
