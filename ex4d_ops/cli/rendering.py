"""What `ex4d prior` does: frames are read, drawn along a path and written side by side, one after the other."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from .. import files, plot, raster
from ..background import Background, make_background
from ..camera import CameraPath, fit_intrinsics, move_to
from ..clip import fit_boxes, fit_frame, without_bars
from ..depth import VideoDepth
from ..files.video import quantized
from ..files.whole import sweep, written_whole
from ..generators import STYLES
from ..guide import accompany, choose_moments, doubt_first_frame, guide_video
from ..mesh import DWMesh, MeshRules, build_dw_mesh
from ..motion import add_confidence, find_motion
from ..parallel import in_order
from ..prior import (
    Prior,
    anchor_pictures,
    check_frames_exist,
    draw_single,
    erosion_sizes,
    find_places,
    origin_shares,
    render_prior,
)
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
from .footage import OtherLength, Source, Taken, hold, take
from .options import BACKGROUND_REACH, mesh_rules, path_settings, render_rules
from .stereo_video import STEREO, write_stereo
from .terminal import describe_size, progress_bar, say, timed

RUN = "run.json"  # written last, so that where it is everything is
FILES = {"color": "color.mkv", "visible": "visible.mkv", "preview": "preview.mp4", "sheet": "sheet.png",
         "path": "path.png", "origin": "origin.png"}
GUIDE = ("guide.mkv", "paint.mkv", "source.mkv")


@dataclass(frozen=True, eq=False)
class Shown:
    """An output frame as it is written: source, color [H, W, 3], visible [H, W] uint8; coverage: its share."""

    source: Tensor
    color: Tensor
    visible: Tensor
    coverage: float


@dataclass(frozen=True, eq=False)
class Whole:
    """A clip in memory at once, and what was made of it. frames: [T, H, W, 3] of the clip; prior: on the CPU."""

    frames: Tensor
    mesh: DWMesh
    background: Background | None
    prior: Prior


def render(options) -> None:
    """Make the prior that the options ask for."""
    rules = mesh_rules(options)
    if options.background and rules.hidden_reach is None:
        rules = replace(rules, hidden_reach=BACKGROUND_REACH)
    count = None
    while True:
        try:
            return write_prior(options, rules, count)
        except OtherLength as found:
            count = found.args[0]


def write_prior(options, rules: MeshRules, count: int | None) -> None:
    """Draw every output frame, and write all that is asked for; run.json tells of it. count: as in take."""
    seconds: dict[str, float] = {}
    with timed(seconds, "read"):
        taken = take(options, rules, count)
    subject = read_subject(options, taken)
    radius = options.radius or (automatic_radius(taken.outline) if subject is None else subject.distance)
    cameras = choose_path(options, taken.outline, taken.size, radius, subject)
    check_mesh_frames(options, len(taken))
    check_frames_exist(taken, cameras)
    check_anchors(options, len(cameras))
    if options.guide:
        choose_moments(options.guide, len(cameras), taken.fps)
    begin_folder(options.out)
    whole = None
    if needs_whole(options, cameras):
        whole = draw_whole(options, rules, taken, cameras, seconds)
        shown = show_whole(whole, cameras)
    else:
        shown = draw_each(options, taken, cameras)
    with timed(seconds, "render"), progress_bar("rendering") as progress:
        coverage, kept = write_videos(options, taken, shown, len(cameras), progress)
    if not any(coverage):
        say("the path sees nothing of the clip; if it was made for another scene or in other units, add "
            "--path-world first or --path-scale")
    with timed(seconds, "write"):
        write_pictures(options, taken, cameras, coverage, kept)
        if whole is not None:
            write_more(options, whole, cameras, taken.fps)
    write_run(options, taken, cameras, None if whole is None else whole.prior, coverage, radius, seconds)
    print(f"{options.out}: {len(cameras)} frames of {describe_size(cameras.size)}, "
          f"{sum(coverage) / len(coverage):.0%} seen in the source, took {sum(seconds.values()):.1f} s")


def begin_folder(out: Path) -> None:
    """Make the folder of results, and delete what tells of an earlier run: this one may be stopped half-way.

    Videos and the path stay until new ones take their place.
    """
    out.mkdir(parents=True, exist_ok=True)
    sweep(out)
    for name in (RUN, FILES["sheet"], FILES["path"], FILES["origin"], *GUIDE, *STEREO):
        (out / name).unlink(missing_ok=True)


# ---- drawing ------------------------------------------------------------------------------------


def needs_whole(options, cameras: CameraPath) -> bool:
    """Whether more than one frame of the clip is looked at for one of the prior, or more is made of the prior."""
    return (options.background or options.min_confidence is not None or options.guide is not None
            or options.stereo is not None or bool(options.anchor) or not in_turn(cameras))


def in_turn(cameras: CameraPath) -> bool:
    """Whether a path shows the frames of the clip one after the other, from the first on."""
    shown = cameras.source_frame
    return int(shown[0]) == 0 and bool((shown.diff() >= 0).all())


def draw_each(options, taken: Taken, cameras: CameraPath) -> Generator[Shown, None, None]:
    """The output frames, of which no more are in memory than are drawn at once."""
    rules, device = render_rules(options), taken.outline.depth.device
    place = raster.drawing_device(options.engine, device)
    engine = raster.choose_engine(options.engine, place)
    kernels = erosion_sizes(rules.erosion, rules.seed, len(cameras))
    path, wanted = move_to(cameras, place), cameras.source_frame.tolist()

    def tasks() -> Iterator[tuple[int, Source]]:
        t = 0
        for s, source in enumerate(taken.sources()):
            if s in options.mesh:
                write_mesh(options, source, s)
            while t < len(wanted) and wanted[t] == s:
                yield t, source
                t += 1

    def draw(task: tuple[int, Source]) -> Shown:
        t, source = task
        color, visible = draw_single(move_to(source.mesh, place), path, t, rules, kernels[t], engine)
        return show(source.made[0][0], color, visible)

    return in_order(draw, tasks(), place)


def show(frame: Tensor, color: Tensor, visible: Tensor) -> Shown:
    source = fit_frame(frame, (color.shape[0], color.shape[1]), "pad")
    pictures = [torch.from_numpy(quantized(picture)) for picture in (source, color, visible)]
    return Shown(pictures[0], pictures[1], pictures[2], float(visible[None].float().mean((1, 2))))


def draw_whole(options, rules: MeshRules, taken: Taken, cameras: CameraPath, seconds: dict[str, float]) -> Whole:
    """The prior of a clip that is in memory as a whole."""
    with timed(seconds, "mesh"):
        frames, depth = hold(taken)
        placed = frames.to(depth.depth.device)
        if rules.min_confidence is not None:
            depth = add_confidence(placed, depth)
        mesh = build_dw_mesh(placed, depth, rules)
    background = None
    if options.background:
        with timed(seconds, "background"):
            background = make_background(mesh, read_moving(options, frames, depth))
    with timed(seconds, "draw"), progress_bar("drawing") as progress:
        prior = render_prior(mesh, cameras, render_rules(options), options.engine, progress, background)
    if options.anchor:
        pictures = [files.read_video(path, 0, 1).frames[0] for _, path in options.anchor]
        prior = anchor_pictures(prior, pictures, [frame for frame, _ in options.anchor], options.fit)
    for t in options.mesh:
        files.write_mesh(mesh_file(options, t), mesh, t, options.closed_ring)
    return Whole(frames, mesh, background, move_to(prior, torch.device("cpu")))


def show_whole(whole: Whole, cameras: CameraPath) -> Generator[Shown, None, None]:
    for color, visible, s in zip(whole.prior.color, whole.prior.visible, cameras.source_frame.tolist()):
        yield show(whole.frames[s], color, visible)


def read_moving(options, frames: Tensor, depth: VideoDepth) -> Tensor:
    """What moves, [T, H, W] bool on the device to work on: the masks of --moving, or what is found in the clip."""
    if options.moving is None:
        with progress_bar("finding what moves") as progress:
            return find_motion(frames.to(depth.depth.device), depth, progress)
    return read_masks(options, options.moving, depth).to(depth.depth.device)


def read_masks(options, path: Path, depth: VideoDepth) -> Tensor:
    """Masks of the frames of depth, [T, H, W] bool, white being what they mark; of a single image, one."""
    alone = len(files.read_video(path, 0, 2)) == 1
    masks = files.read_video(path, 0 if alone else options.start + (options.freeze or 0), len(depth)).frames
    return torch.stack([fit_frame(mask, depth.size, without_bars(options.fit)).mean(-1) > 0.5 for mask in masks])


def read_subject(options, taken: Taken) -> Subject | None:
    """What --target or --subject marks in the clip, None without either; a mask per frame takes all of its depth."""
    depth = taken.outline
    if options.subject is not None:
        masks = read_masks(options, options.subject, depth)
        depth = depth if len(masks) == 1 else hold(taken)[1]
        return make_subject(subject_target(masks, depth), options.keep_aim)
    if options.target is None:
        return None
    filmed = files.read_video(options.input, options.start, 1).size
    (rows, columns), _ = fit_boxes(filmed, taken.size, options.fit)  # of which the clip is resampled
    place = [(value - kept.start) * side / (kept.stop - kept.start)
             for value, kept, side in zip(options.target, (columns, rows) * 2, depth.size[::-1] * 2)]
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
        if not math.isfinite(radius):
            raise ValueError("--radius: frame 0 is all sky, so its depth says no distance to turn at; give one, or "
                             "start at a later frame with --start")
        moves = parse_moves(options.move or f"preset-{options.preset}")
        cameras = move_path(moves, frames, radius, intrinsics, size, subject)
    cameras = follow(cameras, depth, options.relative, subject, radius)
    return freeze(cameras) if held else cameras


def check_mesh_frames(options, count: int) -> None:
    """Raise ValueError where --mesh names a frame that does not exist."""
    for t in options.mesh:
        if not 0 <= t < count:
            raise ValueError(f"--mesh: there is no frame {t}; the clip has 0..{count - 1}")


def check_anchors(options, count: int) -> None:
    """Raise ValueError where --anchor names a frame that the result does not have, or one twice."""
    try:
        find_places([frame for frame, _ in options.anchor], len(options.anchor), count)
    except ValueError as error:
        raise ValueError(str(error).replace("frames:", "--anchor:", 1)) from error


def mesh_file(options, t: int) -> Path:
    return options.out / f"mesh_{t:04d}.{options.mesh_format}"


def write_mesh(options, source: Source, t: int) -> None:
    files.write_mesh(mesh_file(options, t), source.mesh, 0, options.closed_ring)


# ---- writing ------------------------------------------------------------------------------------


def write_videos(options, taken: Taken, shown: Generator[Shown, None, None], count: int,
                 progress) -> tuple[list[float], dict[int, Shown]]:
    """Write the videos as their frames come. Returns the visible share of each frame, and those for the sheet."""
    looks = {options.out / FILES[name]: look for name, look in VIDEOS.items() if name in options.only}
    moments, coverage, kept = set(plot.sheet_moments(count)), [], {}

    def noted() -> Iterator[Shown]:
        for t, frame in enumerate(shown):
            coverage.append(frame.coverage)
            if t in moments:
                kept[t] = frame
            yield frame
            progress(t + 1, count)

    with closing(shown):
        files.write_videos(looks, noted(), taken.fps)
    return coverage, kept


def place_side_by_side(frame: Shown) -> Tensor:
    return torch.cat([frame.source, frame.color, frame.visible[..., None].expand_as(frame.color)], 1)


VIDEOS = {"color": lambda frame: frame.color, "visible": lambda frame: frame.visible, "preview": place_side_by_side}


def write_pictures(options, taken: Taken, cameras: CameraPath, coverage: list[float], kept: dict[int, Shown]) -> None:
    """Write the path and the pictures of it, as far as they are asked for."""
    if "cameras" in options.only:
        files.write_path(options.out / "cameras.json", cameras)
        files.write_path(options.out / "cameras.npz", cameras)
    if "sheet" in options.only:
        columns = [(f"frame {t}, {coverage[t]:.0%} seen", (frame.source, frame.color, frame.visible))
                   for t, frame in sorted(kept.items())]
        files.write_picture(options.out / FILES["sheet"], plot.draw_sheet(columns))
    if "path" in options.only:
        files.write_picture(options.out / FILES["path"], plot.plot_path(cameras, taken.outline))


def write_more(options, whole: Whole, cameras: CameraPath, fps: float) -> None:
    """Write what is asked for beside the prior, and made of all of it."""
    if options.guide:
        write_guide(options, whole, cameras, fps)
    if options.stereo:
        write_stereo(options, whole.mesh, cameras, whole.background, fps)
    if whole.prior.origin is not None:
        files.write_picture(options.out / FILES["origin"], plot.origin_sheet(whole.prior, cameras))


def write_guide(options, whole: Whole, cameras: CameraPath, fps: float) -> None:
    """Write the guide video, its mask and the frames of the source that go with it into the folder of results."""
    if doubt := doubt_first_frame(whole.prior, options.guide):
        say(doubt)
    guide = guide_video(whole.prior, options.guide, fps)
    source = torch.stack([fit_frame(whole.frames[t], cameras.size, "pad") for t in cameras.source_frame.tolist()])
    for name, frames in zip(GUIDE, (guide.color, guide.paint, accompany(guide, source))):
        files.write_video(options.out / name, frames, guide.fps)
    say(f"guide for {STYLES[options.guide].generator}: {len(guide)} frames of {describe_size(guide.size)} at "
        f"{guide.fps:g} frames per second")


def write_run(options, taken: Taken, cameras: CameraPath, prior: Prior | None, coverage: list[float], radius: float,
              seconds: dict[str, float]) -> None:
    """Write run.json: every setting and figure, enough to make the same prior again."""
    seen, depth = sum(coverage) / len(coverage), taken.outline
    origin = {"own frame": seen, "other frames": 0.0, "unseen": 1 - seen}
    figures = {
        "frames": len(cameras), "size": describe_size(cameras.size),
        "engine": raster.choose_engine(options.engine, raster.drawing_device(options.engine, depth.depth.device)),
        "radius": radius, "nearest_depth": depth.nearest, "coverage": [round(share, 4) for share in coverage],
        "origin": {name: round(share, 4) for name, share in
                   (origin if prior is None else origin_shares(prior, cameras)).items()},
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "python": platform.python_version(), "torch": torch.__version__, "machine": platform.platform(),
    }
    with written_whole(options.out / RUN) as part:
        part.write_text(json.dumps({"settings": describe_settings(options), "figures": figures}, indent=2) + "\n")


def describe_settings(options) -> dict:
    """The options as json holds them."""
    settings = {name: value for name, value in vars(options).items() if name != "command"}
    return json.loads(json.dumps(settings, default=str))
