"""EX-4D's prior and adapter on ComfyUI's own Wan 2.1 I2V, or its CogVideoX."""

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

from ..ex4d_ops import cogvideox
from ..ex4d_ops.adapter import LATENT_CHANNELS, MASK_PIXELS, LengthRule, doubt_mask, encode_prior, fit_prior
from ..ex4d_ops.checkpoint import Adapter, load_adapter
from ..ex4d_ops.clip import Fit, describe_fit, size_of
from . import sockets
from .injection import PriorOfModel, apply_lora, apply_prior, check_model, make_encoder, remove_adapter
from .lengths import check_prior_fits
from .progress import warn
from .queued import complaint_of, queued_node

ADAPTER_FOLDERS = ("ex4d", "loras")  # under models/


class EX4DPriorEncode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EX4DPriorEncode",
            display_name="Encode Prior (EX-4D)",
            category="EX-4D/generate",
            description="Encodes a rendered prior, color and mask, into the latents that EX-4D's adapter needs, and "
                        "returns the frame to start from.",
            search_aliases=["prior latents", "EX4D_PRIOR", "camera condition", "VAE encode mask"],
            inputs=[
                io.Vae.Input("vae", tooltip="The Wan 2.1 VAE, or the VAE of CogVideoX for an adapter that was trained "
                                            "on it."),
                io.Image.Input("color",
                               tooltip="Color of the prior, from Render Watertight Mesh. One image per frame."),
                io.Mask.Input("visible",
                              tooltip="Mask of the prior, one per frame. 1 = seen in the source (white), 0 = to be "
                                      "painted."),
                io.Int.Input("width", default=512, min=16, max=8192, step=16,
                             tooltip="Width of the video to generate, in pixels. Use the width of the latent."),
                io.Int.Input("height", default=512, min=16, max=8192, step=16,
                             tooltip="Height of the video to generate, in pixels. Use the height of the latent."),
                io.Int.Input("length", default=49, min=1, max=8193, step=4,
                             tooltip="Number of frames to generate, 4k+1 (49, 81 ...). Use the length of the latent. "
                                     "EX-4D was trained on 49."),
                io.Combo.Input("other_length", options=list(get_args(LengthRule)), default="refuse",
                               tooltip="What to do if color does not have that number of frames. refuse: stops with an "
                                       "error. trim: drops the last frames of a longer video. pad: repeats the last "
                                       "frame of a shorter video."),
                io.DynamicCombo.Input("tiling", options=[
                    io.DynamicCombo.Option("off", []),
                    io.DynamicCombo.Option("on", [
                        io.Int.Input("tile_size", default=256, min=64, max=4096, step=32,
                                     tooltip="Side of a tile in pixels."),
                        io.Int.Input("overlap", default=64, min=0, max=2048, step=32,
                                     tooltip="Overlap of neighboring tiles in pixels."),
                        io.Int.Input("frames", default=64, min=8, max=4096, step=4,
                                     tooltip="Number of frames per tile."),
                        io.Int.Input("frame_overlap", default=8, min=4, max=2048, step=4,
                                     tooltip="Number of frames that a tile shares with the next."),
                    ]),
                ],
                tooltip="How the VAE encodes. off: encodes without tiles. on: encodes in tiles, which needs less "
                        "memory, is slower, and changes the result slightly."),
                io.Combo.Input("mask_range", options=list(MASK_PIXELS), default="released", advanced=True,
                               tooltip="Range of the mask that the VAE encodes. released: uses -3 and 1, for the "
                                       "released weights. paper: uses -1 and 1, for weights that were trained with "
                                       "it."),
                io.Combo.Input("fit", options=list(get_args(Fit)), default="crop", optional=True,
                               tooltip="What to do if color has another aspect ratio than width and height. crop: cuts "
                                       "off its sides. stretch: squashes it, as EX-4D's own program does. pad: adds "
                                       "black bars, which count as not seen."),
                io.DynamicCombo.Input("erosion", optional=True, options=[
                    io.DynamicCombo.Option("none", []),
                    io.DynamicCombo.Option("released", [
                        io.Int.Input("seed", default=0, min=0, max=2**32 - 1,
                                     control_after_generate=io.ControlAfterGenerate.fixed,
                                     tooltip="Random seed of the squares. The same seed gives the same result.")]),
                    io.DynamicCombo.Option("fixed", [
                        io.Int.Input("pixels", default=4, min=1, max=64,
                                     tooltip="Side of the square that erodes each mask, in pixels of the video to "
                                             "generate.")]),
                ],
                tooltip="Shrinks the mask at the size of the video to generate. none: does not erode; use it if Render "
                        "Watertight Mesh has eroded the mask already. released: erodes each frame by a random square "
                        "of 2 to 8 pixels, as EX-4D's own program does. fixed: erodes all frames by the same square."),
            ],
            outputs=[
                sockets.PriorLatents.Output("prior", tooltip="Encoded prior, for Apply Adapter."),
                io.Image.Output("first_frame", tooltip="Frame 0 of color, for the start image and CLIP vision."),
            ],
        )

    @classmethod
    def validate_inputs(cls, color, *, tiling=None, erosion=None) -> bool | str:  # only color is blamed
        inputs = queued_node()[1]
        length = inputs.get("length")
        if not isinstance(length, int) or inputs.get("other_length") != "refuse":
            return True
        return complaint_of(check_prior_fits, inputs.get("color"), length)

    @classmethod
    def execute(cls, vae, color, visible, width, height, length, other_length, tiling, mask_range,
                fit: Fit = "crop", erosion: dict | None = None) -> io.NodeOutput:
        check_vae(vae)
        frames, mask = sockets.read_frames("color", color), read_mask("visible", visible)
        for doubt in (doubt_mask(frames, mask), describe_fit(size_of(frames), (height, width), fit)):
            if doubt:
                warn(doubt)
        erosion = erosion or {"erosion": "none"}
        pixels = {"none": 0, "released": "released", "fixed": erosion.get("pixels")}[erosion["erosion"]]
        prior = fit_prior(frames, mask, (height, width), length, other_length, fit, pixels, erosion.get("seed", 0))
        latents = encode_prior(prior, lambda pictures: encode(vae, pictures, tiling), mask_range)
        return io.NodeOutput(latents, sockets.as_images(prior.color[0].clone()))


def check_vae(vae) -> None:
    """Raise ValueError, naming it, unless it is Wan 2.1's or CogVideoX's."""
    if vae is None:
        raise ValueError("vae: the checkpoint does not contain a VAE; load wan_2.1_vae.safetensors with Load VAE")
    network = type(vae.first_stage_model).__name__
    known = isinstance(vae.first_stage_model, comfy.ldm.wan.vae.WanVAE) or cogvideox.is_vae(vae)
    if not known or vae.latent_channels != LATENT_CHANNELS:
        raise ValueError(f"vae: this is {network} with {vae.latent_channels} latent channels, but EX-4D needs the Wan "
                         "2.1 VAE; load wan_2.1_vae.safetensors")


def read_mask(name: str, mask: Tensor) -> Tensor:
    """The MASK [T, H, W] float32 at input `name`. Raises ValueError where it is none, or not finite."""
    if mask.ndim != 3 or 0 in mask.shape:
        raise ValueError(f"{name}: the shape {list(mask.shape)} is not one mask per frame [T, H, W]; connect the mask "
                         "of the prior")
    if not torch.isfinite(mask).all():
        raise ValueError(f"{name}: contains NaN or infinity; check the node that it comes from")
    return mask.float()


def encode(vae, pictures: Tensor, tiling: dict) -> Tensor:
    """Pictures [T, H, W, 3] to normalised latents [1, 16, t, H/8, W/8], on the CPU; what the VAE used is freed."""
    if tiling["tiling"] == "on":
        latents = vae.encode_tiled(pictures, tile_x=tiling["tile_size"], tile_y=tiling["tile_size"],
                                   overlap=tiling["overlap"], tile_t=tiling["frames"],
                                   overlap_t=tiling["frame_overlap"])
    else:
        latents = vae.encode(pictures)
    latent_format = cogvideox.latent_format() if cogvideox.is_vae(vae) else comfy.latent_formats.Wan21()
    latents = latent_format.process_in(latents.float().cpu())
    comfy.model_management.soft_empty_cache()
    return latents


class ApplyEX4DLoRA(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyEX4DLoRA",
            display_name="Apply Adapter (EX-4D)",
            category="EX-4D/generate",
            description="Applies EX-4D's adapter to Wan 2.1 I2V 14B: its LoRA, and the prior that the video follows. "
                        "Applying a second adapter replaces the first.",
            search_aliases=["EX-4D LoRA", "adapter", "camera control", "ex4d.ckpt", "prior"],
            inputs=[
                io.Model.Input("model", tooltip="Wan 2.1 I2V 14B, 480P or 720P, in any precision. An expert of Wan 2.2 "
                                                "I2V 14B works too, with a warning: EX-4D was not trained on it. Use "
                                                "CogVideoX I2V with an adapter that was trained on it."),
                io.Combo.Input("adapter", options=list_adapters(),
                               tooltip="Adapter file in models/ex4d or models/loras: ex4d.ckpt, or a file made by ex4d "
                                       "convert-checkpoint or Train Adapter."),
                sockets.PriorLatents.Input("prior", optional=True,
                                           tooltip="Prior that the video follows, from Encode Prior. Without it, only "
                                                   "the LoRA is applied."),
                io.Float.Input("lora_strength", default=1.0, min=-10.0, max=10.0, step=0.01,
                               tooltip="Strength of the LoRA, as a factor. 1: as trained. 0: no LoRA."),
                io.Float.Input("prior_strength", default=1.0, min=-10.0, max=10.0, step=0.01,
                               tooltip="Strength of the prior, as a factor. 1: as trained. Lower values leave Wan more "
                                       "freedom. 0: no prior."),
                io.Float.Input("start_percent", default=0.0, min=0.0, max=1.0, step=0.001, advanced=True,
                               tooltip="Share of the sampling, 0..1, after which the prior starts to act. 0: from the "
                                       "beginning."),
                io.Float.Input("end_percent", default=1.0, min=0.0, max=1.0, step=0.001, advanced=True,
                               tooltip="Share of the sampling, 0..1, after which the prior stops acting. 1: to the "
                                       "end. The LoRA stays on."),
            ],
            outputs=[io.Model.Output(tooltip="The model with the adapter applied. The input model is not changed.")],
        )

    @classmethod
    def fingerprint_inputs(cls, adapter, **rest) -> object:
        return math.nan if adapter is None else identify(find_adapter(adapter))

    @classmethod
    def execute(cls, model, adapter, lora_strength, prior_strength, start_percent, end_percent,
                prior=None) -> io.NodeOutput:
        if start_percent > end_percent:
            raise ValueError(f"start_percent: {start_percent:g} is after end_percent ({end_percent:g}); swap them")
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
