"""Tiny random depth models in the public layouts, saved to disk for the production path to load."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import torch

from ex4d_ops.estimators.depthcrafter import SVD_FOLDER, UNET_FOLDER, per_frame_unet
from ex4d_ops.estimators.video_depth_anything import VideoDepthAnything


def draw_weights(model: torch.nn.Module) -> torch.nn.Module:
    """Random weights as the golden's, the same for the same names."""
    for name, parameter in model.named_parameters():
        random = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
        if "norm" in name and name.endswith("weight"):
            parameter.data = 1 + 0.1 * random
        else:
            parameter.data = 0.1 * random if random.ndim < 2 else random * random[0].numel() ** -0.5
    return model


def save_depthcrafter(folder: Path) -> None:
    """A tiny Stable Video Diffusion and DepthCrafter's UNet in the public folder layout."""
    import diffusers
    import transformers

    unet = per_frame_unet()(
        sample_size=8, in_channels=8, out_channels=4, block_out_channels=(32, 64), layers_per_block=1,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), cross_attention_dim=32,
        addition_time_embed_dim=32, projection_class_embeddings_input_dim=96, num_attention_heads=(2, 4))
    vae = diffusers.AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * 4, block_out_channels=(32,) * 4, layers_per_block=1)
    clip_config = transformers.CLIPVisionConfig(hidden_size=32, intermediate_size=37, projection_dim=32,
                                                num_hidden_layers=2, num_attention_heads=4, image_size=224)
    encoder = transformers.CLIPVisionModelWithProjection(clip_config)
    scheduler = diffusers.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type="v_prediction",
        use_karras_sigmas=True, timestep_spacing="leading", timestep_type="continuous", sigma_min=0.002,
        sigma_max=700.0, steps_offset=1)
    draw_weights(unet).save_pretrained(folder / UNET_FOLDER)
    draw_weights(vae).save_pretrained(folder / SVD_FOLDER / "vae", variant="fp16")
    draw_weights(encoder).save_pretrained(folder / SVD_FOLDER / "image_encoder", variant="fp16")
    scheduler.save_pretrained(folder / SVD_FOLDER / "scheduler")


def save_video_depth_anything(path: Path) -> None:
    """A tiny Video-Depth-Anything, trained for nothing."""
    model = draw_weights(VideoDepthAnything(64, 4, 26, (8, 16, 32, 32), 32))
    model.head.scratch["output_conv2"][2].bias.data += 1  # else half of it falls to the last ReLU
    torch.save(model.state_dict(), path)


def save_depth_anything(folder: Path, kind: str) -> None:
    """A tiny Depth Anything with its image processor. kind: "relative" or "metric"."""
    import transformers

    torch.manual_seed(0)
    backbone = transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14, out_indices=[1, 2],
        apply_layernorm=True, reshape_hidden_states=False)
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=32, reassemble_factors=[2, 1],
        neck_hidden_sizes=[8, 8], fusion_hidden_size=8, head_hidden_size=8, depth_estimation_type=kind, max_depth=20)
    model = transformers.DepthAnythingForDepthEstimation(config)
    torch.nn.init.constant_(model.head.conv3.bias, 0.5)
    model.save_pretrained(folder)
    transformers.DPTImageProcessor(size={"height": 28, "width": 28}, keep_aspect_ratio=True, ensure_multiple_of=14,
                                   image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(folder)


def save_random(file: Path, net: torch.nn.Module, set_biases: Callable[[dict], None]) -> None:
    """Save random weights for a network, with some biases set so that it finds something."""
    from safetensors.torch import save_file

    generator, weights = torch.Generator().manual_seed(0), {}
    for name, tensor in net.state_dict().items():
        drawn = torch.randn(tensor.shape, generator=generator)
        scale = 0.1 if tensor.ndim <= 1 else tensor[0].numel() ** -0.5
        centre = 1.0 if tensor.ndim <= 1 and name.endswith(("weight", "lambda1")) else 0.0
        weights[name] = tensor if "image_" in name else (centre + scale * drawn).half().contiguous()
    set_biases(weights)
    save_file(weights, file)


def save_depth_anything_3(file: Path) -> None:
    """ComfyUI's Depth Anything 3 Small with a narrow head: 12 layers of 384 are the least that it knows."""
    import comfy.ops
    from comfy.ldm.depth_anything_3.model import DepthAnything3Net

    net = DepthAnything3Net(
        backbone_name="vits", out_layers=[5, 7, 9, 11], alt_start=4, qknorm_start=4, rope_start=4, cat_token=True,
        head_type="dualdpt", head_dim_in=768, head_output_dim=2, head_features=16, head_out_channels=(16, 16, 16, 16),
        head_use_sky_head=False, has_cam_dec=True, dtype=torch.float32, device="cpu", operations=comfy.ops.manual_cast)
    save_random(file, net, lambda weights: weights["cam_dec.fc_fov.0.bias"].fill_(1.0))


def save_moge(file: Path) -> None:
    """ComfyUI's MoGe 2 with four layers of 64."""
    from comfy.ldm.moge.model import MoGeModelV2

    def stack(first: int, others: int, out: int | None) -> dict:
        return {"dim_in": [first] + [others] * 4, "dim_res_blocks": [8] * 5, "dim_out": [None] * 4 + [out],
                "resamplers": ["bilinear"] * 4, "num_res_blocks": [1] * 5, "res_block_in_norm": "none",
                "res_block_hidden_norm": "none"}

    backbone = {"hidden_size": 64, "num_attention_heads": 1, "num_hidden_layers": 4, "layer_norm_eps": 1e-6,
                "use_swiglu_ffn": False}
    net = MoGeModelV2(encoder={"backbone": backbone, "intermediate_layers": [0, 1, 2, 3], "dim_out": 16},
                      neck=stack(18, 2, None), points_head=stack(8, 8, 3), mask_head=stack(8, 8, 1),
                      normal_head=stack(8, 8, 3), scale_head={"dims": [64, 64, 1]}, dtype=torch.float32, device="cpu")
    save_random(file, net, lambda weights: None)
