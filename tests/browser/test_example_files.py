"""Laws of the example workflows as files. These need no browser."""

import re
import runpy

import pytest
from PIL import Image

from ..example_files import EXAMPLES, NAMES, nodes_of, read

APPS = {"00_ex4d_video_from_a_new_view", "07_ex4d_video_generated_as_released"}
# And those whose names begin with EX4D.
OURS = {"ApplyEX4DLoRA", "BuildDWMesh", "CameraTrajectory", "EstimateVideoDepth", "RenderDWMesh"}
LOADERS = {"UNETLoader", "CLIPLoader", "VAELoader", "CLIPVisionLoader", "ModelPatchLoader", "LoadDA3Model",
           "LoadMoGeModel", "LoraLoaderModelOnly", "ApplyEX4DLoRA", "EstimateVideoDepth", "CheckpointLoaderSimple",
           "LTXVAudioVAELoader", "LTXAVTextEncoderLoader"}


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_has_a_name_to_search_for_and_an_api_form(name):
    assert "ex4d" in name and (EXAMPLES / "api" / f"{name}.json").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_has_a_small_square_picture_that_moves(name):
    picture = EXAMPLES / f"{name}.jpg"  # the only ending that ComfyUI asks for, whatever is in it
    assert picture.stat().st_size < 300_000
    opened = Image.open(picture)
    assert opened.width == opened.height >= 256 and opened.n_frames > 10 and opened.info["loop"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_app_mode_asks_for_widgets_and_shows_what_is_saved(name):
    workflow = read(name)
    nodes, linear = {node["id"]: node for node in workflow["nodes"]}, workflow["extra"]["linearData"]
    assert linear["inputs"] and linear["outputs"]
    for id, widget in linear["inputs"]:
        assert widget in {slot["name"] for slot in nodes[id]["inputs"] if "widget" in slot}
    assert {nodes[id]["type"] for id in linear["outputs"]} <= {"SaveVideo", "SaveImage"}
    assert workflow["extra"].get("linearMode", False) == (name in APPS)


@pytest.mark.parametrize("name", NAMES)
def test_every_model_file_comes_with_its_address_and_folder_and_is_told_in_the_note(name):
    nodes = list(nodes_of(read(name)))
    words = " ".join(node["widgets_values"][0] for node in nodes if node["type"] == "MarkdownNote")
    for node in nodes:
        models = node["properties"].get("models", [])
        assert bool(models) == (node["type"] in LOADERS), node["type"]
        for model in models:
            assert model["name"] in node["widgets_values"]
            assert model["url"].startswith("https://huggingface.co/") and model["url"].endswith(f"/{model['name']}")
            (line,) = [line for line in words.splitlines() if f"{model['directory']}/{model['name']}, " in line]
            assert " GB, " in line  # and its license


@pytest.mark.parametrize("name", NAMES)
def test_every_node_names_its_pack(name):
    """So that the front end can say which pack is missing."""
    for node in nodes_of(read(name)):
        ours = node["type"] in OURS or node["type"].startswith("EX4D")
        assert node["properties"]["cnr_id"] == ("comfyui-ex4d" if ours else "comfy-core"), node["type"]


@pytest.mark.parametrize("name", NAMES)
def test_every_note_is_the_one_of_the_builder(name):
    notes = runpy.run_path(str(EXAMPLES / "builder" / "notes.py"))["NOTES"]
    shown = [node["widgets_values"][0] for node in read(name)["nodes"] if node["type"] == "MarkdownNote"]
    assert shown == [notes[name].strip()]


def test_sizes_and_licenses_of_the_notes_are_those_of_the_page_on_models():
    page = (EXAMPLES.parent / "docs" / "models.md").read_text("utf-8")
    for path, (size, license) in runpy.run_path(str(EXAMPLES / "builder" / "notes.py"))["FILES"].items():
        (row,) = [line for line in page.splitlines() if f"`{path.rsplit('/', 1)[1]}`" in line and "| `" in line]
        plain = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", row)
        assert license in plain and f"`{path.split('/')[0]}`" in plain, path
        assert f"| {size} |" in plain or f"| {size:g} |" in plain, path


def test_a_video_of_the_users_becomes_a_new_view_in_three_nodes():
    kinds = [node["type"] for node in read("00_ex4d_video_from_a_new_view")["nodes"] if node["type"] != "MarkdownNote"]
    assert len(kinds) == 3 and {"LoadVideo", "SaveVideo"} < set(kinds)
    assert len(read("15_ex4d_video_from_a_new_view_generated")["nodes"]) == 1 + 4


@pytest.mark.parametrize("name", NAMES)
def test_the_sound_of_every_video_follows_the_path_that_it_shows(name):
    """From each video back to where its sound comes from: never to a video of the user's but by way of the path."""
    prompt = read(f"api/{name}")
    for film in (node for node in prompt.values() if node["class_type"] == "CreateVideo" and "audio" in node["inputs"]):
        node = film
        while node["class_type"] != "EX4DSoundForCameras":
            link = node["inputs"].get("audio", node["inputs"].get("video"))
            assert isinstance(link, list), f"{film['_meta']['title']} has the sound of {node['class_type']}"
            node = prompt[link[0]]
