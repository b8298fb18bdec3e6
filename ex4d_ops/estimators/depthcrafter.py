"""DepthCrafter: relative disparity of a clip by video diffusion. Hu et al., arXiv 2409.02095; the depth of EX-4D.

The networks are Stable Video Diffusion's with each frame shown its own picture. Weights: non-commercial use only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..clip import Progress, resize_frame, size_of
from ..files.damage import first_line
from .checkpoints import Loader, load_part
from .estimate import Estimate, Place, Work
from .packages import need
from .rules import DepthCrafterRules
from .weights import SVD_FOLDER, UNET_FOLDER
from .windows import ramp

GRID = 64  # pixels; sides are rounded to multiples of it, as released
CLIP_SIDE = 224
CLIP_MEAN, CLIP_DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TIME_IDS = (7.0, 127.0)  # frame rate and motion bucket that it was trained with
NOISE = 0.02  # added to the pictures shown, of their range of 2
AT_ONCE = 8  # frames through the encoders and the decoder


@dataclass(frozen=True, eq=False)
class DepthCrafter:
    """Its parts, diffusers' and transformers' own classes: they come to the device one after the other."""

    image_encoder: Any  # their annotations leave out what they return
    vae: Any
    unet: Any
    scheduler: Any

    @torch.no_grad()
    def estimate(self, frames: Tensor, place: Place, rules: DepthCrafterRules = DepthCrafterRules(),
                 progress: Progress | None = None) -> Estimate:
        """Relative disparity 0..1 of frames [T, H, W, 3] in [0, 1]; the same seed gives the same on one device.

        progress(done, T) is called after every few frames; what it raises cancels.
        """
        count, size = len(frames), size_of(frames)
        windows = window_spans(count, rules.window, rules.overlap)
        passes = sum(end - begin for begin, end in windows) * rules.steps * (2 if rules.guidance > 1 else 1)
        work = Work(progress, count, 3 * count + passes)
        pictures = Pictures(frames, network_size(size, rules.resolution))
        generator = torch.Generator().manual_seed(rules.seed)
        embeddings = self.embed(pictures, place, work)
        shown = self.encode(pictures, place, generator, work)
        disparity = self.denoise(shown, embeddings, windows, place, rules, generator, work)
        return Estimate(self.decode(disparity, size, place, work), "disparity")

    def embed(self, pictures: Pictures, place: Place, work: Work) -> Tensor:
        """CLIP's embeddings [T, C] of the pictures."""
        svd = need("diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion", "DepthCrafter")
        device, dtype = place(self.image_encoder), self.image_encoder.dtype
        mean, deviation = (torch.tensor(values, device=device)[:, None, None] for values in (CLIP_MEAN, CLIP_DEVIATION))
        embeddings = []
        for part in pictures:
            small = svd._resize_with_antialiasing(part.to(device), (CLIP_SIDE, CLIP_SIDE)) / 2 + 0.5
            embeddings.append(self.image_encoder(((small - mean) / deviation).to(dtype)).image_embeds.float().cpu())
            work.add(len(part))
        return torch.cat(embeddings)

    def encode(self, pictures: Pictures, place: Place, generator: torch.Generator, work: Work) -> Tensor:
        """Latents [T, C, h, w] of the pictures with a little noise; in float32, which this VAE needs."""
        device, dtype = place(self.vae), self.vae.dtype
        upcast = dtype == torch.float16 and self.vae.config.force_upcast
        vae = self.vae.float() if upcast else self.vae
        latents = []
        for part in pictures:
            noisy = part + NOISE * torch.randn(part.shape, generator=generator)
            latents.append(vae.encode(noisy.to(device, vae.dtype)).latent_dist.mode().float().cpu())
            work.add(len(part))
        if upcast:
            self.vae.to(dtype)
        return torch.cat(latents)

    def denoise(self, shown: Tensor, embeddings: Tensor, windows: list[tuple[int, int]], place: Place,
                rules: DepthCrafterRules, generator: torch.Generator, work: Work) -> Tensor:
        """Latents [T, C, h, w] of the disparity, window by window: each begins with the end of the one before."""
        device = place(self.unet)
        length = windows[0][1]
        overlap = rules.overlap if len(windows) > 1 else 0
        self.scheduler.set_timesteps(rules.steps, device=device)
        noise = torch.randn(length, *shown.shape[1:], generator=generator) * float(self.scheduler.init_noise_sigma)
        done = shown[:0]
        for begin, end in windows:
            latents = noise[:end - begin].clone()
            if begin:
                unit = latents[:overlap] / float(self.scheduler.init_noise_sigma)
                latents[:overlap] = done[begin:] + unit * float(self.scheduler.sigmas[0])
            noise = torch.cat([noise[length - overlap:], noise[:length - overlap]])
            found = self.sample(latents, shown[begin:end], embeddings[begin:end], device, rules.guidance, work)
            if begin:
                weight = ramp(overlap, found)
                done[begin:] = found[:overlap] * weight + done[begin:] * (1 - weight)
            done = torch.cat([done, found[overlap if begin else 0:]])
        return done

    def sample(self, latents: Tensor, shown: Tensor, embeddings: Tensor, device: torch.device, guidance: float,
               work: Work) -> Tensor:
        """Denoise the latents [T, C, h, w] of one window, shown its pictures' latents and embeddings."""
        dtype = self.unet.dtype
        latents, shown, embeddings = (part[None].to(device, dtype) for part in (latents, shown, embeddings))
        time_ids = torch.tensor([[*TIME_IDS, NOISE]], device=device, dtype=dtype)
        self.scheduler.set_timesteps(len(self.scheduler.timesteps), device=device)
        for timestep in self.scheduler.timesteps:
            noisy = self.scheduler.scale_model_input(latents, timestep)
            found = self.unet(torch.cat([noisy, shown], 2), timestep, embeddings, time_ids, return_dict=False)[0]
            work.add(latents.shape[1])
            if guidance > 1:
                blind = torch.cat([noisy, torch.zeros_like(noisy)], 2)
                unseen = self.unet(blind, timestep, torch.zeros_like(embeddings), time_ids, return_dict=False)[0]
                found = unseen + guidance * (found - unseen)
                work.add(latents.shape[1])
            latents = self.scheduler.step(found, timestep, latents).prev_sample
        return latents[0].float().cpu()

    def decode(self, latents: Tensor, size: tuple[int, int], place: Place, work: Work) -> Tensor:
        """Disparity [T, H, W] in [0, 1] of latents, at the size of the frames."""
        device, dtype = place(self.vae), self.vae.dtype
        values = torch.empty(len(latents), *size)
        for k in range(0, len(latents), AT_ONCE):
            part = latents[k:k + AT_ONCE].to(device, dtype) / self.vae.config.scaling_factor
            decoded = self.vae.decode(part, num_frames=len(part)).sample.float()
            gray = (decoded / 2 + 0.5).clamp(0, 1).mean(1).cpu()
            for t, picture in enumerate(gray, k):
                values[t] = resize_frame(picture[..., None], size)[..., 0]
            work.add(len(part))
        return values


class Pictures:
    """The frames [T, H, W, 3] in [0, 1] of a clip as the networks see them, [N, 3, h, w] in [-1, 1], some at a time."""

    def __init__(self, frames: Tensor, size: tuple[int, int]) -> None:
        self.frames, self.size = frames, size

    def __iter__(self) -> Iterator[Tensor]:
        for part in self.frames.split(AT_ONCE):
            resized = torch.stack([resize_frame(frame.float().cpu(), self.size) for frame in part])
            yield resized.movedim(-1, 1) * 2 - 1


def window_spans(count: int, window: int, overlap: int) -> list[tuple[int, int]]:
    """Begin and end of every window over a clip; one where it fits."""
    if count <= window:
        return [(0, count)]
    return [(begin, min(begin + window, count)) for begin in range(0, count - overlap, window - overlap)]


def network_size(size: tuple[int, int], resolution: int) -> tuple[int, int]:
    """The multiples of 64 (H, W) at which the networks see pictures of a size, the longer at most the resolution.

    As released, sides are rounded first, and shrunk only where the longer is then above the resolution.
    """
    height, width = (max(round(side / GRID), 1) * GRID for side in size)
    if max(height, width) <= resolution:
        return height, width
    scale = resolution / max(size)
    height, width = (max(round(side * scale / GRID), 1) * GRID for side in size)
    return height, width


def per_frame_unet() -> type[Loader]:
    """Stable Video Diffusion's UNet with an embedding [1, T, C] for every frame in place of one for all."""
    diffusers = need("diffusers", "DepthCrafter")

    class PerFrameUNet(diffusers.UNetSpatioTemporalConditionModel):
        def forward(self, sample, timestep, encoder_hidden_states, added_time_ids, return_dict=True):
            frames, dtype = sample.shape[1], self.conv_in.weight.dtype
            time = self.time_embedding(self.time_proj(timestep.reshape(1)).to(dtype))
            time = time + self.add_embedding(self.add_time_proj(added_time_ids.flatten()).reshape(1, -1).to(dtype))
            known = {"temb": time.expand(frames, -1),
                     "image_only_indicator": torch.zeros(1, frames, dtype=dtype, device=sample.device)}
            seen = {"encoder_hidden_states": encoder_hidden_states[0, :, None]}  # [T, 1, C]
            hidden = self.conv_in(sample[0].to(dtype))
            kept = [hidden]
            for block in self.down_blocks:
                hidden, passed = block(hidden_states=hidden, **known, **(seen if looks(block) else {}))
                kept.extend(passed)
            hidden = self.mid_block(hidden_states=hidden, **known, **seen)
            for block in self.up_blocks:
                count = len(block.resnets)
                kept, passed = kept[:-count], tuple(kept[-count:])
                hidden = block(hidden_states=hidden, res_hidden_states_tuple=passed, **known,
                               **(seen if looks(block) else {}))
            hidden = self.conv_out(self.conv_act(self.conv_norm_out(hidden)))[None]
            return (hidden,) if not return_dict else {"sample": hidden}

    return PerFrameUNet


def looks(block: nn.Module) -> bool:
    """Whether a block of the UNet attends to the embeddings."""
    return getattr(block, "has_cross_attention", False)


def load_depthcrafter(folder: str | Path, dtype: torch.dtype = torch.float32) -> DepthCrafter:
    """DepthCrafter from a folder that holds its UNet and the rest of Stable Video Diffusion, in the public layout.

    Raises ValueError in one sentence where a package or a part is missing or does not fit.
    """
    folder = Path(folder)
    diffusers, transformers = need("diffusers", "DepthCrafter"), need("transformers", "DepthCrafter")
    unet = load_part(per_frame_unet(), folder / UNET_FOLDER, dtype)
    vae = load_part(diffusers.AutoencoderKLTemporalDecoder, folder / SVD_FOLDER / "vae", dtype)
    encoder = load_part(transformers.CLIPVisionModelWithProjection, folder / SVD_FOLDER / "image_encoder", dtype)
    try:
        scheduler = diffusers.EulerDiscreteScheduler.from_pretrained(folder / SVD_FOLDER / "scheduler")
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder / SVD_FOLDER / 'scheduler'}: cannot be read ({first_line(error)}); download the "
                         "folder again") from None
    return DepthCrafter(encoder, vae, unet, scheduler)
