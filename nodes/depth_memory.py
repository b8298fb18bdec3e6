"""Depth models within ComfyUI's memory: read once, brought to the device part by part, given up when others need it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import comfy.model_management
import torch

from ..ex4d_ops.estimators.estimate import Place

if TYPE_CHECKING:
    from comfy.model_patcher import ModelPatcher

# Bytes kept free for what a part computes. Of the largest Video-Depth-Anything, a window of 32 frames at 518 pixels in
# float32: tokens 0.7 GB, two coarse levels 0.4, the fine ones of four frames 0.9.
WORKING_MEMORY = 3 << 30


def choose_precision(name: str) -> torch.dtype:
    """The data type that a model is to run in; "auto": half where the device is made for it."""
    if name != "auto":
        return getattr(torch, name)
    device = comfy.model_management.get_torch_device()
    return torch.float16 if comfy.model_management.should_use_fp16(device) else torch.float32


class Holder(torch.nn.Module):
    """A part of a model, for ComfyUI to write its notes on: some parts refuse a `device` of ComfyUI's."""

    def __init__(self, part: torch.nn.Module) -> None:
        super().__init__()
        self.part = part


class Loaded:
    """A model that was read from disk and the patchers by which ComfyUI moves its parts."""

    def __init__(self, model: object) -> None:
        self.model = model
        self.patchers: dict[torch.nn.Module, ModelPatcher] = {}

    def place(self, part: torch.nn.Module) -> torch.device:
        """Bring a part to the device, where need be at the cost of others: the library's Place."""
        from comfy.model_patcher import ModelPatcher  # brings the models of ComfyUI along

        if part not in self.patchers:
            self.patchers[part] = ModelPatcher(
                Holder(part), load_device=comfy.model_management.get_torch_device(),
                offload_device=comfy.model_management.unet_offload_device())
        # Its parts know nothing of loading in pieces.
        comfy.model_management.load_models_gpu([self.patchers[part]], WORKING_MEMORY, force_full_load=True)
        return self.patchers[part].load_device


def load(read: Callable[..., object], path: Path, *settings) -> tuple[object, Place]:
    """The model that read(path, *settings) gives and how to place its parts; the last is kept while its files are."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    stamps = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file())
    loaded = read_once(read, path, settings, stamps)
    return loaded.model, loaded.place


@lru_cache(maxsize=1)
def read_once(read: Callable[..., object], path: Path, settings: tuple, stamps: tuple) -> Loaded:
    return Loaded(read(path, *settings))
