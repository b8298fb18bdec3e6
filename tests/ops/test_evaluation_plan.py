"""Laws of planned runs: every method is given the same path in its own format, and nothing is made twice."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ex4d_ops import cli, files
from ex4d_ops.camera import default_intrinsics
from ex4d_ops.clip import Clip
from ex4d_ops.evaluation import list_runs
from ex4d_ops.evaluation.all_runs import WORK
from ex4d_ops.evaluation.methods import METHODS
from ex4d_ops.evaluation.orbits import ORBITS, tell_orbit
from ex4d_ops.evaluation.workflows import adapt_workflow
from ex4d_ops.files.paths import WRITTEN
from ex4d_ops.generators import STYLES
from ex4d_ops.scene import sample_clip
from ex4d_ops.trajectory import move_path, parse_moves

PACK = Path(__file__).parents[2]
SMALL = ["--frames", "5", "--size", "64x64", "--ranges", "30"]


@pytest.fixture(autouse=True)
def in_process(monkeypatch):
    def run_here(todo, begin, workers):
        work = begin()
        yield from (work(item) for item in todo)

    monkeypatch.setitem(WORK, "processes", run_here)


def make_plan(*arguments: str) -> int:
    return cli.main(["evaluate", "plan", *arguments])


def test_every_method_gets_the_same_path_its_guide_and_its_workflow(tmp_path, capsys):
    out = tmp_path / "runs"
    assert make_plan("--scenes", "gallery", "--out", str(out), *SMALL) == 0
    cell = out / "gallery" / "30"
    asked, said = files.read_path(cell / "prior" / "cameras.json"), capsys.readouterr().err
    assert {name for name in METHODS if f"gallery/30: {name} takes only an orbit" in said} == set(ORBITS)
    for name, method in METHODS.items():
        if method.format not in ORBITS:
            path = files.read_path(cell / name / method.cameras, (64, 64), format=method.format)
            assert torch.allclose(path.cam_from_world, asked.cam_from_world, atol=1e-4), name
        assert (cell / name / "guide.mkv").exists() == (method.style is not None)
        assert (cell / name / "workflow_api.json").exists() == (method.workflow is not None)
    runs, missing = list_runs(out)
    assert not runs and missing == [f"gallery, 30, {name}" for name in METHODS]
    exact = files.read_video(cell / "exact.mkv").frames
    assert torch.allclose(exact[0], files.read_video(cell / "source.mkv").frames[0], atol=0.02)
    files.write_video(cell / "vace" / "result.mkv", exact, 15)
    assert [run.method for run in list_runs(out)[0]] == ["vace"]


def test_what_is_made_is_left_and_other_settings_are_refused(tmp_path, capsys):
    plan = ["--scenes", "gallery", "--out", str(tmp_path / "runs"), *SMALL, "--methods", "vace"]
    assert make_plan(*plan) == 0
    cell = tmp_path / "runs" / "gallery" / "30"
    made = (cell / "source.mkv").stat().st_mtime_ns
    assert make_plan(*plan) == 0 and (cell / "source.mkv").stat().st_mtime_ns == made
    (cell / "plan.json").unlink()  # as if it had been killed meanwhile
    assert make_plan(*plan) == 0 and (cell / "source.mkv").stat().st_mtime_ns > made
    assert make_plan(*plan, "--seed", "1") == 2
    assert "was planned with other settings" in capsys.readouterr().err


def test_a_clip_without_depth_is_left_out_and_the_rest_is_planned(tmp_path, capsys):
    colors, depth = sample_clip("gallery", 5, (64, 80))
    (tmp_path / "videos").mkdir()
    for name in ("good", "bare"):
        files.write_video(tmp_path / "videos" / f"{name}.mkv", colors, 15)
    files.write_depth(tmp_path / "videos" / "good.npz", depth)
    assert make_plan(str(tmp_path / "videos"), "--out", str(tmp_path / "runs"), *SMALL, "--methods", "recammaster") == 0
    said = capsys.readouterr()
    assert "1 folders for 1 methods; 1 left out" in said.out and "bare.mkv: its depth is not found" in said.err


@pytest.mark.parametrize("arguments, said", [
    (["--scenes", "moon"], "--scenes: 'moon' is not known"), (["--scenes", "gallery", "--ranges", "45"], "use 30, 60"),
    (["--scenes", "gallery", "--methods", "sora"], "--methods: 'sora' is not known"),
    ([], "CLIPS: is missing"), (["--scenes", "gallery", "--frames", "6"], "Wan needs 4k+1"),
    (["--scenes", "gallery", "--fit", "pad"], "pad adds bars"), (["none"], "is not a folder of videos")])
def test_a_plan_that_cannot_be_meant_is_refused_in_one_sentence(tmp_path, capsys, arguments, said):
    assert make_plan(*arguments, "--out", str(tmp_path / "runs")) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.workflow])
def test_every_workflow_runs_the_planned_clip_and_lacks_nothing(name):
    graph = adapt_workflow(name, "runs/clip/30", Clip(torch.zeros(9, 32, 48, 3), 15.0))
    schema = json.loads((PACK / "tests" / "schema.json").read_text())
    kinds = {node["class_type"]: node["inputs"] for node in graph.values()}
    for node in graph.values():
        assert all(value[0] in graph for value in node["inputs"].values() if isinstance(value, list))
        known = schema.get(node["class_type"], {"inputs": {}})["inputs"]
        assert {field for field, said in known.items() if said["group"] == "required" and "[" not in field
                } <= set(node["inputs"]), node["class_type"]
    assert kinds["LoadVideo"]["file"] == "runs/clip/30/source.mkv"
    assert kinds["EX4DLoadDepth"]["file"] == "runs/clip/30/depth.npz"
    assert kinds["EX4DLoadCameras"]["file"] == "runs/clip/30/prior/cameras.json"
    assert kinds["SaveVideo"]["filename_prefix"] == f"runs/clip/30/{name}/result"
    assert not {"CameraTrajectory", "DA3Inference", "PreviewImage"} & set(kinds)
    made = kinds.get("WanVaceToVideo") or kinds["WanImageToVideo"]
    literal = {"width": 48, "height": 32, "length": 9}
    assert all(isinstance(made[field], list) or made[field] == value for field, value in literal.items())


def test_every_method_is_of_known_styles_and_formats():
    assert all(method.style in {None, *STYLES} and method.format in {*WRITTEN, *ORBITS} for method in METHODS.values())


# ---- orbits -------------------------------------------------------------------------------------

RADIUS = 2.7
SQUARE = (64, 64)


def path_of(moves: str):
    return move_path(parse_moves(moves), 25, RADIUS, default_intrinsics(SQUARE), SQUARE)


@pytest.mark.parametrize("moves", ["orbit:yaw=50", "orbit:yaw=-80", "orbit:pitch=30", "orbit:yaw=-160"])
def test_an_orbit_is_told_as_it_is_and_what_is_not_one_by_how_far_it_is_off(tmp_path, moves):
    path = path_of(moves)
    for program in ORBITS:
        text, off = tell_orbit(program, path, RADIUS)
        assert off.degrees < 0.03 and off.share < 1e-3, program
        assert tell_orbit(program, path_of(f"{moves}+roll:angle=7"), RADIUS)[1].degrees > 1
    (tmp_path / "a.txt").write_text(tell_orbit("trajectorycrafter", path, RADIUS)[0])
    back = files.read_path(tmp_path / "a.txt", SQUARE, 25, "trajectorycrafter", radius=RADIUS)
    assert torch.allclose(back.cam_from_world, path.cam_from_world, atol=2e-3)


@pytest.mark.parametrize("preset", ["30", "60", "90", "180"])
def test_what_is_said_of_an_orbit_is_what_its_reader_makes_of_it(tmp_path, preset):
    path = path_of(f"preset-{preset}")
    text, off = tell_orbit("trajectorycrafter", path, RADIUS)
    (tmp_path / "a.txt").write_text(text)
    back = files.read_path(tmp_path / "a.txt", SQUARE, 25, "trajectorycrafter", radius=RADIUS)
    apart = (torch.linalg.inv(back.cam_from_world) - torch.linalg.inv(path.cam_from_world))[:, :3, 3].norm(dim=-1)
    assert float(apart.max()) / RADIUS == pytest.approx(off.share, abs=2e-3)


@pytest.mark.parametrize("moves", ["orbit:yaw=40", "orbit:yaw=-40", "orbit:pitch=25", "orbit:pitch=-25"])
def test_trajectoryattention_s_circle_by_its_own_formula_is_the_orbit(moves):
    """Its camera stands at (major sin a, 0, 200 cos a), or (0, major sin a, 200 cos a), and looks at the origin."""
    path = path_of(moves)
    words = tell_orbit("trajectoryattention", path, RADIUS)[0].split()
    options = dict(zip(words[::2], words[1::2]))
    cameras = []
    for frame in range(25):
        angle = math.radians(float(options["--degrees_per_frame"]) * frame)
        side, depth = float(options["--major_radius"]) * math.sin(angle), 200 * math.cos(angle)
        horizontal = options["--camera_motion_mode"] == "horizontal"
        place = np.array([side, 0, depth] if horizontal else [0, side, depth])
        ahead = -place / np.linalg.norm(place)
        right = np.cross([0, 1, 0], ahead)
        right /= np.linalg.norm(right)
        turn = np.stack([right, np.cross(ahead, right), ahead])
        cameras.append(np.block([[turn, -(turn @ place * RADIUS / 200)[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]]))
    first = np.stack(cameras) @ np.linalg.inv(cameras[0])
    assert np.allclose(first, path.cam_from_world.numpy(), atol=2e-3)
