"""`ex4d sample`: films a procedural clip, with exact depth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from ..rules import SCENE_NAMES
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
    import torch

    from .. import files
    from ..parallel import one_by_one
    from ..scene import FPS, exact_depth, make_scene

    scene = make_scene(options.scene, options.seed)
    cameras = scene.source_cameras(options.frames, options.size)
    depth = torch.empty(options.frames, *options.size)

    def frames() -> Iterator[torch.Tensor]:
        with progress_bar("filming") as progress, closing(scene.shoot(cameras)) as shots:
            for t, (frame, plane) in enumerate(one_by_one(shots, options.frames, progress)):
                depth[t] = plane
                yield frame

    options.out.mkdir(parents=True, exist_ok=True)
    files.write_video(options.out / "clip.mkv", frames(), FPS)
    files.write_depth(options.out / "depth.npz", exact_depth(depth, cameras))
    print(f"{options.out}: clip.mkv and depth.npz; continue with: ex4d prior {options.out / 'clip.mkv'} "
          f"--depth {options.out / 'depth.npz'} --preset 60 --out {options.out / 'prior'}")
