"""How fast `ex4d prepare` is and what it holds in memory: clips a minute and core, memory over the number of clips.

    python benchmarks/prepare.py --clips 24

Procedural clips at 512x512, 49 frames, H.264, with depth in npz files. Wall time depends on what else the machine does;
the seconds of CPU per clip, counted over all processes of the run, hardly do.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil
import torch

from ex4d_ops import files
from ex4d_ops.clip import resize_frame
from ex4d_ops.dataset import read_state
from ex4d_ops.depth import VideoDepth, resize_depth
from ex4d_ops.scene import FPS, sample_clip

FRAMES = 49
FILMED_SIZE = (256, 256)  # then enlarged; filming takes longer than preparing
DIFFERENT = 6  # clips; the others are links to them
SAMPLE_SECONDS = 0.2


def film(folder: Path, clips: int, size: tuple[int, int]) -> None:
    """So many videos and their depth."""
    small, depth = sample_clip("street", FRAMES + DIFFERENT - 1, FILMED_SIZE)
    frames = torch.stack([resize_frame(frame, size) for frame in small])
    depth = resize_depth(depth, size)
    for k in range(clips):
        video, deep = folder / f"{k:04}.mp4", folder / f"{k:04}.npz"
        if k < DIFFERENT:
            span = slice(k, k + FRAMES)
            files.write_video(video, frames[span], FPS)
            files.write_depth(deep, cut(depth, span))
        else:
            video.symlink_to(folder / f"{k % DIFFERENT:04}.mp4")
            deep.symlink_to(folder / f"{k % DIFFERENT:04}.npz")


def cut(depth: VideoDepth, span: slice) -> VideoDepth:
    still = torch.eye(4).expand(FRAMES, 4, 4)
    return replace(depth, depth=depth.depth[span], intrinsics=depth.intrinsics[span], world_from_cam=still)


def watch(run: subprocess.Popen, out: Path) -> list[tuple[float, int, float, float]]:
    """Until a run ends: (seconds, clips done, MiB held by its processes, seconds of CPU they used)."""
    seen, begin, root = [], time.monotonic(), psutil.Process(run.pid)
    while run.poll() is None:
        memory = cpu = 0.0
        for process in [root, *root.children(recursive=True)]:
            try:
                memory += process.memory_info().rss / 2**20
                cpu += sum(process.cpu_times()[:2])
            except psutil.NoSuchProcess:
                continue
        seen.append((time.monotonic() - begin, len(read_state(out).done) if out.exists() else 0, memory, cpu))
        time.sleep(SAMPLE_SECONDS)
    return seen


def describe(seen: list[tuple[float, int, float, float]], clips: int, workers: int) -> str:
    """The figures, from the first clip on: before it, Python and the kernels are loaded."""
    first = next(sample for sample in seen if sample[1] > 0)
    last = next(sample for sample in seen if sample[1] >= clips - 1)
    made = last[1] - first[1]
    lines = [f"{60 * made / (last[0] - first[0]) / workers:.1f} clips a minute and worker (wall), "
             f"{60 * made / (last[3] - first[3]):.1f} a minute of one core's time"]
    for share in (0.25, 0.5, 0.75, 1.0):
        until = [sample[2] for sample in seen if share - 0.25 <= sample[1] / clips <= share]
        lines.append(f"  after {share:.0%} of {clips} clips: peak {max(until):.0f} MiB")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=24, help="number of clips to prepare (default: 24)")
    parser.add_argument("--workers", type=int, default=1, help="number of clips prepared at once (default: 1)")
    parser.add_argument("--side", type=int, default=512, help="side of the pictures in pixels (default: 512)")
    parser.add_argument("options", nargs="*", help="more options of ex4d prepare, after --")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        videos, out = Path(folder) / "videos", Path(folder) / "out"
        videos.mkdir()
        film(videos, options.clips, (options.side, options.side))
        run = subprocess.Popen([sys.executable, "-m", "ex4d_ops", "prepare", str(videos), "--out", str(out), "--size",
                                f"{options.side}x{options.side}", "--workers", str(options.workers), *options.options])
        seen = watch(run, out)
        print(describe(seen, options.clips, options.workers))


if __name__ == "__main__":
    main()
