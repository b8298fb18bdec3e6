"""The workflows that generate, run from a prompt to a saved video on a real server, with small random models."""

from statistics import median

import psutil
import pytest
from PIL import Image

from ex4d_ops.files import read_video
from headless.server import Failed, Refused

from ... import videos_with_sound
from ...example_files import NAMES, with_needs

WORKFLOWS = [name for name in NAMES if name[:2] not in ("01", "04", "12")]  # which start from a sample scene
PRIOR_ALONE = ("00", "02", "03", "13", "14")
AT_24_FPS = {"18": 81, "19": 73}  # those with a rate of their own, and its frames of 3.5 s: 8k+1, 17k+5
GROWTH = 15e6  # bytes in 20 runs; a copy of this small adapter in each would be 50e6


def find(workflow: dict, kind: str) -> dict:
    """The inputs of the only node of that kind."""
    (inputs,) = [node["inputs"] for node in workflow.values() if node["class_type"] == kind]
    return inputs


def saved_file(server, workflow: dict):
    """What a workflow saves, from a prompt to the file."""
    (path,) = [file for file in server.files(server.run(workflow)) if file.suffix == ".mp4"]
    return path


def saved_video(server, workflow: dict):
    return read_video(saved_file(server, workflow))


@pytest.mark.parametrize("name", with_needs(WORKFLOWS))
def test_it_makes_a_video_of_the_users_in_step_with_its_sound(server, example, name):
    path = saved_file(server, example(name, steps=None if name.startswith("07") else 2))
    video, released = read_video(path), name.startswith("07")
    height, width = videos_with_sound.SIZE
    fps = 15 if released else 24 if name[:2] in AT_24_FPS else videos_with_sound.FPS
    if name[:2] in PRIOR_ALONE:
        assert len(video) == 2 * videos_with_sound.FPS and video.size == (height, width)
    else:
        assert len(video) == {"15": 13, **AT_24_FPS}.get(name[:2], 9)
        assert video.size == ((64, 64 * 4) if "side_by_side" in name else (64, 64))
    assert video.fps == fps and video.frames.std() > 0.01
    heard = videos_with_sound.loudness(path)
    if released:  # whose frame rate is not the video's
        assert heard is None
        return
    source = videos_with_sound.loudness(server.base / "input" / "your_video.mp4")
    begin = round(videos_with_sound.START * videos_with_sound.RATE / videos_with_sound.STEP)
    steps = len(video) * videos_with_sound.RATE // fps // videos_with_sound.STEP
    close = abs(heard[:steps] - source[begin:begin + steps]) < 0.1
    assert len(close) == steps and (~close).sum() <= 1  # the step in which the tone begins
    assert heard.max() > 0.3 and heard[:4].max() < 0.1


def test_windows_make_a_longer_video(server, example):
    video = saved_video(server, example("09", frames=21, window=9))
    assert len(video) == 21


def test_the_prior_decides_what_is_made(server, example):
    pictures = []
    for strength in (1.0, 0.0, 1.0):
        workflow = example("07")
        find(workflow, "ApplyEX4DLoRA")["prior_strength"] = strength
        (decode,) = [number for number, node in workflow.items() if node["class_type"] == "VAEDecode"]
        workflow["pictures"] = {"class_type": "SaveImage", "inputs": {
            "images": [decode, 0], "filename_prefix": f"strength/{len(pictures)}"}}
        files = [file for file in server.files(server.run(workflow)) if file.suffix == ".png"]
        pictures.append([Image.open(file).tobytes() for file in files])
    assert len(pictures[0]) == 9 and pictures[0] == pictures[2] != pictures[1]


def test_pictures_lead_to_another_middle_and_end(server, example):
    """Wan gets the end as its own end image, the prior shows both."""
    made = []
    for anchored in (False, True):
        workflow = example("17")
        (start,) = [node for node in workflow.values() if node["class_type"] == "WanImageToVideo"]
        start["class_type"] = "WanFirstLastFrameToVideo"
        if anchored:
            workflow["gray"] = {"class_type": "EmptyImage", "inputs": {
                "width": 64, "height": 64, "batch_size": 2, "color": 0x808080}}
            workflow["end"] = {"class_type": "ImageFromBatch", "inputs": {
                "image": ["gray", 0], "batch_index": 1, "length": 1}}
            start["inputs"]["end_image"] = ["end", 0]
            encode = find(workflow, "EX4DPriorEncode")
            workflow["anchored"] = {"class_type": "EX4DAnchorFrames", "inputs": {
                "color": encode["color"], "visible": encode["visible"], "pictures": ["gray", 0], "frames": "4, last",
                "fit": "crop"}}
            encode.update(color=["anchored", 0], visible=["anchored", 1])
        made.append(saved_video(server, workflow))
    assert len(made[0]) == len(made[1]) == 9 and not made[0].frames.equal(made[1].frames)


def test_memory_does_not_grow_over_twenty_runs(server, example):
    process, sizes = psutil.Process(server.process.pid), []
    for run in range(25):
        workflow = example("07")
        find(workflow, "RenderDWMesh")["seed"] = run  # another prior, so that everything is made anew
        find(workflow, "KSampler")["seed"] = run
        server.run(workflow)
        sizes.append(process.memory_info().rss)
    assert median(sizes[-5:]) - median(sizes[5:10]) < GROWTH, [round(size / 1e6) for size in sizes]


def test_another_seed_encodes_and_loads_nothing_again(server, example):
    workflow = example("07")
    find(workflow, "KSampler")["seed"] = 1001
    server.run(workflow)
    find(workflow, "KSampler")["seed"] = 1002
    kept = {workflow[node]["class_type"] for node in server.cached(workflow)}
    assert {"RenderDWMesh", "EX4DPriorEncode", "ApplyEX4DLoRA", "UNETLoader", "VAELoader"} <= kept
    assert not {"KSampler", "VAEDecode", "SaveVideo"} & kept


def test_a_doubtful_mask_is_warned_of_and_the_video_made(server, example):
    workflow = example("07")
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
    ("EX4DPriorEncode", {"length": 13}, "color: it has at most 9 frames, but 13 are to be generated"),
    ("ApplyEX4DLoRA", {"start_percent": 0.8, "end_percent": 0.2}, r"start_percent: 0.8 is after end_percent \(0.2\)"),
    ("UNETLoader", {"unet_name": "wan2.1_vace_14B_fp16.safetensors"}, "model: this is Wan 2.1 VACE"),
])
def test_what_does_not_fit_gets_one_sentence(server, example, node, change, sentence):
    workflow = example("07")
    find(workflow, node).update(change)
    with pytest.raises((Failed, Refused), match=sentence):
        server.run(workflow)
