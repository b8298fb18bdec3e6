"""Laws of `ex4d prior` on a folder of clips: each becomes what it becomes alone, and once, whatever the others do."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ex4d_ops import cli, files
from ex4d_ops.cli import batch
from ex4d_ops.scene import sample_clip

SIZE = (32, 48)
NAMES = ["a", "b/c", "b/d.e"]
OUTPUTS = "color,visible,cameras"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three clips, two of them in a folder, and their depth in a folder of the same form."""
    place = tmp_path_factory.mktemp("many")
    for k, name in enumerate(NAMES):
        frames, depth = sample_clip("street", 5, SIZE, seed=k)
        for kind in ("clips", "depth"):
            (place / kind / name).parent.mkdir(parents=True, exist_ok=True)
        files.write_video(place / "clips" / f"{name}.mkv", frames, 15)
        files.write_depth(place / "depth" / f"{name}.npz", depth)
    return place


@pytest.fixture
def in_process(monkeypatch):
    """Work in this process, without a pool."""
    monkeypatch.setattr(batch, "in_processes", lambda todo, begin, workers, threads: map(begin(), todo))


@pytest.fixture
def mine(folder, tmp_path):
    """A copy to spoil."""
    shutil.copytree(folder, tmp_path / "many")
    return tmp_path / "many"


def command(place: Path, out: Path, *options: str) -> list[str]:
    return ["prior", str(place / "clips"), "--depth", str(place / "depth"), "--preset", "30", "--only", OUTPUTS,
            "--out", str(out), *options]


def check_same(out: Path, folder: Path, tmp_path: Path, names=NAMES) -> None:
    """Each clip's results are those of a run of its own."""
    for name in names:
        alone = tmp_path / "alone" / name
        assert cli.main(["prior", str(folder / "clips" / f"{name}.mkv"), "--depth",
                         str(folder / "depth" / f"{name}.npz"), "--preset", "30", "--only", OUTPUTS, "--out",
                         str(alone)]) == 0
        for video in ("color.mkv", "visible.mkv"):
            assert torch.equal(*(files.read_video(place / video).frames for place in (out / name, alone)))
        assert (out / name / "cameras.json").read_bytes() == (alone / "cameras.json").read_bytes()


def made_at(out: Path) -> dict[str, int]:
    return {name: (out / name / "run.json").stat().st_mtime_ns for name in NAMES if (out / name / "run.json").exists()}


def test_every_clip_of_a_folder_becomes_what_it_becomes_alone(folder, tmp_path, in_process):
    assert cli.main(command(folder, tmp_path / "out")) == 0
    check_same(tmp_path / "out", folder, tmp_path)


def test_workers_make_what_one_process_makes(folder, tmp_path):
    ran = subprocess.run([sys.executable, "-m", "ex4d_ops", *command(folder, tmp_path / "out", "--jobs", "2")],
                         capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "3 of 3 clips are done" in ran.stdout
    check_same(tmp_path / "out", folder, tmp_path)


def test_a_cluster_makes_what_one_process_makes(folder, tmp_path):
    ray = pytest.importorskip("ray", reason="Ray isn't installed")
    assert cli.main(command(folder, tmp_path / "out", "--engine", "ray", "--jobs", "2")) == 0
    check_same(tmp_path / "out", folder, tmp_path)
    assert not ray.is_initialized()


def test_nothing_is_made_twice(mine, tmp_path, in_process, capsys):
    out = tmp_path / "out"
    assert cli.main(command(mine, out)) == 0
    first = made_at(out)
    assert cli.main(command(mine, out)) == 0
    assert made_at(out) == first and "3 of 3 clips are done already" in capsys.readouterr().err
    (out / "a" / "run.json").unlink()  # as a run that was killed leaves it
    assert cli.main(command(mine, out)) == 0
    second = made_at(out)
    assert {name for name in NAMES if second[name] != first[name]} == {"a"}
    newer = second["b/c"] / 1e9 + 5
    os.utime(mine / "depth" / "b" / "c.npz", (newer, newer))
    assert cli.main(command(mine, out)) == 0
    assert {name for name in NAMES if made_at(out)[name] != second[name]} == {"b/c"}


@pytest.mark.parametrize("change", [("--seed", "3"), ("--erosion", "0"), ("--frames", "5"), ("--radius", "2")])
def test_every_other_setting_makes_all_again(folder, tmp_path, in_process, change):
    assert cli.main(command(folder, tmp_path / "out")) == 0
    first = made_at(tmp_path / "out")
    assert cli.main(command(folder, tmp_path / "out", *change)) == 0
    assert all(made_at(tmp_path / "out")[name] != first[name] for name in NAMES)


@pytest.mark.parametrize("spoil", ["video", "depth", "no depth", "settings"])
def test_one_bad_clip_is_named_and_the_rest_are_made(mine, tmp_path, in_process, capsys, spoil):
    out = tmp_path / "out"
    if spoil == "video":
        (mine / "clips" / "b" / "c.mkv").write_bytes(b"no video" * 100)
    elif spoil == "depth":
        (mine / "depth" / "b" / "c.npz").write_bytes(b"no depth" * 100)
    elif spoil == "no depth":
        (mine / "depth" / "b" / "c.npz").unlink()
    else:
        out.mkdir()
        (out / "b").mkdir()
        (out / "b" / "c").write_text("a file where a folder is to be")
    assert cli.main(command(mine, out)) == 2
    said = capsys.readouterr()
    assert f"{mine / 'clips' / 'b' / 'c.mkv'}: " in said.err and "1 of 3 clips cannot be made" in said.err
    assert "2 of 3 clips are done" in said.out
    check_same(out, mine, tmp_path, ["a", "b/d.e"])
    assert set(made_at(out)) == {"a", "b/d.e"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups to end")
def test_a_killed_run_goes_on_where_it_was(folder, tmp_path):
    out = tmp_path / "out"
    run = subprocess.Popen([sys.executable, "-m", "ex4d_ops", *command(folder, out)], stderr=subprocess.DEVNULL)
    while not made_at(out):
        assert run.poll() is None
        time.sleep(0.01)
    run.kill()
    run.wait()
    first = made_at(out)
    assert subprocess.run([sys.executable, "-m", "ex4d_ops", *command(folder, out)]).returncode == 0
    assert len(made_at(out)) == 3 and first.items() <= made_at(out).items()
    assert not [path for path in out.rglob("*") if ".part" in path.name]
    check_same(out, folder, tmp_path)


def test_results_and_depth_beside_the_clips_are_not_clips(mine, tmp_path, in_process, capsys):
    shutil.move(mine / "depth", mine / "clips" / "depth")
    files.write_video(mine / "clips" / "depth" / "x.mkv", torch.rand(5, *SIZE), 15)
    run = ["prior", str(mine / "clips"), "--depth", str(mine / "clips" / "depth"), "--preset", "30", "--out",
           str(mine / "clips" / "new views")]
    for said in ("", "3 of 3 clips are done already"):
        assert cli.main(run) == 0
        told = capsys.readouterr()
        assert "3 of 3 clips are done" in told.out and said in told.err


def test_a_folder_of_pictures_is_one_clip(folder, tmp_path, in_process):
    files.write_video(tmp_path / "frames", files.read_video(folder / "clips" / "a.mkv").frames, 15)
    shutil.copy(folder / "clips" / "a.mkv", tmp_path / "frames" / "a.mkv")
    assert cli.main(["prior", str(tmp_path / "frames"), "--depth", str(folder / "depth" / "a.npz"), "--preset", "30",
                     "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "run.json").exists()


@pytest.mark.parametrize(("options", "said"), [
    (["--jobs", "0"], "--jobs: got 0, must be 1 or more"),
    (["--subject", "{place}/clips/a.mkv"], "are masks of one clip"),
    (["--out", "{place}/clips"], "is the folder of clips; use another"),
    (["--depth", "{place}/depth/a.npz"], "is the depth of one clip"),
])
def test_what_cannot_be_meant_for_many_clips_is_refused(mine, tmp_path, in_process, capsys, options, said):
    options = [option.format(place=mine) for option in options]
    assert cli.main(command(mine, tmp_path / "out", *options)) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.rglob("run.json"))


def test_two_clips_of_one_name_are_refused(mine, tmp_path, in_process, capsys):
    shutil.copy(mine / "clips" / "a.mkv", mine / "clips" / "a.mov")
    assert cli.main(command(mine, tmp_path / "out")) == 2
    assert "2 clips are called a, and would be written to one folder" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--jobs", "2"], ["--engine", "ray"]])
def test_options_for_many_clips_are_refused_for_one(folder, tmp_path, capsys, option):
    assert cli.main(["prior", str(folder / "clips" / "a.mkv"), "--depth", str(folder / "depth" / "a.npz"), "--preset",
                     "30", "--out", str(tmp_path / "out"), *option]) == 2
    assert "are used only with a folder of clips" in capsys.readouterr().err
