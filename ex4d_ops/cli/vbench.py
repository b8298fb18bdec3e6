"""`ex4d evaluate vbench`: VBench's view of generated videos, from an environment of its own."""

from __future__ import annotations

from pathlib import Path

from ..evaluation.measures import MEASURES, VBENCH
from ..evaluation.runs import list_runs
from .terminal import add_command, parse_device, say

DIMENSIONS = "\n".join(f"  {measure.title:24}{measure.text.removeprefix('VBench: ')}"
                       for name, measure in MEASURES.items() if name.startswith(VBENCH))
EPILOG = f"""\
examples:
  ex4d evaluate vbench runs/ --out report --environment vbench --set-up
  ex4d evaluate vbench runs/ --out report --environment vbench --device cuda
  ex4d evaluate runs/ --out report

dimensions (higher is better):
{DIMENSIONS}

What VBench pins clashes with ComfyUI, so it lives in an environment of its own. --set-up makes it with pip (Python 3.11
or older) and lets VBench download the weights it lacks, 1.6 GB in all, to its cache ($VBENCH_CACHE_DIR, or else
~/.cache/vbench). Without --set-up nothing is downloaded: dimensions whose weights are missing are left out, and named.
The figures are kept in report/parts, and ex4d evaluate puts them into its tables.
"""


def add_vbench_command(commands) -> None:
    parser = add_command(commands, "evaluate vbench", ask_vbench, "Let VBench judge generated videos.", EPILOG)
    parser.add_argument("runs", type=Path, metavar="RUNS", help="folder of runs, or CSV file, as for ex4d evaluate")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--environment", type=Path, required=True, metavar="DIR",
                        help="folder of the Python environment that VBench is installed in")
    parser.add_argument("--set-up", action="store_true",
                        help="make the environment if it is not there, and let VBench download the weights that it "
                        "lacks")
    parser.add_argument("--device", type=parse_device, default="cpu",
                        help="device to compute on, e.g. cuda (default: cpu)")


def ask_vbench(options) -> None:
    runs, _ = list_runs(options.runs)

    from ..evaluation.all_runs import PARTS
    from ..evaluation.vbench import python_of, run_vbench, set_up

    if options.set_up and not python_of(options.environment).exists():
        set_up(options.environment, say)
    parts = options.out / PARTS
    for remark in run_vbench(runs, options.environment, parts, options.device, options.set_up, say):
        say(remark)
    print(f"{parts}: has what VBench says of {len(runs)} videos; now run: ex4d evaluate {options.runs} --out "
          f"{options.out}")
