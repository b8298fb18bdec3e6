"""`ex4d sample` films a procedural clip, `ex4d inspect` says what a depth file and its mesh are like."""

from __future__ import annotations

from pathlib import Path

from .. import files
from ..inspection import inspect_mesh
from ..mesh import build_dw_mesh
from ..scene import FPS, SCENES, sample_clip
from ..trajectory import RELEASED_FRAMES
from .options import add_depth_options, add_mesh_options, depth_units, mesh_rules
from .terminal import add_command, describe_size, parse_size, progress_bar


def add_sample_command(commands) -> None:
    parser = add_command(commands, "sample", make_sample, "A procedural clip with exact depth, to try things on.")
    parser.add_argument("out", type=Path, help="folder for clip.mkv and depth.npz")
    parser.add_argument("--scene", choices=list(SCENES), default="gallery", help="which scene (default: gallery)")
    parser.add_argument("--frames", type=int, default=RELEASED_FRAMES, metavar="T", help=f"default: {RELEASED_FRAMES}")
    parser.add_argument("--size", type=parse_size, default=(512, 512), metavar="WxH", help="default: 512x512")
    parser.add_argument("--seed", type=int, default=0, help="varies places and colours (default: 0)")


def make_sample(options) -> None:
    if options.frames < 1:
        raise ValueError(f"--frames: got {options.frames}, must be 1 or more")
    with progress_bar("filming") as progress:
        frames, depth = sample_clip(options.scene, options.frames, options.size, options.seed, progress)
    options.out.mkdir(parents=True, exist_ok=True)
    files.write_video(options.out / "clip.mkv", frames, FPS)
    files.write_depth(options.out / "depth.npz", depth)
    print(f"{options.out}: clip.mkv and depth.npz. Now: ex4d prior {options.out / 'clip.mkv'} "
          f"--depth {options.out / 'depth.npz'} --preset 60 --out {options.out / 'prior'}")


def add_inspect_command(commands) -> None:
    parser = add_command(commands, "inspect", inspect, "What a depth file holds, and what its mesh is like.")
    parser.add_argument("depth", type=Path, help="depth file or folder")
    parser.add_argument("--frame", type=int, default=0, metavar="N", help="frame to build the mesh of (default: 0)")
    add_depth_options(parser)
    add_mesh_options(parser)


def inspect(options) -> None:
    depth = files.read_depth(options.depth, depth_units(options), options.frame, 1, options.fill_depth,
                             channel=options.depth_channel)
    mesh = build_dw_mesh(depth.depth.new_zeros(*depth.depth.shape, 3), depth, mesh_rules(options))
    units = "metres" if depth.metric else "scene units"
    print(f"{options.depth}, frame {options.frame}: {describe_size(depth.size)}, {units}")
    print(inspect_mesh(mesh, 0))
