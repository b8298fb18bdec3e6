"""Laws of what the command line says before it works: at once, and without what only work needs."""

import runpy
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from ex4d_ops import tracking
from ex4d_ops.files.path_settings import FORMAT_NAMES
from ex4d_ops.files.paths import FORMATS
from ex4d_ops.rules import SCENE_NAMES, TrackerName
from ex4d_ops.scene import SCENES

PACK = Path(__file__).parents[2]
HEAVY = {"torch", "numpy", "av", "PIL", "cv2", "warp", "matplotlib", "scipy", "tqdm", "yaml", "OpenEXR"}
RUN = """
import sys
from ex4d_ops.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("modules:", *{name.split(".")[0] for name in sys.modules})
"""
PRIOR = ["prior", "clip.mkv", "--depth", "depth.npz", "--out", "out"]
MODEL = ["prior", "clip.mkv", "--depth-model", "parallax", "--preset", "60", "--out", "out"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Files that are there; what they hold is not looked at."""
    folder = tmp_path_factory.mktemp("light")
    for name in ("clip.mkv", "depth.npz", "cameras.json"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(("arguments", "said"), [
    ([], "required: COMMAND"), (["--help"], "See a video from another side"), (["swim"], "invalid choice: 'swim'"),
    *(([*name.split(), "--help"], "show this help message") for name in (
        "prior", "download", "sample", "inspect", "convert-path", "convert-checkpoint", "prepare", "train", "evaluate",
        "evaluate plan", "evaluate vbench", "study build", "study tally")),
    ([*PRIOR, "--preset", "61"], "invalid choice: '61'"), ([*PRIOR, "--preset", "60", "--size", "5"], "is not a size"),
    ([*PRIOR, "--preset", "60", "--frames", "50"], "Wan needs 4k+1; use 49 or 53"),
    ([*PRIOR, "--preset", "60", "--size", "500x500"], "use 496x496"),
    ([*PRIOR, "--preset", "60", "--erosion", "-1"], "is not an erosion"),
    ([*PRIOR, "--move", "swim"], "'swim' is not a move"), ([*PRIOR, "--move", "orbit:yaw=1e9"], "is out of range"),
    ([*PRIOR, "--preset", "60", "--radius", "nan"], "--radius: got nan, must be above 0"),
    ([*PRIOR, "--preset", "60", "--focal", "inf"], "--focal: got inf, must be above 0"),
    ([*PRIOR, "--preset", "60", "--min-angle", "90"], "must be 0..60"),
    ([*PRIOR, "--preset", "60", "--near", "2"], "is used only with --depth-kind"),
    ([*PRIOR, "--preset", "60", "--depth-kind", "normalized-depth"], "needs near and far"),
    ([*PRIOR, "--preset", "60", "--moving", "m"], "add --background"),
    ([*PRIOR, "--preset", "60", "--start", "-1"], "counted from 0"),
    ([*PRIOR, "--path", "none.json"], "none.json: there is no such file or folder"),
    (["prior", "none.mp4", *PRIOR[2:], "--preset", "60"], "none.mp4: there is no such file or folder"),
    ([*MODEL, "--near", "5", "--far", "2"], "need 0 < near < far"),
    ([*MODEL, "--smoothing", "9"], "must be 0..8"), ([*MODEL, "--steps", "3"], "does not have this setting"),
    ([*MODEL[:3], "nothing", *MODEL[4:]], "'nothing' is not a model or a file"),
    ([*MODEL[:3], "depthcrafter", *MODEL[4:]], "is missing"),
    (["sample", "out", "--scene", "moon"], "invalid choice: 'moon'"), (["sample", "out", "--frames", "0"], "1 or more"),
    (["inspect", "none.npz"], "there is no such file"),
    (["inspect", "depth.npz", "--min-angle", "-1"], "must be 0..60"),
    (["inspect", "depth.npz", "--angles", "a.png", "--share", "2"], "must be between 0 and 1"),
    (["convert-path", "none.json", "a.npz"], "there is no such file"),
    (["convert-path", "cameras.json", "a.npz", "--frames", "0"], "must be 1 or more"),
    (["convert-checkpoint", "clip.mkv", "a.bin"], "is not a .safetensors file name"),
    (["prepare", "none", "--out", "out"], "is not a folder of videos or a CSV file"),
    (["prepare", ".", "--out", "out", "--frames", "8"], "Wan needs 4k+1"),
    (["prepare", ".", "--out", "out", "--tracker", "tapnext"], "needs --tracker-weights"),
    (["evaluate", "none", "--out", "out"], "is not a folder of runs or a CSV file"),
    (["evaluate", "plan", "--scenes", "moon", "--out", "out"], "'moon' is not known"),
    (["evaluate", "plan", "--out", "out"], "CLIPS: is missing"),
    (["train", "none.yaml"], "none.yaml: there is no such file"),
    (["download", "nothing"], "invalid choice: 'nothing'"),
])
def test_every_word_of_help_and_error_about_options_needs_nothing_heavy(folder, arguments, said):
    ran = subprocess.run([sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, cwd=folder,
                         env={"PYTHONPATH": str(PACK), "PATH": "", "COLUMNS": "500"})
    printed, _, modules = ran.stdout.rpartition("modules:")
    assert said in printed + ran.stderr and "Traceback" not in ran.stderr
    assert not HEAVY & set(modules.split())
    assert not (folder / "out").exists()


def test_names_that_are_known_before_the_work_are_those_of_the_work():
    assert tuple(FORMATS) == FORMAT_NAMES and tuple(SCENES) == SCENE_NAMES
    assert tuple(tracking.TRACKERS) == get_args(TrackerName)


def test_the_command_of_a_copy_does_nothing_in_the_processes_that_it_begins(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))  # to which it adds the copy
    runpy.run_path(str(PACK / "ex4d"), run_name="__mp_main__")
