"""Video-Depth-Anything here, and its authors' program beside it: python benchmarks/estimator.py CLONE

CLONE is a clone of github.com/DepthAnything/Video-Depth-Anything, whose program takes easydict and opencv-python. Both
get the same random weights of the public Small size and the same clip, and take turns; --also times ours in other ways.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from report import describe_machine, publish, table
from torch import Tensor

from ex4d_ops.estimators.estimate import place_on
from ex4d_ops.estimators.video_depth_anything import VideoDepthAnything
from ex4d_ops.scene import sample_clip

SMALL = (384, 12, 1370, (48, 96, 192, 384), 64)
SIZE = (288, 512)


def open_theirs(clone: Path) -> torch.nn.Module:
    """Their Small network, of random weights."""
    sys.path.insert(0, str(clone))
    from video_depth_anything.video_depth import VideoDepthAnything as Theirs

    torch.manual_seed(0)
    network = Theirs("vits", features=64, out_channels=[48, 96, 192, 384]).eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    torch.nn.init.constant_(network.head.scratch.output_conv2[2].bias, 1.0)  # or most of it is cut off at 0
    return network


def open_ours(theirs: torch.nn.Module) -> VideoDepthAnything:
    with torch.device("meta"):
        network = VideoDepthAnything(*SMALL)
    network.load_state_dict({name: theirs.state_dict()[name] for name in network.state_dict()}, assign=True)
    return network.eval()


def seconds_of(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone", type=Path)
    parser.add_argument("--frames", type=int, default=32, help="(default: 32)")
    parser.add_argument("--resolution", type=int, default=518, help="of the shorter side, in pixels (default: 518)")
    parser.add_argument("--turns", type=int, default=2, help="of each (default: 2)")
    parser.add_argument("--device", default="cpu", help="of both (default: cpu)")
    parser.add_argument("--also", action="store_true", help="time theirs with autocast, ours in other ways")
    options = parser.parse_args()
    clip, _ = sample_clip("colonnade", options.frames, SIZE)
    theirs = open_theirs(options.clone)
    ours, place = open_ours(theirs), place_on(torch.device(options.device))
    theirs.to(options.device)
    pictures = (clip * 255).round().byte().numpy()

    def run_theirs(fp32: bool = True) -> Tensor:
        found, _ = theirs.infer_video_depth(pictures, 15, options.resolution, options.device, fp32=fp32)
        return torch.from_numpy(found)

    def run_ours() -> Tensor:
        return ours.estimate(torch.from_numpy(pictures) / 255, place, options.resolution).values

    def run_in(memory_format: torch.memory_format, dtype: torch.dtype) -> Tensor:
        changed = open_ours(theirs).to(dtype=dtype, memory_format=memory_format)
        changed.head.scratch["output_conv2"].float()
        return changed.estimate(torch.from_numpy(pictures) / 255, place, options.resolution).values

    ways: dict[str, Callable[[], Tensor]] = {"theirs": run_theirs, "ours": run_ours}
    if options.also:
        ways["theirs, autocast"] = lambda: run_theirs(False)
        ways["ours, channels last"] = lambda: run_in(torch.channels_last, torch.float32)
        ways["ours, bfloat16"] = lambda: run_in(torch.contiguous_format, torch.bfloat16)
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.turns):
        for name, work in ways.items():
            spent[name].append(seconds_of(work) / options.frames * 1e3)
    wanted = run_theirs()
    rows = [[name, f"{min(times):.0f}", f"{min(times) / min(spent['theirs']):.2f}",
             f"{float((ways[name]() - wanted).abs().max() / wanted.max()):.1e}"] for name, times in spent.items()]
    what = (f"{options.frames} frames of {SIZE[1]}x{SIZE[0]}, seen at {options.resolution}, the fastest of "
            f"{options.turns}")
    publish("estimator", f"{what}\n\n{table(['program', 'ms per frame', 'of theirs', 'unlike theirs'], rows)}\n\n"
            f"{describe_machine(['numpy', 'opencv-python'])}", spent)


if __name__ == "__main__":
    main()
