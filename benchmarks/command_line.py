"""What a user of the command line waits for, and the memory of the whole process.

    python benchmarks/command_line.py [--clip input.mp4 --depth depth.npz]

`ex4d prior` with everything written, beside `python -c "import torch"` in the same run; the same clip four times as
long, to and fro; many small frames; `ex4d --help` beside an empty interpreter. Without --clip the clip is a procedural
scene. Leaves the table in results/command_line.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from report import describe_machine, publish, table

from ex4d_ops import files
from ex4d_ops.clip import resize_frame
from ex4d_ops.depth import resize_depth
from ex4d_ops.scene import FPS, sample_clip

FRAMES, LONGER, MANY = 49, 197, 1001  # 4k+1, as Wan needs
SIDE, SMALL_SIDE = 512, 256
FILMED_SIZE = (256, 256)  # then enlarged; filming takes long
RUNS = 3
MB = 1000  # KB, in which the system counts
# A small process between, for the peak of one counts from that of the process which begins it.
WATCH = """
import os, subprocess, sys, time
begun = time.perf_counter()
process = subprocess.Popen([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
if status:
    sys.exit(f"{sys.argv[1:]} failed")
print([time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss])
"""
NOTES = """\
Whole processes, from start to end, the median of {runs} runs and their largest peak. Longer clips are the same frames
to and fro, H.264 with depth in a compressed npz file of float16. CPU is the time of all cores together, which depends
less on what else the machine does."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, help="video of at least 49 frames of 512x512 (default: a procedural one)")
    parser.add_argument("--depth", type=Path, help="its depth, z in scene units")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        film(folder, options.clip, options.depth)
        runs = {"empty interpreter": ["-c", ""], "`ex4d --help`": ["-m", "ex4d_ops", "--help"],
                "`import torch`": ["-c", "import torch"]}
        for frames, side in ((FRAMES, SIDE), (LONGER, SIDE), (MANY, SMALL_SIDE)):
            name = f"{frames}x{side}"
            runs[f"`ex4d prior`, {frames} frames of {side}x{side}"] = [
                "-m", "ex4d_ops", "prior", str(folder / f"{name}.mp4"), "--depth", str(folder / f"{name}.npz"),
                "--preset", "90", "--frames", str(frames), "--out", str(folder / "out")]
        measured = {name: measure(command, RUNS) for name, command in runs.items()}
    publish("command_line", describe(measured), measured)


def film(folder: Path, clip: Path | None, depth_file: Path | None) -> None:
    """The clips and their depth, NAME.mp4 and NAME.npz."""
    if clip is None or depth_file is None:
        frames, depth = sample_clip("street", FRAMES, FILMED_SIZE)
    else:
        frames, depth = files.read_video(clip, 0, FRAMES).frames, files.read_depth(depth_file, None, 0, FRAMES)
    for count, side in ((FRAMES, SIDE), (LONGER, SIDE), (MANY, SMALL_SIDE)):
        there = list(range(FRAMES))
        order = [(there + there[-2:0:-1])[t % (2 * FRAMES - 2)] for t in range(count)]
        sized = resize_depth(depth, (side, side)).depth.numpy().astype(np.float16)
        files.write_video(folder / f"{count}x{side}.mp4",
                          (resize_frame(frames[t], (side, side)) for t in order), FPS)
        np.savez_compressed(folder / f"{count}x{side}.npz", depth=sized[order])


def measure(command: list[str], runs: int) -> dict[str, float]:
    """Seconds, seconds of CPU and peak memory in MB of a process of this interpreter."""
    seconds, cpu, peaks = zip(*(json.loads(subprocess.check_output([sys.executable, "-S", "-c", WATCH, *command]))
                                for _ in range(runs)))
    return {"seconds": statistics.median(seconds), "cpu_seconds": statistics.median(cpu), "peak_mb": max(peaks) / MB}


def describe(measured: dict[str, dict[str, float]]) -> str:
    """The table, and what must be reached."""
    empty, helped, torch_alone, prior, longer, many = measured.values()
    rows = [[name, f"{run['seconds']:.2f}", f"{run['cpu_seconds']:.2f}", f"{run['peak_mb']:.0f}"]
            for name, run in measured.items()]
    goals = [("`ex4d --help` at most 15 times an empty interpreter", helped["seconds"] / empty["seconds"], 15),
             ("and at most 60 MB", helped["peak_mb"], 60),
             ("`ex4d prior` at most 2.5 times `import torch`", prior["seconds"] / torch_alone["seconds"], 2.5),
             ("its peak at most 900 MB", prior["peak_mb"], 900),
             ("four times the frames at most 4.2 times the time", longer["seconds"] / prior["seconds"], 4.2),
             ("and 1.1 times the memory", longer["peak_mb"] / prior["peak_mb"], 1.1),
             (f"{MANY} frames of {SMALL_SIDE}x{SMALL_SIDE} at most 900 MB", many["peak_mb"], 900)]
    reached = "\n".join(f"- [{'x' if value <= most else ' '}] {goal}: {value:.3g}" for goal, value, most in goals)
    machine = describe_machine(["warp-lang", "av"])
    return "\n\n".join([table(["whole process", "seconds", "seconds of CPU", "peak MB"], rows), reached, machine,
                        NOTES.format(runs=RUNS)])


if __name__ == "__main__":
    main()
