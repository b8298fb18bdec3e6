"""A second opinion of cameras agrees with the first, and has none where it finds nothing."""

from functools import cache

import pytest
import torch

from ex4d_ops import cli
from ex4d_ops.clip import Clip
from ex4d_ops.evaluation.agreement import Reference
from ex4d_ops.evaluation.cell import Cell, Scene
from ex4d_ops.evaluation.one_run import fit_video, measure_again
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.scene import make_scene, sample_clip
from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves

FRAMES, SIZE = 3, (224, 224)


@cache
def cell(yaw: float) -> Cell:
    colors, depth = sample_clip("gallery", FRAMES, SIZE)
    path = move_path(parse_moves(f"orbit:yaw={yaw}"), FRAMES, automatic_radius(depth), depth.intrinsics[0], SIZE)
    exact = make_scene("gallery").render(path)[0]
    wanted = Reference(exact, torch.ones(FRAMES, *SIZE, dtype=torch.bool), False)
    return Cell(Clip(exact, 15), wanted, Scene(build_dw_mesh(colors, depth), path, depth.nearest))


def judge(video: torch.Tensor) -> dict[str, list]:
    pytest.importorskip("pycolmap", reason="pycolmap isn't installed")
    return measure_again(fit_video(video, cell(20)))


def test_the_exact_video_follows_its_path_in_its_opinion_too():
    told = judge(cell(20).reference.frames)
    assert told["found_colmap"] == [100] * FRAMES
    assert max(told["rotation_colmap"]) <= 0.3 and max(told["translation_colmap"]) <= 2


@pytest.mark.parametrize("yaw", [16, 24, -20])
def test_a_path_that_is_off_is_told_by_as_much(yaw):
    told = judge(cell(yaw).reference.frames)
    assert told["rotation_colmap"] == pytest.approx([0, abs(20 - yaw) / 2, abs(20 - yaw)], abs=0.5)


def test_noise_has_no_second_opinion_and_two_runs_are_equal():
    noise = torch.rand(FRAMES, *SIZE, 3, generator=torch.Generator().manual_seed(0))
    told = judge(noise)
    assert told["rotation_colmap"] == [None] * FRAMES and told["found_colmap"] == [0] * FRAMES
    assert judge(cell(16).reference.frames) == judge(cell(16).reference.frames)


def test_it_is_refused_where_pycolmap_is_missing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("ex4d_ops.cli.evaluate.find_spec", lambda name: None)
    assert cli.main(["evaluate", str(tmp_path), "--out", str(tmp_path), "--second-opinion"]) == 2
    assert "get it with pip install pycolmap" in capsys.readouterr().err
