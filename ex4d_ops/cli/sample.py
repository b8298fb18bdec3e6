"""`ex4d sample`: films a procedural clip, with exact depth."""

from __future__ import annotations

from pathlib import Path

from ..scene import SCENE_NAMES
from ..trajectory.moves import RELEASED_FRAMES
from .terminal import add_command, parse_size, progress_bar


def add_sample_command(commands) -> None:
    parser = add_command(commands, "sample", make_sample, "Make a sample clip with exact depth, to try things out.")
    parser.add_argument("out", type=Path, help="folder for clip.mkv and depth.npz")
    parser.add_argument("--scene", choices=SCENE_NAMES, default="gallery", help="scene to film (default: gallery)")
    parser.add_argument("--frames", type=int, default=RELEASED_FRAMES, metavar="T",
                        help=f"number of frames (default: {RELEASED_FRAMES})")
    parser.add_argument("--size", type=parse_size, default=(512, 512), metavar="WxH",
                        help="size of the clip in pixels (default: 512x512)")
    parser.add_argument("--seed", type=int, default=0, help="random seed of places and colors (default: 0)")


def make_sample(options) -> None:
    if options.frames < 1:
        raise ValueError(f"--frames: got {options.frames}, must be 1 or more")
    from .. import files
    from ..scene import FPS, sample_clip

    with progress_bar("filming") as progress:
        frames, depth = sample_clip(options.scene, options.frames, options.size, options.seed, progress)
    options.out.mkdir(parents=True, exist_ok=True)
    files.write_video(options.out / "clip.mkv", frames, FPS)
    files.write_depth(options.out / "depth.npz", depth)
    print(f"{options.out}: clip.mkv and depth.npz; continue with: ex4d prior {options.out / 'clip.mkv'} "
          f"--depth {options.out / 'depth.npz'} --preset 60 --out {options.out / 'prior'}")
