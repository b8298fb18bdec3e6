"""The driver of headless runs: what it says when something is wrong, what it finds when all is well."""

from pathlib import Path

import pytest

from headless.server import Failed, Refused, serve


def test_a_fault_of_a_prompt_is_said_with_its_node(server, workflow):
    workflow.add("PreviewImage", images=[workflow.clip(frames=1), 1])
    with pytest.raises(Refused, match="PreviewImage: Return type mismatch .*EX4D_DEPTH.*IMAGE"):
        server.queue(workflow)
    with pytest.raises(Refused, match="no outputs"):
        server.queue({})


def test_unknown_nodes_are_refused_by_name(server):
    with pytest.raises(Refused, match="'NoSuchNode' not found"):
        server.queue({"1": {"class_type": "NoSuchNode", "inputs": {}}})


def test_an_error_while_it_runs_is_said_with_its_node(server, workflow):
    images = workflow.add("TestImages", kind="all are NaN")
    mesh = workflow.add("BuildDWMesh", images=[images, 0], depth=[workflow.clip(frames=3), 1])
    workflow.add("MaskPreview", mask=[mesh, 1])
    with pytest.raises(Failed, match="^BuildDWMesh: images: contains NaN") as failed:
        server.run(workflow)
    assert failed.value.error["node_id"] == mesh


def test_files_are_those_kept_in_the_output_folder(server, workflow):
    clip = workflow.clip(frames=2)
    workflow.add("SaveImage", images=[clip, 0], filename_prefix="kept/here")
    workflow.add("PreviewImage", images=[clip, 0])
    kept = server.files(server.run(workflow))
    assert [file.name for file in kept] == ["here_00001_.png", "here_00002_.png"]
    assert all(file.parent == server.base / "output" / "kept" and file.exists() for file in kept)


def test_a_comfyui_that_does_not_come_up_shows_the_end_of_its_log(tmp_path):
    broken = tmp_path / "ComfyUI"
    broken.mkdir()
    (broken / "main.py").write_text("raise SystemExit('the disk is full')")
    with pytest.raises(RuntimeError, match="(?s)did not come up; the end of its log:.*the disk is full"):
        with serve(broken, tmp_path / "base"):
            pass


def test_a_base_folder_is_where_the_caller_stands(tmp_path, monkeypatch):
    broken = tmp_path / "ComfyUI"
    broken.mkdir()
    (broken / "main.py").write_text("import sys; raise SystemExit(' '.join(sys.argv))")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError, match=f"--base-directory {tmp_path / 'base'}"), serve(broken, Path("base")):
        pass


def test_the_pack_is_linked_anew_where_it_has_moved(tmp_path):
    packs = tmp_path / "base" / "custom_nodes"
    packs.mkdir(parents=True)
    (packs / "ComfyUI-EX4D").symlink_to(tmp_path / "gone")
    broken = tmp_path / "ComfyUI"
    broken.mkdir()
    (broken / "main.py").write_text("")
    with pytest.raises(RuntimeError), serve(broken, tmp_path / "base"):
        pass
    assert (packs / "ComfyUI-EX4D" / "pyproject.toml").samefile(Path(__file__).parents[2] / "pyproject.toml")
