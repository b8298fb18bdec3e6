"""How a path is read: by length, scale, world and names; what is asked for is done, or refused in one short line."""

import inspect
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ex4d_ops import CameraPath, cli
from ex4d_ops.camera import check_rigid, default_intrinsics, invert_rigid
from ex4d_ops.files import read_path, write_path
from ex4d_ops.files.damage import QUOTED, quote
from ex4d_ops.files.parsing import LISTED, list_names, natural_order
from ex4d_ops.files.path_settings import SETTINGS
from ex4d_ops.files.paths import FORMATS, WRITTEN
from ex4d_ops.trajectory import move_path, parse_moves
from ex4d_ops.trajectory.editing import fit, lay_on, scale_places

SIZE = (48, 64)
MOVES = "orbit:yaw=-50..70,pitch=20+dolly:distance=0.4+truck:distance=0.3+roll:angle=30"
scales = st.floats(1e-3, 1e3)


def path_of(moves: str = MOVES, frames: int = 9) -> CameraPath:
    return move_path(parse_moves(moves), frames, 2.5, default_intrinsics(SIZE), SIZE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("settings")


def in_other_units(path: CameraPath, turned, moved, scale: float) -> CameraPath:
    """The same shot in a world that is turned, moved and in other units."""
    world_from_cam = np.linalg.inv(path.cam_from_world.double().numpy())
    turn = Rotation.from_euler("xyz", turned, degrees=True).as_matrix()
    other = np.tile(np.eye(4), (len(path), 1, 1))
    other[:, :3, :3] = turn @ world_from_cam[:, :3, :3]
    other[:, :3, 3] = scale * (world_from_cam[:, :3, 3] @ turn.T) + moved
    return CameraPath(torch.from_numpy(np.linalg.inv(other)).float(), path.intrinsics, path.size)


# ---- scale --------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.floats(-180, 180), min_size=3, max_size=3), st.lists(st.floats(-5, 5), min_size=3, max_size=3),
       scales, st.sampled_from(["first", "file"]))
def test_every_similarity_is_undone_by_an_automatic_scale(folder, turned, moved, scale, world):
    shot = path_of()
    other = in_other_units(shot, turned, np.array(moved) * scale, scale)
    write_path(folder / "auto.json", other)
    back = read_path(folder / "auto.json", world=world, scale="auto", source=invert_rigid(shot.cam_from_world))
    assert torch.allclose(back.cam_from_world, shot.cam_from_world, atol=2e-4)
    assert torch.equal(back.intrinsics, other.intrinsics)


@settings(deadline=None)
@given(scales, st.sampled_from(["first", "file"]))
def test_a_scale_multiplies_distances_and_nothing_else(folder, scale, world):
    write_path(folder / "scaled.json", path_of())
    plain, scaled = (read_path(folder / "scaled.json", world=world, scale=factor) for factor in (1.0, scale))
    assert torch.allclose(scaled.eye, scale * plain.eye, rtol=1e-4, atol=1e-5 * scale)
    assert torch.equal(scaled.cam_from_world[:, :3, :3], plain.cam_from_world[:, :3, :3])


def test_noise_does_not_turn_a_path_that_is_laid_on_a_straight_way():
    """Places on one line leave the turn about it open; headings tell it."""
    shot = path_of("dolly:distance=0.8")
    noisy = in_other_units(shot, [20, 70, -40], [1, 2, 3], 30.0)
    noisy.cam_from_world[:, :3, 3] += 0.05 * torch.randn(9, 3, generator=torch.Generator().manual_seed(0))
    laid = lay_on(noisy, invert_rigid(shot.cam_from_world))
    check_rigid("laid", laid.cam_from_world)
    assert torch.allclose(laid.cam_from_world[:, :3, :3], shot.cam_from_world[:, :3, :3], atol=1e-4)
    assert (laid.eye - shot.eye).norm(dim=-1).max() < 0.02


def test_headings_that_contradict_each_other_never_mirror_a_path():
    """Half turns about x, y and z: on average a mirror."""
    turns = torch.diag_embed(torch.tensor([[1.0, -1, -1], [-1, 1, -1], [-1, -1, 1]]))
    target, own = torch.eye(4).repeat(3, 1, 1), torch.eye(4).repeat(3, 1, 1)
    own[:, :3, :3], own[:, 0, 3], target[:, 0, 3] = turns, torch.arange(3.0), -torch.arange(3.0)
    path = CameraPath(invert_rigid(own), default_intrinsics(SIZE).repeat(3, 1, 1), SIZE)
    check_rigid("laid", lay_on(path, target).cam_from_world)


@pytest.mark.parametrize("moves, source, message", [
    (MOVES, None, "the motion of the clip's own camera is not known"),
    (MOVES, "still", "the motion of the clip's own camera is not known"),
    ("static", MOVES, "stands still"), (MOVES, "pan", "stands still"),
    ("truck:distance=-0.4", "truck:distance=0.4", "does not follow the clip's camera"),
    ("pedestal:distance=0.4", "truck:distance=0.4", "does not follow the clip's camera"),
    (MOVES, "short", "shows source frame 8")])
def test_where_two_paths_tell_no_scale_it_is_refused(tmp_path, moves, source, message):
    write_path(tmp_path / "a.json", path_of(moves))
    known = {None: None, "still": torch.eye(4).repeat(9, 1, 1)}
    if source not in known:
        frames = 5 if source == "short" else 9
        known[source] = invert_rigid(path_of(MOVES if source == "short" else source, frames).cam_from_world)
    with pytest.raises(ValueError, match=message):
        read_path(tmp_path / "a.json", scale="auto", source=known[source])


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_scales_that_are_none_are_refused(scale):
    with pytest.raises(ValueError, match="scale: got .*, must be a number above 0"):
        scale_places(path_of(), scale)


# ---- length -------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", WRITTEN)
@pytest.mark.parametrize("frames", [1, 5, 9, 16, 81])
def test_a_path_of_every_length_is_fitted_where_that_is_asked_and_else_refused(tmp_path, format, frames):
    write_path(tmp_path / "a", path_of(), format)
    whole = read_path(tmp_path / "a", SIZE, format=format)
    fitted = read_path(tmp_path / "a", SIZE, frames, format=format, length="fit")
    wanted = whole if frames == len(whole) else fit(whole, frames)
    assert len(fitted) == frames and fitted.source_frame.tolist() == list(range(frames))
    assert torch.equal(fitted.cam_from_world, wanted.cam_from_world)
    if frames != len(whole):
        with pytest.raises(ValueError, match=f"has 9 frames, but {frames} are needed; choose the path length fit"):
            read_path(tmp_path / "a", SIZE, frames, format=format)


# ---- one table for the library, the command line and the node -----------------------------------


def test_every_setting_of_the_table_is_the_librarys(tmp_path):
    parameters = inspect.signature(read_path).parameters
    assert set(SETTINGS) <= set(parameters)
    write_path(tmp_path / "a.json", path_of())
    plain = read_path(tmp_path / "a.json")
    for name, setting in SETTINGS.items():
        if setting.choices:
            usual = read_path(tmp_path / "a.json", **{name: setting.choices[0]})
            assert torch.equal(plain.cam_from_world, usual.cam_from_world)
            with pytest.raises(ValueError, match=f"'none' is not a path {name}; use one of"):
                read_path(tmp_path / "a.json", **{name: "none"})


@pytest.mark.parametrize("command", ["prior", "convert-path"])
def test_the_command_line_offers_every_setting_and_choice(command, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    words = set(capsys.readouterr().out.replace(",", " ").replace(".", " ").split())
    for name, setting in SETTINGS.items():
        assert f"--path-{name.replace('_', '-')}" in words and set(setting.choices) <= words
    assert {"--path-scale", "auto"} <= words


def write_shot(folder):
    """A chan file that begins elsewhere, turned in Blender's order, of 16 frames."""
    rows = [f"{1001 + t} {100 + t} 20 -30 {-5 * t} {-102 + t} {2 * t} 50" for t in range(16)]
    (folder / "shot.chan").write_text("\n".join(rows))
    return folder / "shot.chan"


@pytest.mark.parametrize("options, wanted", [
    ([], {}), (["--path-world", "first"], {"world": "first"}),
    (["--path-rotation-order", "XYZ"], {"rotation_order": "XYZ"}),
    (["--path-scale", "0.01", "--path-world", "first"], {"scale": 0.01, "world": "first"}),
    (["--frames", "9", "--path-length", "fit"], {"frames": 9, "length": "fit"}),
    (["--path-format", "chan"], {"format": "chan"}), (["--from", "chan"], {"format": "chan"})])
def test_converted_paths_are_read_as_the_options_say(tmp_path, options, wanted):
    shot, out = write_shot(tmp_path), tmp_path / "out.json"
    assert cli.main(["convert-path", str(shot), str(out), "--size", "64x48", *options]) == 0
    assert torch.equal(read_path(out).cam_from_world, read_path(shot, SIZE, **wanted).cam_from_world)


def test_the_prior_s_path_is_read_as_the_options_say(tmp_path, capsys):
    assert cli.main(["sample", str(tmp_path / "s"), "--size", "64x48", "--frames", "9"]) == 0
    shot = write_shot(tmp_path)
    run = ["prior", str(tmp_path / "s" / "clip.mkv"), "--depth", str(tmp_path / "s" / "depth.npz"), "--path", str(shot),
           "--out", str(tmp_path / "o"), "--path-length", "fit"]
    assert cli.main(run) == 0
    assert "the path sees nothing of the clip" in capsys.readouterr().err
    options = {"world": "first", "scale": 0.01, "rotation_order": "XYZ"}
    named = [word for name, value in options.items() for word in (f"--path-{name.replace('_', '-')}", str(value))]
    assert cli.main([*run, *named]) == 0
    assert "nothing of the clip" not in capsys.readouterr().err
    wanted = read_path(shot, SIZE, 9, length="fit", **options)
    assert torch.equal(read_path(tmp_path / "o" / "cameras.json").cam_from_world, wanted.cam_from_world)
    assert cli.main([*run, "--path-scale", "auto"]) == 2
    assert "the motion of the clip's own camera is not known" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main([*run, "--path-scale", "big"])
    assert "'big' is not a scale; write auto, or a number above 0" in capsys.readouterr().err


# ---- sentences ----------------------------------------------------------------------------------


@given(st.text(max_size=500))
def test_every_quoted_piece_is_one_short_printable_line(text):
    assert quote(text).isprintable() and len(quote(text)) <= QUOTED + 5


@given(st.lists(st.text(max_size=90), max_size=40))
def test_every_list_of_names_is_one_line_of_a_few(names):
    assert list_names(names).isprintable() and len(list_names(names)) < LISTED * (QUOTED + 5) + 20


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), max_size=6))
def test_every_name_has_a_place_in_the_order(names):
    assert sorted(sorted(names, key=natural_order), key=natural_order) == sorted(names, key=natural_order)
    assert natural_order("f9.png") < natural_order("f10.png")


LONG = "x\n" * 3000


@pytest.mark.parametrize("name, text", [
    ("a.json", json.dumps({"cam_from_world": [], "version": [LONG]})),
    ("a.json", json.dumps({"frame0": {LONG: "", "b": ""}})), ("a.json", json.dumps({"frame0": {LONG: ""}})),
    ("a.json", json.dumps([{"frame": 0, LONG: 1}])), ("a.json", json.dumps([{LONG: 0}])),
    ("a.json", json.dumps({"frames": [{"transform_matrix": 0, "camera_model": LONG}]})),
    ("a.json", json.dumps({"trajectory": {"file": LONG}})), ("a.json", json.dumps({"keyframes": [], "mode": LONG})),
    ("a.json", json.dumps({"keyframes": [{"0": [{LONG: {}}]}]})), ("a.json", f'{{"{LONG}"'),
    ("a.gltf", json.dumps({"asset": {}, "nodes": [{"camera": 0, "name": LONG}, {"camera": 0, "name": "b"}]})),
    ("a.txt", f"https://x\n{'1 ' * 3000}\n"), ("a.chan", "1 " * 3000), ("cameras.txt", f"1 {'x' * 6000} 4 4\n")])
def test_refusals_quote_at_most_a_line_of_the_file(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (tmp_path / "images.txt").write_text("1 1 0 0 0 0 0 0 1 a.png\n")
    with pytest.raises(ValueError) as error:
        read_path(tmp_path / name, SIZE, 9, radius=2.0)
    sentence = str(error.value).removeprefix(f"{tmp_path / name}: ")
    assert "\n" not in sentence and len(sentence) < 500, sentence


def test_every_format_says_its_world_and_every_written_one_its_suffix():
    assert all(kind.world in ("first", "file") for kind in FORMATS.values())
    assert WRITTEN == {name: kind.suffix for name, kind in FORMATS.items() if kind.write is not None}
