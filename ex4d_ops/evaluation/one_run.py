"""One video measured: per frame and on average."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from .. import files
from ..camera import CameraPath
from ..clip import Clip, fit_frame, resize_frame, size_of
from ..depth import fit_depth, match_depth
from ..files.whole import written_whole
from ..mesh import build_dw_mesh
from .agreement import Reference, compare_frame, misplacement, seams, unsteadiness
from .cameras import camera_errors, find_path
from .measures import MEASURES
from .runs import COLOR, VISIBLE, Run

Differing = Literal["skip", "use", "stop"]  # what to do with videos that are not as planned
SAME_RATE = 0.01  # share by which frame rates may differ
DIGITS = 6  # of what is kept
PREVIEW_SIDE = 240  # pixels of the longer side
PERCENT = 100.0
Figures = dict[str, list[float | None]]  # of every measure, one per frame


@dataclass(frozen=True, eq=False)
class Given:
    """What a run's video is compared with, all of one length and size."""

    video: Tensor
    reference: Reference
    cameras: CameraPath
    fps: float


@torch.no_grad()
def measure_run(run: Run, differing: Differing, out: Path, fingerprint: str) -> str:
    """Measure a run's video, and write its figures, or why there are none, and a small copy of it. Returns its key.

    Raises ValueError where it is not as planned and differing is "stop".
    """
    entry: dict = {"method": run.method, "clip": run.clip, "range": run.range, "fingerprint": fingerprint}
    try:
        given, notes = read_given(run, differing)
        frames = measure_frames(given)
        frames |= measure_cameras(run, given)
    except (ValueError, OSError) as error:
        if differing == "stop":
            raise ValueError(f"{run.name}: {error}") from None
        entry["skipped"] = str(error)
    else:
        entry |= {"notes": notes, "fps": given.fps, "size": list(size_of(given.video)), "frames": {
            name: [round_figure(value) for value in values] for name, values in frames.items()}}
        write_preview(out / f"{run.key}.mp4", given.video, given.fps)
    with written_whole(out / f"{run.key}.json") as part:
        part.write_text(json.dumps(entry))
    return run.key


def round_figure(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def read_given(run: Run, differing: Differing) -> tuple[Given, list[str]]:
    """What a run's video is compared with, and in which ways it is not as planned.

    Raises ValueError where it differs and is not to be used, or a file of it is missing or damaged.
    """
    color, visible = (files.read_video(run.prior / name) for name in (COLOR, VISIBLE))
    cameras = files.read_path(run.cameras, color.size, len(color), world="file")
    video = files.read_video(run.video, 0, len(color) + 1)
    differs = describe_differences(video, color)
    if differs and differing != "use":
        raise ValueError(f"{run.video}: {'; '.join(differs)}; use it all the same with --differing use")
    length = min(len(video), len(color))
    if length < 2:
        raise ValueError(f"{run.video}: has one frame, but 2 or more are needed; give a video")
    shown = torch.stack([fit_frame(frame, color.size, "crop") for frame in video.frames[:length]])
    wanted = color.frames if run.exact is None else files.read_video(run.exact, 0, len(color), color.size).frames
    if len(wanted) < length:
        raise ValueError(f"{run.exact}: has {len(wanted)} frames, but {length} are needed; make it anew")
    reference = Reference(wanted[:length], visible.frames[:length, ..., 0] > 0.5, run.exact is not None)
    path = CameraPath(cameras.cam_from_world[:length], cameras.intrinsics[:length], cameras.size,
                      cameras.source_frame[:length])
    return Given(shown, reference, path, color.fps), differs


def describe_differences(video: Clip, planned: Clip) -> list[str]:
    """In which ways a video is not as planned."""
    differs = []
    if len(video) != len(planned):
        more = "or more" if len(video) > len(planned) else ""
        differs.append(f"has {len(video)} {more} frames, but {len(planned)} are planned".replace("  ", " "))
    if video.size != planned.size:
        (height, width), (high, wide) = video.size, planned.size
        differs.append(f"is {width}x{height}, but {wide}x{high} is planned")
    if abs(video.fps / planned.fps - 1) > SAME_RATE:
        differs.append(f"has {video.fps:g} frames per second, but {planned.fps:g} are planned")
    return differs


def measure_frames(given: Given) -> Figures:
    """What pixels tell, per frame."""
    figures: Figures = {name: [] for name in ("psnr", "ssim", "misplaced", "unsteady", "unsteady_outside", "seams",
                                              "exact_psnr", "exact_ssim")}
    reference = given.reference
    for t, (shown, wanted, seen) in enumerate(zip(given.video, reference.frames, reference.visible)):
        inside = compare_frame(shown, wanted, seen)
        whole = compare_frame(shown, wanted, torch.ones_like(seen)) if reference.exact else dict.fromkeys(inside)
        steady = unsteadiness(given.video, reference, t) if t + 1 < len(given.video) else \
            dict.fromkeys(("inside", "outside"))
        for name, value in {"psnr": inside["psnr"], "ssim": inside["ssim"], "exact_psnr": whole["psnr"],
                            "exact_ssim": whole["ssim"], "unsteady": steady["inside"],
                            "unsteady_outside": steady["outside"],
                            "misplaced": misplacement(shown, wanted, seen),
                            "seams": seams(shown, wanted, seen, reference.exact)}.items():
            figures[name].append(value)
    return figures


def measure_cameras(run: Run, given: Given) -> Figures:
    """How the video follows its path, per frame; nothing where the depth is not known."""
    if run.depth is None:
        return {}
    last = int(given.cameras.source_frame.max()) + 1
    clip = files.read_video(run.source, 0, last)
    depth = files.read_depth(run.depth, None, 0, last, clip=run.source)
    depth = match_depth(clip.frames, fit_depth(depth, clip.size, "stretch"))
    mesh = build_dw_mesh(clip.frames, depth)
    followed = find_path(given.video, mesh, given.cameras)
    errors = camera_errors(followed, given.cameras, depth.nearest)
    scale = {"translation": PERCENT, "found": PERCENT}
    return {name: [None if math.isnan(value) else value for value in (scale.get(name, 1.0) * values).tolist()]
            for name, values in errors.items()}


def write_preview(path: Path, frames: Tensor, fps: float) -> None:
    """Write a small copy that browsers play."""
    size = size_of(frames)
    scale = min(PREVIEW_SIDE / max(size), 1)
    size = (max(round(size[0] * scale), 2), max(round(size[1] * scale), 2))
    files.write_video(path, (resize_frame(frame, size) for frame in frames), fps, "h264")


def summarize(entry: dict) -> dict[str, float]:
    """The mean over the frames of every measure that an entry has figures of, and those of the whole video."""
    known = {name: [value for value in entry["frames"].get(name, []) if value is not None] for name in MEASURES}
    return {name: sum(values) / len(values) for name, values in known.items() if values} | entry.get("whole", {})
