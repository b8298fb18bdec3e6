"""A table of ablations from nothing on a CPU: tiny models without weights, procedural clips. `make demo-ablations`.

Usage: python -m headless.demo_ablations FOLDER
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

import torch

from ex4d_ops import cli, files
from ex4d_ops.ablations.rows import Backbone, make_table
from ex4d_ops.ablations.settings import Table, read_rows
from ex4d_ops.bases import build_base
from ex4d_ops.scene import FPS, sample_clip
from ex4d_ops.training import TrainingRules
from ex4d_ops.wan import open_comfyui

from .tiny_wan import decode_video, draw_tiny_cogvideox, draw_tiny_wan, tiny_encoders

ROWS = Path(__file__).parents[1] / "example_configs" / "ablations"
LEARNED, SHOWN = ("garden", "street", "gallery"), ("colonnade", "gallery")  # scenes to train on, and to sample
FRAMES, SIZE = 9, (96, 96)
RULES = TrainingRules(steps=300, batch=2, learning_rate=3e-3, hidden_channels=64, recompute=False, save_every=300,
                      tensorboard=False)
NOTE = ("A toy: models of 3 blocks with random weights, clips of 9 frames of 96 x 96, 300 steps. It shows that every "
        "row can be trained, sampled and measured, and nothing of what the rows are worth.")


def build(draw) -> torch.nn.Module:
    return build_base(draw(), torch.float32)


def film(folder: Path, seed: int) -> None:
    """Put a clip of each scene, and its exact depth beside it, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for scene in LEARNED:
        if not (folder / f"{scene}.npz").exists():
            frames, depth = sample_clip(scene, FRAMES, SIZE, seed)
            files.write_video(folder / f"{scene}.mkv", frames, FPS)
            files.write_depth(folder / f"{scene}.npz", depth)


def main(folder: Path) -> int:
    torch.set_num_threads(1)  # so small layers are no work for two
    open_comfyui()
    began = time.monotonic()
    film(folder / "videos", seed=1)
    failed = cli.main(["evaluate", "plan", "--scenes", ",".join(SHOWN), "--ranges", "30", "--methods", "ex-4d",
                       "--frames", str(FRAMES), "--size", f"{SIZE[1]}x{SIZE[0]}", "--out", str(folder / "runs")])
    backbones = {name: Backbone(partial(build, draw), tiny_encoders, lambda: decode_video)
                 for name, draw in (("wan", draw_tiny_wan), ("cogvideox", draw_tiny_cogvideox))}
    table = Table(ROWS, folder / "videos", folder / "runs", folder / "table", sampling_steps=20, note=NOTE, rules=RULES)
    print(make_table(read_rows(ROWS), table, backbones, workers=2, cpu=True, report=print))
    print(f"{folder}: {time.monotonic() - began:.0f} seconds")
    return failed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
