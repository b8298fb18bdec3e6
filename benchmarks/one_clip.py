"""One clip from depth to prior in a process of its own: peak memory, then seconds when warm, printed as JSON.

    python benchmarks/one_clip.py FOLDER

FOLDER holds frames.npy [T, H, W, 3] and depth.npy [T, H, W]. Memory is counted from where torch is imported.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import torch

MB = 10**6
RUNS = 3  # after the first, whose peak counts and which warms up


def resident(kind: str) -> int:
    """Bytes of this process in memory: "VmRSS" now, "VmHWM" at most so far."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition(f"{kind}:")[2].split()[0])


def main() -> None:
    # The peak of getrusage includes that of the process which started this one, so the kernel's own is reset.
    Path("/proc/self/clear_refs").write_text("5")
    base = resident("VmRSS")

    import numpy as np

    from ex4d_ops.depth import make_video_depth
    from ex4d_ops.mesh import build_dw_mesh
    from ex4d_ops.prior import render_prior
    from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves

    frames, values = (torch.from_numpy(np.load(Path(sys.argv[1]) / f"{name}.npy")) for name in ("frames", "depth"))
    depth = make_video_depth(values)
    cameras = move_path(parse_moves("orbit:yaw=90"), len(frames), automatic_radius(depth), depth.intrinsics, depth.size)

    def make() -> tuple[float, int]:
        """Seconds it takes, and bytes of what has to be kept: clip, depth, mesh and prior."""
        begun = time.perf_counter()
        mesh = build_dw_mesh(frames, depth)
        prior = render_prior(mesh, cameras)
        seconds = time.perf_counter() - begun
        kept = (frames, depth.depth, mesh.depth, mesh.occluded, prior.color, prior.visible)
        return seconds, sum(tensor.nbytes for tensor in kept)

    _, kept = make()
    peak = resident("VmHWM") - base
    cpu_begun = time.process_time()
    seconds = [make()[0] for _ in range(RUNS)]
    print(json.dumps({"frames": len(frames), "side": depth.size[0], "seconds": statistics.median(seconds),
                      "cpu_seconds": (time.process_time() - cpu_begun) / RUNS, "peak_mb": peak / MB,
                      "kept_mb": kept / MB}))


if __name__ == "__main__":
    main()
