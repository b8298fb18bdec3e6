"""`make demo`: a camera move through a sample clip, headless in ComfyUI where it stands, else by the library alone."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch

from ex4d_ops import cli

from .server import PACK, serve

FIRST_EXAMPLE = "01_*.json"


def main(comfyui: Path, out: Path) -> None:
    """Make the demo video in a folder and say where it is. comfyui: where ComfyUI stands, or doesn't."""
    begin = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    if (comfyui / "main.py").is_file():
        videos = run_in_comfyui(comfyui, find_example(), out)
    else:
        videos = run_library(comfyui, out)
    print(f"== Demo: done in {time.monotonic() - begin:.0f} s; it made", *videos, sep="\n   ")


def find_example() -> Path:
    """The first example workflow. Ends the program where there is none."""
    found = sorted((PACK / "example_workflows" / "api").glob(FIRST_EXAMPLE))
    if not found:
        sys.exit(f"demo: there is no example_workflows/api/{FIRST_EXAMPLE}; check out the whole repository")
    return found[0]


def run_in_comfyui(comfyui: Path, example: Path, out: Path) -> list[Path]:
    """The videos of an example workflow, by a ComfyUI server of its own folder."""
    flags = [] if torch.cuda.is_available() else ["--cpu"]
    print(f"== Demo: {example.name} in ComfyUI at {comfyui}, headless{' and on the CPU' if flags else ''}", flush=True)
    with serve(comfyui, out / "comfyui", flags) as server:
        print(f"== Demo: the server is up at {server.url}; the workflow takes a minute or two on a CPU", flush=True)
        return server.files(server.run(json.loads(example.read_text(encoding="utf-8")), seconds=3600))


def run_library(comfyui: Path, out: Path) -> list[Path]:
    """A prior and its preview, by the commands `ex4d sample` and `ex4d prior`."""
    print(f"== Demo: there is no ComfyUI at {comfyui}; the library makes a prior without it", flush=True)
    clip, depth, prior = (str(out / "library" / name) for name in ("clip.mkv", "depth.npz", "prior"))
    for command in (["sample", str(out / "library")],
                    ["prior", clip, "--depth", depth, "--move", "orbit:yaw=45,pitch=10", "--out", prior]):
        print("== ex4d", *command, flush=True)
        if code := cli.main(command):
            sys.exit(code)
    return [Path(prior) / "preview.mp4"]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
