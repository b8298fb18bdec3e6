"""The workflows that generate: EX-4D's adapter on Wan 2.1 I2V, as released and in four variations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphs import (
    CLIP_VISION,
    FRAMES,
    HEIGHT,
    I2V,
    PROMPT,
    UMT5,
    UMT5_FP16,
    UNI3C,
    VACE,
    VAE,
    WAN,
    WIDTH,
    Clip,
    preview,
    prior_groups,
    save_video,
    sheet,
)
from sheet import EX4D, GENERATE, INPUT, MODELS, OUTPUT, Group, Model, Node, Sheet, Socket

RELEASED_FPS = 15.0
RELEASED_NEGATIVE = (
    "Bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static, overall "
    "gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers, poorly drawn hands, "
    "poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, still picture, messy background, three "
    "legs, many people in the background, walking backwards")

ADAPTER = Model("ex4d.ckpt", "https://huggingface.co/yihouxiang/EX-4D/resolve/main/ex4d.ckpt", "loras")
FOUR_STEPS = Model("lightx2v_I2V_14B_480p_cfg_step_distill_rank64_bf16.safetensors",
                   "https://huggingface.co/Kijai/WanVideo_comfy/resolve/main/Lightx2v/"
                   "lightx2v_I2V_14B_480p_cfg_step_distill_rank64_bf16.safetensors", "loras")
I2V_BF16 = Model("wan2.1_i2v_480p_14B_bf16.safetensors",
                 f"{WAN}/diffusion_models/wan2.1_i2v_480p_14B_bf16.safetensors", "diffusion_models")
I2V_FP8 = Model("wan2.1_i2v_480p_14B_fp8_e4m3fn.safetensors",
                f"{WAN}/diffusion_models/wan2.1_i2v_480p_14B_fp8_e4m3fn.safetensors", "diffusion_models")


@dataclass(frozen=True, eq=False)
class Take:
    """What is generated. path: of the camera; size: (width, height); steps, cfg: of the sampler.

    released: the clip is squashed to the size, its mask eroded there, the seed stays, and 15 frames are one second.
    """

    name: str
    path: dict[str, object]
    frames: int = FRAMES
    size: tuple[int, int] = (WIDTH, HEIGHT)
    steps: int = 25
    cfg: float = 5.0
    released: bool = False

    @property
    def room(self) -> dict[str, int]:
        """Width, height and length, as several nodes want them."""
        return {"width": self.size[0], "height": self.size[1], "length": self.frames}


@dataclass(frozen=True, eq=False)
class Loaders:
    """The models of a take."""

    model: Node
    clip: Node
    vae: Node
    vision: Node

    @property
    def group(self) -> Group:
        return Group("4  Models", MODELS, [[self.model, self.clip, self.vae, self.vision]])


# ---- the workflows ------------------------------------------------------------------------------


def as_released() -> Sheet:
    take = Take("07_ex4d_as_released", {"move": "preset-180"}, released=True)
    loaders = load(I2V_BF16, UMT5_FP16)
    return generated(take, loaders, loaders.model["MODEL"], [])


def in_four_steps() -> Sheet:
    take, loaders = Take("08_ex4d_in_four_steps", {"move": "preset-180"}, steps=4, cfg=1.0), load(I2V)
    distilled = Node("LoraLoaderModelOnly", {"model": loaders.model["MODEL"], "lora_name": FOUR_STEPS.name,
                                             "strength_model": 1.0}, models=(FOUR_STEPS,))
    return generated(take, loaders, distilled["MODEL"], [distilled])


def long_video() -> Sheet:
    path = {"move": "orbit", "move.yaw": 60.0}
    take, loaders = Take("09_ex4d_long_video", path, frames=97, size=(832, 480)), load(I2V)
    windows = Node("WanContextWindowsManual", {
        "model": loaders.model["MODEL"], "context_length": FRAMES, "context_overlap": 24})
    return generated(take, loaders, windows["MODEL"], [windows])


def with_little_memory() -> Sheet:
    take, loaders = Take("11_ex4d_with_little_memory", {"move": "preset-180"}), load(I2V_FP8)
    return generated(take, loaders, loaders.model["MODEL"], [], tiles=True)


def side_by_side() -> Sheet:
    take = Take("10_ex4d_vace_uni3c_side_by_side", {"move": "orbit", "move.yaw": 40.0})
    loaders, clip, render, shown, first_stacks = prior_of(take)
    vace_model = Node("UNETLoader", {"unet_name": VACE.name, "weight_dtype": "default"}, "VACE", models=(VACE,))
    patch = Node("ModelPatchLoader", {"name": UNI3C.name}, models=(UNI3C,))
    models = Group("4  Models", MODELS, [[loaders.model, loaders.clip, loaders.vae],
                                         [loaders.vision, vace_model, patch]])
    positive, negative, prompt = prompts(loaders)
    encode, seen, start = start_of(take, loaders, render, positive, negative)
    adapter = apply_adapter(loaders.model["MODEL"], encode)
    follow = Node("WanUni3CControlnetApply", {
        "model": loaders.model["MODEL"], "model_patch": patch["MODEL_PATCH"], "vae": loaders.vae["VAE"],
        "render_video": render["color"], "strength": 1.0, "start_percent": 0.0, "end_percent": 1.0})
    paint, gray, control, vace = vace_of(take, loaders, render, positive, negative)
    ours, ours_frames = sampled(take, adapter["MODEL"], start, loaders)
    uni3c, uni3c_frames = sampled(take, follow["MODEL"], start, loaders)
    vace_nodes, vace_frames = sampled(take, vace_model["MODEL"], vace, loaders, trimmed=True)
    joined, last = [], render["color"]
    for frames, title in ((ours_frames, "Prior | EX-4D"), (vace_frames, "... | VACE"), (uni3c_frames, "... | Uni3C")):
        stitch = Node("ImageStitch", {"image1": last, "image2": frames, "direction": "right"}, title)
        joined, last = [*joined, stitch], stitch["IMAGE"]
    return sheet(
        take.name, *first_stacks, [models, prompt],
        [Group("6  The prior, encoded", EX4D, [[encode, seen, start]]),
         Group("9  Prior for VACE", GENERATE, [[paint, gray], [control, vace]])],
        [Group("7  EX-4D", GENERATE, [[adapter, *ours]])], [Group("8  Uni3C", GENERATE, [[follow, *uni3c]])],
        [Group("10  VACE", GENERATE, [vace_nodes])],
        [Group("11  Prior, EX-4D, VACE, Uni3C", OUTPUT, [joined, film(last, clip, take)])])


SHEETS = (as_released, in_four_steps, long_video, side_by_side, with_little_memory)


# ---- the parts they share -----------------------------------------------------------------------


def generated(take: Take, loaders: Loaders, model: Socket, changes: Sequence[Node], tiles: bool = False) -> Sheet:
    """A clip, its prior, and what EX-4D makes of it with a model that `changes` lead to. tiles: the VAE's."""
    _, clip, render, shown, first_stacks = prior_of(take, loaders)
    positive, negative, prompt = prompts(loaders)
    encode, seen, start = start_of(take, loaders, render, positive, negative, tiles)
    adapter = apply_adapter(model, encode)
    sample, frames = sampled(take, adapter["MODEL"], start, loaders, tiles=tiles)
    return sheet(
        take.name, *first_stacks, [loaders.group, prompt],
        [Group("6  The prior, encoded", EX4D, [[encode, seen, start]])],
        [Group("7  EX-4D on Wan", GENERATE, [[*changes, adapter, *sample]])],
        [Group("8  Video from the new view", OUTPUT, [film(frames, clip, take)])])


def load(model: Model, text: Model = UMT5) -> Loaders:
    return Loaders(
        Node("UNETLoader", {"unet_name": model.name, "weight_dtype": "default"}, models=(model,)),
        Node("CLIPLoader", {"clip_name": text.name, "type": "wan"}, models=(text,)),
        Node("VAELoader", {"vae_name": VAE.name}, models=(VAE,)),
        Node("CLIPVisionLoader", {"clip_name": CLIP_VISION.name}, models=(CLIP_VISION,)))


def prior_of(take: Take, loaders: Loaders | None = None) -> tuple[Loaders, Clip, Node, Node, list[list[Group]]]:
    """The models, the clip, its prior, and the stacks of groups that make it."""
    width, height = take.size
    scene = Node("EX4DSampleScene", {"scene": "gallery", "frames": take.frames, "width": width, "height": height})
    clip = Clip(scene["images"], scene["depth"], scene["fps"])
    render, (mesh, (prior,)) = prior_groups(clip, take.path, erosion="none" if take.released else "released")
    shown = preview(render["color"], "The prior that Wan follows")
    stacks = [[Group("1  A clip with exact depth", INPUT, [[scene]])], mesh,
              [Group(prior.title, prior.color, [*prior.columns, [shown]])]]
    return loaders or load(I2V), clip, render, shown, stacks


def prompts(loaders: Loaders) -> tuple[Node, Node, Group]:
    """What the released model was shown with."""
    positive, negative = (
        Node("CLIPTextEncode", {"clip": loaders.clip["CLIP"], "text": text}, title, (400, height))
        for text, title, height in ((PROMPT, "What to see", 160), (RELEASED_NEGATIVE, "What to avoid", 240)))
    return positive, negative, Group("5  Prompt", GENERATE, [[positive, negative]])


def start_of(take: Take, loaders: Loaders, render: Node, positive: Node, negative: Node,
             tiles: bool = False) -> tuple[Node, Node, Node]:
    """The prior as latents, its first frame as CLIP vision sees it, and where the sampling starts from."""
    encode = Node("EX4DPriorEncode", {"vae": loaders.vae["VAE"], "color": render["color"], "visible": render["visible"],
                                      **take.room, "tiling": "on" if tiles else "off",
                                      **({"fit": "stretch", "erosion": "released"} if take.released else {})})
    seen = Node("CLIPVisionEncode", {"clip_vision": loaders.vision["CLIP_VISION"], "image": encode["first_frame"],
                                     "crop": "none"})
    start = Node("WanImageToVideo", {
        "positive": positive["CONDITIONING"], "negative": negative["CONDITIONING"], "vae": loaders.vae["VAE"],
        "clip_vision_output": seen["CLIP_VISION_OUTPUT"], "start_image": encode["first_frame"], **take.room,
        "batch_size": 1})
    return encode, seen, start


def apply_adapter(model: Socket, encode: Node) -> Node:
    return Node("ApplyEX4DLoRA", {"model": model, "adapter": ADAPTER.name, "prior": encode["prior"]}, models=(ADAPTER,))


def vace_of(take: Take, loaders: Loaders, render: Node, positive: Node, negative: Node) -> tuple[Node, ...]:
    """What VACE is shown, gray where nothing was seen and a mask of 1 there, and where its sampling starts from."""
    paint = Node("InvertMask", {"mask": render["visible"]}, "1 = to be painted")
    gray = Node("EmptyImage", {"width": take.size[0], "height": take.size[1], "batch_size": 1, "color": 0x7F7F7F},
                "Gray")
    control = Node("ImageCompositeMasked", {"destination": render["color"], "source": gray["IMAGE"],
                                            "mask": paint["MASK"], "x": 0, "y": 0, "resize_source": True},
                   "Gray where nothing was seen")
    vace = Node("WanVaceToVideo", {
        "positive": positive["CONDITIONING"], "negative": negative["CONDITIONING"], "vae": loaders.vae["VAE"],
        "control_video": control["IMAGE"], "control_masks": paint["MASK"], **take.room, "batch_size": 1,
        "strength": 1.0})
    return paint, gray, control, vace


def sampled(take: Take, model: Socket, start: Node, loaders: Loaders, trimmed: bool = False,
            tiles: bool = False) -> tuple[list[Node], Socket]:
    """The nodes from a model to frames, with the released shift, sampler and schedule; and the frames."""
    shift = Node("ModelSamplingSD3", {"model": model, "shift": 5.0})
    sample = Node("KSampler", {
        "model": shift["MODEL"], "positive": start["positive"], "negative": start["negative"],
        "latent_image": start["latent"], "seed": 0, "steps": take.steps, "cfg": take.cfg, "sampler_name": "euler",
        "scheduler": "simple", "denoise": 1.0}, fixed=take.released)
    nodes, latent = [shift, sample], sample["LATENT"]
    if trimmed:
        trim = Node("TrimVideoLatent", {"samples": latent, "trim_amount": start["trim_latent"]})
        nodes, latent = [*nodes, trim], trim["LATENT"]
    kind, more = ("VAEDecodeTiled", {"tile_size": 256, "overlap": 64}) if tiles else ("VAEDecode", {})
    decode = Node(kind, {"samples": latent, "vae": loaders.vae["VAE"], **more})
    return [*nodes, decode], decode["IMAGE"]


def film(frames: Socket, clip: Clip, take: Take) -> list[Node]:
    video = Node("CreateVideo", {"images": frames, "fps": RELEASED_FPS if take.released else clip.fps})
    return [video, save_video(video, take.name[:2], "New view")]
