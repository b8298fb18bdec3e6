"""Small random models that ComfyUI takes for LTX-2.3 and MiniMax H3, which make pictures and sound, as state dicts.

ComfyUI's modules must be there to import, of 0.33 or newer for MiniMax H3.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from .tiny_models import Shapes, Weights, draw, shapes_of

# ---- LTX-2.3 ------------------------------------------------------------------------------------

LTX_WIDTHS = (256, 128)  # of its text, for pictures and for sound
LTX_CONFIG = {
    "transformer": {
        "cross_attention_dim": LTX_WIDTHS[0], "audio_cross_attention_dim": LTX_WIDTHS[1], "num_layers": 2,
        "num_attention_heads": 4, "attention_head_dim": 64, "audio_num_attention_heads": 4,
        "audio_attention_head_dim": 32, "caption_channels": 64, "caption_proj_before_connector": True,
        "connector_num_layers": 1, "connector_num_attention_heads": 4, "connector_attention_head_dim": 64,
        "audio_connector_num_attention_heads": 4, "audio_connector_attention_head_dim": 32},
    "vae": {
        "dims": 3, "latent_channels": 128, "norm_layer": "pixel_norm", "patch_size": 4, "latent_log_var": "uniform",
        "causal_decoder": False, "encoder_base_channels": 8, "decoder_base_channels": 8,
        "encoder_blocks": [["res_x", {"num_layers": 1}], ["compress_all", {}], ["compress_all", {}],
                           ["compress_all", {}], ["res_x", {"num_layers": 1}]],
        "decoder_blocks": [["res_x", {"num_layers": 1}], ["compress_all", {}], ["compress_all", {}],
                           ["compress_all", {}], ["res_x", {"num_layers": 1}]]},
    "audio_vae": {"model": {"params": {"sampling_rate": 16000, "ddconfig": {
        "double_z": True, "mel_bins": 64, "z_channels": 8, "resolution": 256, "in_channels": 2, "out_ch": 2, "ch": 32,
        "ch_mult": [1, 1, 1], "num_res_blocks": 1, "attn_resolutions": [], "dropout": 0.0, "norm_type": "pixel",
        "mid_block_add_attention": False, "causality_axis": "height"}}}},
    "vocoder": {"upsample_initial_channel": 32},
}


def save_ltx(path: Path) -> None:
    """A checkpoint as ComfyUI loads them: the model, the VAE of its pictures and that of its sound."""
    import comfy.ldm.lightricks.av_model
    import comfy.ldm.lightricks.vae.audio_vae
    import comfy.ldm.lightricks.vae.causal_video_autoencoder

    with torch.device("meta"):
        vae = comfy.ldm.lightricks.vae.causal_video_autoencoder.VideoVAE(config=LTX_CONFIG["vae"])
    sound = comfy.ldm.lightricks.vae.audio_vae.AudioVAE({"config": json.dumps(LTX_CONFIG)})
    parts = {"model.diffusion_model.": shapes_of(comfy.ldm.lightricks.av_model.LTXAVModel, **LTX_CONFIG["transformer"]),
             "vae.": of(vae), "audio_vae.": of(sound.autoencoder), "vocoder.": of(sound.vocoder)}
    weights = draw("ltx", {prefix + name: shape for prefix, shapes in parts.items() for name, shape in shapes.items()})
    weights |= {name: torch.ones_like(weight) for name, weight in weights.items() if name.endswith("std-of-means")}
    save_file(weights, path, {"config": json.dumps(LTX_CONFIG)})


def of(network: nn.Module) -> Shapes:
    return {name: tuple(weight.shape) for name, weight in network.state_dict().items()}


def ltx_lora() -> Weights:
    """A LoRA of one layer of a block."""
    width = LTX_WIDTHS[0]
    return draw("ltx_lora", {f"diffusion_model.transformer_blocks.0.attn1.to_q.lora_{side}.weight": shape
                             for side, shape in (("A", (2, width)), ("B", (width, 2)))})


# ---- MiniMax H3 ---------------------------------------------------------------------------------

H3_TEXT = 64  # width of its text
H3_SIZES = dict(hidden_size=192, num_layers=2, token_refiner_num_layers=1, num_attention_heads=2, attention_head_dim=96,
                ffn_hidden_size=128, text_dim=H3_TEXT, timestep_input_dim=32, time_embed_hidden_size=64,
                time_embed_dim=48)


def h3() -> Weights:
    import comfy.ldm.minimax.model

    weights = draw("h3", shapes_of(comfy.ldm.minimax.model.MiniMaxH3Model, **H3_SIZES))
    weights["rope.inv_freq"] = 10000.0 ** -(torch.arange(16) / 16)
    return weights


def h3_vae() -> Weights:
    """The small one that is known by its last layer: 24 latents, 12 channels of pictures."""
    import comfy.taesd.taehv

    with torch.device("meta"):
        network = comfy.taesd.taehv.TAEHV(latent_channels=24)
    return draw("h3_vae", of(network))


def h3_lora() -> Weights:
    width = H3_SIZES["hidden_size"]
    return draw("h3_lora", {f"diffusion_model.blocks.0.attn.out_proj.lora_{side}.weight": shape
                            for side, shape in (("A", (2, width)), ("B", (width, 2)))})
