"""The generator's side of EX-4D: a prior as latents, and the encoder that makes of them what Wan's tokens lack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from .clip import LATENT_CHANNELS, WAN_GRID, Fit, check_wan_length, fit_frame, wan_size
from .prior import Prior, erode, erosion_sizes
from .rules import Erosion

LengthRule = Literal["refuse", "trim", "pad"]
MaskRange = Literal["released", "paper"]
# Pictures of what is hidden and seen, which a VAE reads as 2p - 1.
MASK_PIXELS: dict[MaskRange, tuple[float, float]] = {"released": (-1.0, 1.0), "paper": (0.0, 1.0)}
SEEN = 0.5  # mask value above which a pixel counts as seen; released code
BLACK = 8 / 255  # what video compression makes of black


class PriorEncoder(nn.Module):
    """Latents of a prior [B, 2 * in_channels, t, h, w] to what is added to Wan's tokens [B, out_channels, t, h/2, w/2].

    Every latent frame is encoded by itself. Paper listing 1; state-dict keys as released.
    conv: the class of its layers, for runtimes that bring their own.
    """

    def __init__(self, hidden_channels: int, out_channels: int, in_channels: int = LATENT_CHANNELS,
                 conv: Callable[..., nn.Module] = nn.Conv3d) -> None:
        super().__init__()
        self.latent_encoder = nn.Sequential(
            conv(2 * in_channels, hidden_channels, kernel_size=1), nn.SiLU(),
            conv(hidden_channels, hidden_channels, kernel_size=1), nn.SiLU(),
            conv(hidden_channels, hidden_channels, kernel_size=1))
        self.latent_patch_embedding = conv(hidden_channels, out_channels, kernel_size=(1, 2, 2), stride=(1, 2, 2))

    def forward(self, latents: Tensor) -> Tensor:
        return self.latent_patch_embedding(self.latent_encoder(latents))


def build_encoder(weights: dict[str, Tensor], conv: Callable[..., nn.Module] = nn.Conv3d) -> PriorEncoder:
    """The encoder of these weights, which it shares; its sizes are theirs. Frozen, as for inference."""
    hidden, both = weights["latent_encoder.0.weight"].shape[:2]
    out = weights["latent_patch_embedding.weight"].shape[0]
    with torch.device("meta"):
        encoder = PriorEncoder(hidden, out, both // 2, conv)
    encoder.load_state_dict(weights, assign=True)
    return encoder.eval().requires_grad_(False)


def encode_prior(prior: Prior, encode: Callable[[Tensor], Tensor], mask_range: MaskRange = "released") -> Tensor:
    """Latents [1, 32, t, H/8, W/8] of a prior: color, then mask.

    encode: pictures [T, H, W, 3] to latents [1, 16, t, H/8, W/8] normalised by Wan's mean and std. It must read a
    picture value p as 2p - 1, as VAEs do of pictures in [0, 1], and not clamp. mask_range: what the VAE then sees of
    the mask: "released" {-3, 1}, which the released weights were trained on; "paper" {-1, 1}, listing 1.
    """
    hidden, seen = MASK_PIXELS[mask_range]
    color = encode(prior.color)
    mask = torch.where(prior.visible, seen, hidden)[..., None]
    return torch.cat([color, encode(mask.expand(*mask.shape[:3], 3))], 1)


def fit_prior(color: Tensor, visible: Tensor, size: tuple[int, int], length: int, rule: LengthRule = "refuse",
              fit: Fit = "crop", erosion: Erosion = 0, seed: int = 0) -> Prior:
    """The prior to generate with, of a color video and a mask of any size.

    color: [T, h, w, 3] in [0, 1]; visible: [T, h', w'], seen above 0.5; clip.fit_frame brings both to size (H, W).
    rule: what happens where T is not length: "refuse"; "trim" drops frames at the end; "pad" repeats the last one.
    erosion, seed: as in RenderRules, in pixels of size. Released: "stretch", then erosion. Raises ValueError where size
    or length is none that Wan takes.
    """
    if tuple(size) != wan_size(size):
        height, width = wan_size(size)
        raise ValueError(f"size: got {size[1]}x{size[0]}, Wan needs multiples of {WAN_GRID}; use {width}x{height}")
    check_wan_length(length)
    if len(color) != len(visible):
        raise ValueError(f"visible: {len(visible)} frames, but color has {len(color)}; give one mask per frame")
    frames = choose_frames(len(color), length, rule)
    color = torch.stack([fit_frame(frame, size, fit) for frame in color[frames]])
    mask = (fit_frame(frame[..., None], size, fit)[..., 0] > SEEN for frame in visible[frames])
    seen = torch.stack([erode(plane, kernel) for plane, kernel in zip(mask, erosion_sizes(erosion, seed, length))])
    return Prior(color * seen[..., None], seen)


def choose_frames(frames: int, length: int, rule: LengthRule) -> list[int]:
    """Which frame of a clip each of the length to generate shows. Raises ValueError where the rule has no answer."""
    if frames < length and rule != "pad":
        raise ValueError(f"color: {frames} frames, but {length} are to be generated; generate fewer, or choose pad to "
                         "repeat the last frame")
    if frames > length and rule != "trim":
        raise ValueError(f"color: {frames} frames, but {length} are to be generated; generate more, or choose trim to "
                         "drop the last ones")
    return [min(t, frames - 1) for t in range(length)]


def doubt_mask(color: Tensor, visible: Tensor) -> str | None:
    """What speaks against a mask [T, h', w'] of a color video [T, h, w, 3], in one sentence; None where nothing does.

    Inverted masks are recognized by frame 0, which the source has seen completely, and by hidden parts being black.
    """
    resized = nn.functional.interpolate(visible[:, None].float(), color.shape[1:3])  # nearest
    seen = resized[:, 0] > SEEN
    coverage = f"{seen.float().mean():.0%} of the video counts as seen"
    if not seen.any():
        return f"visible: all zero, {coverage}, so nothing of the source is kept; 1 (white) must mean seen"
    black = color.amax(-1) <= BLACK
    hidden = ~seen
    swapped = hidden.any() and black[seen].float().mean() > 0.9 and black[hidden].float().mean() < 0.5
    if swapped or not seen[0].any():
        return f"visible: looks inverted, {coverage}; 1 (white) must mean seen, so invert it unless this is meant"
    return None
