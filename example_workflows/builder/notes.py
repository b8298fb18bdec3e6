"""What each workflow says of itself, in Markdown: what it does, what to change, which files go where."""

PRIOR = """The result is the **prior**, two videos that a generator paints from: **colour**, black where nothing is
known, and **mask**, white where the source has seen the surface."""

CAMERA = """- *Camera Trajectory*: another `move`. Angles in degrees, distances in shares of the radius, which by itself
  is the distance of the nearest point. Negative yaw goes to the left."""

VIDEO = """- *Your video*: choose or upload a file. It is cut to 49 frames and to 512 x 512, EX-4D's own size. Wan takes
  4k + 1 frames: 49, 81 ..."""

SOURCE = """**Your own video**: replace group 1. Copy the groups *Your video* and *Its depth* from workflow 02 or 03, or
take the box **Video to Prior (EX-4D)** in place of groups 1 to 3: it is in the node library, among the blueprints."""


def files(*paths: str) -> str:
    """Where the files go that a workflow needs."""
    return "**Files** (ComfyUI offers those that are missing)\n```\nmodels/\n" + "\n".join(
        f"  {path}" for path in paths) + "\n```"


WAN_FILES = ("text_encoders/", "  umt5_xxl_fp8_e4m3fn_scaled.safetensors", "vae/", "  wan_2.1_vae.safetensors")

REST = ("diffusion_models/", "  wan2.1_i2v_480p_14B_fp16.safetensors", "clip_vision/", "  clip_vision_h.safetensors",
        *WAN_FILES)
EX4D_FILES = files("loras/", "  ex4d.ckpt", *REST)
GENERATED = "A clip becomes a prior, seen from a new camera path, and Wan 2.1 paints what the source has not seen."

NOTES = {
    "01_sample_scene_to_prior": f"""
## Sample scene to prior

Needs no file and no download: press **Run**.

A clip with exact depth is filmed, every frame becomes a watertight mesh, and the meshes are seen along a new camera
path. {PRIOR}

**Change**
- *Sample Scene*: another scene or seed, more frames, another size.
{CAMERA}
- *Render*: `erosion` shrinks the mask the way the released model was shown it.

**Look at**
- *The path*: the cameras from above and from the right, with the scene.
- *How much was seen*: the less, the more a generator has to invent.

**Next**: your own video in 02 (Depth Anything 3), 03 (MoGe) and 04 (any depth node); painting what was not seen in 05
(Wan VACE) and 06 (Wan with Uni3C).
""",
    "02_video_depth_anything_3_to_prior": f"""
## Your video to prior, with Depth Anything 3

Depth of all frames at once (*multiview*): steady over time, and with the motion of the source camera, so that the new
path stays where it is in the world. {PRIOR}

**Change**
{VIDEO}
{CAMERA}
- *Depth from Geometry*: turn `source_cameras` off for a camera on a tripod, or where the motion found is wrong.
- *Run Depth Anything 3*: less `resolution` where memory runs out.

**Look at** *Depth to look at*: near is bright. It should not flicker.

{files("geometry_estimation/", "  depth_anything_3_base.safetensors")}
""",
    "13_video_depth_anything_to_prior": f"""
## Your video to prior, with a depth model of your choice

*Estimate Video Depth* finds depth that is steady by itself (Video-Depth-Anything, DepthCrafter) or is made steady (any
per-frame model of transformers). The new scale is the released model's. {PRIOR}

**Change**
{VIDEO}
- *Estimate Video Depth*: another `model`; a *metric_* file with `scale` *as given* works in metres; `source_camera`
  *estimate* where the camera moves.
{CAMERA}

**Look at**
- *What was found*: shots, doubts about the numbers, the residual of the source camera.

{files("video_depth_anything/", "  video_depth_anything_vits.pth")}
""",
    "03_video_moge_to_prior": f"""
## Your video to prior, with MoGe

Sharp depth of single frames, with the focal length found and the sky kept infinitely far. Frames know nothing of each
other: for clips in which depth flickers take workflow 02. {PRIOR}

**Change**
{VIDEO}
{CAMERA}
- *Run MoGe Inference*: lower `resolution_level` is faster; `fov_x_degrees` where you know the lens.
- *Depth from Geometry*: `lens` in place of the one that MoGe found, which may differ from frame to frame.

**Look at** *Depth to look at*: near is bright.

{files("geometry_estimation/", "  moge_2_vitl_normal_fp16.safetensors")}
""",
    "04_depth_images_to_prior": f"""
## Depth pictures of any node to prior

Runs as it is, on stand-ins. {PRIOR}

**Replace** group 1 by your clip and your depth node: its frames go to *Build Watertight Mesh* and *How many frames*,
its gray pictures to *Depth from Images*. A depth video is read with *Load Video* and *Get Video Components*; npz, EXR
and 16-bit files with *Load Depth (EX-4D)*, which takes the place of *Depth from Images*.

**Change**
- `convention`, what the numbers mean:
  - `released`: relative disparity, bright is near. DepthCrafter, Video Depth Anything, Depth Anything, MiDaS.
  - `depth`: dark is near, and the numbers are distances.
  - `normalized-...`: with the distances of the nearest and the farthest value.
- `lens`: the focal length, where you know it.
- *Camera Trajectory*: another `move`.

Coloured depth cannot be read back; set the depth node to gray. Pictures of 8 bit make steps in far walls.
""",
    "05_prior_to_wan_vace": f"""
## Prior into Wan VACE

Groups 1 to 3 make the prior and run without files. VACE then paints what the source has not seen.

VACE wants the mask the other way around, 1 = to be painted, and gray where there is no picture: group 4.

{SOURCE}

**Change**
- *What to see*: say what is in the picture, above all what comes into view.
- *WanVaceToVideo*: `width`, `height` and `length` as in group 1.
- *Load Diffusion Model*: `wan2.1_vace_1.3B_fp16.safetensors` where memory is short.

{files("diffusion_models/", "  wan2.1_vace_14B_fp16.safetensors", *WAN_FILES)}
""",
    "06_prior_to_wan_uni3c": f"""
## Prior into Wan with Uni3C

Groups 1 to 3 make the prior and run without files. Wan image-to-video starts from the first frame, and Uni3C makes it
follow the colour video of the prior. Uni3C takes no mask: black is its *not seen*.

{SOURCE}

**Change**
- *What to see*: say what is in the picture, above all what comes into view.
- *WanImageToVideo*: `width`, `height` and `length` as in group 1.
- *Apply Wan Uni3C ControlNet*: less `strength`, or an earlier `end_percent`, frees the picture from the prior.

{files("diffusion_models/", "  wan2.1_i2v_480p_14B_fp16.safetensors", "model_patches/",
       "  Wan21_Uni3C_controlnet_fp16.safetensors", "clip_vision/", "  clip_vision_h.safetensors", *WAN_FILES)}
""",
    "07_ex4d_as_released": f"""
## EX-4D as released

{GENERATED} With the settings the model was released with: 512 x 512, 49 frames, 25 steps, CFG 5, shift 5, *euler* with
*simple*, seed 0, 15 frames per second, weights in bf16, and its own prompts. The mask is shrunk in *Encode Prior*, at
the size that is generated.

{SOURCE} EX-4D's own program works on the whole picture and squashes what it renders: for the same, leave out *Which
size*, or set its `crop` to *disabled*.

**Change**
- *Camera Trajectory*: another `move`. The model was shown sweeps to both sides, up to 90 degrees.
- *Encode Prior* and *WanImageToVideo*: `width`, `height`, `length`, the same in both and as in group 1.
- *Apply Adapter*: less `prior_strength`, or an earlier `end_percent`, frees the picture from the prior.

{files("loras/", "  ex4d.ckpt", "diffusion_models/", "  wan2.1_i2v_480p_14B_bf16.safetensors", "clip_vision/",
       "  clip_vision_h.safetensors", "text_encoders/", "  umt5_xxl_fp16.safetensors", "vae/",
       "  wan_2.1_vae.safetensors")}
""",
    "08_ex4d_in_four_steps": f"""
## EX-4D in four steps

{GENERATED} A distilled LoRA in front of the adapter does with 4 steps and CFG 1 what takes 25 steps of two passes
each: more than ten times faster, with less detail. *What to avoid* has no effect at CFG 1.

{SOURCE}

**Change**
- The LoRA: any for Wan 2.1 I2V 14B; 4 to 8 steps.
- *KSampler*: with CFG above 1 every step takes two passes again.

{files("loras/", "  lightx2v_I2V_14B_480p_cfg_step_distill_rank64_bf16.safetensors", "  ex4d.ckpt", *REST)}
""",
    "09_ex4d_long_video": f"""
## Longer than 49 frames, and wide

{GENERATED} Wan works on windows of 49 frames, what EX-4D was trained on, that overlap by 24; each window is shown
its part of the prior. Any size in multiples of 16 goes the same way, here 832 x 480.

{SOURCE}

**Change**
- Length: 4k + 1, the same in *Sample Scene*, *Encode Prior* and *WanImageToVideo*.
- *Wan Context Windows*: more `context_overlap` joins the windows better and takes longer.

{EX4D_FILES}
""",
    "10_ex4d_vace_uni3c_side_by_side": f"""
## One prior, three generators

The same prior, prompt and seed through EX-4D, Wan VACE and Uni3C, one after the other; the video shows the prior and
the three results next to each other. A prior that suits all three lets you choose by the result.

- **EX-4D** is shown colour and mask, and was trained on priors like this.
- **VACE** wants the mask inverted, and gray where there is no picture.
- **Uni3C** is shown the colour alone.

**Change**
- *KSampler*: one seed in all three keeps them comparable.

{SOURCE}

{files("loras/", "  ex4d.ckpt", "diffusion_models/", "  wan2.1_i2v_480p_14B_fp16.safetensors",
       "  wan2.1_vace_14B_fp16.safetensors", "model_patches/", "  Wan21_Uni3C_controlnet_fp16.safetensors",
       "clip_vision/", "  clip_vision_h.safetensors", *WAN_FILES)}
""",
    "11_ex4d_with_little_memory": f"""
## EX-4D with little memory

{GENERATED} The model in 8 bit takes half the room, and the VAE works in tiles. What still does not fit is kept in main
memory by ComfyUI itself.

{SOURCE}

**Change**
- **Smaller still**: a GGUF of Wan 2.1 I2V 14B, e.g. `wan2.1-i2v-14b-480p-Q4_K_M.gguf` in `diffusion_models`, with *Unet
Loader (GGUF)* in the place of *Load Diffusion Model*. It comes with the pack **ComfyUI-GGUF**, which you install
separately. Fewer pixels and frames help as much: 384 x 384, 33 frames.

{files("loras/", "  ex4d.ckpt", "diffusion_models/", "  wan2.1_i2v_480p_14B_fp8_e4m3fn.safetensors", *REST[2:])}
""",
    "12_train_adapter": f"""
## Train an adapter of your own

Parts of a clip are hidden, and Wan learns to paint them: no second view is needed. **Groups 1 to 3 need no file** and
show, on a sample scene, what is hidden. A window gliding over the clip lends still cameras motion.

**Groups 4 and 5** train on clips prepared with both kinds of masks, on the command line; then press R:
```
ex4d prepare videos/ --depth depths/
  --vae wan_2.1_vae.safetensors
  --text-encoder umt5_xxl_fp16.safetensors
  --clip-vision clip_vision_h.safetensors
  --out ComfyUI/input/prepared
```
They need `pip install peft accelerate tensorboard` and 80 GB, or 48 GB with `base_dtype` *float8*. Cancel when you
like: queued again, the run goes on. The adapter is then in *Apply Adapter*, workflow 07.

**Change**
- *Train Adapter*: `clips`, `steps`, `name`.

{files("diffusion_models/", "  wan2.1_i2v_480p_14B_fp16.safetensors")}
""",
}
