"""The one door to ComfyUI's CogVideoX, as wan.py is to its Wan: the backbone of an ablation of the paper."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from .checkpoint import COGVIDEOX
from .clip import LATENT_CHANNELS
from .dataset import Encoders
from .files.damage import reading
from .wan import AGAIN, detect, fill, read_vae

CHANNELS = {LATENT_CHANNELS: "T2V", 2 * LATENT_CHANNELS: "I2V", 3 * LATENT_CHANNELS: "Inpaint"}  # by what it takes
CLIP_TOKEN = (0, 1280)  # CogVideoX is not shown what CLIP sees


def build_cogvideox(weights: dict[str, Tensor], dtype: torch.dtype) -> nn.Module:
    """ComfyUI's module with these weights, frozen; as wan.build_wan."""
    from comfy import ops
    from comfy.ldm.cogvideo.model import CogVideoXTransformer3DModel

    config, weights = detect(weights)
    if (name := name_cogvideox(config)) != COGVIDEOX:
        raise ValueError(f"is {name}, but the adapter is trained on the first CogVideoX, image to video; use "
                         "CogVideoX-5b-I2V")
    model = CogVideoXTransformer3DModel(**config, operations=ops.manual_cast, dtype=dtype, device="meta")
    return fill(model, "CogVideoX", weights, lambda name, weight: kept_dtype(name, weight, dtype))


def name_cogvideox(config: dict) -> str:
    """What users call a CogVideoX of ComfyUI's config, without its size; nothing where it is not one."""
    if config.get("image_model") != "cogvideox":
        return ""
    version = "CogVideoX 1.5" if config.get("patch_size_t") else "CogVideoX"  # which joins two latent frames
    return f"{version} {CHANNELS.get(config.get('in_channels', LATENT_CHANNELS), 'of another kind')}"


def is_cogvideox(model: nn.Module) -> bool:
    return hasattr(model, "patch_embed")


def kept_dtype(name: str, weight: Tensor, dtype: torch.dtype) -> torch.dtype:
    """What a weight is kept in, of a model whose large matrices are kept in dtype."""
    if name.startswith("patch_embed."):
        return torch.float32  # as ComfyUI computes it
    if dtype == torch.float8_e4m3fn and not (weight.ndim == 2 and name.startswith("blocks.")):
        return torch.bfloat16
    return dtype


# ---- noise --------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def signal_shares() -> Tensor:
    """The factor of the video in its noisy version at each of CogVideoX's timesteps, falling to 0, [1000]."""
    from comfy.model_sampling import ModelSamplingDiscrete
    from comfy.supported_models import CogVideoX_I2V

    schedule = ModelSamplingDiscrete(SimpleNamespace(sampling_settings=CogVideoX_I2V.sampling_settings))
    return (1 + schedule.get_buffer("sigmas").square()).rsqrt()


def nearest_timesteps(shares: Tensor) -> Tensor:
    """The timesteps [B] of noisy videos in which the video has these factors [B]."""
    return (signal_shares().to(shares) - shares[:, None]).abs().argmin(1)


# ---- what clips are prepared with ---------------------------------------------------------------


def is_vae(vae) -> bool:
    """Whether a VAE of ComfyUI is CogVideoX's."""
    return type(vae.first_stage_model).__name__ == "AutoencoderKLCogVideoX"  # a module that older ComfyUI lack


def latent_format():
    """How its 5B normalises latents; the 2B, which is text to video alone, does it by another factor."""
    from comfy.latent_formats import CogVideoX1_5

    return CogVideoX1_5()


def load_encoders(vae: str | Path, text_encoder: str | Path) -> Encoders:
    """What prepares clips for CogVideoX, of two files. Raises ValueError where one is damaged or another's."""
    import comfy.sd

    video = read_vae(vae)
    if not is_vae(video):
        raise ValueError(f"{vae}: is not the VAE of CogVideoX; use that, or give --clip-vision too for Wan")
    with reading(text_encoder, "a text encoder", AGAIN):
        text = comfy.sd.load_clip([str(text_encoder)], clip_type=comfy.sd.CLIPType.COGVIDEOX)
    return Encoders(
        video=lambda frames: latent_format().process_in(video.encode(frames)),
        text=lambda caption: text.encode_from_tokens(text.tokenize(caption)),
        vision=lambda frame: frame.new_zeros(1, *CLIP_TOKEN))


def decode(vae, latents: Tensor) -> Tensor:
    """Frames [T, H, W, 3] in [0, 1] of a latent video [16, t, h, w], normalised as CogVideoX's latents are."""
    return vae.decode(latent_format().process_out(latents[None])).flatten(0, -4)
