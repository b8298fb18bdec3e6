"""`ex4d prior`: a clip and its depth to the prior of a new camera path."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import get_args

from ..clip import WAN_GRID, check_wan_length, wan_size
from ..files.path_settings import READ_SUFFIXES
from ..generators import STYLES
from ..rules import ENGINES, Drawn, Relative, Smoothed, Texture
from ..trajectory.moves import EASES, MOVES, parse_moves
from .estimate import NAMES as MODEL_NAMES
from .estimate import add_estimate_options, choose_model
from .options import (
    BACKGROUND_REACH,
    ON_A_CLUSTER,
    add_depth_options,
    add_fit_option,
    add_mesh_options,
    add_path_options,
    depth_units,
    mesh_rules,
)
from .stereo import add_stereo_options, check_stereo
from .terminal import (
    add_command,
    check_exists,
    describe_size,
    parse_anchor,
    parse_device,
    parse_erosion,
    parse_place,
    parse_size,
    share_free_memory,
)

OUTPUTS = ("color", "visible", "preview", "cameras", "sheet", "path")  # of --only

EPILOG = """\
examples:
  ex4d prior clip.mp4 --depth depth.npz --preset 90 --out result
  ex4d prior clip.mp4 --depth depth/ --depth-kind disparity --move orbit:yaw=60,pitch=10 --out result
  ex4d prior clip.mp4 --depth depth.npz --move "orbit:yaw=-60..60+dolly:distance=-0.3" --out result
  ex4d prior clip.mp4 --depth depth.npz --path cameras.json --out result
  ex4d prior clip.mp4 --depth depth.npz --path shot.chan --path-world first --path-length fit --out result
  ex4d prior clip.mp4 --depth-model video-depth-anything-small --preset 60 --out result
  ex4d prior clip.mp4 --depth depth.npz --move arc:yaw=60 --freeze 12 --out bullet-time
  ex4d prior clip.mp4 --depth depth.npz --move orbit:yaw=40 --target 320,180 --out result
  ex4d prior clip.mp4 --depth depth.npz --source-cameras --camera-smoothing 8 --out stabilized
  ex4d prior clip.mp4 --depth depth.npz --move orbit:yaw=30 --frames 81 --guide vace --out result
  ex4d prior clips/ --depth depth/ --preset 60 --out results --jobs 4

A folder of clips gets a folder of results for each; the depth of clips/a/b.mp4 is depth/a/b.npz (or .npy, .exr, .mkv,
.mp4, or a folder a/b). The same command goes on where it stopped, and makes no clip twice.

files in the folder --out:
  color.mkv, visible.mkv    the prior, lossless (FFV1); white = seen in the source
  preview.mp4               source, color and mask side by side
  sheet.png, path.png       the same at six moments; plot of the path from above and the side
  origin.png                with --background: which pixels were added, and from which frames
  guide.mkv, paint.mkv      with --guide: the guide video, and a mask of what is to be painted (white)
  source.mkv                with --guide: the clip, of the same length, frame rate and size
  stereo.mkv                with --stereo: both eyes, and stereo_visible.mkv: what of them was seen (white)
  cameras.json, cameras.npz the path
  run.json                  every setting and figure
"""


def add_prior_command(commands) -> None:
    parser = add_command(commands, "prior", make_prior, "Render a clip along a new camera path: the prior for EX-4D.",
                         f"{EPILOG}\n{describe_moves()}")
    parser.add_argument("input", type=Path, help="video, folder of images, one image, or folder of videos")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--jobs", type=int, metavar="N",
                        help="number of clips of a folder to work on at once, some 1 GB of memory each (default: 1)")
    parser.add_argument("--only", type=parse_only, default=OUTPUTS, metavar="NAMES",
                        help=f"results to write, some of {','.join(OUTPUTS)}, beside run.json (default: all)")
    clip = parser.add_argument_group("clip")
    clip.add_argument("--start", type=int, default=0, metavar="N",
                      help="first frame to use, counted from 0 (default: 0)")
    clip.add_argument("--frames", type=int, metavar="T",
                      help="number of frames, 4k+1 as Wan needs (default: as many as the clip has, up to 49)")
    clip.add_argument("--size", type=parse_size, metavar="WxH",
                      help="size to render in pixels, multiples of 16 (default: the size of the clip, rounded)")
    add_fit_option(clip, "stretch", "that count as not seen")
    depth = parser.add_mutually_exclusive_group(required=True)
    depth.add_argument("--depth", type=Path, metavar="FILE",
                       help="depth file (npz, npy, EXR, 16-bit PNG, TIFF, PFM, gray video), or folder of pictures")
    depth.add_argument("--depth-model", metavar="NAME", help=f"depth model to find the depth with: {MODEL_NAMES}")
    parser.add_argument("--focal", type=float, metavar="PX",
                        help="focal length in pixels at --size (default: the depth file's, or 500 at width 512)")
    add_depth_options(parser)
    add_estimate_options(parser)
    add_camera_options(parser)
    add_mesh_options(parser)
    add_render_options(parser)
    add_stereo_options(parser)


def add_render_options(parser) -> None:
    render = parser.add_argument_group("rendering")
    render.add_argument("--engine", choices=["auto", *ENGINES, ON_A_CLUSTER], default="auto",
                        help="renderer; or ray, to work on a folder of clips on the cluster at RAY_ADDRESS, whose "
                        "machines must all see the folders (default: auto, the fastest renderer that runs here)")
    render.add_argument("--device", type=parse_device, default="cpu",
                        help="device to compute on, e.g. cuda or cuda:1 (default: cpu)")
    render.add_argument("--texture", choices=get_args(Texture), default="vertex",
                        help="how to blacken hidden faces. vertex: their vertices, as released; face: the faces, as in "
                        "the paper (default: vertex)")
    render.add_argument("--erosion", type=parse_erosion, default="released", metavar="PX",
                        help="pixels to erode the mask by; released: 2..8, random per frame (default: released)")
    render.add_argument("--seed", type=int, default=0, help="random seed of the released erosion (default: 0)")
    render.add_argument("--no-anchor", action="store_true",
                        help="render frame 0 too, instead of showing the source itself if the path begins there")
    render.add_argument("--anchor", type=parse_anchor, action="append", default=[], metavar="N=FILE",
                        help="picture that frame N of the result shows, all of it visible, N counted from 0, or last; "
                        "may be given several times (default: none)")
    render.add_argument("--background", action="store_true",
                        help="fill what a frame does not see with the background that other frames have seen; hidden "
                             f"faces then reach {BACKGROUND_REACH} of their depth, or --hidden-reach")
    render.add_argument("--moving", type=Path, metavar="FILE",
                        help="video or folder of masks for --background, white = moves (default: found in the clip)")
    render.add_argument("--surface", choices=get_args(Drawn), default="mesh",
                        help="what to draw: the faces of the mesh, or its pixels as squares as the CrossView-Warp or "
                        "Meridian LoRA was trained on; add --erosion 0 (default: mesh)")
    render.add_argument("--guide", choices=STYLES, metavar="STYLE",
                        help=f"generator to write a guide video for: {', '.join(STYLES)} (default: none)")
    render.add_argument("--mesh", type=int, nargs="+", default=[], metavar="N",
                        help="source frames to save the mesh of, counted from 0 (default: none)")
    render.add_argument("--mesh-format", choices=["glb", "ply"], default="glb",
                        help="file format of --mesh (default: glb)")
    render.add_argument("--closed-ring", action="store_true",
                        help="close the border of --mesh with a ring of faces, so that every edge has exactly two "
                        "faces (default: the released model's two large faces)")


def add_camera_options(parser) -> None:
    camera = parser.add_argument_group("camera (one of --preset, --move, --path, --source-cameras)")
    which = camera.add_mutually_exclusive_group(required=True)
    which.add_argument("--preset", choices=["30", "60", "90", "180"],
                       help="angle in degrees of a camera path of the released EX-4D")
    which.add_argument("--move", metavar="MOVE", help="camera moves joined by +, listed below")
    which.add_argument("--path", type=Path, metavar="FILE",
                       help=f"camera path file ({', '.join(sorted(READ_SUFFIXES))}) or COLMAP folder")
    which.add_argument("--source-cameras", action="store_true",
                       help="path of the source camera itself, which the depth must know")
    camera.add_argument("--radius", type=float, metavar="R",
                        help="distance to the target in scene units (default: nearest depth of frame 0 plus 0.15)")
    camera.add_argument("--freeze", type=int, metavar="N",
                        help="source frame to hold while the camera moves (default: none, but a single image is held)")
    add_follow_options(camera)
    add_path_options(parser.add_argument_group("reading --path"))


def add_follow_options(camera) -> None:
    camera.add_argument("--camera-smoothing", type=int, default=0, metavar="N",
                        help="frames before and after each frame to average --source-cameras over, which takes out the "
                        "shaking (default: 0, as filmed)")
    camera.add_argument("--camera-smoothed", choices=get_args(Smoothed), default="all",
                        help="what --camera-smoothing smooths. all: position and direction; rotation: only the "
                        "direction (default: all)")
    camera.add_argument("--relative", choices=get_args(Relative), default="world",
                        help="what the path is relative to. world: stands still while the source camera moves; source: "
                        "moves along with the source camera (default: world)")
    subject = camera.add_mutually_exclusive_group()
    subject.add_argument("--target", type=parse_place, metavar="X,Y",
                         help="pixel of the first frame to circle and look at, or a box X,Y,X,Y, counted from 0 at the "
                         "top left (default: the point straight ahead)")
    subject.add_argument("--subject", type=Path, metavar="FILE",
                         help="mask of what to circle and look at, white = the subject: an image for the first frame, "
                         "or a video or folder for all frames, so that the camera turns to follow it")
    camera.add_argument("--keep-aim", action="store_true",
                        help="with --target or --subject: keep the direction of the source camera, instead of turning "
                        "to the subject")


def describe_moves() -> str:
    """The moves and their settings as a table, for --help."""
    lines = ["moves, as NAME:setting=value,...; start..end changes a value along the path; + joins moves:"]
    for name, kind in MOVES.items():
        settings = ", ".join(f"{p.name}={p.default:g}" for p in kind.parameters)
        lines.append(f"  {name:14}{kind.help}" + (f"  [{settings}]" if settings else ""))
    return "\n".join([*lines, f"  every move takes ease=: {', '.join(EASES)}"])


def make_prior(options) -> None:
    """Check the options, then import what makes a prior and make it."""
    check_options(options)
    share_free_memory()
    if options.input.is_dir():
        from .batch import draw_clips, find_clips

        if clips := find_clips(options):
            return draw_clips(options, clips)
    if options.jobs is not None or options.engine == ON_A_CLUSTER:
        raise ValueError(f"--jobs, --engine {ON_A_CLUSTER}: are used only with a folder of clips; leave them out")
    from .rendering import render

    render(options)


def check_options(options) -> None:
    """Raise ValueError where an option cannot be meant, as far as that shows without reading a file."""
    if options.frames is not None:
        check_wan_length(options.frames)
    if options.size and options.size != wan_size(options.size):
        raise ValueError(f"--size: Wan needs multiples of {WAN_GRID}, got {describe_size(options.size)}; "
                         f"use {describe_size(wan_size(options.size))}")
    for name in ("focal", "radius"):
        if getattr(options, name) is not None and not 0 < getattr(options, name) < math.inf:
            raise ValueError(f"--{name}: got {getattr(options, name):g}, must be above 0")
    if options.start < 0 or options.freeze is not None and options.freeze < 0:
        raise ValueError(f"--start, --freeze: got {options.start} and {options.freeze or 0}; frames are counted from 0")
    if options.jobs is not None and options.jobs < 1:
        raise ValueError(f"--jobs: got {options.jobs}, must be 1 or more")
    if options.moving is not None and not options.background:
        raise ValueError("--moving: says what must not fill other frames; add --background")
    if options.camera_smoothing < 0:
        raise ValueError(f"--camera-smoothing: got {options.camera_smoothing}, must be 0 or above")
    if options.camera_smoothing and not options.source_cameras:
        raise ValueError("--camera-smoothing: is used only with --source-cameras; add it, or leave this out")
    subject = options.target is not None or options.subject is not None
    if options.keep_aim and not subject:
        raise ValueError("--keep-aim: is used only with --target or --subject; add one of them")
    if subject and options.preset is None and options.move is None:
        raise ValueError("--target, --subject: are used only with --preset or --move; leave them out")
    if options.depth is not None:
        depth_units(options)
    mesh_rules(options)
    check_stereo(options)
    if options.move is not None:
        parse_moves(options.move)
    check_exists(options.input, options.depth, options.path, options.moving, options.subject,
                 *(file for _, file in options.anchor))
    if options.depth_model is not None:
        choose_model(options)


def parse_only(text: str) -> tuple[str, ...]:
    """Some of OUTPUTS, written with commas between them."""
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in OUTPUTS:
            raise argparse.ArgumentTypeError(f"{name!r} is not a result; use some of {','.join(OUTPUTS)}")
    return names
