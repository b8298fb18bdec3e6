"""The workflows that generate: a video, its prior, and a box in which Wan paints what was not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphs import FRAMES, HEIGHT, HUB, WIDTH, load_video, preview, save_video, sheet, view_of_your_video
from sheet import EX4D, GENERATE, INPUT, MODELS, OUTPUT, PAINT_BOX, PRIOR_BOX, Box, Group, Model, Node, Sheet, Socket

WAN = f"{HUB}/Comfy-Org/Wan_2.1_ComfyUI_repackaged/resolve/main/split_files"
KIJAI = f"{HUB}/Kijai/WanVideo_comfy/resolve/main"
PROMPT = "4K ultra HD, surround motion, realistic tone, panoramic shot, wide-angle view, cinematic quality"
RELEASED_NEGATIVE = (
    "Bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static, overall "
    "gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers, poorly drawn hands, "
    "poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, still picture, messy background, three "
    "legs, many people in the background, walking backwards")
# The negative prompt Wan was tuned with, as in every stock Wan workflow.
WAN_NEGATIVE = ("色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，"
                "最差质量，低质量，JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，"
                "畸形的，毁容的，形态畸形的肢体，手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走")


def of_wan(folder: str, name: str) -> Model:
    return Model(name, f"{WAN}/{folder}/{name}", folder)


ADAPTER = Model("ex4d.ckpt", f"{HUB}/yihouxiang/EX-4D/resolve/main/ex4d.ckpt", "loras")
FOUR_STEPS = Model("lightx2v_I2V_14B_480p_cfg_step_distill_rank64_bf16.safetensors",
                   f"{KIJAI}/Lightx2v/lightx2v_I2V_14B_480p_cfg_step_distill_rank64_bf16.safetensors", "loras")
UNI3C = Model("Wan21_Uni3C_controlnet_fp16.safetensors", f"{KIJAI}/Wan21_Uni3C_controlnet_fp16.safetensors",
              "model_patches")
I2V, I2V_BF16, I2V_FP8, VACE = (of_wan("diffusion_models", f"wan2.1_{name}.safetensors") for name in (
    "i2v_480p_14B_fp16", "i2v_480p_14B_bf16", "i2v_480p_14B_fp8_e4m3fn", "vace_14B_fp16"))
UMT5, UMT5_FP16 = (of_wan("text_encoders", f"umt5_xxl_{name}.safetensors") for name in ("fp8_e4m3fn_scaled", "fp16"))
VAE, CLIP_VISION = of_wan("vae", "wan_2.1_vae.safetensors"), of_wan("clip_vision", "clip_vision_h.safetensors")
RELEASED_FPS = 15.0
REACH = 0.1  # share of their depth that hidden surfaces reach behind what they belong to, for other generators
WHOLE_HEIGHT = 576  # pixels, for a wide video of 1024, the largest at which the released program makes depth


@dataclass(frozen=True, eq=False)
class Take:
    """What is generated. path: of the camera; size: (width, height); steps, cfg: of the sampler; text: its encoder.

    hidden_reach: of the prior's mesh; 0, as released, for what EX-4D was trained on, and REACH for other generators.

    released: the clip is squashed to the size, its mask eroded there, the seed stays, and 15 frames are one second.
    """

    name: str
    path: str
    frames: int = FRAMES
    size: tuple[int, int] = (WIDTH, HEIGHT)
    steps: int = 25
    cfg: float = 5.0
    model: Model = I2V
    text: Model = UMT5
    negative: str = RELEASED_NEGATIVE
    sampler: str = "euler"
    shift: float = 5.0
    released: bool = False
    tiles: bool = False
    hidden_reach: float = 0.0

    @property
    def room(self) -> dict[str, object]:
        """Width, height and length, as several nodes want them."""
        return {"width": self.size[0], "height": self.size[1], "length": self.frames}


@dataclass(frozen=True, eq=False)
class Loaders:
    """The models of a take and its prompts."""

    model: Node
    clip: Node
    vae: Node
    vision: Node
    positive: Node
    negative: Node

    def groups(self, *others: Node, without_vision: bool = False) -> list[Group]:
        vision = [] if without_vision else [self.vision]
        return [Group("Models", MODELS, [[self.model, self.clip, self.vae, *vision, *others]]),
                Group("Prompt", GENERATE, [[self.positive, self.negative]])]


# ---- the workflows ------------------------------------------------------------------------------


def as_released() -> Sheet:
    take = Take("07_ex4d_video_generated_as_released", "preset-180", model=I2V_BF16, text=UMT5_FP16, released=True)
    return generated(take, "EX-4D on Wan, as released", app=True)


def in_four_steps() -> Sheet:
    return generated(Take("08_ex4d_video_generated_in_four_steps", "preset-180", steps=4, cfg=1.0),
                     "EX-4D on Wan, in four steps")


def long_video() -> Sheet:
    return generated(Take("09_ex4d_long_video_generated", "orbit:yaw=60", frames=97, size=(832, 480)),
                     "EX-4D on Wan, in windows")


def with_little_memory() -> Sheet:
    return generated(Take("11_ex4d_video_generated_with_little_memory", "preset-180", model=I2V_FP8, tiles=True),
                     "EX-4D on Wan, with little memory")


def prior_to_vace() -> Sheet:
    """Stock Wan VACE, with the guide that it was trained on."""
    take = Take("05_ex4d_new_view_painted_by_wan_vace", "orbit:yaw=30", model=VACE, steps=20, cfg=6.0,
                negative=WAN_NEGATIVE, sampler="uni_pc", shift=8.0, hidden_reach=REACH)
    loaders = load(take)
    guide = guide_of(take, "vace")
    vace = vace_start(loaders, guide)
    sample = sampled(take, loaders.model["MODEL"], vace, loaders)
    film = guided_film(sample[-1]["IMAGE"], guide)
    inside = [loaders.groups(without_vision=True), [Group("Guide for VACE", EX4D, [[guide, vace]])],
              [Group("Wan VACE", GENERATE, [[*sample, film]])]]
    return painted(take, Box(Sheet("Painted by Wan VACE", inside), outputs={"video": film["VIDEO"]}, inputs={
        **guided(guide), "prompt": loaders.positive["text"], "seed": sampler_of(sample)["seed"]}))


def prior_to_uni3c() -> Sheet:
    """Stock Wan image-to-video that Uni3C leads by the guide that it was trained on."""
    take = Take("06_ex4d_new_view_led_by_uni3c", "orbit:yaw=30", steps=20, cfg=6.0, negative=WAN_NEGATIVE,
                sampler="uni_pc", shift=8.0, hidden_reach=REACH)
    loaders, patch = load(take), Node("ModelPatchLoader", {"name": UNI3C.name}, models=(UNI3C,))
    guide = guide_of(take, "uni3c")
    first = Node("ImageFromBatch", {"image": guide["guide"], "batch_index": 0, "length": 1}, "First frame")
    seen, start = started(take, loaders, first["IMAGE"])
    start.inputs.update({name: guide[name] for name in ("width", "height", "length")})
    follow = follow_guide(loaders, patch, guide)
    sample = sampled(take, follow["MODEL"], start, loaders)
    film = guided_film(sample[-1]["IMAGE"], guide)
    inside = [loaders.groups(patch), [Group("Guide for Uni3C", EX4D, [[guide, first, seen, start]])],
              [Group("Uni3C on Wan", GENERATE, [[follow, *sample, film]])]]
    return painted(take, Box(Sheet("Led by Uni3C", inside), outputs={"video": film["VIDEO"]}, inputs={
        **guided(guide), "prompt": loaders.positive["text"], "seed": sampler_of(sample)["seed"]}))


def side_by_side() -> Sheet:
    take = Take("10_ex4d_vace_uni3c_side_by_side", "orbit:yaw=40")
    loaders, (encode, seen, start) = encoded(take)
    vace_model, patch = load_wan(VACE, "VACE"), Node("ModelPatchLoader", {"name": UNI3C.name}, models=(UNI3C,))
    of_vace, of_uni3c = guide_of(take, "vace"), guide_of(take, "uni3c")
    adapter, follow = apply_adapter(loaders.model["MODEL"], encode), follow_guide(loaders, patch, of_uni3c)
    vace = vace_start(loaders, of_vace)
    ours = sampled(take, adapter["MODEL"], start, loaders)
    theirs = sampled(take, vace_model["MODEL"], vace, loaders)
    uni3c = sampled(take, follow["MODEL"], start, loaders)
    joined: list[Node] = []
    for frames, title in ((ours, "Prior | EX-4D"), (theirs, "... | VACE"), (uni3c, "... | Uni3C")):
        last = {"image1": joined[-1]["IMAGE"]} if joined else {}
        joined.append(Node("ImageStitch", {**last, "image2": frames[-1]["IMAGE"], "direction": "right"}, title))
    film = film_of(take, joined[-1]["IMAGE"])
    inside = [loaders.groups(vace_model, patch), [Group("The prior, encoded", EX4D, [[encode, seen, start]]),
              Group("Guides for VACE and Uni3C", EX4D, [[of_vace, of_uni3c, vace]])],
              [Group("EX-4D", GENERATE, [[adapter, *ours]]), Group("VACE", GENERATE, [theirs])],
              [Group("Uni3C", GENERATE, [[follow, *uni3c]]), Group("Side by side", OUTPUT, [[*joined, film]])]]
    return painted(take, Box(Sheet("EX-4D, VACE and Uni3C", inside), outputs={"video": film["VIDEO"]}, inputs={
        "color": (encode["color"], of_vace["color"], of_uni3c["color"], joined[0]["image1"]),
        "visible": (encode["visible"], of_vace["visible"], of_uni3c["visible"]), **sound_of(take, film),
        "prompt": loaders.positive["text"],
        "seed": tuple(sampler_of(nodes)["seed"] for nodes in (ours, theirs, uni3c))}))


def in_four_nodes() -> Sheet:
    video, view, columns = view_of_your_video()
    paint = Node(PAINT_BOX, {"new_view": view["new_view"], "mask": view["mask"]})
    return sheet("15_ex4d_video_from_a_new_view_generated", *columns, [Group("Generated", GENERATE, [[paint]])],
                 [Group("New view", OUTPUT, [[save_video(paint["video"], "15_generated", "New view")]])],
                 asked=[video["file"], view["yaw"], view["pitch"], view["start_time"], paint["prompt"], paint["seed"]])


SHEETS = (prior_to_vace, prior_to_uni3c, as_released, in_four_steps, long_video, side_by_side, with_little_memory,
          in_four_nodes)


# ---- what a workflow that generates looks like --------------------------------------------------


def generated(take: Take, title: str, app: bool = False) -> Sheet:
    """Your video, its prior, and what EX-4D's adapter makes of it."""
    loaders, (encode, seen, start) = encoded(take)
    changes = changes_of(take, loaders.model["MODEL"])
    adapter = apply_adapter(changes[-1]["MODEL"] if changes else loaders.model["MODEL"], encode)
    sample = sampled(take, adapter["MODEL"], start, loaders)
    film = film_of(take, sample[-1]["IMAGE"])
    inside = [loaders.groups(), [Group("The prior, encoded", EX4D, [[encode, seen, start]])],
              [Group("EX-4D on Wan", GENERATE, [[*changes, adapter, *sample, film]])]]
    inputs = {"color": encode["color"], "visible": encode["visible"], **sound_of(take, film),
              "prompt": loaders.positive["text"], "seed": sampler_of(sample)["seed"]}
    return painted(take, Box(Sheet(title, inside), inputs=inputs, outputs={"video": film["VIDEO"]}), app)


def painted(take: Take, box: Box, app: bool = False) -> Sheet:
    """Your video, its prior, a box that paints what was not seen, and the new view."""
    video, (width, height) = load_video(), (0, WHOLE_HEIGHT) if take.released else take.size
    prior = Node(PRIOR_BOX, {"video": video["VIDEO"], "duration": seconds_of(take.frames), "frames": take.frames,
                             "width": width, "height": height, "moves": take.path,
                             "erosion": "none" if take.released else "released", "hidden_reach": take.hidden_reach})
    paint = Node(box.inside.name, {name: prior[name] for name in ("color", "visible", "fps", "audio")
                                   if name in box.inputs}, box=box)
    return sheet(take.name, [Group("1  Your video", INPUT, [[video]])],
                 [Group("2  Its prior", EX4D, [[prior, preview(prior["color"], "The prior")]])],
                 [Group("3  What was not seen, painted", GENERATE, [[paint]])],
                 [Group("4  New view", OUTPUT, [[save_video(paint["video"], take.name[:2], "New view")]])],
                 asked=[video["file"], prior["moves"], prior["start_time"], paint["prompt"], paint["seed"]], app=app)


def seconds_of(frames: int) -> float:
    """How much of a video to read, so that it has so many frames at 12.25 a second or more; it may be shorter."""
    return 4.0 * frames / FRAMES


def follow_guide(loaders: Loaders, patch: Node, guide: Node) -> Node:
    return Node("WanUni3CControlnetApply", {
        "model": loaders.model["MODEL"], "model_patch": patch["MODEL_PATCH"], "vae": loaders.vae["VAE"],
        "render_video": guide["guide"], "strength": 1.0, "start_percent": 0.0, "end_percent": 1.0})


def guide_of(take: Take, style: str) -> Node:
    """The guide of a Wan, of the take's size; every frame of the prior is kept."""
    return Node("EX4DGuideVideo", {"style": style, "frame_rate": "as given", "width": take.size[0],
                                   "height": take.size[1]})


def guided(guide: Node) -> dict[str, Socket]:
    """What a box is given for its guide."""
    return {name: guide[name] for name in ("color", "visible", "fps", "audio")}


def guided_film(frames: Socket, guide: Node) -> Node:
    """The video that follows a guide, with its sound."""
    return Node("CreateVideo", {"images": frames, "fps": guide["fps"], "audio": guide["audio"]})


def vace_start(loaders: Loaders, guide: Node) -> Node:
    """Where VACE's sampling starts from, of the guide's size and length."""
    return Node("WanVaceToVideo", {
        "positive": loaders.positive["CONDITIONING"], "negative": loaders.negative["CONDITIONING"],
        "vae": loaders.vae["VAE"], "control_video": guide["guide"], "control_masks": guide["paint"],
        "width": guide["width"], "height": guide["height"], "length": guide["length"], "batch_size": 1,
        "strength": 1.0})


# ---- the parts they share -----------------------------------------------------------------------


def load(take: Take) -> Loaders:
    clip = Node("CLIPLoader", {"clip_name": take.text.name, "type": "wan"}, models=(take.text,))
    return Loaders(
        load_wan(take.model), clip, Node("VAELoader", {"vae_name": VAE.name}, models=(VAE,)),
        Node("CLIPVisionLoader", {"clip_name": CLIP_VISION.name}, models=(CLIP_VISION,)),
        *(Node("CLIPTextEncode", {"clip": clip["CLIP"], "text": text}, title, height)
          for text, title, height in ((PROMPT, "What to see", 140), (take.negative, "What to avoid", 200))))


def load_wan(model: Model, title: str | None = None) -> Node:
    return Node("UNETLoader", {"unet_name": model.name, "weight_dtype": "default"}, title, models=(model,))


def encoded(take: Take) -> tuple[Loaders, tuple[Node, Node, Node]]:
    """The models, and of the prior its latents, its first frame as CLIP vision sees it, and where sampling starts."""
    loaders = load(take)
    encode = Node("EX4DPriorEncode", {"vae": loaders.vae["VAE"], **take.room, "tiling": "on" if take.tiles else "off",
                                      **({"fit": "stretch", "erosion": "released"} if take.released else {})})
    return loaders, (encode, *started(take, loaders, encode["first_frame"]))


def started(take: Take, loaders: Loaders, first: Socket) -> tuple[Node, Node]:
    """A first frame as CLIP vision sees it, and where sampling starts from."""
    seen = Node("CLIPVisionEncode", {"clip_vision": loaders.vision["CLIP_VISION"], "image": first, "crop": "none"})
    return seen, Node("WanImageToVideo", {
        "positive": loaders.positive["CONDITIONING"], "negative": loaders.negative["CONDITIONING"],
        "vae": loaders.vae["VAE"], "clip_vision_output": seen["CLIP_VISION_OUTPUT"], "start_image": first, **take.room,
        "batch_size": 1})


def changes_of(take: Take, model: Socket) -> list[Node]:
    """What is done to Wan before the adapter: a distilled LoRA for few steps, windows for long videos."""
    if take.steps < 10:
        return [Node("LoraLoaderModelOnly", {"model": model, "lora_name": FOUR_STEPS.name, "strength_model": 1.0},
                     models=(FOUR_STEPS,))]
    if take.frames > FRAMES:
        return [Node("WanContextWindowsManual", {"model": model, "context_length": FRAMES, "context_overlap": 24})]
    return []


def apply_adapter(model: Socket, encode: Node) -> Node:
    return Node("ApplyEX4DLoRA", {"model": model, "adapter": ADAPTER.name, "prior": encode["prior"]}, models=(ADAPTER,))


def sampled(take: Take, model: Socket, start: Node, loaders: Loaders) -> list[Node]:
    """The nodes from a model to frames, the last of which gives them."""
    shift = Node("ModelSamplingSD3", {"model": model, "shift": take.shift})
    sample = Node("KSampler", {
        "model": shift["MODEL"], "positive": start["positive"], "negative": start["negative"],
        "latent_image": start["latent"], "seed": 0, "steps": take.steps, "cfg": take.cfg, "sampler_name": take.sampler,
        "scheduler": "simple", "denoise": 1.0}, fixed=True)
    nodes, latent = [shift, sample], sample["LATENT"]
    if start.kind == "WanVaceToVideo":
        trim = Node("TrimVideoLatent", {"samples": latent, "trim_amount": start["trim_latent"]})
        nodes, latent = [*nodes, trim], trim["LATENT"]
    kind, more = ("VAEDecodeTiled", {"tile_size": 256, "overlap": 64}) if take.tiles else ("VAEDecode", {})
    return [*nodes, Node(kind, {"samples": latent, "vae": loaders.vae["VAE"], **more})]


def sampler_of(nodes: Sequence[Node]) -> Node:
    return next(node for node in nodes if node.kind == "KSampler")


def film_of(take: Take, frames: Socket) -> Node:
    return Node("CreateVideo", {"images": frames, **({"fps": RELEASED_FPS} if take.released else {})})


def sound_of(take: Take, film: Node) -> dict[str, Socket]:
    """What a box is given for the frame rate and the sound of its video; at another frame rate, no sound is in step."""
    return {} if take.released else {"fps": film["fps"], "audio": film["audio"]}
