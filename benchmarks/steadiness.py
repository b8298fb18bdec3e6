"""How steady depth is before and after alignment, and what it costs: python benchmarks/steadiness.py [--frames T]

On the procedural scenes, whose exact depth is known. Each frame's disparity gets a scale and a shift of its own (log
deviation 0.1, and 0.1 of the mean), as models return it that look at every frame alone. Times are of this machine with
the threads that torch takes; estimators run on random weights of the public sizes, which take the time of real ones.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from one_clip import MB, resident
from torch import Tensor

from ex4d_ops.estimators.clip_depth import ClipRules, estimate_clip_depth
from ex4d_ops.estimators.estimate import Estimate, place_on
from ex4d_ops.estimators.flying_pixels import land_flying_pixels
from ex4d_ops.estimators.parallax import estimate_parallax
from ex4d_ops.estimators.source_camera import track_source_camera
from ex4d_ops.estimators.steadiness import SteadyRules, align, find_cuts, steady, warped_errors
from ex4d_ops.estimators.video_depth_anything import VideoDepthAnything
from ex4d_ops.scene import SCENES, sample_clip

SIZE = (256, 256)
NOISE = 0.1
SMALL = (384, 12, 1370, (48, 96, 192, 384), 64)  # Video-Depth-Anything-Small


def jittered(disparity: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    scales, shifts = (NOISE * torch.randn(len(disparity), 1, 1, generator=generator) for _ in range(2))
    return disparity * scales.exp() + disparity.nanmean() * shifts


def jitter(disparity: Tensor, truth: Tensor) -> float:
    """Mean change of the error from frame to frame, relative to the truth."""
    return float((disparity - truth).diff(dim=0).abs().nanmean() / truth.nanmean())


def error(disparity: Tensor, truth: Tensor) -> float:
    return float((disparity - truth).abs().nanmean() / truth.nanmean())


def timed(work: Callable, frames: int) -> tuple[object, float]:
    """What work() returns, and its milliseconds per frame."""
    begin = time.perf_counter()
    result = work()
    return result, (time.perf_counter() - begin) / frames * 1e3


def compare_scenes(frames: int) -> None:
    print("| scene | warped-depth error | after | of exact depth | jitter | after | error | after |")
    print("|---|---|---|---|---|---|---|---|")
    for name in SCENES:
        clip, depth = sample_clip(name, frames, SIZE)
        truth = (1 / depth.depth).masked_fill(depth.depth.isinf(), torch.nan)
        noisy = jittered(truth, seed=1)
        scale, shift = align(clip, noisy, "scale and shift", depth.intrinsics[0]).T[..., None, None]
        aligned = noisy * scale + shift
        row = [*warped_errors(clip, noisy, aligned, truth),
               *(jitter(values, truth) for values in (noisy, aligned)),
               *(error(values, truth) for values in (noisy, aligned))]
        print(f"| {name} | " + " | ".join(f"{value:.2%}" for value in row) + " |", flush=True)


def compare_times(frames: int) -> None:
    clip, depth = sample_clip("colonnade", frames, SIZE)
    truth = (1 / depth.depth).masked_fill(depth.depth.isinf(), torch.nan)
    lens = depth.intrinsics[0]
    with torch.device("meta"):
        network = VideoDepthAnything(*SMALL)
    network = network.to_empty(device="cpu").requires_grad_(False)
    for parameter in network.parameters():
        parameter.normal_(std=0.02)
    place = place_on(torch.device("cpu"))
    works = {
        "finding cuts": lambda: find_cuts(clip),
        "alignment": lambda: align(clip, truth, "scale and shift", lens),
        "smoothing, 1 frame each way": lambda: steady(clip, truth, SteadyRules("none", 1)),
        "landing flying pixels": lambda: land_flying_pixels(truth.nan_to_num(0.0)),
        "source camera": lambda: track_source_camera(clip, depth),
        "parallax": lambda: estimate_parallax(clip, lens),
        "Video-Depth-Anything-Small at 252": lambda: network.estimate(clip, place, 252),
        "Video-Depth-Anything-Small at 518": lambda: network.estimate(clip, place, 518),
    }
    print("\n| step | ms per frame |\n|---|---|")
    for name, work in works.items():
        print(f"| {name} | {timed(work, frames)[1]:.0f} |", flush=True)


def make_steady(length: int, side: int) -> None:
    """Make a clip of so many square frames steady, and print a row of what it took."""
    clip, depth = sample_clip("street", 30, (side, side))
    index = torch.arange(length) % 58
    index = torch.minimum(index, 58 - index)  # to and fro, so that nothing cuts
    frames, truth = clip[index], depth.depth[index]
    rules = ClipRules(alignment="scale and shift", smoothing=1, landing=2)

    def make(count: int) -> None:
        estimate_clip_depth(frames[:count], lambda shot, _: Estimate(1 / truth[:count][shot], "disparity"), True, rules)

    make(3)  # what is loaded once is no matter of length
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    _, milliseconds = timed(lambda: make(length), length)
    more = resident("VmHWM") - before
    row = f"{length} | {side}x{side} | {more / MB:.0f} | {more / truth.nbytes:.1f} | {milliseconds:.0f}"
    print(f"| {row} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=33, help="number of frames (default: 33)")
    parser.add_argument("--steady", type=int, metavar="T", help="steady only this many frames, for the row on memory")
    parser.add_argument("--side", type=int, default=64, help="side of those frames in pixels (default: 64)")
    options = parser.parse_args()
    if options.steady:
        make_steady(options.steady, options.side)
        sys.exit()
    print(f"{options.frames} frames of {SIZE[1]}x{SIZE[0]}, {torch.get_num_threads()} threads, {platform.machine()}\n")
    compare_scenes(options.frames)
    compare_times(options.frames)
    print("\n| frames | size | peak memory beyond the clip's, MB | as often as its depth | ms per frame |\n"
          "|---|---|---|---|---|", flush=True)
    for length, side in ((50, 64), (200, 64), (1000, 64), (300, 256)):  # in a process each, whose peak is its own
        subprocess.run([sys.executable, __file__, "--steady", str(length), "--side", str(side)], check=True)
