"""EX-4D inside ComfyUI's Wan or CogVideoX: the LoRA as weight patches, the prior added to the tokens of every call."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import comfy.lora
import comfy.model_management
import comfy.ops
import torch
from comfy.model_patcher import CoreModelPatcher, ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from ..ex4d_ops.adapter import build_encoder
from ..ex4d_ops.bases import as_video, name_base, patch_layer, sizes_of
from ..ex4d_ops.checkpoint import LAYOUTS, Adapter, name_size, stock_lora
from ..ex4d_ops.clip import WAN_STRIDE
from .progress import warn

KEY = "ex4d"  # what ComfyUI calls everything of ours on a model
TIME = 2  # axis of latents
VAE_STRIDE = 8  # pixels per latent and side; Wan 2.1 VAE


# ---- the model ----------------------------------------------------------------------------------


def check_model(model: ModelPatcher, adapter: Adapter) -> None:
    """Raise ValueError, naming the model, unless it is an image-to-video model that the adapter fits.

    Says so where it was trained on another one.
    """
    config = model.model.model_config.unet_config
    name = name_model(model)
    if LAYOUTS.get(name_base(config)) != adapter.layout:
        raise ValueError(f"model: this is {name}, but the adapter needs {adapter.made_for}; load it")
    try:
        adapter.check_base(*sizes_of(config))
    except ValueError as error:
        raise ValueError(f"model: this is {name}; {error}") from error
    if doubt := adapter.doubt_base(name):
        warn(doubt)


def name_model(model: ModelPatcher) -> str:
    """What users call the model: "Wan 2.1 T2V 1.3B", or the name that ComfyUI gives to its kind."""
    config = model.model.model_config.unet_config
    if not (base := name_base(config)):
        return type(model.model.model_config).__name__
    dim, _, blocks = sizes_of(config)
    return f"{base} {name_size(dim, blocks)}"


def remove_adapter(model: ModelPatcher) -> None:
    """Undo apply_lora and apply_prior on a model that is the caller's own clone."""
    for kind in (WrappersMP.OUTER_SAMPLE, WrappersMP.DIFFUSION_MODEL):
        model.remove_wrappers_with_key(kind, KEY)
    model.remove_additional_models(KEY)
    for weight, patch in (model.get_attachment(KEY) or {}).items():
        model.patches[weight] = [entry for entry in model.patches[weight] if entry[1] is not patch]
        if not model.patches[weight]:
            del model.patches[weight]
    if model.get_attachment(KEY):
        model.remove_attachments(KEY)
        model.patches_uuid = uuid.uuid4()  # or ComfyUI takes the weights in memory for these


def apply_lora(model: ModelPatcher, adapter: Adapter, strength: float) -> None:
    """Patch the LoRA onto a model that is the caller's own clone. Raises ValueError unless all of it has a place."""
    patches = comfy.lora.load_lora(stock_lora(adapter), comfy.lora.model_lora_keys_unet(model.model, {}))
    placed = model.add_patches(patches, strength)
    wanted = len(adapter.layout.layers) * adapter.blocks
    if len(placed) != wanted:
        raise ValueError(f"model: only {len(placed)} of the LoRA's {wanted} layers fit {name_model(model)}; load a "
                         f"{adapter.base} whose layers have their original names")
    model.set_attachments(KEY, patches)


# ---- the prior ----------------------------------------------------------------------------------


def make_encoder(adapter: Adapter) -> ModelPatcher:
    """The adapter's encoder as a model that ComfyUI moves, offloads and casts as it does all others."""
    dtype = adapter.encoder["latent_encoder.0.weight"].dtype
    encoder = build_encoder(adapter.encoder, partial(comfy.ops.manual_cast.Conv3d, dtype=dtype))
    return CoreModelPatcher(encoder, comfy.model_management.get_torch_device(),
                            comfy.model_management.unet_offload_device())


def apply_prior(model: ModelPatcher, prior: PriorOfModel) -> None:
    """Let a model, the caller's own clone, see a prior whenever it samples."""
    model.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, prior.wrap_sampling)
    model.add_wrapper_with_key(WrappersMP.DIFFUSION_MODEL, KEY, prior.wrap_forward)
    model.set_additional_models(KEY, [prior.encoder])


@dataclass(frozen=True)
class Sampling:
    """What the steps of one sampling share. sigmas: between which the prior acts, the higher first; tokens: what is
    added to each latent frame [1, C, h, w], once it was encoded; on the CPU.
    """

    sigmas: tuple[float, float] = (math.inf, 0.0)
    tokens: dict[int, Tensor] = field(default_factory=dict)

    def is_active(self, sigma: Tensor | None) -> bool:
        return sigma is None or self.sigmas[1] <= float(sigma[0]) <= self.sigmas[0]


@dataclass(frozen=True, eq=False)
class PriorOfModel:
    """A prior as a model sees it. latents: [1, 32, t, h, w], on the CPU; start, end: share of the steps, 0..1."""

    encoder: ModelPatcher
    latents: Tensor
    strength: float
    start: float
    end: float

    def wrap_sampling(self, executor, noise: Tensor, *args, **kwargs):
        """Check the prior before any model is loaded, and let the steps of this sampling share what they encode."""
        self.check_size(noise.shape[TIME:])
        guider = executor.class_obj
        schedule = guider.model_patcher.get_model_object("model_sampling")
        sigmas = schedule.percent_to_sigma(self.start), schedule.percent_to_sigma(self.end)
        guider.model_options["transformer_options"][KEY] = Sampling((float(sigmas[0]), float(sigmas[1])))
        return executor(noise, *args, **kwargs)

    def wrap_forward(self, executor, x: Tensor, *args, **kwargs):
        """Add the prior to the tokens that the model makes of x [B, C, t, h, w]. The arguments go on as they came."""
        given = kwargs.get("transformer_options")
        options = next(value for value in args if isinstance(value, dict)) if given is None else given
        # Torch's type of `disable` leaves out that what it is put on is called as before, here and below.
        hook = self.hook_into(  # pyright: ignore[reportAttributeAccessIssue]
            patch_layer(executor.class_obj), x, options)
        try:
            return executor(x, *args, **kwargs)
        finally:
            hook.remove()

    @torch.compiler.disable  # here and below: what is done depends on values and grows a store
    def hook_into(self, embedding: torch.nn.Module, x: Tensor, options: dict) -> RemovableHandle:
        sampling = options.get(KEY) or Sampling()
        frames = self.find_frames(options.get("context_window"), x) if sampling.is_active(options.get("sigmas")) else []
        waiting = True

        @torch.compiler.disable
        def add_prior(_module, _inputs, tokens: Tensor) -> None:
            nonlocal waiting
            if waiting:  # references and context are embedded by the same layer, after the video
                tokens = as_video(tokens, x.shape[TIME])
                for place, frame in enumerate(frames):
                    added = self.tokens_of(frame, sampling, x.dtype).to(tokens.device)
                    tokens[:, :, place].add_(added, alpha=self.strength)
            waiting = False

        return embedding.register_forward_hook(add_prior)  # pyright: ignore[reportArgumentType]

    def find_frames(self, window, x: Tensor) -> list[int]:
        """Which frames of the prior the frames of x are, which may be a window of the whole video."""
        if window is None or window.dim != TIME:
            self.check_size(x.shape[TIME:])
            return list(range(x.shape[TIME]))
        self.check_size((window.total_frames, *x.shape[TIME + 1:]))
        anchor = getattr(window, "causal_anchor_index", None)
        return [*([anchor] if anchor is not None and anchor >= 0 else []), *window.index_list]

    def tokens_of(self, frame: int, sampling: Sampling, dtype: torch.dtype) -> Tensor:
        """What is added to the tokens of a latent frame, [1, C, h/2, w/2]."""
        if frame not in sampling.tokens:
            device = self.encoder.load_device
            latents = self.latents[:, :, frame:frame + 1].to(device, torch.float32)
            sampling.tokens[frame] = self.encoder.model(latents)[:, :, 0].to("cpu", dtype)
        return sampling.tokens[frame]

    def check_size(self, size: Sequence[int]) -> None:
        """Raise ValueError unless a latent of this size (t, h, w) is the prior's."""
        if tuple(size) != tuple(self.latents.shape[TIME:]):
            made_for = describe(self.latents.shape[TIME:])
            raise ValueError(f"prior: it was made for {made_for}, but the latent is for {describe(size)}; give Encode "
                             "Prior the width, height and length of the node that makes the latent")


def describe(size: Sequence[int]) -> str:
    """A latent size (t, h, w) as the video it stands for."""
    frames, height, width = size
    return f"{(frames - 1) * WAN_STRIDE + 1} frames of {width * VAE_STRIDE}x{height * VAE_STRIDE}"
