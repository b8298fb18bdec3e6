"""What `ex4d prior` does: a clip and its depth are read, drawn along a path, and written."""

from __future__ import annotations

import json
import platform
from dataclasses import replace
from pathlib import Path

import torch

from .. import files, plot, raster
from ..background import find_motion, make_background
from ..camera import CameraPath, fit_intrinsics, intrinsics_from_focal, move_to
from ..clip import (
    WAN_GRID,
    Clip,
    box_size,
    describe_fit,
    fit_boxes,
    fit_frame,
    nearest_wan_lengths,
    wan_size,
    without_bars,
)
from ..depth import VideoDepth, fit_depth, match_depth
from ..files.whole import sweep, written_whole
from ..generators import STYLES
from ..guide import accompany, choose_moments, doubt_first_frame, guide_video
from ..mesh import build_dw_mesh
from ..motion import add_confidence
from ..prior import Prior, origin_shares, render_prior
from ..trajectory import (
    RELEASED_FRAMES,
    Subject,
    automatic_radius,
    make_subject,
    move_path,
    parse_moves,
    source_path,
    subject_target,
)
from ..trajectory.editing import freeze
from ..trajectory.follow import follow
from .estimate import estimate_depth
from .options import (
    depth_units,
    mesh_rules,
    path_settings,
)
from .prior import BACKGROUND_REACH, render_rules
from .stereo_video import STEREO, write_stereo
from .terminal import describe_size, progress_bar, say, timed

SHEET, PLOT, ORIGIN = "sheet.png", "path.png", "origin.png"
GUIDE = ("guide.mkv", "paint.mkv", "source.mkv")
RUN = "run.json"  # written last, so that where it is everything is


def render(options) -> None:
    """Make the prior that the options ask for."""
    seconds: dict[str, float] = {}
    with timed(seconds, "read"):
        clip, size = read_clip(options)
        depth = read_clip_depth(options, clip)
    subject = read_subject(options, clip, depth, size)
    radius = options.radius or (automatic_radius(depth) if subject is None else subject.distance)
    cameras = choose_path(options, depth, size, radius, subject)
    check_mesh_frames(options, len(clip))
    if options.guide:
        choose_moments(options.guide, len(cameras), clip.fps)
    begin_folder(options.out)
    with timed(seconds, "mesh"):
        rules = mesh_rules(options)
        if options.background and rules.hidden_reach is None:
            rules = replace(rules, hidden_reach=BACKGROUND_REACH)
        frames = clip.frames.to(torch.device(options.device))
        if rules.min_confidence is not None:
            depth = add_confidence(frames, depth)
        mesh = build_dw_mesh(frames, depth, rules)
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
        if options.guide:
            write_guide(options, clip, prior, cameras)
        if options.stereo:
            write_stereo(options, mesh, cameras, background, clip.fps)
        if background is not None:
            files.write_picture(options.out / ORIGIN, plot.origin_sheet(prior, cameras))
        for t in options.mesh:
            files.write_mesh(options.out / f"mesh_{t:04d}.{options.mesh_format}", mesh, t, options.closed_ring)
    write_run(options, depth, cameras, prior, radius, seconds)
    print(f"{options.out}: {len(prior)} frames of {describe_size(cameras.size)}, "
          f"{prior.coverage.mean():.0%} seen in the source, took {sum(seconds.values()):.1f} s")


def begin_folder(out: Path) -> None:
    """Make the folder of results, and delete what an earlier run wrote last: this run may be stopped half-way."""
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    for name in (RUN, SHEET, PLOT, ORIGIN, *GUIDE, *STEREO):
        (out / name).unlink(missing_ok=True)


def read_clip(options) -> tuple[Clip, tuple[int, int]]:
    """The clip at the length to work on, or the one frame held, and the size (H, W) to render; says what is changed.

    It is cropped or stretched to that size; one that is to be padded is as large as fits into it.
    """
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
        lens = intrinsics_from_focal(options.focal, clip.size)
    if options.depth_model is not None:
        return move_to(estimate_depth(options, clip, lens), torch.device(options.device))
    start = options.start + (options.freeze or 0)
    depth = files.read_depth(options.depth, depth_units(options), start, len(clip), options.fill_depth,
                             clip=options.input, channel=options.depth_channel)
    if depth.size != clip.size:
        say(f"{options.depth}: {describe_size(depth.size)}, resized to {describe_size(clip.size)}")
    depth = match_depth(clip.frames, fit_depth(depth, clip.size, without_bars(options.fit)))
    if lens is not None:
        depth = replace(depth, intrinsics=lens.expand_as(depth.intrinsics))
    return move_to(depth, torch.device(options.device))


def read_moving(options, clip: Clip, depth: VideoDepth) -> torch.Tensor:
    """What moves, [T, H, W] bool on the device to work on: the masks of --moving, or what is found in the clip."""
    if options.moving is None:
        with progress_bar("finding what moves") as progress:
            return find_motion(clip.frames.to(torch.device(options.device)), depth, progress)
    return read_masks(options, options.moving, clip).to(torch.device(options.device))


def read_masks(options, path: Path, clip: Clip) -> torch.Tensor:
    """Masks of the clip's frames, [T, H, W] bool, white being what they mark; of a single image, one."""
    alone = len(files.read_video(path, 0, 2)) == 1
    masks = files.read_video(path, 0 if alone else options.start + (options.freeze or 0), len(clip)).frames
    return torch.stack([fit_frame(mask, clip.size, without_bars(options.fit)).mean(-1) > 0.5 for mask in masks])


def read_subject(options, clip: Clip, depth: VideoDepth, size: tuple[int, int]) -> Subject | None:
    """What --target or --subject marks in the clip, None without either. size: (H, W) to render."""
    if options.subject is not None:
        return make_subject(subject_target(read_masks(options, options.subject, clip), depth), options.keep_aim)
    if options.target is None:
        return None
    filmed = files.read_video(options.input, options.start, 1).size
    (rows, columns), _ = fit_boxes(filmed, size, options.fit)  # of which the clip is resampled
    place = [(value - kept.start) * side / (kept.stop - kept.start)
             for value, kept, side in zip(options.target, (columns, rows) * 2, clip.size[::-1] * 2)]
    return make_subject(subject_target(place, depth), options.keep_aim)


def choose_path(options, depth: VideoDepth, size: tuple[int, int], radius: float,
                subject: Subject | None) -> CameraPath:
    """The path that the options ask for, holding the source frame where it is the only one.

    size: (H, W) to render, in whose middle the depth lies where it is smaller. radius: of the target, scene units.
    """
    held = len(depth) == 1
    frames = len(depth) if not held else options.frames or RELEASED_FRAMES
    intrinsics = fit_intrinsics(depth.intrinsics, depth.size, size, "pad")
    intrinsics = intrinsics[0] if held else intrinsics
    if options.path:
        lens = intrinsics.reshape(-1, 3, 3)[0].cpu()
        cameras = files.read_path(options.path, size, frames, radius=radius, intrinsics=lens,
                                  source=depth.world_from_cam.cpu(), **path_settings(options))
        cameras = move_to(cameras, torch.device(options.device))
    elif options.source_cameras:
        cameras = source_path(depth, options.camera_smoothing, options.camera_smoothed)
        cameras = replace(cameras, intrinsics=intrinsics.expand_as(cameras.intrinsics), size=size)
    else:
        moves = parse_moves(options.move or f"preset-{options.preset}")
        cameras = move_path(moves, frames, radius, intrinsics, size, subject)
    cameras = follow(cameras, depth, options.relative, subject, radius)
    return freeze(cameras) if held else cameras


def check_mesh_frames(options, count: int) -> None:
    """Raise ValueError where --mesh names a frame that does not exist."""
    for t in options.mesh:
        if not 0 <= t < count:
            raise ValueError(f"--mesh: there is no frame {t}; the clip has 0..{count - 1}")


def write_prior(out: Path, clip: Clip, prior: Prior, cameras: CameraPath) -> None:
    """Write colour, mask, preview, contact sheet and path into a folder."""
    source = source_frames(clip, cameras)
    prior = move_to(prior, torch.device("cpu"))
    files.write_video(out / "color.mkv", prior.color, clip.fps)
    files.write_video(out / "visible.mkv", prior.visible, clip.fps)
    files.write_video(out / "preview.mp4", plot.stitch(source, prior), clip.fps)
    files.write_path(out / "cameras.json", cameras)
    files.write_path(out / "cameras.npz", cameras)
    files.write_picture(out / SHEET, plot.contact_sheet(source, prior))


def source_frames(clip: Clip, cameras: CameraPath) -> list[torch.Tensor]:
    """The frame of the clip beside every frame of the path."""
    return [fit_frame(clip.frames[t], cameras.size, "pad") for t in cameras.source_frame.tolist()]


def write_guide(options, clip: Clip, prior: Prior, cameras: CameraPath) -> None:
    """Write the guide video, its mask and the frames of the source that go with it into the folder of results."""
    prior = move_to(prior, torch.device("cpu"))
    if doubt := doubt_first_frame(prior, options.guide):
        say(doubt)
    guide = guide_video(prior, options.guide, clip.fps)
    videos = guide.color, guide.paint, accompany(guide, torch.stack(source_frames(clip, cameras)))
    for name, frames in zip(GUIDE, videos):
        files.write_video(options.out / name, frames, guide.fps)
    say(f"guide for {STYLES[options.guide].generator}: {len(guide)} frames of {describe_size(guide.size)} at "
        f"{guide.fps:g} frames per second")


def write_run(options, depth: VideoDepth, cameras: CameraPath, prior: Prior, radius: float,
              seconds: dict[str, float]) -> None:
    """Write run.json: every setting and figure, enough to make the same prior again."""
    settings = {name: value for name, value in vars(options).items() if name != "command"}
    figures = {
        "frames": len(prior), "size": describe_size(cameras.size),
        "engine": raster.choose_engine(options.engine, raster.drawing_device(options.engine, depth.depth.device)),
        "radius": radius, "nearest_depth": depth.nearest,
        "coverage": [round(share, 4) for share in prior.coverage.tolist()],
        "origin": {name: round(share, 4) for name, share in origin_shares(prior, cameras).items()},
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "python": platform.python_version(), "torch": torch.__version__, "machine": platform.platform(),
    }
    with written_whole(options.out / RUN) as part:
        part.write_text(json.dumps({"settings": settings, "figures": figures}, indent=2, default=str) + "\n")
