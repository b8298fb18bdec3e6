"""`ex4d prior`: a clip and its depth to the prior of a new camera path."""

from __future__ import annotations

import json
import platform
from dataclasses import replace
from pathlib import Path
from typing import get_args

import torch

from .. import files, plot, raster
from ..background import find_motion, make_background
from ..camera import CameraPath, fit_intrinsics, intrinsics_from_focal, move_to
from ..clip import (
    WAN_GRID,
    Clip,
    box_size,
    check_wan_length,
    describe_fit,
    fit_boxes,
    fit_frame,
    nearest_wan_lengths,
    wan_size,
    without_bars,
)
from ..depth import VideoDepth, fit_depth, match_depth
from ..files.paths import READ_SUFFIXES
from ..files.whole import sweep, written_whole
from ..mesh import build_dw_mesh
from ..prior import Prior, RenderRules, Texture, origin_shares, render_prior
from ..trajectory import EASES, MOVES, RELEASED_FRAMES, automatic_radius, move_path, parse_moves, released_path
from ..trajectory.editing import freeze
from .estimate import NAMES as MODEL_NAMES
from .estimate import add_estimate_options, estimate_depth
from .options import (
    add_depth_options,
    add_fit_option,
    add_mesh_options,
    add_path_options,
    depth_units,
    mesh_rules,
    path_settings,
)
from .terminal import add_command, describe_size, parse_device, parse_erosion, parse_size, progress_bar, say, timed

BACKGROUND_REACH = 0.1  # of --hidden-reach with --background: what reaches all the way would cover what can be filled
SHEET, PLOT, ORIGIN = "sheet.png", "path.png", "origin.png"
RUN = "run.json"  # written last, so that where it is everything is

EPILOG = """\
examples:
  ex4d prior clip.mp4 --depth depth.npz --preset 90 --out result
  ex4d prior clip.mp4 --depth depth/ --depth-kind disparity --move orbit:yaw=60,pitch=10 --out result
  ex4d prior clip.mp4 --depth depth.npz --move "orbit:yaw=-60..60+dolly:distance=-0.3" --out result
  ex4d prior clip.mp4 --depth depth.npz --path cameras.json --out result
  ex4d prior clip.mp4 --depth depth.npz --path shot.chan --path-world first --path-length fit --out result
  ex4d prior clip.mp4 --depth-model video-depth-anything-small --preset 60 --out result
  ex4d prior clip.mp4 --depth depth.npz --move arc:yaw=60 --freeze 12 --out bullet-time

files in the folder --out:
  color.mkv, visible.mkv    the prior, lossless (FFV1); white = seen in the source
  preview.mp4               source, color and mask side by side
  sheet.png, path.png       the same at six moments; plot of the path from above and the side
  origin.png                with --background: which pixels were added, and from which frames
  cameras.json, cameras.npz the path
  run.json                  every setting and figure
"""


def add_prior_command(commands) -> None:
    parser = add_command(commands, "prior", make_prior, "Render a clip along a new camera path: the prior for EX-4D.",
                         f"{EPILOG}\n{describe_moves()}")
    parser.add_argument("input", type=Path, help="video, folder of images, or one image")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
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
    render = parser.add_argument_group("rendering")
    render.add_argument("--engine", choices=["auto", *raster.ENGINES], default="auto",
                        help="renderer (default: auto, the fastest that runs here)")
    render.add_argument("--device", type=parse_device, default=torch.device("cpu"),
                        help="device to compute on, e.g. cuda or cuda:1 (default: cpu)")
    render.add_argument("--texture", choices=get_args(Texture), default="vertex",
                        help="how to blacken hidden faces. vertex: their vertices, as released; face: the faces, as in "
                        "the paper (default: vertex)")
    render.add_argument("--erosion", type=parse_erosion, default="released", metavar="PX",
                        help="pixels to erode the mask by; released: 2..8, random per frame (default: released)")
    render.add_argument("--seed", type=int, default=0, help="random seed of the released erosion (default: 0)")
    render.add_argument("--no-anchor", action="store_true",
                        help="render frame 0 too, instead of showing the source itself if the path begins there")
    render.add_argument("--background", action="store_true",
                        help="fill what a frame does not see with the background that other frames have seen; hidden "
                             f"faces then reach {BACKGROUND_REACH} of their depth, or --hidden-reach")
    render.add_argument("--moving", type=Path, metavar="FILE",
                        help="video or folder of masks for --background, white = moves (default: found in the clip)")
    render.add_argument("--mesh", type=int, nargs="+", default=[], metavar="N",
                        help="source frames to save the mesh of, counted from 0 (default: none)")
    render.add_argument("--mesh-format", choices=["glb", "ply"], default="glb",
                        help="file format of --mesh (default: glb)")
    render.add_argument("--closed-ring", action="store_true",
                        help="close the border of --mesh with a ring of faces, so that every edge has exactly two "
                        "faces (default: the released model's two large faces)")


def add_camera_options(parser) -> None:
    camera = parser.add_argument_group("camera (one of --preset, --move, --path)")
    which = camera.add_mutually_exclusive_group(required=True)
    which.add_argument("--preset", choices=["30", "60", "90", "180"],
                       help="angle in degrees of a camera path of the released EX-4D")
    which.add_argument("--move", metavar="MOVE", help="camera moves joined by +, listed below")
    which.add_argument("--path", type=Path, metavar="FILE",
                       help=f"camera path file ({', '.join(sorted(READ_SUFFIXES))}) or COLMAP folder")
    camera.add_argument("--radius", type=float, metavar="R",
                        help="distance to the target in scene units (default: nearest depth of frame 0 plus 0.15)")
    camera.add_argument("--freeze", type=int, metavar="N",
                        help="source frame to hold while the camera moves (default: none, but a single image is held)")
    add_path_options(parser.add_argument_group("reading --path"))


def describe_moves() -> str:
    """The moves and their settings as a table, for --help."""
    lines = ["moves, as NAME:setting=value,...; start..end changes a value along the path; + joins moves:"]
    for name, kind in MOVES.items():
        settings = ", ".join(f"{p.name}={p.default:g}" for p in kind.parameters)
        lines.append(f"  {name:14}{kind.help}" + (f"  [{settings}]" if settings else ""))
    return "\n".join([*lines, f"  every move takes ease=: {', '.join(EASES)}"])


def make_prior(options) -> None:
    seconds: dict[str, float] = {}
    with timed(seconds, "read"):
        clip, size = read_clip(options)
        depth = read_clip_depth(options, clip)
    cameras = choose_path(options, depth, size)
    check_mesh_frames(options, len(clip))
    if options.moving is not None and not options.background:
        raise ValueError("--moving: says what must not fill other frames; add --background")
    begin_folder(options.out)
    with timed(seconds, "mesh"):
        rules = mesh_rules(options)
        if options.background and rules.hidden_reach is None:
            rules = replace(rules, hidden_reach=BACKGROUND_REACH)
        mesh = build_dw_mesh(clip.frames.to(options.device), depth, rules)
    background = None
    if options.background:
        with timed(seconds, "background"):
            background = make_background(mesh, read_moving(options, clip, depth))
    with timed(seconds, "render"), progress_bar("rendering") as progress:
        prior = render_prior(mesh, cameras, render_rules(options), options.engine, progress, background)
    if not prior.visible.any():
        say("the path sees nothing of the clip; if it was made for another scene or in other units, add "
            "--path-world first or --path-scale")
    with timed(seconds, "write"):
        write_prior(options.out, clip, prior, cameras)
        files.write_picture(options.out / PLOT, plot.plot_path(cameras, depth))
        if background is not None:
            files.write_picture(options.out / ORIGIN, plot.origin_sheet(prior, cameras))
        for t in options.mesh:
            files.write_mesh(options.out / f"mesh_{t:04d}.{options.mesh_format}", mesh, t, options.closed_ring)
    write_run(options, depth, cameras, prior, seconds)
    print(f"{options.out}: {len(prior)} frames of {describe_size(cameras.size)}, "
          f"{prior.coverage.mean():.0%} seen in the source, took {sum(seconds.values()):.1f} s")


def begin_folder(out: Path) -> None:
    """Make the folder of results, and delete what an earlier run wrote last: this run may be stopped half-way."""
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    for name in (RUN, SHEET, PLOT, ORIGIN):
        (out / name).unlink(missing_ok=True)


def read_clip(options) -> tuple[Clip, tuple[int, int]]:
    """The clip at the length to work on, or the one frame held, and the size (H, W) to render; says what is changed.

    It is cropped or stretched to that size; one that is to be padded is as large as fits into it.
    """
    if options.frames is not None:
        check_wan_length(options.frames)
    if options.size and options.size != wan_size(options.size):
        raise ValueError(f"--size: Wan needs multiples of {WAN_GRID}, got {describe_size(options.size)}; "
                         f"use {describe_size(wan_size(options.size))}")
    filmed = files.read_video(options.input, options.start, 1).size
    size = options.size or wan_size(filmed)
    if loss := describe_fit(filmed, size, options.fit):
        say(f"{options.input}: {loss}")
    elif size != filmed and not options.size:
        say(f"{options.input}: {describe_size(filmed)}, works at {describe_size(size)} (Wan needs multiples of "
            f"{WAN_GRID})")
    _, filled = fit_boxes(filmed, size, options.fit)
    length = options.frames or RELEASED_FRAMES
    start, count = (options.start, length) if options.freeze is None else (options.start + options.freeze, 1)
    clip = files.read_video(options.input, start, count, None if options.fit == "crop" else box_size(filled))
    if options.freeze is None:
        clip = trim_clip(options, clip)
    if clip.size != box_size(filled):
        clip = Clip(torch.stack([fit_frame(frame, size, options.fit) for frame in clip.frames]), clip.fps)
    return clip, size


def trim_clip(options, clip: Clip) -> Clip:
    """The clip at a length that Wan takes: the one asked for, or the most there is; or the only frame, to be held."""
    if len(clip) == 1:
        say(f"{options.input}: only one frame, which is held while the camera moves")
        return clip
    if options.frames and len(clip) < options.frames:
        raise ValueError(f"{options.input}: has only {len(clip)} frames from frame {options.start} on, but --frames is "
                         f"{options.frames}; use fewer, or hold one with --freeze N")
    length, _ = nearest_wan_lengths(len(clip))
    if length < len(clip):
        say(f"{options.input}: {len(clip)} frames, but Wan needs 4k+1; uses the first {length}")
    return Clip(clip.frames[:length], clip.fps)


def read_clip_depth(options, clip: Clip) -> VideoDepth:
    """The depth of just these frames, resized to them, on the device to work on."""
    lens = None
    if options.focal is not None:
        if not options.focal > 0:
            raise ValueError(f"--focal: got {options.focal:g}, must be above 0")
        lens = intrinsics_from_focal(options.focal, clip.size)
    if options.depth_model is not None:
        return move_to(estimate_depth(options, clip, lens), options.device)
    start = options.start + (options.freeze or 0)
    depth = files.read_depth(options.depth, depth_units(options), start, len(clip), options.fill_depth,
                             clip=options.input, channel=options.depth_channel)
    if depth.size != clip.size:
        say(f"{options.depth}: {describe_size(depth.size)}, resized to {describe_size(clip.size)}")
    depth = match_depth(clip.frames, fit_depth(depth, clip.size, without_bars(options.fit)))
    if lens is not None:
        depth = replace(depth, intrinsics=lens.expand_as(depth.intrinsics))
    return move_to(depth, options.device)


def read_moving(options, clip: Clip, depth: VideoDepth) -> torch.Tensor:
    """What moves, [T, H, W] bool on the device to work on: the masks of --moving, or what is found in the clip."""
    if options.moving is None:
        with progress_bar("finding what moves") as progress:
            return find_motion(clip.frames.to(options.device), depth, progress)
    masks = files.read_video(options.moving, options.start + (options.freeze or 0), len(clip)).frames
    fit = without_bars(options.fit)
    return torch.stack([fit_frame(mask, clip.size, fit).mean(-1) > 0.5 for mask in masks]).to(options.device)


def choose_path(options, depth: VideoDepth, size: tuple[int, int]) -> CameraPath:
    """The path asked for by --preset, --move or --path, holding the source frame where it is the only one.

    size: (H, W) to render, in whose middle the depth lies where it is smaller.
    """
    held = len(depth) == 1
    frames = len(depth) if not held else options.frames or RELEASED_FRAMES
    if options.radius is not None and not options.radius > 0:
        raise ValueError(f"--radius: got {options.radius:g}, must be above 0")
    radius = automatic_radius(depth) if options.radius is None else options.radius
    intrinsics = fit_intrinsics(depth.intrinsics, depth.size, size, "pad")
    intrinsics = intrinsics[0] if held else intrinsics
    if options.path:
        lens = intrinsics.reshape(-1, 3, 3)[0].cpu()
        cameras = files.read_path(options.path, size, frames, radius=radius, intrinsics=lens,
                                  source=depth.world_from_cam.cpu(), **path_settings(options))
        cameras = move_to(cameras, options.device)
    elif options.preset:
        cameras = released_path(options.preset, frames, radius, intrinsics, size)
    else:
        cameras = move_path(parse_moves(options.move), frames, radius, intrinsics, size)
    return freeze(cameras) if held else cameras


def check_mesh_frames(options, count: int) -> None:
    """Raise ValueError where --mesh names a frame that does not exist."""
    for t in options.mesh:
        if not 0 <= t < count:
            raise ValueError(f"--mesh: there is no frame {t}; the clip has 0..{count - 1}")


def render_rules(options) -> RenderRules:
    return RenderRules(options.texture, not options.no_anchor, options.erosion, options.seed)


def write_prior(out: Path, clip: Clip, prior: Prior, cameras: CameraPath) -> None:
    """Write colour, mask, preview, contact sheet and path into a folder."""
    source = [fit_frame(clip.frames[t], cameras.size, "pad") for t in cameras.source_frame.tolist()]
    prior = move_to(prior, torch.device("cpu"))
    files.write_video(out / "color.mkv", prior.color, clip.fps)
    files.write_video(out / "visible.mkv", prior.visible, clip.fps)
    files.write_video(out / "preview.mp4", plot.stitch(source, prior), clip.fps)
    files.write_path(out / "cameras.json", cameras)
    files.write_path(out / "cameras.npz", cameras)
    files.write_picture(out / SHEET, plot.contact_sheet(source, prior))


def write_run(options, depth: VideoDepth, cameras: CameraPath, prior: Prior, seconds: dict[str, float]) -> None:
    """Write run.json: every setting and figure, enough to make the same prior again."""
    settings = {name: value for name, value in vars(options).items() if name != "command"}
    figures = {
        "frames": len(prior), "size": describe_size(cameras.size),
        "engine": raster.choose_engine(options.engine, raster.drawing_device(options.engine, depth.depth.device)),
        "radius": automatic_radius(depth) if options.radius is None else options.radius,
        "nearest_depth": depth.nearest, "coverage": [round(share, 4) for share in prior.coverage.tolist()],
        "origin": {name: round(share, 4) for name, share in origin_shares(prior, cameras).items()},
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "python": platform.python_version(), "torch": torch.__version__, "machine": platform.platform(),
    }
    with written_whole(options.out / RUN) as part:
        part.write_text(json.dumps({"settings": settings, "figures": figures}, indent=2, default=str) + "\n")
