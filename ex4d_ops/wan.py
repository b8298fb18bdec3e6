"""The one door to ComfyUI's Wan. Whatever trains or samples takes the module as it comes through here."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from .checkpoint import BASES, EXPERTS, RELEASED_BASE
from .clip import LATENT_CHANNELS
from .dataset import Encoders
from .files.damage import reading

BASE_DTYPES = {"bfloat16": torch.bfloat16, "float8": torch.float8_e4m3fn, "float32": torch.float32}
IMAGE_TO_VIDEO_CHANNELS = 36  # noisy video 16, which frames are given 4, those frames 16
AGAIN = "download it again"


def open_comfyui(folder: str | Path | None = None) -> None:
    """Make ComfyUI's modules importable, from folder or $COMFYUI_PATH where this process has none yet.

    Raises ValueError where there is no ComfyUI.
    """
    if "comfy" in sys.modules or (folder is None and importlib.util.find_spec("comfy")):
        return
    folder = Path(folder or os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI").expanduser()
    if not (folder / "comfy" / "ldm" / "wan").is_dir():
        raise ValueError(f"comfyui: {folder} does not contain ComfyUI, whose Wan model is used; set COMFYUI_PATH to "
                         "its folder")
    sys.path.insert(0, str(folder.resolve()))
    import comfy.cli_args

    # ComfyUI asks for a GPU as soon as it is imported, and its own attention for CPUs keeps all scores for backward.
    comfy.cli_args.args.cpu = not torch.cuda.is_available()
    comfy.cli_args.args.use_pytorch_cross_attention = True


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The weights of a file of any model."""
    import comfy.utils

    with reading(path, "model weights", AGAIN):
        weights = comfy.utils.load_torch_file(str(path), safe_load=True)
    return weights  # pyright: ignore[reportReturnType]  # no metadata was asked for


def detect(weights: dict[str, Tensor]) -> tuple[dict, dict[str, Tensor]]:
    """ComfyUI's config of the video model that these weights are of, nothing of any other, and its weights alone."""
    from comfy import model_detection

    prefix = model_detection.unet_prefix_from_state_dict(weights)
    weights = {name.removeprefix(prefix): weight for name, weight in weights.items()}
    known = "head.modulation" in weights or "patch_embed.proj.weight" in weights
    return model_detection.detect_unet_config(weights, "") if known else {}, weights


def build_wan(weights: dict[str, Tensor], dtype: torch.dtype) -> nn.Module:
    """ComfyUI's module with these weights, frozen. It shares those that need no conversion.

    dtype: what the large matrices of its blocks are kept in. float8 is for keeping alone: Wan then computes in
    bfloat16. Raises ValueError where the weights are not those of one of BASES.
    """
    from comfy import ops
    from comfy.ldm.wan.model import WanModel

    config, weights = detect(weights)
    if name_base(config) not in BASES:
        raise ValueError("is not a Wan 2.1 image-to-video model, or an expert of Wan 2.2 I2V A14B; use "
                         "Wan2.1-I2V-14B-480P, which EX-4D is trained on")
    wan = WanModel(**config, operations=ops.manual_cast, dtype=dtype, device="meta")
    return fill(wan, "Wan", weights, lambda name, weight: kept_dtype(name, weight, dtype))


def fill(model: nn.Module, name: str, weights: dict[str, Tensor],
         kept: Callable[[str, Tensor], torch.dtype]) -> nn.Module:
    """The model with these weights, each as the dtype that `kept` says, frozen.

    Raises ValueError, calling the model by its name, unless they fit.
    """
    # Weights that ComfyUI has loaded for inference alone can't be part of a graph, a copy of them can.
    own = {name: weight.to(kept(name, weight), copy=weight.is_inference()) for name, weight in weights.items()}
    try:
        model.load_state_dict(own, assign=True)
    except RuntimeError as error:
        raise ValueError(f"does not fit ComfyUI's {name} ({str(error).splitlines()[1].strip()}); use an unquantized "
                         "bf16, fp16 or fp8 file") from error
    return model.eval().requires_grad_(False)


def name_base(config: dict) -> str:
    """What users call a Wan of ComfyUI's config, without its size: "Wan 2.1 T2V"; nothing where it is not one."""
    if config.get("image_model") != "wan2.1":
        return ""
    kind, channels = config["model_type"], config["in_dim"]
    if kind == "t2v" and channels == IMAGE_TO_VIDEO_CHANNELS:  # an image model without CLIP vision
        return EXPERTS
    if kind == "t2v" and config["out_dim"] == 48:
        return "Wan 2.2 TI2V"
    if kind == "i2v":
        return RELEASED_BASE if channels == IMAGE_TO_VIDEO_CHANNELS else "Wan 2.1 FUN CONTROL"
    return f"Wan 2.1 {kind.upper()}"


def base_of(wan: nn.Module) -> str:
    """Which of BASES a module of build_wan is."""
    return EXPERTS if wan.img_emb is None else RELEASED_BASE


def kept_dtype(name: str, weight: Tensor, dtype: torch.dtype) -> torch.dtype:
    """What a weight of Wan is kept in, of a model whose large matrices are kept in dtype."""
    if name.startswith("patch_embedding."):
        return torch.float32  # as ComfyUI computes it
    if dtype == torch.float8_e4m3fn and not (weight.ndim == 2 and name.startswith("blocks.")):
        return torch.bfloat16
    return dtype


@contextmanager
def differentiable() -> Iterator[None]:
    """Let ComfyUI's modules have gradients while the block runs; its fast rotary embedding has none."""
    import comfy.model_management

    before, comfy.model_management.in_training = comfy.model_management.in_training, True
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        comfy.model_management.in_training = before


def read_vae(path: str | Path):
    """ComfyUI's VAE of a file, of any model; without a network where it is none."""
    import comfy.sd
    import comfy.utils

    with reading(path, "a VAE", AGAIN):
        return comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(path), safe_load=True))


def load_vae(path: str | Path):
    """Wan's VAE of a file. Raises ValueError where it is not."""
    vae = read_vae(path)
    check_vae(path, vae)
    return vae


def check_vae(path: str | Path, vae) -> None:
    """Raise ValueError unless the VAE of a file is Wan's."""
    if type(vae.first_stage_model).__name__ != "WanVAE" or vae.latent_channels != LATENT_CHANNELS:
        raise ValueError(f"{path}: is not the VAE of Wan 2.1; use wan_2.1_vae.safetensors")


def load_encoders(vae: str | Path, text_encoder: str | Path, clip_vision: str | Path) -> Encoders:
    """What prepares clips for Wan 2.1, of three files. Raises ValueError where one is damaged or another's."""
    open_comfyui()
    import comfy.clip_vision
    import comfy.sd
    from comfy.latent_formats import Wan21

    video = load_vae(vae)
    with reading(clip_vision, "a CLIP vision model", AGAIN):
        vision = comfy.clip_vision.load(str(clip_vision))
        if vision is None:
            raise ValueError("it is not one")
    with reading(text_encoder, "a text encoder", AGAIN):
        text = comfy.sd.load_clip([str(text_encoder)], clip_type=comfy.sd.CLIPType.WAN)
    return Encoders(
        video=lambda frames: Wan21().process_in(video.encode(frames)),
        text=lambda caption: text.encode_from_tokens(text.tokenize(caption)),
        vision=lambda frame: vision.encode_image(frame[None]).penultimate_hidden_states)  # pyright: ignore[reportAttributeAccessIssue]  # by name


def decode(vae, latents: Tensor) -> Tensor:
    """Frames [T, H, W, 3] in [0, 1] of a latent video [16, t, h, w], normalised as Wan's latents are."""
    from comfy.latent_formats import Wan21

    return vae.decode(Wan21().process_out(latents[None])).flatten(0, -4)


def preview(latents: Tensor) -> Tensor:
    """Frames [t, h, w, 3] in [0, 1], about what a latent video [16, t, h, w] shows, without a VAE."""
    from comfy.latent_formats import Wan21

    factors = latents.new_tensor(Wan21.latent_rgb_factors)  # [16, 3], of colors in [-1, 1]
    colors = torch.einsum("cthw,cd->thwd", latents, factors) + latents.new_tensor(Wan21().latent_rgb_factors_bias)
    return (colors / 2 + 0.5).clamp(0, 1)
