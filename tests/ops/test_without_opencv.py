"""Without OpenCV there is a prior all the same, and what needs it says so in a sentence."""

import importlib.util
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ex4d_ops.estimators.video_depth_anything import DEVIATION, MEAN, prepare

PACK = Path(__file__).parents[2]
WITHOUT = """
import sys
sys.modules["cv2"] = None  # as where it is not installed
from ex4d_ops import files
from ex4d_ops.cli import main
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", WITHOUT + code], cwd=folder, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(PACK)})


def test_a_prior_is_made_and_written_without_it(tmp_path):
    ran = run("""
assert main(["sample", "clip", "--frames", "5", "--size", "64x48"]) == 0
assert main(["prior", "clip/clip.mkv", "--depth", "clip/depth.npz", "--preset", "30", "--out", "result"]) == 0
""", tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "result" / "color.mkv").is_file()


@pytest.mark.parametrize("code", [
    """
from ex4d_ops.estimators.steadiness import find_cuts
import torch
find_cuts(torch.rand(3, 32, 32, 3))
""", """
from ex4d_ops.tracking import to_gray
import torch
to_gray(torch.rand(32, 32, 3))
"""])
def test_what_needs_it_says_how_to_get_it(tmp_path, code):
    ran = run(code, tmp_path)
    last = ran.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: this needs OpenCV, which cannot be imported")
    assert last.endswith(f"install it with: {sys.executable} -m pip install opencv-python-headless")


@pytest.mark.parametrize("size, shape", [((64, 96), (28, 42)), ((40, 30), (70, 56)), ((33, 47), (33, 47)),
                                         ((480, 832), (280, 490))])
def test_every_frame_reaches_the_network_as_opencv_resizes_it(size, shape):
    import cv2

    frame = torch.rand(*size, 3)
    resized = cv2.resize(frame.numpy(), shape[::-1], interpolation=cv2.INTER_CUBIC)
    seen = prepare(frame, shape).movedim(0, -1) * torch.tensor(DEVIATION) + torch.tensor(MEAN)
    assert (seen - torch.from_numpy(resized)).abs().max() < 1e-4


@pytest.mark.parametrize("there", [{"cv2", "pip"}, {"pip"}, {"cv2"}, set()])
def test_every_installation_by_hand_adds_it_only_where_no_build_is(monkeypatch, there):
    ran = []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in there or None)
    monkeypatch.setattr(subprocess, "check_call", ran.append)
    runpy.run_path(str(PACK / "install.py"))
    tool = ["pip"] if "pip" in there else ["uv", "pip"]
    needed = ["-r", str(PACK / "requirements.txt"), *([] if "cv2" in there else ["opencv-python-headless"])]
    assert ran == [[sys.executable, "-m", *tool, "install", *needed]]
