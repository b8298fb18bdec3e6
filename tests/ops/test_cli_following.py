"""The command line follows a source camera and a subject as the library does."""

import json
from pathlib import Path

import pytest
import torch

from ex4d_ops import cli, files
from ex4d_ops.trajectory import make_subject, move_path, parse_moves, source_path, subject_target
from ex4d_ops.trajectory.follow import follow

FRAMES = 5


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    assert cli.main(["sample", str(folder), "--scene", "colonnade", "--frames", str(FRAMES), "--size", "96x64"]) == 0
    return folder


@pytest.fixture(scope="module")
def depth(sample):
    return files.read_depth(sample / "depth.npz")


def run_prior(sample: Path, out: Path, *options: str) -> int:
    return cli.main(["prior", str(sample / "clip.mkv"), "--depth", str(sample / "depth.npz"), "--out", str(out),
                     *options])


def same_cameras(out: Path, path) -> bool:
    return (files.read_path(out / "cameras.json").cam_from_world - path.cam_from_world).abs().max() < 1e-6


@pytest.mark.parametrize("smoothed", ["all", "rotation"])
@pytest.mark.parametrize("smoothing", ["0", "2"])
def test_source_cameras_are_the_librarys(sample, depth, tmp_path, smoothing, smoothed):
    options = ("--source-cameras", "--camera-smoothing", smoothing, "--camera-smoothed", smoothed)
    assert run_prior(sample, tmp_path, *options) == 0
    assert same_cameras(tmp_path, source_path(depth, int(smoothing), smoothed))
    if smoothing == "0":
        assert json.loads((tmp_path / "run.json").read_text())["figures"]["coverage"][0] == 1.0


@pytest.mark.parametrize("camera", [["--move", "orbit:yaw=25"], ["--preset", "30"]])
@pytest.mark.parametrize("keep", [[], ["--keep-aim"]])
def test_a_target_is_a_pixel_of_the_clip(sample, depth, tmp_path, camera, keep):
    assert run_prior(sample, tmp_path, *camera, "--target", "70,40", *keep) == 0
    subject = make_subject(subject_target((70, 40), depth), bool(keep))
    moves = parse_moves(camera[1] if camera[0] == "--move" else "preset-30")
    path = move_path(moves, FRAMES, subject.distance, depth.intrinsics, depth.size, subject)
    assert same_cameras(tmp_path, follow(path, depth, "world", subject))
    assert json.loads((tmp_path / "run.json").read_text())["figures"]["radius"] == pytest.approx(subject.distance)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_a_target_stays_on_what_it_marks_whatever_the_size(sample, depth, tmp_path, fit):
    assert run_prior(sample, tmp_path, "--move", "static", "--target", "60,40", "--size", "128x128", "--fit", fit) == 0
    ahead = files.read_path(tmp_path / "cameras.json").cam_from_world[0, 2, :3]
    wanted = subject_target((60, 40), depth)
    assert torch.allclose(ahead / ahead[2], wanted / wanted[2], atol=0.05)


def test_masks_mark_a_subject(sample, depth, tmp_path):
    masks = torch.zeros(FRAMES, 64, 96)
    for t in range(FRAMES):
        masks[t, 30:40, 40 + 4 * t:50 + 4 * t] = 1
    files.write_video(tmp_path / "masks.mkv", masks > 0.5, 15)
    files.write_picture(tmp_path / "mask.png", masks[0, ..., None].expand(64, 96, 3))
    for name, marked in (("masks.mkv", masks), ("mask.png", masks[:1])):
        assert run_prior(sample, tmp_path / "out", "--move", "orbit:yaw=25", "--subject", str(tmp_path / name)) == 0
        subject = make_subject(subject_target(marked, depth))
        path = move_path(parse_moves("orbit:yaw=25"), FRAMES, subject.distance, depth.intrinsics, depth.size, subject)
        assert same_cameras(tmp_path / "out", follow(path, depth, "world", subject))


def test_a_path_moves_along_with_the_source(sample, depth, tmp_path):
    assert run_prior(sample, tmp_path, "--move", "static", "--relative", "source") == 0
    assert same_cameras(tmp_path, source_path(depth))


@pytest.mark.parametrize("options, message", [
    (["--move", "static", "--target", "96,3"], "is not within the picture of 96x64"),
    (["--move", "static", "--target", "x"], "is not a place in the picture"),
    (["--move", "static", "--keep-aim"], "--keep-aim: is used only with"),
    (["--move", "static", "--camera-smoothing", "3"], "--camera-smoothing: is used only with --source-cameras"),
    (["--source-cameras", "--camera-smoothing", "-3"], "--camera-smoothing: got -3"),
    (["--source-cameras", "--target", "3,3"], "are used only with --preset or --move"),
    (["--move", "static", "--subject", "nowhere.png"], "nowhere.png: there is no such file")])
def test_what_cannot_be_meant_is_one_sentence(sample, tmp_path, capsys, options, message):
    try:
        assert run_prior(sample, tmp_path, *options) != 0
    except SystemExit as ended:
        assert ended.code != 0
    assert message in capsys.readouterr().err
