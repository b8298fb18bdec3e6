"""Laws of the example workflows as files. These need no browser."""

import json
import runpy
from itertools import combinations
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).resolve().parents[2] / "example_workflows"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.json"))
TITLE = 30  # graph units above a node's position
# And those whose names begin with EX4D.
OURS = {"ApplyEX4DLoRA", "BuildDWMesh", "CameraTrajectory", "EstimateVideoDepth", "RenderDWMesh"}
LOADERS = {"UNETLoader", "CLIPLoader", "VAELoader", "CLIPVisionLoader", "ModelPatchLoader", "LoadDA3Model",
           "LoadMoGeModel", "LoraLoaderModelOnly", "ApplyEX4DLoRA", "EstimateVideoDepth"}


def read(name: str) -> dict:
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def boxes_of(nodes: list[dict]) -> list[tuple[str, float, float, float, float]]:
    return [(f"{node['type']} {node['id']}", node["pos"][0], node["pos"][1] - TITLE, node["pos"][0] + node["size"][0],
             node["pos"][1] + node["size"][1]) for node in nodes]


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_has_a_small_picture_and_an_api_form(name):
    assert (EXAMPLES / "api" / f"{name}.json").is_file()
    picture = EXAMPLES / f"{name}.jpg"
    assert picture.stat().st_size < 300_000
    assert Image.open(picture).width >= 1200


@pytest.mark.parametrize("name", NAMES)
def test_nodes_do_not_overlap_and_stand_inside_one_group(name):
    workflow = read(name)
    boxes = boxes_of(workflow["nodes"])
    for (a, left, top, right, low), (b, left_b, top_b, right_b, low_b) in combinations(boxes, 2):
        assert right <= left_b or right_b <= left or low <= top_b or low_b <= top, f"{a} overlaps {b}"
    frames = [group["bounding"] for group in workflow["groups"]]
    for node, (label, left, top, right, low) in zip(workflow["nodes"], boxes):
        around = [x <= left and y <= top and right <= x + width and low <= y + height
                  for x, y, width, height in frames]
        assert sum(around) == (node["type"] != "MarkdownNote"), label


@pytest.mark.parametrize("name", NAMES)
def test_every_model_file_comes_with_its_address_and_folder_and_is_told_in_the_note(name):
    workflow = read(name)
    words = " ".join(node["widgets_values"][0] for node in workflow["nodes"] if node["type"] == "MarkdownNote")
    assert "**Change**" in words
    for node in workflow["nodes"]:
        models = node["properties"].get("models", [])
        assert bool(models) == (node["type"] in LOADERS), node["type"]
        for model in models:
            assert model["name"] in node["widgets_values"]
            assert model["url"].startswith("https://huggingface.co/") and model["url"].endswith(f"/{model['name']}")
            assert model["name"] in words and f"{model['directory']}/" in words


@pytest.mark.parametrize("name", NAMES)
def test_every_node_names_its_pack(name):
    """So that the front end can say which pack is missing."""
    for node in read(name)["nodes"]:
        ours = node["type"] in OURS or node["type"].startswith("EX4D")
        assert node["properties"]["cnr_id"] == ("comfyui-ex4d" if ours else "comfy-core"), node["type"]


@pytest.mark.parametrize("name", NAMES)
def test_every_note_is_the_one_of_the_builder(name):
    notes = runpy.run_path(str(EXAMPLES / "builder" / "notes.py"))["NOTES"]
    shown = [node["widgets_values"][0] for node in read(name)["nodes"] if node["type"] == "MarkdownNote"]
    assert shown == [notes[name].strip()]
