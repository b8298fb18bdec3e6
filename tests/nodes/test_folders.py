"""Nodes read ComfyUI's input and output folders and its folders for models, and nothing else, whatever links say."""

import pytest

from ex4d_ops.estimators.registry import ESTIMATORS, find_model
from ex4d_ops.files import write_depth, write_path


@pytest.fixture
def outside(tmp_path, folders, take):
    """Files of every kind that lie outside, and the same inside."""
    for place in (tmp_path / "outside", folders / "input"):
        place.mkdir(exist_ok=True)
        write_depth(place / "exr", take.depth, "exr")
        write_depth(place / "png", take.depth, "png")
        write_depth(place / "depth.mkv", take.depth)
        write_depth(place / "depth.npz", take.depth)
        write_path(place / "colmap", take.path, "colmap")
        write_path(place / "path.json", take.path)
    return tmp_path / "outside"


def link(inside, outside) -> None:
    """Put a link to what is outside in the place of a file."""
    inside.unlink()
    inside.symlink_to(outside)


@pytest.mark.parametrize("node, choice, linked", [
    ("EX4DLoadDepth", "exr", "exr/000002.exr"), ("EX4DLoadDepth", "exr", "exr/depth.json"),
    ("EX4DLoadDepth", "png", "png/000000.png"), ("EX4DLoadDepth", "depth.mkv", "depth.json"),
    ("EX4DLoadDepth", "depth.mkv", "depth.mkv"), ("EX4DLoadDepth", "depth.npz", "depth.npz"),
    ("EX4DLoadCameras", "colmap", "colmap/images.txt"), ("EX4DLoadCameras", "colmap", "colmap/cameras.txt"),
    ("EX4DLoadCameras", "path.json", "path.json"), ("EX4DLoadCameras", "colmap/images.txt", "colmap/cameras.txt"),
    ("EX4DLoadCameras", "colmap/cameras.txt", "colmap/images.txt"),
    ("EX4DLoadCameras", "colmap/images.txt", "colmap/images.txt"),
])
def test_links_that_lead_out_are_refused_wherever_they_lie(nodes, take, folders, outside, node, choice, linked):
    inputs = {"file": choice, **({"scene": take.depth} if node == "EX4DLoadCameras" else {})}
    assert nodes.run(node, **inputs)
    link(folders / "input" / linked, outside / linked)
    with pytest.raises(ValueError, match=r"file: .*(leads out of ComfyUI's input and output folders|there is no)"):
        nodes.run(node, **inputs)


def test_a_linked_folder_within_a_folder_is_refused(nodes, take, folders, outside):
    (folders / "input" / "project").mkdir()
    (folders / "input" / "project" / "sparse").symlink_to(outside / "colmap", target_is_directory=True)
    with pytest.raises(ValueError, match="'project/sparse' is a link that leads out"):
        nodes.run("EX4DLoadCameras", file="project", scene=take.depth)


def test_links_within_comfyui_s_folders_are_followed(nodes, folders, outside):
    link(folders / "input" / "exr" / "000001.exr", folders / "input" / "exr" / "000000.exr")
    assert len(nodes.run("EX4DLoadDepth", file="exr")[0]) == 5


@pytest.mark.parametrize("estimator", [title for title, estimator in ESTIMATORS.items() if estimator.folder])
@pytest.mark.parametrize("escape", ["absolute", "..", "../outside/model", "a/../../outside/model"])
def test_names_of_models_stay_below_their_folder(tmp_path, estimator, escape):
    (tmp_path / "models" / "a").mkdir(parents=True)
    (tmp_path / "outside" / "model").mkdir(parents=True)
    name = str(tmp_path / "outside" / "model") if escape == "absolute" else escape
    with pytest.raises(ValueError, match="model: '.*' is not a name in"):
        find_model(ESTIMATORS[estimator], name, [tmp_path / "models"])
