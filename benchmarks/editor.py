"""How long the camera editor's server takes: one picture of 384x384, all of a path's coverage, keeping a scene.

    COMFYUI_PATH=... python benchmarks/editor.py [--frames 49] [--size 384]

In process, without HTTP: what the routes do in their threads.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from report import describe_machine, publish, table

PACK = Path(__file__).resolve().parents[1]
KEYS = '[{"frame": 0}, {"time": 0.5, "yaw": 35, "pitch": 8, "ease": "ease-in-out"}, {"time": 1, "yaw": -25}]'


def import_nodes(comfyui: str):
    """The pack as ComfyUI imports it, on the CPU, with a user folder of its own."""
    sys.path.insert(0, comfyui)
    import comfy.cli_args

    comfy.cli_args.args.cpu = True
    import folder_paths

    folder_paths.set_user_directory(tempfile.mkdtemp(prefix="ex4d-editor-"))
    spec = importlib.util.spec_from_file_location("comfyui_ex4d", PACK / "__init__.py")
    assert spec and spec.loader
    package = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    asyncio.run(package.comfy_entrypoint())
    return package


def measure(work: Callable[[int], object], count: int) -> list[float]:
    """Milliseconds of every call, after one that is not counted."""
    work(0)
    times = []
    for k in range(count):
        begun = time.perf_counter()
        work(k)
        times.append((time.perf_counter() - begun) * 1e3)
    return times


def describe(times: list[float]) -> list[str]:
    ordered = sorted(times)
    return [f"{statistics.median(ordered):.1f}", f"{ordered[int(0.95 * (len(ordered) - 1))]:.1f}", str(len(ordered))]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--frames", type=int, default=49)
    options.add_argument("--size", type=int, default=384)
    chosen = options.parse_args()
    import_nodes(os.environ["COMFYUI_PATH"])
    from comfyui_ex4d.ex4d_ops.mesh import build_dw_mesh
    from comfyui_ex4d.ex4d_ops.scene import sample_clip
    from comfyui_ex4d.nodes import kept_scenes, preview
    from comfyui_ex4d.nodes.preview_requests import read_settings

    images, depth = sample_clip("gallery", chosen.frames, (chosen.size, chosen.size))
    mesh = build_dw_mesh(images, depth)
    begun = time.perf_counter()
    key = kept_scenes.keep_scene(mesh)
    keeping = (time.perf_counter() - begun) * 1e3

    def ask(route: str, **fields) -> object:
        """What the desk of a route does, and the wait for it."""
        more, _, work, desk = preview.OF_PATHS[route]
        asked = read_settings({"scene": key, "editor": "a", "keyframes": KEYS, "frames": chosen.frames} | fields, more)
        return asyncio.run(desk.ask((route, "a"), lambda: work(asked)))

    side, count = chosen.size, chosen.frames
    timed = {f"one picture, {side} x {side}": measure(lambda k: ask("picture", frame=k % count), 100),
             f"coverage of {chosen.frames} frames": measure(lambda k: ask("coverage"), 8),
             "moments of the path": measure(lambda k: ask("path"), 30), "keeping the scene": [keeping]}
    rows = [[name, *describe(times)] for name, times in timed.items()]
    page = ["# The camera editor's server", "", table(["what", "median ms", "95 % ms", "times"], rows), "",
            describe_machine(["warp-lang", "pillow", "safetensors"])]
    publish("editor", "\n".join(page), timed)


if __name__ == "__main__":
    main()
