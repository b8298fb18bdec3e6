"""Workflows saved by the first version give what they gave: golden/saved_workflows.npz holds that version's results.

They run small, with the models of this folder, as far as depth, the prior or the masks of training.
"""

from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parents[2]
SAVED = TESTS / "saved_workflows" / "0.1.0" / "api"
RESULTS = ("RenderDWMesh", "EX4DRenderingMask", "EX4DTrackingMask", "EX4DRandomMask", "EX4DDepthToImages")
KEPT = slice(1, None, 3)  # frames
FLIPS = 0.002  # share of the numbers that may be elsewhere, as on another processor: pixels at edges


def results_of(server, pictures, name: str, workflow: dict) -> dict[str, np.ndarray]:
    """What a workflow makes, as bytes: by its name, the node, and which of its outputs."""
    shown = {}
    for id, node in list(workflow.items()):
        if node["class_type"] in RESULTS:
            mask = f"{id} mask"
            workflow[mask] = {"class_type": "MaskToImage", "inputs": {"mask": [id, 1]}}
            links = [[id, 0]] if node["class_type"] == "EX4DDepthToImages" else [[id, 0], [mask, 0]]
            for place, link in enumerate(links):
                shown[f"{name} {id} {place}"] = preview = f"{id} {place}"
                workflow[preview] = {"class_type": "PreviewImage", "inputs": {"images": link}}
    outputs = server.run(needed(workflow, set(shown.values())))
    return {key: (pictures(outputs[preview])[KEPT] * 255).round().byte().numpy() for key, preview in shown.items()}


def needed(workflow: dict, ends: set[str]) -> dict:
    """The part of a workflow that these nodes need."""
    found, open = {}, set(ends)
    while open:
        id = open.pop()
        found[id] = workflow[id]
        links = (value for value in found[id]["inputs"].values() if isinstance(value, list))
        open |= {source for source, _ in links} - set(found)
    return found


@pytest.mark.parametrize("name", sorted(path.stem for path in SAVED.glob("*.json")))
def test_a_workflow_of_the_first_version_gives_what_it_gave(server, pictures, example, name):
    with np.load(TESTS / "golden" / "saved_workflows.npz") as stored:
        frozen = {key: stored[key] for key in stored.files if key.startswith(f"{name} ")}
    made = results_of(server, pictures, name, example(name, folder=SAVED))
    assert set(made) == set(frozen) and max(picture.std() for picture in made.values()) > 1
    for key, picture in made.items():
        assert picture.shape == frozen[key].shape
        assert (abs(picture.astype(int) - frozen[key]) > 1).mean() <= FLIPS, key
