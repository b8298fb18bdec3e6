"""What the command line says of a depth file is what the library, and so the node, reads."""

import argparse

import numpy as np
import pytest
import torch

from ex4d_ops import cli, files
from ex4d_ops.cli.options import FLAGS, add_depth_options, depth_units
from ex4d_ops.depth import DepthUnits
from ex4d_ops.depth_units import UNIT_SETTINGS

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
