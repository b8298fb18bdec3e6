"""The command line as a new user meets it: results that can be trusted, one sentence where they can't be had."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from ex4d_ops import cli, files
from ex4d_ops.background import find_motion, make_background
from ex4d_ops.cli import rendering
from ex4d_ops.clip import fit_frame
from ex4d_ops.files import video
from ex4d_ops.guide import accompany, guide_video
from ex4d_ops.mesh import MeshRules, build_dw_mesh
from ex4d_ops.prior import RenderRules, origin_shares, render_prior
from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves, released_path
from ex4d_ops.trajectory.stereo import eye_distance_of_share, stereo_paths
from ex4d_ops.two_eyes import render_eyes

RESULTS = {"color.mkv", "visible.mkv", "preview.mp4", "cameras.json", "cameras.npz", "sheet.png", "path.png",
           "run.json"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    """A small procedural clip and its depth, made by the command itself."""
    folder = tmp_path_factory.mktemp("sample")
    assert cli.main(["sample", str(folder), "--frames", "5", "--size", "96x64"]) == 0
    return folder


def run_prior(sample: Path, out: Path, *options: str) -> int:
    camera = [] if {"--preset", "--move", "--path"} & set(options) else ["--preset", "60"]
    clip, depth = str(sample / "clip.mkv"), str(sample / "depth.npz")
    return cli.main(["prior", clip, "--depth", depth, "--out", str(out), *camera, *options])


def test_prior_equals_the_library_called_directly(sample, tmp_path):
    assert run_prior(sample, tmp_path, "--move", "orbit:yaw=40,pitch=10", "--seed", "7") == 0
    assert {file.name for file in tmp_path.iterdir()} == RESULTS
    clip, depth = files.read_video(sample / "clip.mkv"), files.read_depth(sample / "depth.npz")
    cameras = move_path(parse_moves("orbit:yaw=40,pitch=10"), 5, automatic_radius(depth), depth.intrinsics, depth.size)
    prior = render_prior(build_dw_mesh(clip.frames, depth), cameras, RenderRules(seed=7))
    color = files.read_video(tmp_path / "color.mkv").frames
    visible = files.read_video(tmp_path / "visible.mkv").frames[..., 0] > 0.5
    assert torch.equal(visible, prior.visible)
    assert (color - prior.color).abs().max() <= 0.5 / 255 + 1e-6
    assert (files.read_path(tmp_path / "cameras.json").cam_from_world - cameras.cam_from_world).abs().max() < 1e-6


def test_run_json_tells_settings_and_figures(sample, tmp_path):
    assert run_prior(sample, tmp_path, "--erosion", "3") == 0
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["settings"]["erosion"] == 3 and run["settings"]["preset"] == "60"
    assert len(run["figures"]["coverage"]) == 5 and run["figures"]["coverage"][0] == 1.0
    assert run["figures"]["radius"] == pytest.approx(run["figures"]["nearest_depth"] + 0.15)


def test_a_saved_path_makes_the_same_prior_again(sample, tmp_path):
    assert run_prior(sample, tmp_path / "a", "--move", "spiral:angle=15") == 0
    assert run_prior(sample, tmp_path / "b", "--path", str(tmp_path / "a" / "cameras.json")) == 0
    first, again = (files.read_video(tmp_path / name / "color.mkv").frames for name in "ab")
    assert torch.equal(first, again)


def test_freezing_flies_around_one_frame(sample, tmp_path):
    assert run_prior(sample, tmp_path, "--freeze", "2", "--frames", "9", "--move", "arc:yaw=50") == 0
    color = files.read_video(tmp_path / "color.mkv").frames
    clip = files.read_video(sample / "clip.mkv").frames
    assert len(color) == 9 and torch.equal(color[0], clip[2])


def test_meshes_of_chosen_frames_are_saved(sample, tmp_path):
    assert run_prior(sample, tmp_path, "--mesh", "0", "4") == 0
    assert {"mesh_0000.glb", "mesh_0004.glb"} < {file.name for file in tmp_path.iterdir()}


def test_hidden_faces_that_end_show_more(sample, tmp_path):
    for name, more in (("released", ["--texture", "face"]), ("bounded", ["--hidden-reach", "0.1"])):
        assert run_prior(sample, tmp_path / name, *more, "--erosion", "0") == 0
    released, bounded = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("released", "bounded"))
    assert bounded["settings"]["hidden_reach"] == 0.1 and released["settings"]["hidden_reach"] is None
    assert sum(bounded["figures"]["coverage"]) > sum(released["figures"]["coverage"])


def test_odd_sizes_are_rounded_and_said(sample, tmp_path, capsys):
    clip, depth = files.read_video(sample / "clip.mkv"), files.read_depth(sample / "depth.npz")
    files.write_video(tmp_path / "odd.mkv", clip.frames[:, :61, :90], clip.fps)
    np.savez(tmp_path / "odd.npz", depth=depth.depth[:, :61, :90])
    assert cli.main(["prior", str(tmp_path / "odd.mkv"), "--depth", str(tmp_path / "odd.npz"), "--preset", "30",
                     "--out", str(tmp_path / "out")]) == 0
    assert "90x61, works at 96x64" in capsys.readouterr().err
    assert files.read_video(tmp_path / "out" / "color.mkv").size == (64, 96)


def test_clips_are_trimmed_to_a_length_wan_takes(sample, tmp_path, capsys):
    clip, depth = files.read_video(sample / "clip.mkv"), files.read_depth(sample / "depth.npz")
    longer = torch.cat([clip.frames, clip.frames[:2]])
    files.write_video(tmp_path / "clip.mkv", longer, clip.fps)
    np.savez(tmp_path / "depth.npz", depth=torch.cat([depth.depth, depth.depth[:2]]))
    assert run_prior(tmp_path, tmp_path / "out") == 0
    assert "7 frames, but Wan needs 4k+1; uses the first 5" in capsys.readouterr().err


@pytest.mark.parametrize("options, sentence", [
    (["--frames", "6"], "T=6, but Wan needs 4k+1; use 5 or 9"),
    (["--frames", "0"], "T=0, but Wan needs 4k+1; use 1 or 5"),
    (["--frames", "-3"], "T=-3, but Wan needs 4k+1; use 1 or 5"),
    (["--move", ""], "'' is not a move"),
    (["--frames", "9"], "only 5 frames from frame 0 on, but --frames is 9"),
    (["--size", "100x64"], "Wan needs multiples of 16, got 100x64; use 96x64"),
    (["--move", "orbitt:yaw=3"], "'orbitt' is not a move"),
    (["--move", "orbit:yaw=9999"], "out of range"),
    (["--path", "nowhere.json"], "nowhere.json"),
    (["--start", "40"], "has ended before the frame to start at"),
    (["--radius", "-1"], "--radius"),
    (["--focal", "0"], "--focal"),
    (["--min-angle", "90"], "--min-angle"),
    (["--border-depth", "0"], "--border-depth"),
    (["--depth-jump", "-1"], "--depth-jump"),
    (["--hidden-reach", "0"], "--hidden-reach: got 0, must be above 0"),
    (["--hidden-reach", "-0.1"], "--hidden-reach: got -0.1, must be above 0"),
    (["--hidden-reach", "nan"], "--hidden-reach: got nan, must be above 0"),
    (["--depth-kind", "normalized-depth"], "needs near and far"),
    (["--mesh", "5"], "there is no frame 5"),
    (["--freeze", "77"], "has ended before the frame to start at"),
    (["--engine", "nvdiffrast"], "nvdiffrast"),
])
def test_bad_settings_get_one_sentence(sample, tmp_path, capsys, options, sentence):
    assert run_prior(sample, tmp_path / "out", *options) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("ex4d: error: ") and sentence in error
    assert not list(tmp_path.rglob("*.*")), "nothing may be left behind"


@pytest.mark.parametrize("name, content, sentence", [
    ("empty.mp4", b"", "empty.mp4"),
    ("text.mp4", b"not a video at all" * 50, "text.mp4"),
    ("none.mp4", None, "no such file"),
])
def test_bad_clips_get_one_sentence(sample, tmp_path, capsys, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert cli.main(["prior", str(tmp_path / name), "--depth", str(sample / "depth.npz"), "--preset", "30",
                     "--out", str(tmp_path / "out")]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("spoil, sentence", [
    (lambda depth: depth[:3], "3 frames"),
    (lambda depth: depth * np.nan, "no pixel is a positive number"),
    (lambda depth: depth * 0, "no pixel is a positive number"),
    (lambda depth: -depth, "no pixel is a positive number"),
    (lambda depth: depth * 0 + 4, "4 everywhere"),
    (lambda depth: np.where(np.indices(depth.shape)[2] == 7, np.nan, depth), "NaN, zero or negative"),
    (lambda depth: depth[..., None].repeat(2, -1), "frames, height, width"),
])
def test_bad_depth_gets_one_sentence(sample, tmp_path, capsys, spoil, sentence):
    np.savez(tmp_path / "depth.npz", depth=spoil(np.load(sample / "depth.npz")["depth"]))
    (tmp_path / "clip.mkv").symlink_to(sample / "clip.mkv")
    assert run_prior(tmp_path, tmp_path / "out") == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("camera", [("--preset", "30"), ("--move", "arc:yaw=40"), ("--preset", "30", "--frames", "9"),
                                    ("--move", "orbit:yaw=20", "--freeze", "0", "--frames", "5")])
def test_one_picture_is_held_while_the_camera_moves(sample, tmp_path, camera):
    clip = files.read_video(sample / "clip.mkv", frames=1)
    files.write_picture(tmp_path / "photo.png", clip.frames[0])
    assert cli.main(["prior", str(tmp_path / "photo.png"), "--depth", str(sample / "depth.npz"), *camera,
                     "--no-anchor", "--out", str(tmp_path / "out")]) == 0
    wanted = int(camera[camera.index("--frames") + 1]) if "--frames" in camera else 49
    path = files.read_path(tmp_path / "out" / "cameras.json", clip.size, wanted)
    assert len(path) == wanted and (path.source_frame == 0).all()
    assert len(files.read_video(tmp_path / "out" / "color.mkv")) == wanted


def test_pictures_anchor_the_frames_that_they_are_named_for(sample, tmp_path, capsys):
    picture = files.read_video(sample / "clip.mkv", frames=1).frames[0].flip(1)
    files.write_picture(tmp_path / "end.png", picture)
    assert run_prior(sample, tmp_path / "plain") == 0
    assert run_prior(sample, tmp_path / "anchored", "--anchor", f"last={tmp_path / 'end.png'}") == 0
    plain, anchored = (files.read_video(tmp_path / name / "color.mkv").frames for name in ("plain", "anchored"))
    assert torch.equal(plain[:-1], anchored[:-1]) and (anchored[-1] - picture).abs().max() <= 1.01 / 255
    assert files.read_video(tmp_path / "anchored" / "visible.mkv").frames[-1].min() == 1
    assert run_prior(sample, tmp_path / "far", "--anchor", f"5={tmp_path / 'end.png'}") == 2
    assert "--anchor: 5 is not a frame of this video; use 0 to 4, or last" in capsys.readouterr().err
    assert run_prior(sample, tmp_path / "none", "--anchor", "last=nothing.png") == 2
    assert "nothing.png: there is no such file" in capsys.readouterr().err


def test_meshes_are_written_in_the_format_and_topology_asked_for(sample, tmp_path):
    assert run_prior(sample, tmp_path, "--mesh", "2", "--mesh-format", "ply", "--closed-ring") == 0
    assert trimesh.load(tmp_path / "mesh_0002.ply", process=False).is_watertight
    assert run_prior(sample, tmp_path, "--mesh", "2", "--mesh-format", "ply") == 0
    assert not trimesh.load(tmp_path / "mesh_0002.ply", process=False).is_watertight


@pytest.mark.parametrize("place", ["file", "file/out", "\0", "x" * 300])
def test_an_output_that_cannot_be_written_gets_one_sentence(sample, tmp_path, capsys, place):
    (tmp_path / "file").write_text("in the way")
    assert run_prior(sample, tmp_path / place) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("ex4d: error: ") and "Errno" not in error
    assert "\0" in place or "cannot be read or written" in error and "check the path" in error


@pytest.mark.parametrize("name", ["banana", "cuda:99", "mps", "xpu", "meta:", "cpu:x"])
def test_a_device_that_is_not_here_is_refused_in_one_line(sample, tmp_path, capsys, name):
    with pytest.raises(SystemExit):
        run_prior(sample, tmp_path / "out", "--device", name)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"'{name}' is not a device that runs here" in error and error.endswith("; use cpu") and len(error) < 300


@pytest.mark.parametrize("radius", ["1e-30", "1e-6", "1e30"])
def test_every_radius_makes_a_prior(sample, tmp_path, radius):
    assert run_prior(sample, tmp_path / "out", "--radius", radius) == 0
    assert (tmp_path / "out" / "path.png").exists()


def test_out_of_memory_gets_one_sentence(sample, tmp_path, capsys, monkeypatch):
    def exhaust(*_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(rendering, "draw_single", exhaust)
    assert run_prior(sample, tmp_path / "out") == 2
    assert "out of memory; use fewer --frames" in capsys.readouterr().err


@pytest.mark.parametrize("at", range(5))
def test_ctrl_c_at_any_frame_leaves_no_half_written_file(sample, tmp_path, monkeypatch, at):
    draw = rendering.draw_single

    def interrupted(mesh, cameras, t, *rest):
        if t == at:
            raise KeyboardInterrupt
        return draw(mesh, cameras, t, *rest)

    monkeypatch.setattr(rendering, "draw_single", interrupted)
    assert run_prior(sample, tmp_path / "out") == 130
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("encoder", ["lossless_frame", "preview_frame"])
def test_an_encoder_that_fails_at_any_frame_leaves_no_file(sample, tmp_path, monkeypatch, capsys, encoder, at):
    encode, count = getattr(video, encoder), iter(range(99))

    def full(picture):
        if next(count) == at:
            raise OSError(28, "No space left on device")
        return encode(picture)

    monkeypatch.setattr(video, encoder, full)
    assert run_prior(sample, tmp_path / "out") == 2
    assert "cannot be written (No space left on device)" in capsys.readouterr().err
    assert not [path.name for path in (tmp_path / "out").iterdir() if ".part" in path.name or path.name == "run.json"]


@pytest.mark.parametrize("only", ["color", "visible,color", "preview", "cameras", "sheet,path", "path"])
def test_only_what_is_asked_for_is_written(sample, tmp_path, only):
    assert run_prior(sample, tmp_path / "all") == 0 and run_prior(sample, tmp_path / "some", "--only", only) == 0
    asked = {name for name in RESULTS if Path(name).stem in (*only.split(","), "run")}
    assert {path.name for path in (tmp_path / "some").iterdir()} == asked
    for name in asked - {"run.json"}:
        if name.endswith((".mkv", ".mp4")):  # Matroska has a random number of its own
            assert torch.equal(*(files.read_video(tmp_path / run / name).frames for run in ("all", "some"))), name
        else:
            assert (tmp_path / "all" / name).read_bytes() == (tmp_path / "some" / name).read_bytes(), name


def test_a_result_that_is_not_known_is_refused(sample, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run_prior(sample, tmp_path, "--only", "color,depth")
    assert "'depth' is not a result; use some of color,visible,preview,cameras,sheet,path" in capsys.readouterr().err


@pytest.mark.parametrize("last", ["color.mkv", "visible.mkv", "preview.mp4", "cameras.json", "sheet.png", "path.png"])
def test_a_second_run_that_is_stopped_leaves_nothing_that_tells_of_the_first(sample, tmp_path, monkeypatch, last):
    assert run_prior(sample, tmp_path) == 0
    (tmp_path / ".color.1.part.mkv").write_bytes(b"of a killed run")
    (tmp_path / ".frames.1.part").mkdir()
    replace = os.replace

    def stop(part, path):
        replace(part, path)
        if Path(path).name == last:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    assert run_prior(sample, tmp_path, "--preset", "60") == 130
    left = {path.name for path in tmp_path.iterdir()}
    assert "run.json" not in left and not [name for name in left if ".part" in name]
    assert "sheet.png" not in left or last in ("sheet.png", "path.png")
    monkeypatch.undo()
    assert run_prior(sample, tmp_path) == 0 and (tmp_path / "run.json").is_file()


def test_inspect_reports_watertightness_and_depth(sample, capsys):
    assert cli.main(["inspect", str(sample / "depth.npz")]) == 0
    said = capsys.readouterr().out
    assert "watertight" in said and "96x64" in said and "meters" in said
    assert cli.main(["inspect", str(sample / "depth.npz"), "--hidden-reach", "0.1"]) == 0
    assert "0.1 of the depth of their nearest corner" in capsys.readouterr().out


def test_convert_path_round_trips(sample, tmp_path):
    assert run_prior(sample, tmp_path / "out") == 0
    saved = tmp_path / "out" / "cameras.json"
    assert cli.main(["convert-path", str(saved), str(tmp_path / "path.chan")]) == 0
    assert cli.main(["convert-path", str(tmp_path / "path.chan"), str(tmp_path / "back.json"), "--size", "96x64"]) == 0
    first, back = (files.read_path(path).cam_from_world for path in (saved, tmp_path / "back.json"))
    assert (first - back).abs().max() < 1e-4


@pytest.mark.parametrize("command", ["prior", "sample", "inspect", "convert-path", "convert-checkpoint", "train"])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0 and len(capsys.readouterr().out) > 200


def test_help_teaches_every_move(capsys):
    from ex4d_ops.trajectory import MOVES

    with pytest.raises(SystemExit):
        cli.main(["prior", "--help"])
    said = capsys.readouterr().out
    assert all(f"  {name} " in said for name in MOVES)


def test_importing_the_library_imports_nothing_heavy():
    heavy = {"warp", "cv2", "av", "kornia", "trimesh", "matplotlib", "scipy", "PIL", "diffusers", "transformers"}
    listing = subprocess.run([sys.executable, "-c", "import torch, sys; before = set(sys.modules); import ex4d_ops; "
                              "print(*set(sys.modules) - before)"], capture_output=True, text=True, check=True)
    assert not heavy & {name.split(".")[0] for name in listing.stdout.split()}


def test_the_library_imports_comfyui_through_one_door_to_each_model():
    library = Path(cli.__file__).parents[1]
    for file in set(library.rglob("*.py")) - {library / "wan.py", library / "cogvideox.py"}:
        for line in file.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]):
                assert words[1].split(".")[0] not in {"comfy", "folder_paths", "nodes", "server", "execution"}, file


@pytest.mark.parametrize("fit, said, seen", [("stretch", "its width shrinks by 33%", 64 * 64),
                                             ("crop", "33% of its width is lost", 64 * 64),
                                             ("pad", "33% of the new height is black bars", 64 * 43)])
def test_another_shape_is_reached_by_the_fit_asked_for_and_said(sample, tmp_path, capsys, fit, said, seen):
    assert run_prior(sample, tmp_path, "--size", "64x64", "--fit", fit, "--move", "static", "--erosion", "0") == 0
    words = capsys.readouterr().err
    assert "the picture of 96x64 becomes 64x64" in words and said in words
    clip = files.read_video(sample / "clip.mkv")
    color, visible = (files.read_video(tmp_path / f"{name}.mkv").frames for name in ("color", "visible"))
    assert color.shape[1:3] == (64, 64) and int(visible[0, ..., 0].sum()) == seen
    assert (color[0] - fit_frame(clip.frames[0], (64, 64), fit)).abs().max() < 0.01
    bars = fit_frame(torch.ones(64, 96, 1), (64, 64), fit)[..., 0] == 0
    assert not visible[:, bars].any() and not color[:, bars].any()


def test_stretch_is_what_happens_where_no_fit_is_asked_for(sample, tmp_path):
    assert run_prior(sample, tmp_path / "a", "--size", "64x64") == 0
    assert run_prior(sample, tmp_path / "b", "--size", "64x64", "--fit", "stretch") == 0
    colors = [files.read_video(tmp_path / name / "color.mkv").frames for name in ("a", "b")]
    assert torch.equal(*colors)
# ---- background and angles ----------------------------------------------------------------------


def test_the_background_is_that_of_the_library_and_run_json_says_what_came_from_where(sample, tmp_path):
    assert run_prior(sample, tmp_path, "--background", "--erosion", "0") == 0
    assert {file.name for file in tmp_path.iterdir()} == RESULTS | {"origin.png"}
    clip, depth = files.read_video(sample / "clip.mkv"), files.read_depth(sample / "depth.npz")
    mesh = build_dw_mesh(clip.frames, depth, MeshRules(hidden_reach=0.1))
    cameras = files.read_path(tmp_path / "cameras.json")
    prior = render_prior(mesh, cameras, RenderRules(erosion=0),
                         background=make_background(mesh, find_motion(clip.frames, depth)))
    assert torch.equal(files.read_video(tmp_path / "visible.mkv").frames[..., 0] > 0.5, prior.visible)
    origin = json.loads((tmp_path / "run.json").read_text())["figures"]["origin"]
    assert origin == pytest.approx(origin_shares(prior, cameras), abs=1e-4)
    assert set(origin) == {"own frame", "other frames", "unseen"}


def test_masks_of_one_s_own_say_what_moves(sample, tmp_path):
    files.write_video(tmp_path / "moving.mkv", torch.ones(5, 64, 96, dtype=torch.bool), 15)
    masks = ("--moving", str(tmp_path / "moving.mkv"))
    assert run_prior(sample, tmp_path / "a", "--background", *masks) == 0
    origin = json.loads((tmp_path / "a" / "run.json").read_text())["figures"]["origin"]
    assert origin["other frames"] == 0


def test_masks_without_a_background_are_refused(sample, tmp_path, capsys):
    assert run_prior(sample, tmp_path / "a", "--moving", "moving.mkv") == 2
    assert "add --background" in capsys.readouterr().err


def test_inspect_draws_how_much_is_seen_from_every_angle(sample, tmp_path, capsys):
    picture = tmp_path / "angles.png"
    assert cli.main(["inspect", str(sample / "depth.npz"), "--angles", str(picture), "--share", "0.5"]) == 0
    said = capsys.readouterr().out
    assert picture.stat().st_size > 1000
    assert "At least 50% of the picture is seen up to" in said and "-90" in said and said.count("%") > 50


@pytest.mark.parametrize("share", ["0", "1", "-1", "nan"])
def test_a_share_that_is_none_is_refused(sample, tmp_path, capsys, share):
    options = ["inspect", str(sample / "depth.npz"), "--angles", str(tmp_path / "a.png"), "--share", share]
    assert cli.main(options) == 2
    assert "--share: got" in capsys.readouterr().err


@pytest.mark.parametrize("least", ["0", "1.5", "nan"])
def test_a_confidence_that_is_none_is_refused(sample, tmp_path, capsys, least):
    assert run_prior(sample, tmp_path / "a", "--min-confidence", least) == 2
    assert "--min-confidence: got" in capsys.readouterr().err


@pytest.mark.parametrize("style, size, surface", [("vace", (64, 96), "mesh"), ("black", (64, 96), "crossview-points")])
def test_every_guide_asked_for_is_the_librarys(sample, tmp_path, style, size, surface):
    assert run_prior(sample, tmp_path, "--guide", style, "--surface", surface, "--erosion", "0") == 0
    assert {file.name for file in tmp_path.iterdir()} == RESULTS | {"guide.mkv", "paint.mkv", "source.mkv"}
    clip, depth = files.read_video(sample / "clip.mkv"), files.read_depth(sample / "depth.npz")
    cameras = released_path("60", 5, automatic_radius(depth), depth.intrinsics, depth.size)
    prior = render_prior(build_dw_mesh(clip.frames, depth), cameras, RenderRules(erosion=0, surface=surface))
    wanted = guide_video(prior, style, clip.fps)
    guide, paint, source = (files.read_video(tmp_path / f"{name}.mkv") for name in ("guide", "paint", "source"))
    assert wanted.size == size and guide.fps == pytest.approx(wanted.fps)
    assert (guide.frames - wanted.color).abs().max() <= 0.5 / 255 + 1e-6
    assert torch.equal(paint.frames[..., 0] > 0.5, wanted.paint)
    assert (source.frames - accompany(wanted, clip.frames)).abs().max() <= 0.5 / 255 + 1e-6


def test_a_guide_that_the_clip_is_too_short_for_is_refused_before_anything_is_written(sample, tmp_path, capsys):
    assert run_prior(sample, tmp_path / "out", "--guide", "meridian") == 2
    assert "the clip gives" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("layout, size", [("side by side", (64, 192)), ("half over and under", (64, 96)),
                                          ("VR180", (64, 128))])
def test_every_stereo_video_asked_for_is_the_librarys(sample, tmp_path, capsys, layout, size):
    asked = ["--stereo", layout, "--eye-distance", "3%", "--vr-side", "64"]
    assert run_prior(sample, tmp_path, *asked) == 0
    assert {file.name for file in tmp_path.iterdir()} == RESULTS | {"stereo.mkv", "stereo_visible.mkv"}
    assert "The parallax is between" in capsys.readouterr().err
    clip, depth = files.read_video(sample / "clip.mkv"), files.read_depth(sample / "depth.npz")
    radius = automatic_radius(depth)
    cameras = released_path("60", 5, radius, depth.intrinsics, depth.size)
    eyes = stereo_paths(cameras, eye_distance_of_share(cameras, 0.03, radius), radius)
    wanted = render_eyes(build_dw_mesh(clip.frames, depth), *eyes, layout, RenderRules("face", False, 0), side=64)
    both = files.read_video(tmp_path / "stereo.mkv").frames
    assert both.shape[1:3] == size and (both - wanted.color).abs().max() <= 0.5 / 255 + 1e-6
    assert torch.equal(files.read_video(tmp_path / "stereo_visible.mkv").frames[..., 0] > 0.5, wanted.visible)


@pytest.mark.parametrize("options, said", [
    (["--convergence", "0"], "--convergence: got 0, must be above 0"),
    (["--vr-side", "8"], "--vr-side: got 8, must be 64 or more"),
])
def test_every_stereo_option_out_of_range_is_refused(sample, tmp_path, capsys, options, said):
    assert run_prior(sample, tmp_path / "out", "--stereo", "side by side", *options) == 2
    assert said in capsys.readouterr().err


def test_an_eye_distance_that_tires_the_eyes_is_said(sample, tmp_path, capsys):
    assert run_prior(sample, tmp_path, "--stereo", "side by side", "--eye-distance", "12%") == 0
    assert "of the width, and more than 5% is hard on the eyes; multiply" in capsys.readouterr().err
