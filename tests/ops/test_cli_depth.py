"""What the command line says of a depth file is what the library, and so the node, reads."""

import argparse
from itertools import islice

import numpy as np
import pytest
import torch

from ex4d_ops import cli, files
from ex4d_ops.cli.footage import take
from ex4d_ops.cli.options import FLAGS, add_depth_options, depth_units
from ex4d_ops.depth import DepthUnits, VideoDepth
from ex4d_ops.depth_units import UNIT_SETTINGS
from ex4d_ops.evaluation.plan import Planned, PlanRules, film
from ex4d_ops.mesh import MeshRules
from ex4d_ops.preparation.one_clip import find_depth
from ex4d_ops.preparation.recipe import Recipe
from ex4d_ops.preparation.videos import Source

VALUES = {"scale": 0.5, "shift": 0.25, "metric": True, "near": 0.7, "far": 30.0}


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_depth_options(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize("kind", UNIT_SETTINGS)
def test_every_setting_of_a_depth_kind_has_an_option(kind):
    given = {setting.name: VALUES[setting.name] for setting in UNIT_SETTINGS[kind]}
    words = [word for name, value in given.items() for word in ([FLAGS[name]] if value is True else
                                                                [FLAGS[name], str(value)])]
    assert depth_units(parse("--depth-kind", kind, *words)) == DepthUnits(kind, **given)


def test_every_setting_is_one_of_depth_units_with_its_default():
    for settings in UNIT_SETTINGS.values():
        for setting in settings:
            if setting.name not in ("near", "far"):  # which DepthUnits asks for
                assert setting.default == getattr(DepthUnits, setting.name)


@pytest.mark.parametrize("name", VALUES)
def test_a_setting_without_a_kind_is_refused_not_ignored(name):
    words = [FLAGS[name]] if VALUES[name] is True else [FLAGS[name], str(VALUES[name])]
    with pytest.raises(ValueError, match=f"{FLAGS[name]}: is used only with --depth-kind"):
        depth_units(parse(*words))


def test_without_options_the_file_says_what_its_numbers_mean():
    assert depth_units(parse()) is None and parse().depth_channel is None


@pytest.mark.parametrize("command", ["prior", "inspect"])
def test_the_depth_channel_can_be_named(tmp_path, capsys, monkeypatch, command):
    assert cli.main(["sample", str(tmp_path), "--frames", "5", "--size", "64x48"]) == 0
    depth = files.read_depth(tmp_path / "depth.npz").depth.numpy()
    np.savez(tmp_path / "two.npz", left=depth, right=depth * 2)
    given, reader = [], {"prior": "open_depth", "inspect": "read_depth"}[command]
    read = getattr(files, reader)
    monkeypatch.setattr(files, reader, lambda *some, **more: given.append(read(*some, **more)) or given[-1],
                        raising=False)
    words = {"prior": ["prior", str(tmp_path / "clip.mkv"), "--preset", "30", "--out", str(tmp_path / "out"),
                       "--depth"],
             "inspect": ["inspect"]}[command]
    file = [str(tmp_path / "two.npz"), "--depth-kind", "depth"]
    assert cli.main([*words, *file, "--depth-channel", "right"]) == 0
    first = given[-1].depth[0] if command == "inspect" else next(given[-1].frames())
    assert torch.equal(first, torch.from_numpy(depth * 2)[0])
    assert cli.main([*words, *file]) == 2
    assert "contains left, right; the depth must be named depth" in capsys.readouterr().err


# ---- depth of another shape than its clip -------------------------------------------------------

WALL = 3 / 4  # of the width: where near ends and far begins, in the clip and in its depth


def write_clip(folder, size: tuple[int, int], depth_size: tuple[int, int], **more) -> list[str]:
    """A clip whose bright part is near, and its depth at a size of its own. Returns the words that name them."""
    height, width = size
    frames = (torch.arange(width) < WALL * width).float()[None, :, None].expand(5, height, width, 3)
    files.write_video(folder / "clip.mkv", frames, 15)
    near = np.arange(depth_size[1]) < WALL * depth_size[1]
    np.savez(folder / "depth.npz", depth=np.broadcast_to(np.where(near, 2.0, 8.0), (5, *depth_size)), **more)
    return ["prior", str(folder / "clip.mkv"), "--depth", str(folder / "depth.npz"), "--preset", "30", "--out", "out"]


def lies_over(frame: torch.Tensor, depth: VideoDepth) -> bool:
    bright, near = (frame[20, :, 0] > 0.5).sum(), (depth.depth[0, 20] < 4).sum()
    return abs(int(bright) - int(near)) <= 2


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("choice", [[], ["--size", "64x64"], ["--size", "96x64"], ["--min-confidence", "0.5"]])
@pytest.mark.parametrize("depth_size, squeezed", [((64, 160), False), ((32, 80), False), ((70, 70), True),
                                                  ((48, 96), True), ((40, 200), True)])
def test_depth_of_every_shape_lies_over_its_clip(tmp_path, caplog, fit, choice, depth_size, squeezed):
    confidence = {"confidence": np.ones((5, *depth_size), np.float32),
                  "world_from_cam": np.tile(np.eye(4), (5, 1, 1)),
                  "intrinsics": np.diag([100.0, 100, 1])} if "--min-confidence" in choice else {}
    words = write_clip(tmp_path, (64, 160), depth_size, **confidence)
    options = cli.build_parser().parse_args([*words, "--fit", fit, *choice])
    taken = take(options, MeshRules())
    if "which the clip becomes" in caplog.text:  # nothing tells it from depth of the clip after its crop
        assert choice == ["--size", "64x64"] and fit != "pad" and depth_size == (70, 70)
        return
    assert ("stretched over the clip" in caplog.text) == squeezed
    for source in islice(taken.sources(), 2):
        assert lies_over(source.made[0][0], source.made[1])


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("depth_size", [(64, 160), (32, 80), (70, 70), (48, 96), (40, 200)])
def test_so_it_does_over_clips_that_are_planned_or_prepared(tmp_path, fit, depth_size):
    write_clip(tmp_path, (64, 160), depth_size)
    path, place, size = tmp_path / "clip.mkv", (tmp_path / "depth.npz").rename(tmp_path / "clip.npz"), (64, 96)
    clip, planned = film(Planned("clip", "30", path, place), PlanRules(5, size, fit, ()))
    assert lies_over(clip.frames[0], planned)
    if fit != "pad":  # bars are the last thing that is prepared
        recipe = Recipe(frames=5, size=size, depth=tmp_path, fit=fit)
        assert lies_over(clip.frames[0], find_depth(Source(path, path.name), recipe, 0, clip, (64, 160)))


@pytest.mark.parametrize("shape", [(120, 160, 5), (5, 64, 8), (5, 8, 160)])
def test_depth_that_cannot_be_that_of_the_clip_is_refused(tmp_path, shape):
    words = write_clip(tmp_path, (64, 160), (64, 160))
    np.savez(tmp_path / "depth.npz", depth=np.random.default_rng(0).uniform(1, 9, shape))
    with pytest.raises(ValueError, match="depth.npz: .*, but the clip is 160x64; check that it is depth of this clip"):
        take(cli.build_parser().parse_args(words), MeshRules())
