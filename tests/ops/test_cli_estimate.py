"""Depth from a model on the command line, with a tiny model on disk: results, and a sentence where it stops."""

import json

import pytest
import torch

from ex4d_ops import cli, files
from ex4d_ops.estimators.video_depth_anything import VideoDepthAnything

FILE = "video_depth_anything_vits.pth"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A models folder in which a tiny model stands for the small public one."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "video_depth_anything").mkdir()
    torch.manual_seed(0)
    model = VideoDepthAnything(64, 4, 26, (8, 16, 32, 32), 32)
    torch.nn.init.constant_(model.head.scratch["output_conv2"][2].bias, 1.0)
    torch.save(model.state_dict(), folder / "video_depth_anything" / FILE)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    assert cli.main(["sample", str(folder), "--scene", "colonnade", "--frames", "5", "--size", "96x64"]) == 0
    return folder / "clip.mkv"


def prior(clip, out, *options) -> int:
    return cli.main(["prior", str(clip), "--preset", "30", "--depth-resolution", "28", "--out", str(out), *options])


def test_a_catalogued_model_and_its_file_give_the_same_prior(models, clip, tmp_path):
    assert prior(clip, tmp_path / "a", "--depth-model", "video-depth-anything-small", "--models", str(models)) == 0
    assert prior(clip, tmp_path / "b", "--depth-model", str(models / "video_depth_anything" / FILE)) == 0
    first, second = (files.read_video(tmp_path / name / "color.mkv").frames for name in "ab")
    assert torch.equal(first, second)
    run = json.loads((tmp_path / "a" / "run.json").read_text())
    assert run["settings"]["depth_model"] == "video-depth-anything-small"
    assert run["figures"]["nearest_depth"] >= 2.56


def test_scale_and_lens_are_taken(models, clip, tmp_path):
    assert prior(clip, tmp_path, "--depth-model", "video-depth-anything-small", "--models", str(models), "--near", "2",
                 "--far", "9", "--depth-scale-rule", "near-and-far", "--focal", "80", "--smoothing", "1") == 0
    assert json.loads((tmp_path / "run.json").read_text())["figures"]["nearest_depth"] == pytest.approx(2, abs=0.5)


@pytest.mark.parametrize("options, sentence", [
    (["--depth-model", "video-depth-anything-large"], "video_depth_anything_vitl.pth is missing (1538 MB"),
    (["--depth-model", "nowhere"], "'nowhere' is not a model or a file"),
    (["--depth-model", "video-depth-anything-small", "--depth-scale-rule", "as-given"],
     "not have units to keep as given"),
    (["--depth-model", "video-depth-anything-small", "--smoothing", "9"], "--smoothing: got 9, must be 0..8"),
    (["--depth-model", "video-depth-anything-small", "--focal", "-1"], "--focal: got -1"),
    (["--depth-model", "video-depth-anything-small", "--near", "5", "--far", "2"], "need 0 < near < far"),
])
def test_what_stops_it_is_said_in_one_sentence(models, clip, tmp_path, capsys, options, sentence):
    assert prior(clip, tmp_path / "out", *options, "--models", str(models)) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("ex4d: error: ") and sentence in error


def test_depth_comes_from_a_file_or_a_model_not_both(clip, tmp_path):
    with pytest.raises(SystemExit) as stop:
        prior(clip, tmp_path, "--depth", "depth.npz", "--depth-model", "parallax")
    assert stop.value.code == 2


def test_download_says_what_is_there_already(models, capsys):
    assert cli.main(["download", "video-depth-anything-small", "--models", str(models)]) == 0
    assert "is already in" in capsys.readouterr().out


def test_help_of_download_lists_names_sizes_and_licences(capsys):
    with pytest.raises(SystemExit):
        cli.main(["download", "--help"])
    said = capsys.readouterr().out
    assert "depthcrafter" in said and "4509 MB" in said and "research use only" in said
