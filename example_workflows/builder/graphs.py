"""The example workflows, one function each, and the box that is offered as a blueprint."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from notes import NOTES
from sheet import EX4D, GENERATE, INPUT, MODELS, OUTPUT, Box, Group, Model, Node, Sheet, Socket, note

FRAMES, WIDTH, HEIGHT = 49, 512, 512  # what EX-4D was trained on
WAN = "https://huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged/resolve/main/split_files"
PROMPT = "4K ultra HD, surround motion, realistic tone, panoramic shot, wide-angle view, cinematic quality"
# The negative prompt Wan was tuned with, as in every stock Wan workflow.
NEGATIVE = ("色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，"
            "最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，"
            "畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走")

DA3 = Model("depth_anything_3_base.safetensors",
            "https://huggingface.co/Comfy-Org/Depth-Anything-3/resolve/main/geometry_estimation/"
            "depth_anything_3_base.safetensors", "geometry_estimation")
MOGE = Model("moge_2_vitl_normal_fp16.safetensors",
             "https://huggingface.co/Comfy-Org/MoGe/resolve/main/geometry_estimation/"
             "moge_2_vitl_normal_fp16.safetensors", "geometry_estimation")
VIDEO_DEPTH_ANYTHING = Model(
    "video_depth_anything_vits.pth", "https://huggingface.co/depth-anything/Video-Depth-Anything-Small/resolve/main/"
    "video_depth_anything_vits.pth", "video_depth_anything")
VACE = Model("wan2.1_vace_14B_fp16.safetensors", f"{WAN}/diffusion_models/wan2.1_vace_14B_fp16.safetensors",
             "diffusion_models")
I2V = Model("wan2.1_i2v_480p_14B_fp16.safetensors", f"{WAN}/diffusion_models/wan2.1_i2v_480p_14B_fp16.safetensors",
            "diffusion_models")
UMT5_FP16 = Model("umt5_xxl_fp16.safetensors", f"{WAN}/text_encoders/umt5_xxl_fp16.safetensors", "text_encoders")
UMT5 = Model("umt5_xxl_fp8_e4m3fn_scaled.safetensors",
             f"{WAN}/text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors", "text_encoders")
VAE = Model("wan_2.1_vae.safetensors", f"{WAN}/vae/wan_2.1_vae.safetensors", "vae")
CLIP_VISION = Model("clip_vision_h.safetensors", f"{WAN}/clip_vision/clip_vision_h.safetensors", "clip_vision")
UNI3C = Model("Wan21_Uni3C_controlnet_fp16.safetensors",
              "https://huggingface.co/Kijai/WanVideo_comfy/resolve/main/Wan21_Uni3C_controlnet_fp16.safetensors",
              "model_patches")


class Clip(NamedTuple):
    """What the geometry starts from."""

    images: Socket
    depth: Socket
    fps: Socket
    audio: Socket | None = None


# ---- the workflows ------------------------------------------------------------------------------


def sample_scene_to_prior() -> Sheet:
    clip, scene = sample_clip()
    film = Node("CreateVideo", {"images": clip.images, "fps": clip.fps})
    scene = Group(scene.title, scene.color, [[*scene.columns[0], film, save_video(film, "01_source", "Source")]])
    render, prior = prior_groups(clip, {"move": "orbit", "move.yaw": 30.0, "move.pitch": 10.0})
    return sheet("01_sample_scene_to_prior", [scene], *prior, [video_group(render, clip, "01")])


def depth_anything_to_prior() -> Sheet:
    images, fps, audio, video = your_video()
    estimate = depth_anything(images)
    return video_to_prior("02_video_depth_anything_3_to_prior", video, estimate,
                          Clip(images, estimate[-1]["depth"], fps, audio), {"move": "preset-180"})


def moge_to_prior() -> Sheet:
    images, fps, audio, video = your_video()
    load = Node("LoadMoGeModel", {"model_name": MOGE.name}, models=(MOGE,))
    infer = Node("MoGeInference", {"moge_model": load["MOGE_MODEL"], "image": images})
    depth = Node("EX4DDepthFromGeometry", {"geometry": infer["moge_geometry"]})
    return video_to_prior("03_video_moge_to_prior", video, (load, infer, depth),
                          Clip(images, depth["depth"], fps, audio), {"move": "arc", "move.yaw": 30.0})


def estimated_depth_to_prior() -> Sheet:
    images, fps, audio, video = your_video()
    estimate = Node("EstimateVideoDepth", {"images": images, "model": "Video-Depth-Anything",
                                           "model.file": VIDEO_DEPTH_ANYTHING.name, "scale": "released",
                                           "lens": "as given"}, models=(VIDEO_DEPTH_ANYTHING,))
    notes = Node("PreviewAny", {"source": estimate["notes"]}, "What was found", (280, 150))
    return video_to_prior("13_video_depth_anything_to_prior", video, (estimate, notes),
                          Clip(images, estimate["depth"], fps, audio), {"move": "orbit", "move.yaw": 30.0})


def background_to_prior() -> Sheet:
    """Workflow 02 whose frames are filled with what other frames saw."""
    images, fps, audio, video = your_video()
    load, infer, depth = depth_anything(images)
    moving = Node("EX4DMotionMask", {"images": images, "depth": depth["depth"]})
    clip = Clip(images, depth["depth"], fps, audio)
    mesh, size, path, render = prior_nodes(clip, {"move": "orbit", "move.yaw": 40.0}, {"hidden_reach": 0.1},
                                           {"moving": moving["moving"]})
    angles = Node("EX4DCoverageMap", {"mesh": mesh["mesh"]})
    seen = preview(angles["map"], "How far the camera can go")
    coverage = Node("PreviewAny", {"source": render["coverage"]}, "How much was seen", (280, 150))
    return sheet("14_video_background_kept", [video], [Group("2  Its depth, and what moves", MODELS, [
        [load, infer, depth, moving]])], [Group("3  Mesh and camera", EX4D, [[mesh, angles, seen], [size, path]])],
        [Group("4  Prior", EX4D, [[render, coverage]])], [video_group(render, clip, "14", "5")])


def depth_images_to_prior() -> Sheet:
    exact, scene = sample_clip("1  Stand-in: clip, depth")
    gray = Node("EX4DDepthToImages", {"depth": exact.depth, "colors": "gray"}, "Stand-in: gray depth images")
    scene = Group(scene.title, scene.color, [[*scene.columns[0], gray, preview(gray["images"], "Depth images")]])
    depth = Node("EX4DDepthFromImages", {"images": gray["images"], "convention": "released", "lens": "released"})
    clip = Clip(exact.images, depth["depth"], exact.fps)
    render, prior = prior_groups(clip, {"move": "truck", "move.distance": 0.4}, first=3)
    read = Group("2  Depth from images", EX4D, [[depth]])
    return sheet("04_depth_images_to_prior", [scene], [read], *prior, [video_group(render, clip, "04", "5")])


def prior_to_vace() -> Sheet:
    clip, scene = sample_clip()
    render, (mesh, prior) = prior_groups(clip, {"move": "orbit", "move.yaw": 30.0})
    paint = Node("InvertMask", {"mask": render["visible"]}, "1 = to be painted")
    gray = Node("EmptyImage", {"width": WIDTH, "height": HEIGHT, "batch_size": 1, "color": 0x7F7F7F}, "Gray")
    control = Node("ImageCompositeMasked", {"destination": render["color"], "source": gray["IMAGE"],
                                            "mask": paint["MASK"], "x": 0, "y": 0, "resize_source": True},
                   "Gray where nothing was seen")
    model, clip_loader, vae = wan_loaders(VACE)
    positive, negative = prompts(clip_loader)
    shift = Node("ModelSamplingSD3", {"model": model["MODEL"], "shift": 8.0})
    vace = Node("WanVaceToVideo", {
        "positive": positive["CONDITIONING"], "negative": negative["CONDITIONING"], "vae": vae["VAE"],
        "control_video": control["IMAGE"], "control_masks": paint["MASK"],
        "width": WIDTH, "height": HEIGHT, "length": FRAMES, "batch_size": 1, "strength": 1.0})
    sample = sampler(shift["MODEL"], vace)
    trim = Node("TrimVideoLatent", {"samples": sample["LATENT"], "trim_amount": vace["trim_latent"]})
    return sheet(
        "05_prior_to_wan_vace",
        [scene], mesh, [*prior, Group("5  Models", MODELS, [[model, clip_loader, vae]])],
        [Group("4  Prior for VACE", GENERATE, [[paint, gray, control],
                                                       [preview(control["IMAGE"], "What VACE gets")]]),
         Group("6  Prompt", GENERATE, [[positive, negative]])],
        [Group("7  Paint what was not seen", GENERATE, [[vace, shift, sample, trim]])],
        [painted(trim["LATENT"], vae, clip, "05", "8  Video from the new view")])


def prior_to_uni3c() -> Sheet:
    clip, scene = sample_clip()
    render, (mesh, (prior,)) = prior_groups(clip, {"move": "orbit", "move.yaw": 30.0})
    model, clip_loader, vae = wan_loaders(I2V)
    vision = Node("CLIPVisionLoader", {"clip_name": CLIP_VISION.name}, models=(CLIP_VISION,))
    patch = Node("ModelPatchLoader", {"name": UNI3C.name}, models=(UNI3C,))
    positive, negative = prompts(clip_loader)
    first = Node("ImageFromBatch", {"image": clip.images, "batch_index": 0, "length": 1}, "First frame")
    seen = Node("CLIPVisionEncode", {"clip_vision": vision["CLIP_VISION"], "image": first["IMAGE"], "crop": "none"})
    start = Node("WanImageToVideo", {
        "positive": positive["CONDITIONING"], "negative": negative["CONDITIONING"], "vae": vae["VAE"],
        "clip_vision_output": seen["CLIP_VISION_OUTPUT"], "start_image": first["IMAGE"],
        "width": WIDTH, "height": HEIGHT, "length": FRAMES, "batch_size": 1})
    uni3c = Node("WanUni3CControlnetApply", {
        "model": model["MODEL"], "model_patch": patch["MODEL_PATCH"], "vae": vae["VAE"],
        "render_video": render["color"], "strength": 1.0, "start_percent": 0.0, "end_percent": 1.0})
    shift = Node("ModelSamplingSD3", {"model": uni3c["MODEL"], "shift": 8.0})
    sample = sampler(shift["MODEL"], start)
    return sheet(
        "06_prior_to_wan_uni3c",
        [scene], mesh,
        [Group(prior.title, prior.color, [*prior.columns, [preview(render["color"], "What Uni3C gets")]]),
         Group("4  Models", MODELS, [[model, patch, vision], [clip_loader, vae]])],
        [Group("5  First frame", GENERATE, [[first, seen]]), Group("6  Prompt", GENERATE, [[positive, negative]])],
        [Group("7  Follow the prior", GENERATE, [[start, uni3c, shift, sample]])],
        [painted(sample["LATENT"], vae, clip, "06", "8  Video from the new view")])


SHEETS = (sample_scene_to_prior, depth_anything_to_prior, moge_to_prior, depth_images_to_prior, prior_to_vace,
          prior_to_uni3c, estimated_depth_to_prior, background_to_prior)


def video_to_prior_box() -> Box:
    """Workflow 02 without its videos, as one node."""
    parts = Node("GetVideoComponents")
    cut, scale = frames_of(parts)
    load, infer, depth = depth_anything(scale["IMAGE"])
    clip = Clip(scale["IMAGE"], depth["depth"], parts["fps"])
    mesh, size, path, render = prior_nodes(clip, {"move": "combined", "move.moves": "orbit:yaw=40,ease=ease-in-out"})
    return Box(
        Sheet("Video to Prior (EX-4D)", [
            [Group("Frames", INPUT, [[parts, cut, scale]])], [Group("Depth", MODELS, [[load, infer, depth]])],
            [Group("Mesh and camera", EX4D, [[mesh, size, path]])], [Group("Prior", EX4D, [[render]])]]),
        "Renders a video along a new camera path, with depth by Depth Anything 3 and a watertight mesh per frame. The "
        "result is the prior, color and mask, that EX-4D, VACE or Uni3C paint from.",
        ["EX-4D", "prior video", "novel view", "re-camera", "camera control", "video to video"],
        inputs={"video": parts["video"], "first_frame": cut["batch_index"], "frames": cut["length"],
                "width": scale["width"], "height": scale["height"], "crop": scale["crop"],
                "depth_model": load["model_name"], "moves": path["move.moves"], "seed": render["seed"]},
        outputs={"color": render["color"], "visible": render["visible"], "fps": parts["fps"],
                 "audio": parts["audio"], "plot": path["plot"], "coverage": render["coverage"]})


# ---- the parts they share -----------------------------------------------------------------------


def sheet(name: str, *stacks: Sequence[Group]) -> Sheet:
    """The workflow with what is to be said of it before its first group."""
    return Sheet(name, [[Group("", "", [[note("Read me", NOTES[name], (440, 420))]])], *stacks])


def sample_clip(title: str = "1  A clip with exact depth") -> tuple[Clip, Group]:
    scene = Node("EX4DSampleScene", {"scene": "gallery", "frames": FRAMES, "width": WIDTH, "height": HEIGHT})
    return Clip(scene["images"], scene["depth"], scene["fps"]), Group(title, INPUT, [[scene]])


def your_video() -> tuple[Socket, Socket, Socket, Group]:
    """Frames at EX-4D's size, frame rate and sound of a video of the user's."""
    video = Node("LoadVideo", {"file": "your_video.mp4"}, "Your video", (320, 320))
    parts = Node("GetVideoComponents", {"video": video["VIDEO"]})
    cut, scale = frames_of(parts)
    return scale["IMAGE"], parts["fps"], parts["audio"], Group("1  Your video", INPUT, [[video, parts, cut, scale]])


def frames_of(parts: Node) -> tuple[Node, Node]:
    """As many frames as EX-4D was trained on, at its size."""
    cut = Node("ImageFromBatch", {"image": parts["images"], "batch_index": 0, "length": FRAMES}, "Which frames")
    return cut, Node("ImageScale", {"image": cut["IMAGE"], "upscale_method": "area", "width": WIDTH, "height": HEIGHT,
                                    "crop": "center"}, "Which size")


def depth_anything(images: Socket) -> tuple[Node, Node, Node]:
    load = Node("LoadDA3Model", {"model_name": DA3.name}, models=(DA3,))
    infer = Node("DA3Inference", {"da3_model": load["DA3_MODEL"], "image": images, "mode": "multiview"})
    return load, infer, Node("EX4DDepthFromGeometry", {"geometry": infer["da3_geometry"]})


def video_to_prior(name: str, video: Group, estimate: Sequence[Node], clip: Clip, move: dict) -> Sheet:
    pictures = Node("EX4DDepthToImages", {"depth": clip.depth, "colors": "turbo"})
    render, prior = prior_groups(clip, move, first=3)
    depth = Group("2  Its depth", MODELS, [[*estimate, pictures, preview(pictures["images"], "Depth to look at")]])
    return sheet(name, [video], [depth], *prior, [video_group(render, clip, name[:2], "5")])


def prior_groups(clip: Clip, move: dict, first: int = 2,
                 erosion: str = "released") -> tuple[Node, tuple[list[Group], list[Group]]]:
    """Mesh, camera path and render of a clip, with previews. first: the number of the first of the two groups."""
    mesh, size, path, render = prior_nodes(clip, move, of_render={"erosion": erosion})
    plot = Node("PreviewImage", {"images": path["plot"]}, "The path", (440, 290))
    coverage = Node("PreviewAny", {"source": render["coverage"]}, "How much was seen", (280, 150))
    return render, ([Group(f"{first}  Mesh and camera", EX4D, [[mesh, size, path, plot]])],
                    [Group(f"{first + 1}  Prior", EX4D, [[render, coverage]])])


def prior_nodes(clip: Clip, move: dict, of_mesh: dict | None = None,
                of_render: dict | None = None) -> tuple[Node, Node, Node, Node]:
    """Mesh, number of frames, camera path and render. of_mesh, of_render: further inputs of those."""
    mesh = Node("BuildDWMesh", {"images": clip.images, "depth": clip.depth, **(of_mesh or {})})
    size = Node("GetImageSize", {"image": clip.images}, "How many frames", (280, 130))
    path = Node("CameraTrajectory", {**move, "scene": clip.depth, "frames": size["batch_size"]})
    render = Node("RenderDWMesh", {"mesh": mesh["mesh"], "cameras": path["cameras"], "erosion": "released",
                                   **(of_render or {})})
    return mesh, size, path, render


def video_group(render: Node, clip: Clip, number: str, place: str = "4") -> Group:
    """Color and mask of the prior as video files. place: the number of the group."""
    sound = {"audio": clip.audio} if clip.audio else {}
    color = Node("CreateVideo", {"images": render["color"], "fps": clip.fps, **sound})
    white = Node("MaskToImage", {"mask": render["visible"]}, "White = seen")
    mask = Node("CreateVideo", {"images": white["IMAGE"], "fps": clip.fps})
    return Group(f"{place}  The prior as videos", OUTPUT, [
        [color, save_video(color, f"{number}_color", "Color")],
        [white, mask, save_video(mask, f"{number}_visible", "Mask")]])


def save_video(video: Node, name: str, title: str) -> Node:
    return Node("SaveVideo", {"video": video["VIDEO"], "filename_prefix": f"ex4d/{name}"}, title, (320, 440))


def preview(images: Socket, title: str) -> Node:
    return Node("PreviewImage", {"images": images}, title, (320, 340))


def wan_loaders(model: Model) -> tuple[Node, Node, Node]:
    return (Node("UNETLoader", {"unet_name": model.name, "weight_dtype": "default"}, models=(model,)),
            Node("CLIPLoader", {"clip_name": UMT5.name, "type": "wan"}, models=(UMT5,)),
            Node("VAELoader", {"vae_name": VAE.name}, models=(VAE,)))


def prompts(clip_loader: Node) -> tuple[Node, Node]:
    return (Node("CLIPTextEncode", {"clip": clip_loader["CLIP"], "text": PROMPT}, "What to see", (400, 160)),
            Node("CLIPTextEncode", {"clip": clip_loader["CLIP"], "text": NEGATIVE}, "What to avoid", (400, 200)))


def sampler(model: Socket, conditioning: Node) -> Node:
    return Node("KSampler", {
        "model": model, "positive": conditioning["positive"], "negative": conditioning["negative"],
        "latent_image": conditioning["latent"], "seed": 0, "steps": 20, "cfg": 6.0, "sampler_name": "uni_pc",
        "scheduler": "simple", "denoise": 1.0})


def painted(latent: Socket, vae: Node, clip: Clip, number: str, title: str) -> Group:
    decode = Node("VAEDecode", {"samples": latent, "vae": vae["VAE"]})
    video = Node("CreateVideo", {"images": decode["IMAGE"], "fps": clip.fps})
    return Group(title, OUTPUT, [[decode, video, save_video(video, number, "New view")]])
