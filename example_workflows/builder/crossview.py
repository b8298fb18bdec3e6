"""The workflows of the CrossView-Warp LoRAs: a video drawn as points from a new view, and the video itself."""

from __future__ import annotations

from generation import guided, guided_film
from graphs import HUB, Clip, depth_anything, load_video, preview, prior_nodes, save_video, sheet, sound_along
from sheet import EX4D, GENERATE, INPUT, MODELS, OUTPUT, Box, Group, Model, Node, Sheet

SIZE, SECONDS = (960, 544), 5.2  # what the LoRAs are shown at: half a megapixel, 121 or 124 frames, 24 a second
STEPS = 8
PROMPT = "crossview. The place goes on to every side, in the same light."
NEGATIVE = "blurry, out of focus, low contrast, flickering, watermark, text"  # as in ComfyUI's own workflow of LTX-2.3


def of_hub(repository: str, name: str, directory: str) -> Model:
    """A file by its path in a repository."""
    return Model(name.rsplit("/", 1)[-1], f"{HUB}/{repository}/resolve/main/{name}", directory)


LTX = of_hub("Lightricks/LTX-2.3-fp8", "ltx-2.3-22b-dev-fp8.safetensors", "checkpoints")
GEMMA = of_hub("Comfy-Org/ltx-2", "split_files/text_encoders/gemma_3_12B_it_fp4_mixed.safetensors", "text_encoders")
LTX_FEW_STEPS = of_hub("Comfy-Org/ltx-2.3", "split_files/loras/"
                       "ltx_2.3_22b_distilled_1.1_lora_dynamic_fro09_avg_rank_111_bf16.safetensors", "loras")
CROSSVIEW_LTX = of_hub("Cseti/LTX2.3-22B_IC-LoRA-CrossView-Warp_v2",
                       "LTX2.3-22B_IC-LoRA-CrossView-Warp_v2_6000.safetensors", "loras")
H3, QWEN, H3_VAE, H3_AUDIO = (of_hub("Comfy-Org/MiniMax-H3", f"{directory}/{name}.safetensors", directory)
                              for directory, name in (
    ("diffusion_models", "minimax_h3_ref2va_pruned_int8_convrot"),
    ("text_encoders", "qwen3vl_32b_minimax_h3_nvfp4_awq"),
    ("vae", "minimax_h3_video_vae_fp16"), ("vae", "minimax_h3_audio_vae_fp32")))
H3_FEW_STEPS = of_hub("lightx2v/Minimax-h3-Turbo", "minimax_h3_ref2v_turbo_8step_v1.0_768p_comfyui_bf16.safetensors",
                      "loras")
CROSSVIEW_H3 = of_hub("Cseti/MiniMax-H3_Ref2VA-LoRA-CrossView-Warp_v1",
                      "MiniMax-H3_Ref2VA-LoRA-CrossView-Warp_v1_3500.safetensors", "loras")


# ---- the workflows ------------------------------------------------------------------------------


def on_ltx() -> Sheet:
    """LTX-2.3 by core's nodes: first the guide, then the source, both from frame 0."""
    model = Node("CheckpointLoaderSimple", {"ckpt_name": LTX.name}, models=(LTX,))
    audio_vae = Node("LTXVAudioVAELoader", {"ckpt_name": LTX.name}, models=(LTX,))
    text = Node("LTXAVTextEncoderLoader", {"text_encoder": GEMMA.name, "ckpt_name": LTX.name}, models=(GEMMA, LTX))
    lora = with_lora(with_lora(model, LTX_FEW_STEPS, 0.6), CROSSVIEW_LTX, 1.0)
    rules = Node("GetICLoRAParameters", {"iclora_model": lora["MODEL"]})
    positive, negative = (Node("CLIPTextEncode", {"clip": text["CLIP"], "text": words}, title, 140)
                          for words, title in ((PROMPT, "What to see"), (NEGATIVE, "What to avoid")))
    guide = Node("EX4DGuideVideo", {"style": "crossview-ltx"})
    timed = Node("LTXVConditioning", {"positive": positive["CONDITIONING"], "negative": negative["CONDITIONING"],
                                      "frame_rate": guide["fps"]})
    empty = Node("EmptyLTXVLatentVideo", {name: guide[name] for name in ("width", "height", "length")})
    led: list[Node] = []
    for images, title in ((guide["guide"], "The guide"), (guide["source"], "The video itself")):
        before, latent = (led[-1], led[-1]["latent"]) if led else (timed, empty["LATENT"])
        led.append(Node("LTXVAddGuide", {
            "positive": before["positive"], "negative": before["negative"], "vae": model["VAE"], "latent": latent,
            "image": images, "frame_idx": 0, "strength": 1.0, "iclora_parameters": rules["iclora_parameters"]}, title))
    sound = Node("LTXVEmptyLatentAudio", {"audio_vae": audio_vae["Audio VAE"], "frames_number": guide["length"],
                                          "frame_rate": guide["fps"]})
    both = Node("LTXVConcatAVLatent", {"video_latent": led[-1]["latent"], "audio_latent": sound["Latent"]})
    sample = Node("KSampler", {
        "model": lora["MODEL"], "positive": led[-1]["positive"], "negative": led[-1]["negative"],
        "latent_image": both["latent"], "seed": 0, "steps": STEPS, "cfg": 1.0, "sampler_name": "euler_ancestral_cfg_pp",
        "scheduler": "linear_quadratic", "denoise": 1.0}, fixed=True)
    apart = Node("LTXVSeparateAVLatent", {"av_latent": sample["LATENT"]})
    cropped = Node("LTXVCropGuides", {"positive": led[-1]["positive"], "negative": led[-1]["negative"],
                                      "latent": apart["video_latent"]})
    decode = Node("VAEDecodeTiled", {"samples": cropped["latent"], "vae": model["VAE"], "tile_size": 768, "overlap": 64,
                                     "temporal_size": 4096, "temporal_overlap": 64})
    film = guided_film(decode["IMAGE"], guide)
    inside = [[Group("Models", MODELS, [[model, audio_vae, text, lora.inputs["model"].node, lora, rules]])],
              [Group("Prompt", GENERATE, [[positive, negative]]), Group("Guide", EX4D, [[guide, timed, empty, *led]])],
              [Group("LTX-2.3", GENERATE, [[sound, both, sample, apart, cropped, decode, film]])]]
    return from_points("18_ex4d_new_view_by_ltx_2_3", Box(
        Sheet("New view by LTX-2.3", inside), outputs={"video": film["VIDEO"]},
        inputs={**guided(guide), "source": guide["source"], "prompt": positive["text"], "seed": sample["seed"]}))


def on_h3() -> Sheet:
    """MiniMax H3 by core's nodes: the source is a reference video, the guide stands at frame 0."""
    model = Node("UNETLoader", {"unet_name": H3.name, "weight_dtype": "default"}, models=(H3,))
    text = Node("CLIPLoader", {"clip_name": QWEN.name, "type": "minimax"}, models=(QWEN,))
    vae, audio_vae = (Node("VAELoader", {"vae_name": file.name}, title, models=(file,))
                      for file, title in ((H3_VAE, None), (H3_AUDIO, "Load Audio VAE")))
    lora = with_lora(with_lora(model, H3_FEW_STEPS, 1.0), CROSSVIEW_H3, 0.8)
    guide = Node("EX4DGuideVideo", {"style": "crossview-h3"})
    start = Node("MiniMaxH3ReferenceToVideo", {
        "clip": text["CLIP"], "vae": vae["VAE"], "audio_vae": audio_vae["VAE"], "prompt": PROMPT,
        **{name: guide[name] for name in ("width", "height", "length")}, "ref_image_size": "match",
        "ref_videos.ref_video_0": guide["source"]}, None, 330)
    led = Node("MiniMaxH3AddGuide", {"positive": start["positive"], "vae": vae["VAE"], "latent": start["LATENT"],
                                     "image": guide["guide"], "frame_idx": 0})
    shift = Node("MiniMaxH3SigmaShift", {"model": lora["MODEL"], "shift_video": 12.0, "shift_audio": 3.0})
    noise = Node("RandomNoise", {"noise_seed": 0}, fixed=True)
    sampler = Node("KSamplerSelect", {"sampler_name": "res_multistep"})
    steps = Node("BasicScheduler", {"model": shift["MODEL"], "scheduler": "simple", "steps": STEPS, "denoise": 1.0})
    guider = Node("BasicGuider", {"model": shift["MODEL"], "conditioning": led["positive"]})
    sample = Node("SamplerCustomAdvanced", {
        "noise": noise["NOISE"], "guider": guider["GUIDER"], "sampler": sampler["SAMPLER"], "sigmas": steps["SIGMAS"],
        "latent_image": start["LATENT"]})
    decode = Node("VAEDecode", {"samples": sample["output"], "vae": vae["VAE"]})
    film = guided_film(decode["IMAGE"], guide)
    inside = [[Group("Models", MODELS, [[model, text, vae, audio_vae, lora.inputs["model"].node, lora]])],
              [Group("Guide", EX4D, [[guide, start, led]])],
              [Group("MiniMax H3", GENERATE, [[shift, noise, sampler, steps], [guider, sample, decode, film]])]]
    return from_points("19_ex4d_new_view_by_minimax_h3", Box(
        Sheet("New view by MiniMax H3", inside), outputs={"video": film["VIDEO"]},
        inputs={**guided(guide), "source": guide["source"], "prompt": start["prompt"], "seed": noise["noise_seed"]}))


SHEETS = (on_ltx, on_h3)


# ---- the parts they share -----------------------------------------------------------------------


def with_lora(model: Node, file: Model, strength: float) -> Node:
    return Node("LoraLoaderModelOnly", {"model": model["MODEL"], "lora_name": file.name, "strength_model": strength},
                models=(file,))


def from_points(name: str, box: Box) -> Sheet:
    """Your video, drawn along a path as the points that the LoRAs were trained on, and what generates from it."""
    video, drawn = load_video(), points_box()
    points = Node(drawn.inside.name, {"video": video["VIDEO"]}, box=drawn)
    paint = Node(box.inside.name, {socket: points[socket] for socket in drawn.outputs}, box=box)
    return sheet(name, [], [Group("1  Your video", INPUT, [[video]])],  # under the note all would be small
                 [Group("2  Its points", EX4D, [[points, preview(points["color"], "The points")]])],
                 [Group("3  What was not seen, generated", GENERATE, [[paint]])],
                 [Group("4  New view", OUTPUT, [[save_video(paint["video"], name[:2], "New view")]])],
                 asked=[video["file"], points["moves"], points["start_time"], paint["prompt"], paint["seed"]])


def points_box() -> Box:
    """What a CrossView-Warp LoRA is led by, as one node: no frame of it is the source's own."""
    trim, parts = Node("Video Slice", {"duration": SECONDS}), Node("GetVideoComponents")
    parts.inputs["video"] = trim["VIDEO"]
    scale = Node("ImageScale", {"image": parts["images"], "upscale_method": "area", "width": SIZE[0], "height": SIZE[1],
                                "crop": "center"}, "Size")
    load, infer, depth = depth_anything(scale["IMAGE"])
    clip = Clip(scale["IMAGE"], depth["depth"], parts["fps"], parts["audio"])
    move = {"move": "combined", "move.moves": "orbit:yaw=30,ease=ease-in-out"}
    mesh, path, render = prior_nodes(clip, move, of_render={
        "erosion": "none", "anchor_first_frame": False, "surface": "crossview-points"})
    sound = sound_along(clip, path["cameras"])
    return Box(
        Sheet("Video to Points", [
            [Group("Frames", INPUT, [[trim, parts, scale]])], [Group("Depth", MODELS, [[load, infer, depth]])],
            [Group("Mesh and camera", EX4D, [[mesh, path]])], [Group("Points", EX4D, [[render, sound]])]]),
        inputs={"video": trim["video"], "start_time": trim["start_time"], "duration": trim["duration"],
                "width": scale["width"], "height": scale["height"], "depth_model": load["model_name"],
                "moves": path["move.moves"]},
        outputs={"color": render["color"], "visible": render["visible"], "fps": parts["fps"], "audio": sound["audio"],
                 "source": scale["IMAGE"]})
