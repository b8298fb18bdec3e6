"""Example workflows in API format: those that need no weights run, the others lack nothing but files."""

import re
from collections.abc import Iterator

import pytest

from ex4d_ops import files
from headless.server import Refused

from .. import example_files
from ..example_files import NAMES, with_needs

LOADS_WEIGHTS = re.compile(r"Loader|^Load(DA3|MoGe)?Model|^EstimateVideoDepth")  # UNETLoader, LoadMoGeModel ...
LOADS_FILES = re.compile(r"Loader|^Load|^ApplyEX4DLoRA$|^EX4DTrainAdapter$|^EstimateVideoDepth$")
SMALL = {"width": 96, "height": 64}  # of the pictures; the graph is the same


def needs_weights(workflow: dict) -> bool:
    return any(LOADS_WEIGHTS.search(node["class_type"]) for node in workflow.values())


def read(name: str) -> dict:
    workflow = example_files.read(f"api/{name}")
    for node in workflow.values():
        if node["class_type"] == "EX4DSampleScene":
            node["inputs"] |= SMALL
    return workflow


def required(inputs: dict, said: dict, prefix: str = "") -> Iterator[str]:
    """The inputs that a node requires, also those that its choices bring. inputs: as /object_info has them.

    An input that grows is said by what it has grown: values.a, values.b.
    """
    for name, (kind, *settings) in inputs.get("required", {}).items():
        if kind == "COMFY_AUTOGROW_V3" and any(given.startswith(f"{prefix}{name}.") for given in said):
            continue
        yield prefix + name
        for option in settings[0].get("options") or [] if settings else []:
            if isinstance(option, dict) and option["key"] == said.get(prefix + name):
                yield from required(option["inputs"], said, f"{prefix}{name}.")


@pytest.mark.parametrize("name", with_needs(NAMES))
def test_an_example_says_every_input_that_its_nodes_require(object_info, name):
    """The server lets some of them pass, but comfy-cli does not queue without."""
    for node in read(name).values():
        assert set(required(object_info[node["class_type"]]["input"], node["inputs"])) <= set(node["inputs"])


@pytest.mark.parametrize("name", [name for name in NAMES if not needs_weights(read(name))])
def test_an_example_without_weights_runs(server, name):
    made = server.files(server.run(read(name)))
    videos = [files.read_video(path).frames for path in made if path.suffix == ".mp4"]
    assert videos and all(len(frames) == 49 and frames.std() > 0.05 for frames in videos)


@pytest.mark.parametrize("name", with_needs([name for name in NAMES if needs_weights(read(name))]))
def test_an_example_with_weights_lacks_nothing_but_files(server, name):
    workflow = read(name)
    with pytest.raises(Refused) as refused:
        server.queue(workflow)
    faults = refused.value.reply["node_errors"]
    assert faults and all(LOADS_FILES.search(fault["class_type"]) for fault in faults.values())


def test_what_loads_weights_is_told_from_what_loads_files():
    def uses(*types: str) -> dict:
        return {str(k): {"class_type": name, "inputs": {}} for k, name in enumerate(types)}

    assert all(needs_weights(uses(name)) for name in (
        "UNETLoader", "VAELoader", "CLIPLoader", "CLIPVisionLoader", "LoraLoaderModelOnly", "ModelPatchLoader",
        "CheckpointLoaderSimple", "UnetLoaderGGUF", "LoadDA3Model", "LoadMoGeModel"))
    assert not needs_weights(uses("LoadImage", "LoadVideo", "EX4DLoadDepth", "EX4DLoadCameras", "Load3D"))
