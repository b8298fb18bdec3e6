"""What each workflow says of itself, in Markdown: what it does, what to change, which files go where."""

LTX_LICENSE, H3_LICENSE = "LTX-2 Community License", "MiniMax H3 Community License"
# Size in GB and license, as in docs/models.md.
FILES = {
    "video_depth_anything/video_depth_anything_vits.pth": (0.12, "Apache-2.0"),
    "geometry_estimation/depth_anything_3_base.safetensors": (0.4, "Apache-2.0"),
    "geometry_estimation/moge_2_vitl_normal_fp16.safetensors": (0.7, "MIT"),
    "diffusion_models/wan2.1_i2v_480p_14B_fp16.safetensors": (32.8, "Apache-2.0"),
    "diffusion_models/wan2.1_i2v_480p_14B_bf16.safetensors": (32.8, "Apache-2.0"),
    "diffusion_models/wan2.1_i2v_480p_14B_fp8_e4m3fn.safetensors": (16.4, "Apache-2.0"),
    "diffusion_models/wan2.1_vace_14B_fp16.safetensors": (34.7, "Apache-2.0"),
    "text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors": (6.7, "Apache-2.0"),
    "text_encoders/umt5_xxl_fp16.safetensors": (11.4, "Apache-2.0"),
    "vae/wan_2.1_vae.safetensors": (0.25, "Apache-2.0"),
    "clip_vision/clip_vision_h.safetensors": (1.3, "MIT"),
    "model_patches/Wan21_Uni3C_controlnet_fp16.safetensors": (2.0, "Apache-2.0"),
    "loras/lightx2v_I2V_14B_480p_cfg_step_distill_rank64_bf16.safetensors": (0.7, "Apache-2.0"),
    "loras/ex4d.ckpt": (0.4, "see its page"),
    "diffusion_models/wan2.2_i2v_high_noise_14B_fp8_scaled.safetensors": (14.3, "Apache-2.0"),
    "diffusion_models/wan2.2_i2v_low_noise_14B_fp8_scaled.safetensors": (14.3, "Apache-2.0"),
    "diffusion_models/wan2.2_fun_vace_high_noise_14B_fp8_scaled.safetensors": (17.3, "Apache-2.0"),
    "diffusion_models/wan2.2_fun_vace_low_noise_14B_fp8_scaled.safetensors": (17.3, "Apache-2.0"),
    "checkpoints/ltx-2.3-22b-dev-fp8.safetensors": (29.1, LTX_LICENSE),
    "text_encoders/gemma_3_12B_it_fp4_mixed.safetensors": (9.45, "Gemma Terms of Use"),
    "loras/ltx_2.3_22b_distilled_1.1_lora_dynamic_fro09_avg_rank_111_bf16.safetensors": (2.7, LTX_LICENSE),
    "loras/LTX2.3-22B_IC-LoRA-CrossView-Warp_v2_6000.safetensors": (0.33, "Apache-2.0"),
    "diffusion_models/minimax_h3_ref2va_pruned_int8_convrot.safetensors": (21.0, H3_LICENSE),
    "text_encoders/qwen3vl_32b_minimax_h3_nvfp4_awq.safetensors": (15.7, H3_LICENSE),
    "vae/minimax_h3_video_vae_fp16.safetensors": (5.2, H3_LICENSE),
    "vae/minimax_h3_audio_vae_fp32.safetensors": (0.6, H3_LICENSE),
    "loras/minimax_h3_ref2v_turbo_8step_v1.0_768p_comfyui_bf16.safetensors": (2.0, "Apache-2.0"),
    "loras/MiniMax-H3_Ref2VA-LoRA-CrossView-Warp_v1_3500.safetensors": (0.6, H3_LICENSE),
}
VDA, DA3, MOGE, I2V, I2V_BF16, I2V_FP8, VACE, UMT5, UMT5_FP16, VAE, VISION, UNI3C, FOUR_STEPS, ADAPTER, \
    I2V_HIGH, I2V_LOW, VACE_HIGH, VACE_LOW, LTX, GEMMA, LTX_FEW_STEPS, CROSSVIEW_LTX, H3, QWEN, H3_VAE, H3_AUDIO, \
    H3_FEW_STEPS, CROSSVIEW_H3 = FILES


def files(*paths: str) -> str:
    """What a workflow needs: where each file goes, its size and its license."""
    return "**Files** in models/; ComfyUI offers what is missing for download\n" + "\n".join(
        f"- {path}, {FILES[path][0]:g} GB, {FILES[path][1]}" for path in paths)


VIDEO = "- *Your video*: choose or upload a file."
TRIM = """- *Trim Video*: which part of it, in seconds; its sound stays in step. A *duration* of 0 is all of \
it, which may \
need
  much memory."""
CAMERA = """- *Camera Trajectory*: choose another *move*. Angles are in degrees, negative yaw goes to the \
left; distances \
are
  shares of the radius."""
RESULT = """Black is what your video has not seen. The mask, white where it has, and the share of it show on *Render
Watertight Mesh*."""
BOX = "Double-click a box to see and change what is in it."
PRIOR = f"""- *Video to Prior (EX-4D)*: *moves* is the camera, such as *orbit:yaw=-40* or *dolly:distance=0.4*; \
*start_time*
  is where in your video it begins. {BOX}"""
POINTS = f"""- *Video to Points*: *moves* is the camera, such as *orbit:yaw=-40*; *start_time* is where in your video it
  begins. {BOX}"""
LENGTHS = """The video needs 49 frames from *start_time* on, and stays in step with its sound."""
REST = (VISION, UMT5, VAE, DA3)

NOTES = {
    "00_ex4d_video_from_a_new_view": f"""
## Your video from another side

1. *Your video*: choose or upload a file.
2. Press **Run**.

The camera circles to the right by *yaw* degrees (negative: to the left) and up by *pitch*. Sound, frame rate and size
stay as they are. Black is what your video has not seen; workflow 15 paints it.

*start_time* and *duration* choose the part of the video, in seconds. A *duration* of 0 is all of it, which may need
much memory.

**Depth** comes from the smallest model that is steady over a video. It is one download, once; nothing else finds depth
behind any camera. {BOX} With *parallax* as the *model* of *Estimate Video Depth* it needs no download, but a
camera that moves sideways past things at rest.

{files(VDA)}
""",
    "01_ex4d_sample_scene_from_the_side": f"""
## A sample scene from the side

Needs no file and no download: press **Run**.

A clip with exact depth becomes a watertight mesh per frame, which is shown along a new camera path. The result is the
**prior** that a video model paints from: color, black where nothing is known, and mask.

**Change**
- *Sample Scene*: choose another scene or seed.
{CAMERA}
- *Render Watertight Mesh*: *erosion* shrinks the mask, as in EX-4D's training.

**Next**: your own video in 00; painted in 15.
""",
    "02_ex4d_new_view_by_depth_anything_3": f"""
## Your video, depth by Depth Anything 3

It finds the depth of all frames together (*multiview*): steady over time, with the motion of the source camera, so that
the new path is fixed in the world. {RESULT}

**Change**
{VIDEO}
{TRIM}
{CAMERA}
- *Depth from Geometry*: turn *source_cameras* off for a camera on a tripod.

*Depth to look at* should not flicker. Near is bright.

{files(DA3)}
""",
    "13_ex4d_new_view_by_video_depth_anything": f"""
## Your video, with the depth model of your choice

*Estimate Video Depth* uses models that are steady over time, or makes any model of transformers steady. It says on the
node what it found. {RESULT}

**Change**
{VIDEO}
{TRIM}
- *Estimate Video Depth*: another *model*. Set *source_camera* to *estimate* if the camera moves.
{CAMERA}

{files(VDA)}
""",
    "14_ex4d_new_view_background_kept": f"""
## Your video, its background kept

What one frame does not see, another may have seen. *Motion Mask* finds what moves; everything else fills the other
frames. Hidden surfaces end a little behind what hides them (*hidden_reach* 0.1).

**Change**
{VIDEO}
{TRIM}
{CAMERA}
- *Motion Mask*: any other mask does, such as that of a segmentation model; 1 = moves.

*How far the camera can go* shows what was seen from every angle.

{files(DA3)}
""",
    "03_ex4d_new_view_by_moge": f"""
## Your video, depth by MoGe

It finds sharp depth and the focal length, frame by frame. If the depth flickers, use workflow 02 or 13. {RESULT}

**Change**
{VIDEO}
{TRIM}
{CAMERA}
- *Run MoGe Inference*: a lower *resolution_level* is faster. Set *fov_x_degrees* if you know the field of view.

*Depth to look at* should not flicker. Near is bright.

{files(MOGE)}
""",
    "04_ex4d_new_view_by_depth_images": """
## Gray depth pictures of any node

Needs no file. Two stand-ins make gray pictures, near is bright, as depth nodes and packs do: replace them by your own.

**Change**
- *Depth from Images*: what the numbers mean. *released* is for disparity pictures as EX-4D was trained; set *lens* if
you know the field of view.
- *Camera Trajectory*: choose another *move*. Distances are shares of the radius.
""",
    "05_ex4d_new_view_painted_by_wan_vace": f"""
## A new view, painted by Wan VACE

Stock Wan paints what your video has not seen. *Guide Video* makes of the prior what VACE was trained on: gray where
nothing was seen, and a mask of it that the frames of one latent share.

**Change**
{VIDEO}
{PRIOR}
- *Painted by Wan VACE*: *prompt* describes the picture, above all what comes into view.

{LENGTHS}

{files(VACE, UMT5, VAE, DA3)}
""",
    "06_ex4d_new_view_led_by_uni3c": f"""
## A new view, led by Uni3C

Wan image-to-video starts from the first frame, and Uni3C makes it follow the guide: the color of the prior, gray where
nothing was seen, as it was trained on. It uses no mask.

**Change**
{VIDEO}
{PRIOR}
- *Led by Uni3C*: *prompt* describes the picture. Inside, a lower *strength* or *end_percent* gives Wan more freedom.

{LENGTHS}

{files(I2V, UNI3C, *REST)}
""",
    "07_ex4d_video_generated_as_released": f"""
## EX-4D as released

Your video from a new camera path; Wan paints what it has not seen. As the model was released: 512 x 512, 49
frames, 25 steps, CFG 5, shift 5, *euler* with *simple*, seed 0, bf16, its own prompts, the whole picture
squashed, and 15 frames per second, so without sound.

**Change**
{VIDEO}
{PRIOR}
- The box behind it: *prompt*, *seed*. Inside, a lower *prior_strength* of *Apply Adapter* gives Wan more freedom.

{files(I2V_BF16, VISION, UMT5_FP16, VAE, ADAPTER, DA3)}
""",
    "08_ex4d_video_generated_in_four_steps": f"""
## EX-4D in four steps

With a distilled LoRA before the adapter, 4 steps at CFG 1 replace 25 of two passes each: more than ten times
faster, with less detail.

**Change**
{VIDEO}
{PRIOR}
- The box behind it: *prompt*, *seed*.

{LENGTHS}

{files(I2V, FOUR_STEPS, ADAPTER, *REST)}
""",
    "09_ex4d_long_video_generated": f"""
## Longer than 49 frames, and wide

Wan works in windows of 49 frames, the length that EX-4D was trained on, which overlap by 24. Each gets its part of the
prior. Here 97 frames of 832 x 480.

**Change**
{VIDEO}
{PRIOR}
- Size and length (4k+1): the same in both boxes.

The video needs 97 frames from *start_time* on.

{files(I2V, ADAPTER, *REST)}
""",
    "10_ex4d_vace_uni3c_side_by_side": f"""
## One prior, three video models

Prior, EX-4D, VACE and Uni3C side by side, with the same prompt and seed, so that you can choose.

- **EX-4D** gets color and mask, and was trained on priors like this.
- **VACE** gets the mask inverted, and gray where there is no picture.
- **Uni3C** gets only the color.

**Change**
{VIDEO}
{PRIOR}

{LENGTHS}

{files(I2V, VACE, UNI3C, ADAPTER, *REST)}
""",
    "11_ex4d_video_generated_with_little_memory": f"""
## EX-4D with little memory

The 8-bit model needs half the memory, and the VAE works in tiles. ComfyUI keeps in main memory what still does
not fit.

**Change**
{VIDEO}
{PRIOR}
- **Smaller still**: a GGUF of Wan 2.1 I2V 14B, such as *wan2.1-i2v-14b-480p-Q4_K_M.gguf*, with *Unet Loader (GGUF)* of
the pack **ComfyUI-GGUF** in the box.

{LENGTHS}

{files(I2V_FP8, ADAPTER, *REST)}
""",
    "12_ex4d_train_adapter": f"""
## Train your own adapter

Wan learns to paint what is masked of a clip. **Groups 1 to 3 need no file** and show what is masked.

**Groups 4 and 5** train on clips that you prepare on the command line. Then press R:
```
ex4d prepare videos/ --depth depths/
  --vae wan_2.1_vae.safetensors
  --text-encoder
    umt5_xxl_fp16.safetensors
  --clip-vision
    clip_vision_h.safetensors
  --out ComfyUI/input/prepared
```
They need *pip install peft accelerate tensorboard* and 80 GB, or 48 GB with *base_dtype* *float8*. A canceled
run continues when it is queued again.

**Change**
- *Train Adapter*: *clips*, *steps*, *name*.

{files(I2V)}
""",
    "15_ex4d_video_from_a_new_view_generated": f"""
## Your video from another side, generated

1. *Your video*: choose or upload a file.
2. Press **Run**.

A new view, as in workflow 00, of which EX-4D on Wan paints what your video has not seen: up to 49 frames, with
the sound.

**Change**
- *Video from a New View (EX-4D)*: *yaw* (negative: to the left), *pitch*, *start_time*.
- *Generate New View (EX-4D)*: *prompt* describes the picture; 832 x 480 keeps more of a wide video, but EX-4D was
trained on 512 x 512. {BOX}

{files(I2V_FP8, FOUR_STEPS, ADAPTER, VISION, UMT5, VAE, VDA)}
""",
    "16_ex4d_new_view_painted_by_wan_2_2_vace": f"""
## A new view, painted by Wan 2.2 VACE-Fun

Two models share the work: the high-noise expert takes the first 10 steps, the low-noise expert the other 10. The guide
is the one of Wan 2.1's VACE. It was not tried with its weights here.

**Change**
{VIDEO}
{PRIOR}
- *Painted by Wan 2.2 VACE-Fun*: *prompt* describes the picture, above all what comes into view.

{LENGTHS}

{files(VACE_HIGH, VACE_LOW, UMT5, VAE, DA3)}
""",
    "17_ex4d_video_generated_by_wan_2_2": f"""
## EX-4D on Wan 2.2

Its two experts have the shapes of Wan 2.1's model, so the adapter and the prior go on both. EX-4D was **not** trained
on them: *Apply Adapter* says so, and nobody has measured how well they follow. It was not tried with its weights here.
Train an adapter of your own on an expert with *Train Adapter*, *expert*.

**Change**
{VIDEO}
{PRIOR}
- *EX-4D on Wan 2.2*: *prompt*, *seed*.

{LENGTHS}

{files(I2V_HIGH, I2V_LOW, ADAPTER, UMT5, VAE, DA3)}
""",
    "18_ex4d_new_view_by_ltx_2_3": f"""
## A new view by LTX-2.3

**License**: LTX-2 is free of charge below $10M of revenue a year, and to be paid for from there on.

LTX-2.3 follows a guide: your video from the new view, drawn as the ragged points that its **CrossView-Warp** LoRA was
trained on, with magenta holes. Your video goes beside it. The result is 960 x 544, 24 frames per second, up to 121
frames, and has the sound of your video.

**Change**
{VIDEO}
{POINTS}
- *New view by LTX-2.3*: *prompt* begins with *crossview* and describes what comes into view.

The LoRA's author trusts it up to 45° to either side, 30° up and 20° down. It was not tried with its weights here.

{files(LTX, LTX_FEW_STEPS, CROSSVIEW_LTX, GEMMA, DA3)}
""",
    "19_ex4d_new_view_by_minimax_h3": f"""
## A new view by MiniMax H3

Needs **ComfyUI 0.33** or newer.

**License**: MiniMax H3 may not be used in the EU, the UK, South Korea and the USA. Above $20M of revenue a year, ask
its makers first.

H3 follows a guide: your video from the new view, drawn as the points that its **CrossView-Warp** LoRA was trained on,
with magenta holes. Your video is its reference. The result is 960 x 544, 24 frames per second, up to 124 frames, and
has the sound of your video.

**Change**
{VIDEO}
{POINTS}
- *New view by MiniMax H3*: *prompt* begins with *crossview* and describes what comes into view.

Its author advises against views close to that of your video. It was not tried with its weights here.

{files(H3, H3_FEW_STEPS, CROSSVIEW_H3, QWEN, H3_VAE, H3_AUDIO, DA3)}
""",
}
