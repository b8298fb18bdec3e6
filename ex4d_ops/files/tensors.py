"""Weights files, read as tensors alone: nothing that a pickle asks to run is run."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from .damage import first_line

SAFETENSORS = (".safetensors", ".sft")


def read_tensors(path: Path) -> dict[str, Any]:
    """What a torch file (.pth, .pt, .ckpt) or a safetensors file holds, mapped from the disk where it can be.

    Raises ValueError in one sentence where it is missing, empty, damaged, or holds anything but tensors by name.
    """
    import torch
    from safetensors.torch import load_file

    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    with open(path, "rb") as file:
        start = file.read(2)
    if not start:
        raise ValueError(f"{path}: is empty; download it again")
    try:
        if path.suffix.lower() in SAFETENSORS:
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=start == b"PK")
    except Exception as error:  # as in `reading`
        # Of a pickle, torch's own words advise to run it.
        reason = "it is damaged or contains code" if isinstance(error, UnpicklingError) else first_line(error)
        raise ValueError(f"{path}: cannot be read as a file of tensors alone ({reason}); download it again from a "
                         "source that you trust") from error
    if not isinstance(tensors, dict):
        raise ValueError(f"{path}: does not contain named tensors; download it again")
    return tensors

