"""A real ComfyUI server with small random models under the names that the example workflows load."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from headless.server import PACK, Server, serve

from ... import tiny_av_models, tiny_depth_models, tiny_models, videos_with_sound
from ...example_files import is_newer
from ...golden import recipe

EXAMPLES = PACK / "example_workflows" / "api"
# ComfyUI's own loaders of these know their full sizes only, which are gigabytes.
TINY_LOADERS = '''
import json, pathlib, tempfile, zlib
import comfy.clip_vision, comfy.sd, comfy.utils, folder_paths, torch
from comfy_api.latest import ComfyExtension, io

SIZES = {"num_layers": 1, "num_heads": 2, "d_kv": 64, "d_ff": 64, "vocab_size": 256}
MARK = "encoder.block.23.layer.1.DenseReluDense.wi_1.weight"  # by which ComfyUI knows umt5-xxl

class TinyCLIPLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="TinyCLIPLoader", outputs=[io.Clip.Output()], inputs=[
            io.String.Input("clip_name"), io.String.Input("type"), io.String.Input("device")])

    @classmethod
    def execute(cls, clip_name, type, device):
        weights = comfy.utils.load_torch_file(folder_paths.get_full_path_or_raise("text_encoders", clip_name))
        weights[MARK] = torch.zeros(1, 1).expand(10240, 4096)
        return io.NodeOutput(comfy.sd.load_text_encoder_state_dicts(
            [weights], clip_type=comfy.sd.CLIPType.WAN, model_options={"umt5xxl_model_config": SIZES}))

class TinyCLIPVisionLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="TinyCLIPVisionLoader", inputs=[io.String.Input("clip_name")],
                         outputs=[io.ClipVision.Output()])

    @classmethod
    def execute(cls, clip_name):
        config = json.loads((pathlib.Path(comfy.clip_vision.__file__).parent / "clip_vision_config_h.json").read_text())
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump({**config, "num_hidden_layers": 2, "intermediate_size": 64}, file)
            file.flush()
            model = comfy.clip_vision.ClipVisionModel(file.name)
        model.load_sd(comfy.utils.load_torch_file(folder_paths.get_full_path_or_raise("clip_vision", clip_name)))
        return io.NodeOutput(model)

class Words:
    """What stands for a text encoder: other words, other numbers."""

    def __init__(self, channels):
        self.channels = channels

    def tokenize(self, text, **pictures):
        return text

    def encode_from_tokens_scheduled(self, text):
        numbers = torch.randn(1, 8, self.channels, generator=torch.Generator().manual_seed(zlib.crc32(text.encode())))
        return [[numbers, {"minimax_token_tags": torch.zeros(8, dtype=torch.long)}]]

class WordsLoader(io.ComfyNode):
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="WordsLoader", outputs=[io.Clip.Output()], inputs=[io.Int.Input("channels")])

    @classmethod
    def execute(cls, channels):
        return io.NodeOutput(Words(channels))

class TinyExtension(ComfyExtension):
    async def get_node_list(self):
        return [TinyCLIPLoader, TinyCLIPVisionLoader, WordsLoader]

async def comfy_entrypoint():
    return TinyExtension()
'''

FILES = {
    "diffusion_models/wan2.1_i2v_480p_14B_fp16.safetensors": tiny_models.wan,
    "diffusion_models/wan2.1_i2v_480p_14B_bf16.safetensors": tiny_models.wan,
    "diffusion_models/wan2.1_i2v_480p_14B_fp8_e4m3fn.safetensors": tiny_models.wan_fp8,
    "diffusion_models/wan2.1_vace_14B_fp16.safetensors": tiny_models.vace,
    **{f"diffusion_models/wan2.2_i2v_{noise}_noise_14B_fp8_scaled.safetensors": tiny_models.wan_expert
       for noise in ("high", "low")},
    **{f"diffusion_models/wan2.2_fun_vace_{noise}_noise_14B_fp8_scaled.safetensors": tiny_models.vace
       for noise in ("high", "low")},
    "text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors": tiny_models.umt5,
    "text_encoders/umt5_xxl_fp16.safetensors": tiny_models.umt5,
    "clip_vision/clip_vision_h.safetensors": tiny_models.clip_vision,
    "vae/wan_2.1_vae.safetensors": tiny_models.vae,
    "model_patches/Wan21_Uni3C_controlnet_fp16.safetensors": tiny_models.uni3c,
    "loras/lightx2v_I2V_14B_480p_cfg_step_distill_rank64_bf16.safetensors": tiny_models.other_lora,
    "loras/ltx_2.3_22b_distilled_1.1_lora_dynamic_fro09_avg_rank_111_bf16.safetensors": tiny_av_models.ltx_lora,
    "loras/LTX2.3-22B_IC-LoRA-CrossView-Warp_v2_6000.safetensors": tiny_av_models.ltx_lora,
    "loras/minimax_h3_ref2v_turbo_8step_v1.0_768p_comfyui_bf16.safetensors": tiny_av_models.h3_lora,
    "loras/MiniMax-H3_Ref2VA-LoRA-CrossView-Warp_v1_3500.safetensors": tiny_av_models.h3_lora,
}
FILES_OF_0_33 = {
    "diffusion_models/minimax_h3_ref2va_pruned_int8_convrot.safetensors": tiny_av_models.h3,
    **{f"vae/minimax_h3_{kind}.safetensors": tiny_av_models.h3_vae for kind in ("video_vae_fp16", "audio_vae_fp32")},
}
DEPTH_FILES = {
    "geometry_estimation/depth_anything_3_base.safetensors": tiny_depth_models.save_depth_anything_3,
    "geometry_estimation/moge_2_vitl_normal_fp16.safetensors": tiny_depth_models.save_moge,
    "video_depth_anything/video_depth_anything_vits.pth": tiny_depth_models.save_video_depth_anything,
}
WORDS = {"LTXAVTextEncoderLoader": sum(tiny_av_models.LTX_WIDTHS), "minimax": tiny_av_models.H3_TEXT}  # channels


@pytest.fixture(scope="session")
def models(comfy, tmp_path_factory) -> Path:
    """A models folder with all that the example workflows name."""
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("models")
    for name, make in (FILES | (FILES_OF_0_33 if is_newer((0, 33)) else {})).items():
        (folder / name).parent.mkdir(exist_ok=True)
        save_file(make(), folder / name)
    (folder / "checkpoints").mkdir()
    tiny_av_models.save_ltx(folder / "checkpoints" / "ltx-2.3-22b-dev-fp8.safetensors")
    torch.save(recipe.adapter_weights(), folder / "loras" / "ex4d.ckpt")
    for name, save in DEPTH_FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        save(folder / name)
    return folder


@pytest.fixture(scope="session")
def server(comfyui_path, server_flags, models, tmp_path_factory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("comfyui_with_models")
    (base / "custom_nodes").mkdir()
    (base / "custom_nodes" / "tiny_loaders.py").write_text(TINY_LOADERS)
    (base / "models").symlink_to(models, target_is_directory=True)
    (base / "input").mkdir()
    videos_with_sound.write_tone(base / "input" / "your_video.mp4")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # tiny layers are no work for several threads, which wait for each other
        with serve(comfyui_path, base, server_flags) as running:
            yield running


@pytest.fixture(scope="session")
def example() -> Callable[..., dict[str, dict]]:
    return shrink


def shrink(name: str, frames: int = 9, size: int = 64, steps: int | None = 2, window: int = 9,
           start: float = videos_with_sound.START, folder: Path = EXAMPLES) -> dict[str, dict]:
    """An example workflow in API format, made small: wired as it is, with the loaders of small models.

    steps: of every sampler; None: as the workflow has it. start: seconds into the video. folder: of other
    workflows.
    """
    (path,) = folder.glob(f"{name}*.json")
    workflow = json.loads(path.read_text(encoding="utf-8"))
    small = {"frames": frames, "length": frames, "width": size, "height": size, "steps": steps, "resolution": 140,
             "model.resolution": 140, "resolution_level": 0, "context_length": window, "context_overlap": 4}
    for node in workflow.values():
        kind, inputs = node["class_type"], node["inputs"]
        if channels := WORDS.get(inputs.get("type")) or WORDS.get(kind):
            node |= {"class_type": "WordsLoader", "inputs": {"channels": channels}}
            continue
        if kind in ("CLIPLoader", "CLIPVisionLoader"):
            node["class_type"] = f"Tiny{kind}"
        if kind == "EX4DGuideVideo":
            inputs |= {"width": size, "height": size}
        inputs |= {key: value for key, value in small.items()
                   if value is not None and isinstance(inputs.get(key), int) and inputs[key] > 0}
        if kind == "Video Slice":
            inputs["start_time"] = start
    return workflow
