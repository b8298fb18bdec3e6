"""What is done to one video: a clip of it is selected, parts of the clip are hidden, and both are written."""

from __future__ import annotations

import zlib
from pathlib import Path

import torch

from .. import files
from ..clip import Clip, describe_fit, fit_frame, size_of, without_bars
from ..dataset import Encoders, encode_clip, pack_latents, pack_pixels, write_part
from ..depth import VideoDepth, fit_depth, lay_over, match_depth
from ..mesh import build_dw_mesh
from ..rules import MeshRules
from ..simulate import (
    crop_depth,
    crop_frames,
    draw_points,
    draw_windows,
    mask_frames,
    random_mask,
    rendering_mask,
    sweep_path,
    tracking_mask,
)
from ..tracking import Tracker
from .recipe import Recipe
from .select import select_clip
from .videos import Source, find_depth_file


@torch.no_grad()
def prepare_clip(source: Source, recipe: Recipe, out: Path, tracker: Tracker | None, encoders: Encoders | None) -> str:
    """Select a clip of a video, hide parts of it, and write it, or why there is none, as a part. Returns its key."""
    caption = source.caption or recipe.caption
    info = {"key": source.key, "source": source.name, "caption": caption}
    try:
        start, clip, filmed = select_clip(source.path, recipe.frames, recipe.size, recipe.fit)
        depth = find_depth(source, recipe, start, clip, filmed) if recipe.masks in ("both", "rendering") else None
    except (ValueError, OSError) as error:
        write_part(out, source.key, {**info, "skipped": str(error)}, {})
        return source.key
    generator = torch.Generator().manual_seed(zlib.crc32(f"{recipe.seed}:{source.key}".encode()))
    frames = clip.frames
    if recipe.crop:
        windows = draw_windows(len(clip), clip.size, generator)
        frames = crop_frames(frames, windows)
        depth = depth and crop_depth(depth, windows)
    visible = simulate_mask(frames, depth, recipe, tracker, generator)
    if clip.size != recipe.size:
        frames, visible = add_bars(frames, visible, recipe.size)
    info |= {"start": start, "frames": len(clip), "size": list(recipe.size), "fps": clip.fps, "masks": recipe.masks,
             "shown": round(float(visible.float().mean()), 4)}
    if loss := describe_fit(filmed, recipe.size, recipe.fit):
        info["loss"] = loss
    if encoders is None:
        payload = pack_pixels(frames, visible, clip.fps)
    else:
        payload = pack_latents(encode_clip(frames, mask_frames(frames, visible), caption, encoders))
    write_part(out, source.key, info, payload)
    return source.key


def add_bars(frames: torch.Tensor, visible: torch.Tensor, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames [T, h, w, 3] and what of them is shown [T, h, w], in the middle of black pictures of size (H, W)."""
    hidden = (~visible).float()[..., None]  # bars are 0: not hidden
    return (torch.stack([fit_frame(frame, size, "pad") for frame in frames]),
            torch.stack([fit_frame(frame, size, "pad")[..., 0] == 0 for frame in hidden]))


def simulate_mask(frames: torch.Tensor, depth: VideoDepth | None, recipe: Recipe, tracker: Tracker | None,
                  generator: torch.Generator) -> torch.Tensor:
    """What the recipe shows of a clip, [T, H, W] bool."""
    size = size_of(frames)
    if recipe.masks == "random":
        return random_mask(len(frames), size, generator)
    visible = torch.ones(frames.shape[:3], dtype=torch.bool)
    if depth is not None:
        mesh = build_dw_mesh(frames, depth, MeshRules(hidden_reach=recipe.hidden_reach))
        visible &= rendering_mask(mesh, sweep_path(mesh), surface=recipe.surface)
    if tracker is not None:
        visible &= tracking_mask(tracker(frames, draw_points(size, generator), None), size, generator)
    return visible


def find_depth(source: Source, recipe: Recipe, start: int, clip: Clip, filmed: tuple[int, int]) -> VideoDepth:
    """The depth of just this clip, cropped and resized as it was from the size (H, W) that was filmed.

    Raises ValueError where there is none.
    """
    place = find_depth_file(source, recipe.depth)
    depth = files.read_depth(place, recipe.units, start, len(clip), recipe.fill, clip=source.path,
                             channel=recipe.channel)
    laid = lay_over(depth, filmed, clip.size, str(place))
    return match_depth(clip.frames, fit_depth(laid, clip.size, without_bars(recipe.fit)))
