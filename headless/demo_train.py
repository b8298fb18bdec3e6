"""Training from nothing on a CPU: films scenes, hides parts of them, trains a tiny adapter. `make demo-train` runs it.

Usage: python -m headless.demo_train FOLDER
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch

from ex4d_ops import cli, files
from ex4d_ops.preparation import Recipe, list_sources, prepare
from ex4d_ops.scene import FPS, sample_clip

from .tiny_wan import draw_tiny_wan, tiny_encoders

SCENES = ("gallery", "colonnade")
FRAMES, SIZE = 9, (64, 64)
CONFIG = Path(__file__).parents[1] / "example_configs" / "train-demo.yaml"


def film(folder: Path) -> None:
    """Put a clip of each scene, and its exact depth beside it, into a folder."""
    folder.mkdir(parents=True)
    for scene in SCENES:
        frames, depth = sample_clip(scene, FRAMES, SIZE)
        files.write_video(folder / f"{scene}.mkv", frames, FPS)
        files.write_depth(folder / f"{scene}.npz", depth)


def main(folder: Path) -> int:
    from safetensors.torch import save_file

    torch.set_num_threads(1)  # so small layers are no work for two
    shutil.rmtree(folder, ignore_errors=True)
    film(folder / "videos")
    prepare(list_sources(folder / "videos"), Recipe(FRAMES, SIZE), folder / "prepared", make_encoders=tiny_encoders)
    save_file(draw_tiny_wan(), folder / "wan.safetensors")
    shutil.copy(CONFIG, folder)
    return cli.main(["train", str(folder / CONFIG.name)])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
