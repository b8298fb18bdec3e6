"""`ex4d evaluate ablations`: the paper's table of ablations, trained, sampled and measured."""

from __future__ import annotations

import os
from pathlib import Path

from .terminal import add_command, check_exists, say

EPILOG = """\
examples:
  ex4d evaluate plan clips/ --out runs --ranges 30,60,90 --methods ex-4d
  ex4d evaluate ablations example_configs/ablations-14b.yaml

The YAML file names your video model with its encoders, the videos to train on, the planned runs, and a folder with a
YAML file per row of the table. See example_configs/.

files in the folder out:
  table.md              a row per ablation, a column per measure
  ROW/                  the training of each row, as ex4d train writes it
  prepared/             the clips to train on; rows that hide the same share them
The videos are written as RUNS/CLIP/RANGE/ROW/result.mkv; see them side by side with ex4d evaluate RUNS --out report.
"""


def add_ablations_command(commands) -> None:
    parser = add_command(commands, "evaluate ablations", make_ablations,
                         "Train, sample and compare the rows of an ablation table.", EPILOG)
    parser.add_argument("config", type=Path, help="YAML file, e.g. example_configs/ablations-14b.yaml")


def make_ablations(options) -> None:
    check_exists(options.config)
    from ..ablations.rows import make_table, open_backbones
    from ..ablations.settings import read_rows, read_table
    from ..wan import open_comfyui

    table = read_table(options.config)
    rows = read_rows(table.rows)
    open_comfyui(table.comfyui)
    print(make_table(rows, table, open_backbones(table), workers=os.cpu_count() or 1, report=say))
