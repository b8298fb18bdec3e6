"""`ex4d prepare`: videos to clips to train on."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import get_args

from ..clip import WAN_GRID, check_wan_length, wan_size
from ..preparation.recipe import Masks, Recipe
from ..preparation.videos import list_sources
from ..rules import Engine, Surface, TrackerName
from .options import add_depth_options, add_fit_option, add_reach_option, depth_units, hidden_reach
from .terminal import add_command, describe_size, parse_size, say

EPILOG = """\
examples:
  ex4d prepare videos/ --depth depth/ --out prepared
  ex4d prepare OpenVid-1M.csv --videos OpenVid/ --depth depth/ --out prepared --workers 16
  ex4d prepare videos/ --out prepared --vae wan_2.1_vae.safetensors --text-encoder umt5_xxl_fp16.safetensors \\
      --clip-vision clip_vision_h.safetensors

The depth of videos/a/b.mp4 is depth/a/b.npz (or .npy, .exr, .mkv, .mp4, or a folder a/b). Without --depth it is
videos/a/b.npz or videos/a/depth.npz. With --masks tracking or random, depth is not needed.

With --vae, --text-encoder and --clip-vision, ComfyUI at COMFYUI_PATH encodes the clips and latents are stored. For
CogVideoX give only the first two. Without them, pixels are stored. The command can be stopped at any time: the same
command continues where it stopped. manifest.jsonl lists every video, with the reason if it was skipped.
"""


def add_prepare_command(commands) -> None:
    parser = add_command(commands, "prepare", make_dataset, "Make masked clips from videos, to train on.", EPILOG)
    parser.add_argument("input", type=Path, help="folder of videos, or CSV file with a column video, such as OpenVid's")
    parser.add_argument("--out", type=Path, required=True, help="folder for the shards and the manifest")
    parser.add_argument("--videos", type=Path, metavar="DIR",
                        help="folder of the videos in the CSV file (default: the CSV file's folder)")
    clip = parser.add_argument_group("clips")
    clip.add_argument("--frames", type=int, default=49, metavar="T",
                      help="number of frames per clip, 4k+1 as Wan needs (default: 49)")
    clip.add_argument("--size", type=parse_size, default=(512, 512), metavar="WxH",
                      help="size of the clips in pixels, multiples of 16 (default: 512x512)")
    add_fit_option(clip, "crop", "that count as seen, so that the adapter does not learn to paint them")
    clip.add_argument("--caption", default="", help="caption for videos without one (default: none)")
    clip.add_argument("--no-crop", action="store_true",
                      help="use whole frames instead of a window that moves smoothly over them")
    masks = parser.add_argument_group("masks")
    masks.add_argument("--masks", choices=get_args(Masks), default="both",
                       help="how to mask parts of the clips (default: both, which is rendering and tracking)")
    masks.add_argument("--surface", choices=get_args(Surface), default="watertight",
                       help="which faces occlude in rendering masks. watertight: hidden faces too; visible: only "
                       "visible ones, as in the ablation (default: watertight)")
    add_reach_option(masks)
    masks.add_argument("--tracker", choices=get_args(TrackerName), default="lk",
                       help="point tracker. lk needs no weights; cotracker is licensed CC BY-NC 4.0, not for "
                       "commercial use (default: lk)")
    masks.add_argument("--tracker-weights", type=Path, metavar="FILE", help="weights file of cotracker or tapnext")
    masks.add_argument("--tracker-code", type=Path, metavar="DIR",
                       help="clone of the tracker's repository, if it is not installed")
    masks.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument("--depth", type=Path, metavar="DIR",
                        help="folder of depth files named like the videos (default: the videos' folder)")
    add_depth_options(parser)
    encoders = parser.add_argument_group("latents (with all of these; otherwise pixels are stored)")
    encoders.add_argument("--vae", type=Path, metavar="FILE",
                          help="VAE of Wan, wan_2.1_vae.safetensors, or of CogVideoX")
    encoders.add_argument("--text-encoder", type=Path, metavar="FILE",
                          help="text encoder of Wan, umt5_xxl, or of CogVideoX, t5xxl")
    encoders.add_argument("--clip-vision", type=Path, metavar="FILE",
                          help="CLIP vision model of Wan, clip_vision_h.safetensors")
    work = parser.add_argument_group("work")
    work.add_argument("--engine", choices=get_args(Engine), default="processes",
                      help="where to work. processes: on this machine; ray: on the cluster at RAY_ADDRESS, whose "
                      "machines must all see the folders (default: processes)")
    work.add_argument("--workers", type=int, metavar="N",
                      help="number of clips prepared at once; each worker loads its own encoders (default: one per "
                      "core, or 1 with encoders)")


def make_dataset(options) -> None:
    recipe, make_encoders = read_recipe(options), choose_encoders(options)
    workers = (1 if make_encoders else os.cpu_count() or 1) if options.workers is None else options.workers
    if workers < 1:
        raise ValueError(f"--workers: got {workers}, must be 1 or more")
    sources = list_sources(options.input, options.videos)
    from tqdm import tqdm

    from ..preparation.workers import prepare

    with tqdm(desc="preparing", unit="video", disable=None) as bar:
        state = prepare(sources, recipe, options.out, options.engine, workers, make_encoders,
                        lambda key: bar.update())
    reasons = [entry["skipped"] for entry in state.entries if "skipped" in entry]
    made = len(state.entries) - len(reasons)
    losses = [entry["loss"] for entry in state.entries if "loss" in entry]
    if losses:
        say(f"{len(losses)} clips have another aspect ratio than --size, e.g. {losses[0]}; see --fit")
    print(f"{options.out}: {made} clips of {len(state.entries)} videos; {len(reasons)} skipped, see "
          f"{options.out / 'manifest.jsonl'}")
    if not made:
        raise ValueError(f"{options.input}: gives no clips ({reasons[0] if reasons else 'it contains no videos'}); "
                         "check the videos and their depth")


def read_recipe(options) -> Recipe:
    """The recipe of the options. Raises ValueError where one is out of range."""
    check_wan_length(options.frames)
    if options.size != wan_size(options.size):
        raise ValueError(f"--size: Wan needs multiples of {WAN_GRID}, got {describe_size(options.size)}; "
                         f"use {describe_size(wan_size(options.size))}")
    if options.tracker != "lk" and options.tracker_weights is None:
        raise ValueError(f"--tracker: {options.tracker} needs --tracker-weights FILE; lk needs none")
    return Recipe(options.frames, options.size, options.masks, options.surface, not options.no_crop, options.depth,
                  depth_units(options), options.tracker, options.tracker_weights, options.tracker_code,
                  options.caption, options.seed, options.fill_depth, options.depth_channel, hidden_reach(options),
                  options.fit)


def choose_encoders(options):
    """What makes ComfyUI's encoders in a worker, None where pixels are to be stored."""
    given = (options.vae, options.text_encoder, options.clip_vision)
    if not any(given):
        return None
    if options.vae is None or options.text_encoder is None:
        raise ValueError("--vae, --text-encoder, --clip-vision: latents need all three, or the first two of CogVideoX; "
                         "leave all out to store pixels")
    for path in given:
        if path is not None and not path.is_file():
            raise ValueError(f"{path}: there is no such weights file")
    from ..bases import load_encoders

    return partial(load_encoders, *(path and path.resolve() for path in given))
