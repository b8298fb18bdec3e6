"""Laws of the pack in ComfyUI's own front end: what a user sees is whole, and what a user queues is what we ship."""

import json
import re
from pathlib import Path

import pytest

from headless.server import Refused

from ..example_files import NAMES, as_graph, nodes_of, read, with_needs

SAVED = Path(__file__).resolve().parents[1] / "saved_workflows"  # by version 0.1.0 and later ones
SMALL = {"frames": 9, "width": 256, "height": 192}
BLUEPRINT = "Video to Prior (EX-4D)"


def models_of(name: str) -> list[dict]:
    return [model for node in nodes_of(read(name)) for model in node["properties"].get("models", [])]


def offered_models(name: str) -> list[dict]:
    """Those that the front end downloads: it leaves other kinds of files to the note."""
    return [model for model in models_of(name) if model["name"].endswith((".safetensors", ".pth", ".ckpt"))]


NAMES_WITH_MODELS = [name for name in NAMES if models_of(name)]


@pytest.fixture(autouse=True)
def complaints_of_one_test(front_end):
    yield
    front_end.complaints.clear()


@pytest.fixture(scope="module")
def without_files(server_with_files, front_end):
    """The server and its page without the stand-ins. For the last tests of this file."""
    for path in [*(server_with_files.base / "models").rglob("*.*"), *(server_with_files.base / "input").glob("*.mp4")]:
        if path.is_file():
            path.unlink()
    front_end.load()
    return server_with_files


@pytest.mark.parametrize("saved", sorted(SAVED.glob("*/*.json")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_workflow_saved_by_an_earlier_version_queues_what_it_did(saved, front_end):
    """Every input has the value it had; inputs that came later are beside them."""
    workflow, queued = (json.loads(path.read_text("utf-8")) for path in (saved, saved.parent / "api" / saved.name))
    front_end.open(workflow, saved.stem)
    now = front_end.read()[1]
    assert front_end.faults() == [] and set(now) == set(queued)
    for id, node in queued.items():
        assert now[id]["class_type"] == node["class_type"]
        assert {key: now[id]["inputs"].get(key) for key in node["inputs"]} == node["inputs"], now[id]["_meta"]


@pytest.mark.parametrize("name", [name for name in NAMES if not models_of(name)])
def test_queueing_shows_the_previews(name, front_end, usual_complaints, artifacts):
    front_end.open(as_graph(name), name)
    nodes = {node["id"]: node for node in read(name)["nodes"]}
    front_end.set({id: SMALL for id, node in nodes.items() if node["type"] == "EX4DSampleScene"})
    front_end.run()
    front_end.photograph(artifacts / f"{name}_queued.png")
    shown = front_end.shown()
    for id, node in nodes.items():
        if node["type"] == "PreviewAny":
            assert re.fullmatch(r"9 frames, \d+% of them seen in the source.*", shown[str(id)][0])
        if node["type"] in ("PreviewImage", "SaveVideo"):
            assert len(shown[str(id)]) == (9 if node["title"] == "Depth images" else 1)
    videos = front_end.page.evaluate("""() => [...document.querySelectorAll("video")].map(
        (video) => [video.videoWidth, video.videoHeight, video.duration])""")
    assert len(videos) == sum(node["type"] == "SaveVideo" for node in nodes.values())
    assert all(video == [256, 192, pytest.approx(9 / 15)] for video in videos)
    assert front_end.faults() == []
    assert set(front_end.complaints) <= usual_complaints


def test_every_node_of_ours_comes_up_whole(server_with_files, front_end, usual_complaints, artifacts):
    ours = [kind for kind, node in server_with_files.get("/object_info").items()
            if node["python_module"].startswith("custom_nodes.")]
    front_end.open_prompt({str(id): {"class_type": kind, "inputs": {}} for id, kind in enumerate(ours, 1)}, "all")
    front_end.page.evaluate("""() => app.graph.nodes.forEach((node, place) => {
        node.pos = [400 * (place % 4), 400 * Math.floor(place / 4)];
    })""")
    front_end.fit()  # which also draws them there: before that, their bounds are those of the old places
    front_end.photograph(artifacts / "nodes.png")
    assert len(ours) >= 16
    assert front_end.faults() == []
    assert set(front_end.complaints) <= usual_complaints


def test_blueprint_is_found_by_searching_and_holds_the_pipeline(front_end, usual_complaints, artifacts):
    page = front_end.page
    front_end.open_prompt({"1": {"class_type": "LoadVideo", "inputs": {}}}, "blueprint")
    page.mouse.dblclick(300, 800)  # on the empty canvas: the search for nodes opens
    page.keyboard.type("video to prior")
    found = page.get_by_text("Subgraph Blueprints / EX-4D").first
    found.wait_for()
    front_end.see(artifacts / "blueprint_searched.png")
    page.keyboard.press("Enter")
    found.wait_for(state="hidden")
    page.mouse.move(320, 820)  # the box hangs on the pointer until a click puts it down
    front_end.settle()
    page.mouse.click(320, 820)
    page.wait_for_function("() => app.graph.nodes.length === 2")
    page.evaluate("() => { app.graph.nodes[0].connect(0, app.graph.nodes[1], 0); app.graph.arrange(); }")
    front_end.settle()
    front_end.fit()
    front_end.see(artifacts / "blueprint.png")
    workflow, prompt = front_end.read()
    assert [box["name"] for box in workflow["definitions"]["subgraphs"]] == [BLUEPRINT]
    kinds = [node["class_type"] for node in prompt.values()]
    pipeline = {"LoadVideo", "DA3Inference", "EX4DDepthFromGeometry", "BuildDWMesh", "CameraTrajectory", "RenderDWMesh"}
    assert pipeline <= set(kinds) and len(set(kinds)) == len(kinds)
    assert front_end.faults() == []
    assert set(front_end.complaints) <= usual_complaints


def test_templates_list_every_workflow_with_its_picture(front_end):
    request = front_end.page.request
    listed = request.get(f"{front_end.url}/api/workflow_templates").json()
    assert sorted(listed["ComfyUI-EX4D"]) == NAMES
    for name in NAMES:
        assert request.get(f"{front_end.url}/api/workflow_templates/ComfyUI-EX4D/{name}.jpg").ok


@pytest.mark.parametrize("name", with_needs(NAMES_WITH_MODELS))
def test_server_misses_nothing_but_files(name, front_end, without_files):
    """Each fault it finds is a file that is not there, and no file is forgotten."""
    prompt = read(f"api/{name}")
    files = {model["name"] for model in models_of(name)}
    files |= {node["inputs"]["file"] for node in prompt.values() if node["class_type"] == "LoadVideo"}
    with pytest.raises(Refused) as refusal:
        without_files.queue(prompt)
    errors = [error for node in refusal.value.reply["node_errors"].values() for error in node["errors"]]
    assert {error["type"] for error in errors} <= {"value_not_in_list", "custom_validation_failed"}
    named = [{file for file in files if file in error["details"]} for error in errors]
    assert all(named) and set().union(*named) == files


@pytest.mark.parametrize("name", with_needs([name for name in NAMES_WITH_MODELS if offered_models(name)]))
def test_missing_models_are_offered_for_download(name, front_end, without_files, artifacts):
    front_end.open(as_graph(name), name)
    front_end.page.get_by_text("View details").click()
    front_end.page.get_by_text("Missing Models").wait_for()
    front_end.see(artifacts / f"{name}_missing.png")
    words = front_end.page.inner_text("body")
    for model in offered_models(name):  # beside the name of one that several nodes load is their number
        assert re.search(rf"{re.escape(model['name'])}\n(\d+\n)?{model['directory']}\nDownload", words)
