"""The workflows that generate, run from a prompt to a saved video on a real server, with small random models."""

from statistics import median

import psutil
import pytest
from PIL import Image

from ex4d_ops.files import read_video
from headless.server import Failed

WORKFLOWS = ["07_ex4d_as_released", "08_ex4d_in_four_steps", "09_ex4d_long_video", "10_ex4d_vace_uni3c_side_by_side",
             "11_ex4d_with_little_memory"]
GROWTH = 15e6  # bytes in 20 runs; a copy of this small adapter in each would be 50e6


def find(workflow: dict, kind: str) -> dict:
    """The inputs of the only node of that kind."""
    (inputs,) = [node["inputs"] for node in workflow.values() if node["class_type"] == kind]
    return inputs


def saved_video(server, workflow: dict):
    """What a workflow saves, from a prompt to the file."""
    (path,) = [file for file in server.files(server.run(workflow)) if file.suffix == ".mp4"]
    return read_video(path)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_it_runs_from_a_prompt_to_a_saved_video(server, example, name):
    video = saved_video(server, example(name, steps=None if name.startswith("07") else 2))
    panels = 4 if "side_by_side" in name else 1
    assert len(video) == 9 and video.size == (64, 64 * panels) and video.fps == 15
    assert video.frames.std() > 0.01


def test_windows_make_a_longer_video(server, example):
    video = saved_video(server, example("09_ex4d_long_video", frames=21, window=9))
    assert len(video) == 21


def test_the_prior_decides_what_is_made(server, example):
    pictures = []
    for strength in (1.0, 0.0, 1.0):
        workflow = example("07_ex4d_as_released")
        find(workflow, "ApplyEX4DLoRA")["prior_strength"] = strength
        (decode,) = [number for number, node in workflow.items() if node["class_type"] == "VAEDecode"]
        workflow["pictures"] = {"class_type": "SaveImage", "inputs": {
            "images": [decode, 0], "filename_prefix": f"strength/{len(pictures)}"}}
        files = [file for file in server.files(server.run(workflow)) if file.suffix == ".png"]
        pictures.append([Image.open(file).tobytes() for file in files])
    assert len(pictures[0]) == 9 and pictures[0] == pictures[2] != pictures[1]


def test_memory_does_not_grow_over_twenty_runs(server, example):
    process, sizes = psutil.Process(server.process.pid), []
    for run in range(25):
        workflow = example("07_ex4d_as_released")
        find(workflow, "EX4DSampleScene")["seed"] = run  # another prior, so that everything is made anew
        find(workflow, "KSampler")["seed"] = run
        server.run(workflow)
        sizes.append(process.memory_info().rss)
    assert median(sizes[-5:]) - median(sizes[5:10]) < GROWTH, [round(size / 1e6) for size in sizes]


def test_a_doubtful_mask_is_warned_of_and_the_video_made(server, example):
    workflow = example("07_ex4d_as_released")
    (render,) = [number for number, node in workflow.items() if node["class_type"] == "RenderDWMesh"]
    workflow["wrong"] = {"class_type": "InvertMask", "inputs": {"mask": [render, 1]}}
    find(workflow, "EX4DPriorEncode")["visible"] = ["wrong", 0]
    assert len(saved_video(server, workflow)) == 9
    assert "visible: looks inverted" in (server.base / "server.log").read_text(errors="replace")


@pytest.mark.parametrize("node, change, sentence", [
    ("WanImageToVideo", {"length": 13},
     "prior: it was made for 9 frames of 64x64, but the latent is for 13 frames of 64x64"),
    ("WanImageToVideo", {"width": 96},
     "prior: it was made for 9 frames of 64x64, but the latent is for 9 frames of 96x64"),
    ("EX4DPriorEncode", {"length": 13}, "color: 9 frames, but 13 are to be generated"),
    ("ApplyEX4DLoRA", {"start_percent": 0.8, "end_percent": 0.2}, r"start_percent: 0.8 is after end_percent \(0.2\)"),
    ("UNETLoader", {"unet_name": "wan2.1_vace_14B_fp16.safetensors"}, "model: this is Wan 2.1 VACE"),
])
def test_what_does_not_fit_gets_one_sentence(server, example, node, change, sentence):
    workflow = example("07_ex4d_as_released")
    find(workflow, node).update(change)
    with pytest.raises(Failed, match=sentence):
        server.run(workflow)
