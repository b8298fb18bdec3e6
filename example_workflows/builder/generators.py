"""The workflows of Wan 2.2, whose two experts share the sampling."""

from __future__ import annotations

from collections.abc import Sequence

from generation import (
    ADAPTER,
    REACH,
    WAN_NEGATIVE,
    Loaders,
    Take,
    film_of,
    guide_of,
    guided,
    guided_film,
    load,
    load_wan,
    painted,
    vace_start,
)
from graphs import HUB
from sheet import EX4D, GENERATE, Box, Group, Model, Node, Sheet, Socket

WAN_2_2 = f"{HUB}/Comfy-Org/Wan_2.2_ComfyUI_Repackaged/resolve/main/split_files/diffusion_models"
STEPS, HANDED_OVER = 20, 10  # of Wan 2.2: the high-noise expert takes the first ones, the low-noise expert the rest


def of_wan_2_2(name: str) -> Model:
    return Model(name, f"{WAN_2_2}/{name}", "diffusion_models")


I2V_HIGH, I2V_LOW, VACE_HIGH, VACE_LOW = (of_wan_2_2(f"wan2.2_{kind}_{noise}_noise_14B_fp8_scaled.safetensors")
                                          for kind in ("i2v", "fun_vace") for noise in ("high", "low"))


# ---- the workflows ------------------------------------------------------------------------------


def two_experts() -> Sheet:
    """Wan 2.2 I2V: the adapter on both experts, from one prior."""
    take = Take("17_ex4d_video_generated_by_wan_2_2", "orbit:yaw=40", model=I2V_HIGH, steps=STEPS, cfg=3.5,
                negative=WAN_NEGATIVE)
    loaders, low = load(take), load_wan(I2V_LOW, "Low noise")
    encode = Node("EX4DPriorEncode", {"vae": loaders.vae["VAE"], **take.room, "tiling": "off"})
    start = Node("WanImageToVideo", {
        "positive": loaders.positive["CONDITIONING"], "negative": loaders.negative["CONDITIONING"],
        "vae": loaders.vae["VAE"], "start_image": encode["first_frame"], **take.room, "batch_size": 1})
    adapters = [Node("ApplyEX4DLoRA", {"model": model["MODEL"], "adapter": ADAPTER.name, "prior": encode["prior"]},
                     title, models=(ADAPTER,)) for model, title in ((loaders.model, "High noise"), (low, "Low noise"))]
    sample = by_experts(take, [adapter["MODEL"] for adapter in adapters], start, loaders)
    film = film_of(take, sample[-1]["IMAGE"])
    inside = [loaders.groups(low, without_vision=True), [Group("The prior, encoded", EX4D, [[encode, start]])],
              [Group("EX-4D on both experts", GENERATE, [[*adapters, *sample[:2]], [*sample[2:], film]])]]
    return painted(take, Box(Sheet("EX-4D on Wan 2.2", inside), outputs={"video": film["VIDEO"]}, inputs={
        "color": encode["color"], "visible": encode["visible"], "fps": film["fps"], "audio": film["audio"],
        "prompt": loaders.positive["text"], "seed": sample[2]["noise_seed"]}))


def vace_fun() -> Sheet:
    """Wan 2.2 VACE-Fun: two experts, the guide of Wan 2.1's VACE."""
    take = Take("16_ex4d_new_view_painted_by_wan_2_2_vace", "orbit:yaw=30", model=VACE_HIGH, steps=STEPS, cfg=3.5,
                negative=WAN_NEGATIVE, hidden_reach=REACH)
    loaders, low = load(take), load_wan(VACE_LOW, "Low noise")
    guide = guide_of(take, "vace")
    start = vace_start(loaders, guide)
    sample = by_experts(take, [loaders.model["MODEL"], low["MODEL"]], start, loaders, trimmed=True)
    film = guided_film(sample[-1]["IMAGE"], guide)
    inside = [loaders.groups(low, without_vision=True), [Group("Guide for VACE", EX4D, [[guide, start]])],
              [Group("Wan 2.2 VACE-Fun", GENERATE, [sample[:2], [*sample[2:], film]])]]
    return painted(take, Box(Sheet("Painted by Wan 2.2 VACE-Fun", inside), outputs={"video": film["VIDEO"]}, inputs={
        **guided(guide), "prompt": loaders.positive["text"], "seed": sample[2]["noise_seed"]}))


SHEETS = (vace_fun, two_experts)


# ---- the parts they share -----------------------------------------------------------------------


def by_experts(take: Take, models: Sequence[Socket], start: Node, loaders: Loaders,
               trimmed: bool = False) -> list[Node]:
    """The nodes from two experts to frames, the last of which gives them; the third is the first sampler."""
    shifts = [Node("ModelSamplingSD3", {"model": model, "shift": take.shift}, title)
              for model, title in zip(models, ("High noise", "Low noise"))]
    latent, samplers = start["latent"], []
    for k, (shift, title) in enumerate(zip(shifts, ("High noise", "Low noise"))):
        samplers.append(Node("KSamplerAdvanced", {
            "model": shift["MODEL"], "positive": start["positive"], "negative": start["negative"],
            "latent_image": latent, "add_noise": "disable" if k else "enable", "noise_seed": 0, "steps": take.steps,
            "cfg": take.cfg, "sampler_name": take.sampler, "scheduler": "simple", "start_at_step": k * HANDED_OVER,
            "end_at_step": 10000 if k else HANDED_OVER, "return_with_leftover_noise": "disable" if k else "enable"},
            title, fixed=True))
        latent = samplers[-1]["LATENT"]
    trim = [Node("TrimVideoLatent", {"samples": latent, "trim_amount": start["trim_latent"]})] if trimmed else []
    latent = trim[-1]["LATENT"] if trim else latent
    return [*shifts, *samplers, *trim, Node("VAEDecode", {"samples": latent, "vae": loaders.vae["VAE"]})]
