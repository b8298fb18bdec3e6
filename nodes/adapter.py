"""EX-4D's prior and adapter on ComfyUI's own Wan 2.1 I2V."""

from __future__ import annotations

import math
import os
from functools import lru_cache
from typing import get_args

import comfy.latent_formats
import comfy.ldm.wan.vae
import comfy.model_management
import folder_paths
import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ..ex4d_ops.adapter import LATENT_CHANNELS, MASK_PIXELS, LengthRule, doubt_mask, encode_prior, fit_prior
from ..ex4d_ops.checkpoint import Adapter, load_adapter
from ..ex4d_ops.clip import Fit, describe_fit
from . import sockets
from .injection import PriorOfModel, apply_lora, apply_prior, check_model, make_encoder, remove_adapter
from .progress import warn

ADAPTER_FOLDERS = ("ex4d", "loras")  # under models/


class EX4DPriorEncode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DPriorEncode",
            display_name="Encode Prior (EX-4D)",
            category="EX-4D/generate",
            description="Turns a rendered prior, colour and mask, into the latents that EX-4D's adapter shows to Wan, "
                        "and gives the frame to start from.",
            search_aliases=["prior latents", "EX4D_PRIOR", "camera condition", "VAE encode mask"],
            inputs=[
                io.Vae.Input("vae", tooltip="The VAE of Wan 2.1."),
                io.Image.Input("color", tooltip="What the new camera sees; one picture per frame."),
                io.Mask.Input("visible", tooltip="1 = seen in the source (white), 0 = to be painted; one per frame."),
                io.Int.Input("width", default=512, min=16, max=8192, step=16,
                             tooltip="Width to generate, pixels: that of the latent."),
                io.Int.Input("height", default=512, min=16, max=8192, step=16,
                             tooltip="Height to generate, pixels: that of the latent."),
                io.Int.Input("length", default=49, min=1, max=8193, step=4,
                             tooltip="Frames to generate, 4k+1: that of the latent. EX-4D was trained on 49."),
                io.Combo.Input("other_length", options=list(get_args(LengthRule)), default="refuse",
                               tooltip="What happens where color is not of that length. refuse: an error. trim: a "
                                       "longer one loses its last frames. pad: a shorter one holds its last frame."),
                io.DynamicCombo.Input("tiling", options=[
                    io.DynamicCombo.Option("off", []),
                    io.DynamicCombo.Option("on", [
                        io.Int.Input("tile_size", default=256, min=64, max=4096, step=32, tooltip="Pixels per side."),
                        io.Int.Input("overlap", default=64, min=0, max=2048, step=32,
                                     tooltip="Pixels that neighbouring tiles share."),
                        io.Int.Input("frames", default=64, min=8, max=4096, step=4, tooltip="Frames per tile."),
                        io.Int.Input("frame_overlap", default=8, min=4, max=2048, step=4,
                                     tooltip="Frames that one tile shares with the next."),
                    ]),
                ], tooltip="Encodes in tiles, for large videos on small GPUs; slower, and close to the same."),
                io.Combo.Input("mask_range", options=list(MASK_PIXELS), default="released", advanced=True,
                               tooltip="What the VAE sees of the mask. released: -3 and 1, which the released weights "
                                       "were trained on. paper: -1 and 1, for weights trained so."),
                io.Combo.Input("fit", options=list(get_args(Fit)), default="crop", optional=True,
                               tooltip="What to do where color has another shape than width and height. crop: cut off "
                                       "its sides. stretch: squash it, as EX-4D's own program does. pad: add black "
                                       "bars, which count as not seen."),
                io.DynamicCombo.Input("erosion", optional=True, options=[
                    io.DynamicCombo.Option("none", []),
                    io.DynamicCombo.Option("released", [
                        io.Int.Input("seed", default=0, min=0, max=2**32 - 1,
                                     control_after_generate=io.ControlAfterGenerate.fixed,
                                     tooltip="Random seed of the squares. The same seed gives the same masks.")]),
                    io.DynamicCombo.Option("fixed", [
                        io.Int.Input("pixels", default=4, min=1, max=64,
                                     tooltip="Size of the square that shrinks the mask, in pixels to generate.")]),
                ], tooltip="Shrinks the mask at the size to generate. none: use it where Render Watertight Mesh has "
                           "shrunk the mask already. released: by a random square of 2 to 8 pixels per frame, as "
                           "EX-4D's own program does. fixed: by one size."),
            ],
            outputs=[
                sockets.PriorLatents.Output("prior", tooltip="For Apply Adapter."),
                io.Image.Output("first_frame", tooltip="Frame 0, for the start image and CLIP vision."),
            ],
        )

    @classmethod
    def execute(cls, vae, color, visible, width, height, length, other_length, tiling, mask_range, fit="crop",
                erosion=None) -> io.NodeOutput:
        check_vae(vae)
        frames, mask = sockets.read_frames("color", color), read_mask("visible", visible)
        for doubt in (doubt_mask(frames, mask), describe_fit(tuple(frames.shape[1:3]), (height, width), fit)):
            if doubt:
                warn(doubt)
        erosion = erosion or {"erosion": "none"}
        pixels = {"none": 0, "released": "released", "fixed": erosion.get("pixels")}[erosion["erosion"]]
        prior = fit_prior(frames, mask, (height, width), length, other_length, fit, pixels, erosion.get("seed", 0))
        latents = encode_prior(prior, lambda pictures: encode(vae, pictures, tiling), mask_range)
        return io.NodeOutput(latents, sockets.as_images(prior.color[0].clone()))


def check_vae(vae) -> None:
    """Raise ValueError, naming it, unless it is Wan 2.1's."""
    if vae is None:
        raise ValueError("vae: none given, the checkpoint holds none; load wan_2.1_vae.safetensors with Load VAE")
    network = type(vae.first_stage_model).__name__
    if not isinstance(vae.first_stage_model, comfy.ldm.wan.vae.WanVAE) or vae.latent_channels != LATENT_CHANNELS:
        raise ValueError(f"vae: this is {network} with {vae.latent_channels} latent channels; EX-4D needs that of Wan "
                         "2.1, load wan_2.1_vae.safetensors")


def read_mask(name: str, mask: Tensor) -> Tensor:
    """The MASK [T, H, W] float32 at input `name`. Raises ValueError where it is none, or not finite."""
    if mask.ndim != 3 or 0 in mask.shape:
        raise ValueError(f"{name}: got {list(mask.shape)}, needs one mask per frame [T, H, W]")
    if not torch.isfinite(mask).all():
        raise ValueError(f"{name}: holds NaN or infinity; the node before it failed")
    return mask.float()


def encode(vae, pictures: Tensor, tiling: dict) -> Tensor:
    """Pictures [T, H, W, 3] to normalised latents [1, 16, t, H/8, W/8], on the CPU; what the VAE used is freed."""
    if tiling["tiling"] == "on":
        latents = vae.encode_tiled(pictures, tile_x=tiling["tile_size"], tile_y=tiling["tile_size"],
                                   overlap=tiling["overlap"], tile_t=tiling["frames"],
                                   overlap_t=tiling["frame_overlap"])
    else:
        latents = vae.encode(pictures)
    latents = comfy.latent_formats.Wan21().process_in(latents.float().cpu())
    comfy.model_management.soft_empty_cache()
    return latents


class ApplyEX4DLoRA(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyEX4DLoRA",
            display_name="Apply Adapter (EX-4D)",
            category="EX-4D/generate",
            description="Puts EX-4D's adapter onto Wan 2.1 I2V 14B: its LoRA, and the prior that Wan is to follow. A "
                        "second one replaces the first.",
            search_aliases=["EX-4D LoRA", "adapter", "camera control", "ex4d.ckpt", "prior"],
            inputs=[
                io.Model.Input("model", tooltip="Wan 2.1 I2V 14B, 480P or 720P, in any precision."),
                io.Combo.Input("adapter", options=list_adapters(),
                               tooltip="ex4d.ckpt, or what ex4d convert-checkpoint made of it, from models/loras or "
                                       "models/ex4d."),
                sockets.PriorLatents.Input("prior", optional=True,
                                           tooltip="What Wan is to follow. Without it the LoRA is applied alone."),
                io.Float.Input("lora_strength", default=1.0, min=-10.0, max=10.0, step=0.01,
                               tooltip="Factor of the LoRA, in all steps. 0: none."),
                io.Float.Input("prior_strength", default=1.0, min=-10.0, max=10.0, step=0.01,
                               tooltip="Factor of what the prior adds to the tokens. 0: none."),
                io.Float.Input("start_percent", default=0.0, min=0.0, max=1.0, step=0.001, advanced=True,
                               tooltip="Share of the sampling, 0..1, from which the prior is shown."),
                io.Float.Input("end_percent", default=1.0, min=0.0, max=1.0, step=0.001, advanced=True,
                               tooltip="Share of the sampling, 0..1, up to which the prior is shown."),
            ],
            outputs=[io.Model.Output(tooltip="The model with the adapter; the one that came in is left as it was.")],
        )

    @classmethod
    def fingerprint_inputs(cls, adapter, **rest) -> object:
        return math.nan if adapter is None else identify(find_adapter(adapter))

    @classmethod
    def execute(cls, model, adapter, lora_strength, prior_strength, start_percent, end_percent,
                prior=None) -> io.NodeOutput:
        if start_percent > end_percent:
            raise ValueError(f"start_percent: {start_percent:g} lies after end_percent {end_percent:g}; swap them")
        weights, encoder = load(*identify(find_adapter(adapter)))
        check_model(model, weights)
        patched = model.clone()
        remove_adapter(patched)
        if lora_strength:
            apply_lora(patched, weights, lora_strength)
        if prior is not None and prior_strength:
            apply_prior(patched, PriorOfModel(encoder, prior, prior_strength, start_percent, end_percent))
        return io.NodeOutput(patched)


def list_adapters() -> list[str]:
    """Names of the files that may hold an adapter, those of models/ex4d first."""
    names = [name for folder in ADAPTER_FOLDERS for name in folder_paths.filter_files_extensions(
        folder_paths.get_filename_list(folder), folder_paths.supported_pt_extensions)]
    return list(dict.fromkeys(names))


def find_adapter(name: str) -> str:
    """Where the file of that name lies. Raises ValueError where there is none."""
    found = [path for folder in ADAPTER_FOLDERS if (path := folder_paths.get_full_path(folder, name))]
    if not found:
        raise ValueError(f"adapter: there is no '{name}' in models/ex4d or models/loras; put ex4d.ckpt in one of them")
    return found[0]


def identify(path: str) -> tuple[str, int, int, int]:
    """A file and what changes with its content."""
    stat = os.stat(path)
    return path, stat.st_ino, stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=1)
def load(path: str, *identity: int) -> tuple[Adapter, ModelPatcher]:
    """The weights that a file held when it was last seen to change, and their encoder; read once."""
    adapter = load_adapter(path)
    return adapter, make_encoder(adapter)
