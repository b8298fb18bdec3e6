"""What each workflow says of itself, in Markdown: what it does, what to change, which files go where."""

PRIOR = """The result is the **prior**, two videos that a video model paints from: the **color**, black where nothing is
known, and the **mask**, white where the source has seen the surface."""

CAMERA = """- *Camera Trajectory*: choose another `move`. Angles are in degrees, distances in shares of the radius,
  which is the distance of the nearest point if you leave it at 0. Negative yaw goes to the left."""

VIDEO = """- *Your video*: choose or upload a file. It is cut to 49 frames and scaled to 512 x 512, EX-4D's own size.
  Wan needs 4k+1 frames (49, 81 ...)."""

SOURCE = """**Your own video**: replace group 1. Copy the groups *Your video* and *Its depth* from workflow 02 or 03, or
use the blueprint *Video to Prior (EX-4D)* from the node library instead of groups 1 to 3."""


def files(*paths: str) -> str:
    """Where the files go that a workflow needs."""
    return "**Files** (ComfyUI offers the missing ones for download)\n```\nmodels/\n" + "\n".join(
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

A clip with exact depth is rendered, each frame becomes a watertight mesh, and the meshes are rendered along a new
camera path. {PRIOR}

**Change**
- *Sample Scene*: choose another scene or seed, more frames, another size.
{CAMERA}
- *Render Watertight Mesh*: `erosion` shrinks the mask, by default as in EX-4D's training.

**Look at**
- *The path*: the cameras from above and from the right, with the scene.
- *How much was seen*: the less it is, the more a video model has to invent.

**Next**: your own video in 02 (Depth Anything 3), 03 (MoGe) and 04 (any depth node); painting what was not seen in 05
(Wan VACE) and 06 (Wan with Uni3C).
""",
    "02_video_depth_anything_3_to_prior": f"""
## Your video to prior, with Depth Anything 3

Estimates the depth of all frames together (*multiview* mode): it is steady over time, and includes the motion of the
source camera, so that the new path is fixed in the world. {PRIOR}

**Change**
{VIDEO}
{CAMERA}
- *Depth from Geometry*: turn `source_cameras` off for a camera on a tripod, or if the motion it finds is wrong.
- *Run Depth Anything 3*: lower `resolution` if memory runs out.

**Look at** *Depth to look at*: near is bright. It should not flicker.

{files("geometry_estimation/", "  depth_anything_3_base.safetensors")}
""",
    "13_video_depth_anything_to_prior": f"""
## Your video to prior, with a depth model of your choice

*Estimate Video Depth* uses a model that is steady over time (Video-Depth-Anything, DepthCrafter), or makes any
per-frame model of transformers steady. Its scale is that of the released model. {PRIOR}

**Change**
{VIDEO}
- *Estimate Video Depth*: choose another `model`. Set `scale` to *as given* with a *metric_* file for meters. Set
  `source_camera` to *estimate* if the camera moves.
{CAMERA}

**Look at**
- *What was found*: shots, doubts about the depth, the residual of the source camera.

{files("video_depth_anything/", "  video_depth_anything_vits.pth")}
""",
    "14_video_background_kept": f"""
## Your video to prior, background kept

What one frame does not see, another one may have seen. *Motion Mask* finds what moves; everything else fills the other
frames. Hidden surfaces end a little behind what hides them (`hidden_reach` 0.1), so that more can be filled.

**Change**
{VIDEO}
{CAMERA}
- *Motion Mask*: replace it by any other mask, such as that of a segmentation model; 1 = moves.

**Look at**
- *How far the camera can go*: the share of the picture that was seen from every angle.
- The preview on *Render Watertight Mesh*: what was added, with a color for each frame that it comes from.
- *How much was seen*.

{files("geometry_estimation/", "  depth_anything_3_base.safetensors")}
""",
    "03_video_moge_to_prior": f"""
## Your video to prior, with MoGe

Estimates sharp depth and the focal length for each frame by itself. Sky stays infinitely far. If the depth of your clip
flickers, use workflow 02. {PRIOR}

**Change**
{VIDEO}
{CAMERA}
- *Run MoGe Inference*: a lower `resolution_level` is faster. Set `fov_x_degrees` if you know the field of view.
- *Depth from Geometry*: set `lens` if the focal length that MoGe finds differs from frame to frame.

**Look at** *Depth to look at*: near is bright.

{files("geometry_estimation/", "  moge_2_vitl_normal_fp16.safetensors")}
""",
    "04_depth_images_to_prior": f"""
## Depth images of any node to prior

Runs as it is, with stand-ins for your clip and its depth. {PRIOR}

**Replace** group 1 by your clip and your depth node: connect its frames to *Build Watertight Mesh* and *How many
frames*, and its gray images to *Depth from Images*. Load a depth video with *Load Video* and *Get Video Components*.
For npz, EXR and 16-bit files, use *Load Depth (EX-4D)* instead of *Depth from Images*.

**Change**
- `convention`, what the numbers mean:
  - `released`: relative disparity, bright is near. DepthCrafter, Video Depth Anything, Depth Anything, MiDaS.
  - `depth`: dark is near, and the numbers are distances.
  - `normalized-...`: with the distances of the nearest and the farthest value.
- `lens`: the focal length, if you know it.
- *Camera Trajectory*: choose another `move`.

Depth cannot be read back from a color map: set the depth node to gray. 8-bit images make steps in far walls.
""",
    "05_prior_to_wan_vace": f"""
## Prior into Wan VACE

Groups 1 to 3 make the prior and run without files. VACE then paints what the source has not seen.

VACE needs the mask inverted, 1 = to be painted, and gray where there is no picture: group 4.

{SOURCE}

**Change**
- *What to see*: describe the picture, above all what comes into view.
- *WanVaceToVideo*: use the `width`, `height` and `length` of group 1.
- *Load Diffusion Model*: use `wan2.1_vace_1.3B_fp16.safetensors` if you have little memory.

{files("diffusion_models/", "  wan2.1_vace_14B_fp16.safetensors", *WAN_FILES)}
""",
    "06_prior_to_wan_uni3c": f"""
## Prior into Wan with Uni3C

Groups 1 to 3 make the prior and run without files. Wan image-to-video starts from the first frame, and Uni3C makes it
follow the color video of the prior. Uni3C uses no mask: it takes black for *not seen*.

{SOURCE}

**Change**
- *What to see*: describe the picture, above all what comes into view.
- *WanImageToVideo*: use the `width`, `height` and `length` of group 1.
- *Apply Wan Uni3C ControlNet*: a lower `strength` or `end_percent` gives Wan more freedom.

{files("diffusion_models/", "  wan2.1_i2v_480p_14B_fp16.safetensors", "model_patches/",
       "  Wan21_Uni3C_controlnet_fp16.safetensors", "clip_vision/", "  clip_vision_h.safetensors", *WAN_FILES)}
""",
    "07_ex4d_as_released": f"""
## EX-4D as released

{GENERATED} It uses the settings that the model was released with: 512 x 512, 49 frames, 25 steps, CFG 5, shift 5,
*euler* with *simple*, seed 0, 15 frames per second, weights in bf16, and its own prompts. *Encode Prior* erodes the
mask at the size that is generated.

{SOURCE} EX-4D's own program works on the whole picture and squashes what it renders: for the same, leave out *Which
size*, or set its `crop` to *disabled*.

**Change**
- *Camera Trajectory*: choose another `move`. The model was trained on moves to both sides, up to 90 degrees.
- *Encode Prior* and *WanImageToVideo*: use the same `width`, `height` and `length` in both and in group 1.
- *Apply Adapter*: a lower `prior_strength` or `end_percent` gives Wan more freedom.

{files("loras/", "  ex4d.ckpt", "diffusion_models/", "  wan2.1_i2v_480p_14B_bf16.safetensors", "clip_vision/",
       "  clip_vision_h.safetensors", "text_encoders/", "  umt5_xxl_fp16.safetensors", "vae/",
       "  wan_2.1_vae.safetensors")}
""",
    "08_ex4d_in_four_steps": f"""
## EX-4D in four steps

{GENERATED} With a distilled LoRA before the adapter, 4 steps at CFG 1 replace 25 steps of two passes each: more than
ten times faster, with less detail. *What to avoid* has no effect at CFG 1.

{SOURCE}

**Change**
- The LoRA: any for Wan 2.1 I2V 14B, with 4 to 8 steps.
- *KSampler*: with CFG above 1, each step takes two passes again.

{files("loras/", "  lightx2v_I2V_14B_480p_cfg_step_distill_rank64_bf16.safetensors", "  ex4d.ckpt", *REST)}
""",
    "09_ex4d_long_video": f"""
## Longer than 49 frames, and wide

{GENERATED} Wan works in windows of 49 frames, the length that EX-4D was trained on, which overlap by 24. Each window
gets its part of the prior. Any size in multiples of 16 works the same way, here 832 x 480.

{SOURCE}

**Change**
- Length: 4k+1, the same in *Sample Scene*, *Encode Prior* and *WanImageToVideo*.
- *Wan Context Windows*: a higher `context_overlap` joins the windows better and takes longer.

{EX4D_FILES}
""",
    "10_ex4d_vace_uni3c_side_by_side": f"""
## One prior, three video models

The same prior, prompt and seed with EX-4D, Wan VACE and Uni3C, one after the other. The video shows the prior and the
three results side by side, so that you can choose.

- **EX-4D** gets color and mask, and was trained on priors like this.
- **VACE** gets the mask inverted, and gray where there is no picture.
- **Uni3C** gets only the color.

**Change**
- *KSampler*: use the same seed in all three, to compare them.

{SOURCE}

{files("loras/", "  ex4d.ckpt", "diffusion_models/", "  wan2.1_i2v_480p_14B_fp16.safetensors",
       "  wan2.1_vace_14B_fp16.safetensors", "model_patches/", "  Wan21_Uni3C_controlnet_fp16.safetensors",
       "clip_vision/", "  clip_vision_h.safetensors", *WAN_FILES)}
""",
    "11_ex4d_with_little_memory": f"""
## EX-4D with little memory

{GENERATED} The 8-bit model needs half the memory, and the VAE works in tiles. ComfyUI keeps in main memory what still
does not fit.

{SOURCE}

**Change**
- **Smaller still**: use a GGUF of Wan 2.1 I2V 14B, e.g. `wan2.1-i2v-14b-480p-Q4_K_M.gguf` in `diffusion_models`, with
*Unet Loader (GGUF)* instead of *Load Diffusion Model*. This node comes with the pack **ComfyUI-GGUF**, which you
install separately. Fewer pixels and frames help as much: 384 x 384, 33 frames.

{files("loras/", "  ex4d.ckpt", "diffusion_models/", "  wan2.1_i2v_480p_14B_fp8_e4m3fn.safetensors", *REST[2:])}
""",
    "12_train_adapter": f"""
## Train your own adapter

Parts of a clip are masked, and Wan learns to paint them: no second view is needed. **Groups 1 to 3 need no file** and
show on a sample scene what is masked. A window that glides over the clip adds motion to still cameras.

**Groups 4 and 5** train on clips that you prepare with both kinds of masks on the command line. Then press R:
```
ex4d prepare videos/ --depth depths/
  --vae wan_2.1_vae.safetensors
  --text-encoder umt5_xxl_fp16.safetensors
  --clip-vision clip_vision_h.safetensors
  --out ComfyUI/input/prepared
```
They need `pip install peft accelerate tensorboard` and 80 GB, or 48 GB with `base_dtype` *float8*. Cancel when you
like: if you queue it again, the run continues. Use the adapter in *Apply Adapter*, workflow 07.

**Change**
- *Train Adapter*: `clips`, `steps`, `name`.

{files("diffusion_models/", "  wan2.1_i2v_480p_14B_fp16.safetensors")}
""",
}
