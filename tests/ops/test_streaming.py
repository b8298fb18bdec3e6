"""Laws of working frame by frame: what comes out is what comes out of the whole clip at once, in bounded memory."""

import itertools
import json
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from ex4d_ops import cli, files
from ex4d_ops.cli import footage, rendering
from ex4d_ops.depth import DepthUnits
from ex4d_ops.parallel import in_order
from ex4d_ops.rules import SCENE_NAMES
from ex4d_ops.scene import sample_clip

SIZE = (48, 64)
FRAMES = 9


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A clip, and its depth in every form."""
    folder = tmp_path_factory.mktemp("streamed")
    frames, depth = sample_clip("street", FRAMES, SIZE)
    files.write_video(folder / "clip.mkv", frames, 15)
    files.write_depth(folder / "depth.npz", depth)
    files.write_depth(folder / "depth.mkv", depth)
    files.write_depth(folder / "exr", depth, "exr")
    files.write_depth(folder / "png", depth, "png")
    disparity = 1 / depth.depth.numpy()
    np.savez_compressed(folder / "disparity.npz", disparity=disparity[..., None].astype(np.float16))
    np.save(folder / "disparity.npy", disparity)
    holed = depth.depth.numpy().copy()
    holed[:, 5:9, 7:30] = 0
    holed[3, 20, 20] = np.nan
    np.savez(folder / "holed.npz", depth=holed)
    np.savez(folder / "shares.npz", depth=(disparity - disparity.min()) / np.ptp(disparity))
    return folder


DEPTHS = [("depth.npz", None), ("depth.mkv", None), ("exr", DepthUnits("depth")), ("png", None),
          ("disparity.npz", DepthUnits("released")), ("disparity.npy", DepthUnits("disparity", 3.0, 0.1)),
          ("shares.npz", DepthUnits("normalized-disparity", near=1.0, far=50.0)),
          ("shares.npz", DepthUnits("normalized-depth", near=1.0, far=50.0)), ("shares.npz", DepthUnits("released"))]


@pytest.mark.parametrize(("start", "frames"), [(0, None), (0, 1), (2, 5), (4, 99)])
@pytest.mark.parametrize(("name", "units"), DEPTHS)
def test_depth_frame_by_frame_is_that_of_the_whole_file(clip, name, units, start, frames):
    whole = files.read_depth(clip / name, units, start, frames)
    stream = files.open_depth(clip / name, units, start, frames)
    for _ in range(2):
        assert torch.equal(torch.stack(list(stream.frames())), whole.depth)
    assert torch.equal(stream.outline.depth[0], whole.depth[0]) and len(stream.outline) == len(whole)
    assert stream.outline.metric == whole.metric
    for cameras in ("intrinsics", "world_from_cam"):
        assert torch.equal(getattr(stream.outline, cameras), getattr(whole, cameras))


@pytest.mark.parametrize(("name", "units", "fill", "start"), [
    ("holed.npz", None, False, 0), ("holed.npz", None, True, 0), ("depth.npz", DepthUnits("normalized-depth", near=1.0,
                                                                                        far=9.0), False, 0),
    ("depth.npz", None, False, 99), ("disparity.npy", None, False, 0), ("clip.mkv", DepthUnits("depth"), False, 0),
    ("depth.npz", DepthUnits("disparity"), False, 0)])
def test_what_the_whole_file_is_refused_or_doubted_for_its_frames_are(clip, caplog, name, units, fill, start):
    said = []
    for read in (lambda *given: files.read_depth(*given).depth,
                 lambda *given: torch.stack(list(files.open_depth(*given).frames()))):
        caplog.clear()
        try:
            made = read(clip / name, units, start, None, fill)
        except ValueError as refusal:
            made = str(refusal)
        said.append((made, caplog.messages[:]))
    (whole, doubts), (streamed, same_doubts) = said
    assert doubts == same_doubts
    assert torch.equal(whole, streamed) if isinstance(whole, torch.Tensor) else whole == streamed


PATHS = [["--preset", "60"], ["--move", "orbit:yaw=-40..40+dolly:distance=0.2", "--texture", "face"],
         ["--preset", "30", "--hidden-reach", "0.1", "--seed", "3"], ["--preset", "90", "--no-anchor"],
         ["--preset", "60", "--freeze", "3", "--frames", "5"], ["--preset", "30", "--depth-jump", "0.05"],
         ["--preset", "60", "--size", "32x64", "--fit", "pad"], ["--preset", "60", "--size", "32x64", "--fit", "crop"],
         ["--preset", "60", "--size", "96x96", "--start", "2", "--frames", "5", "--focal", "70"]]


@pytest.mark.parametrize("options", PATHS, ids=" ".join)
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_prior_drawn_frame_by_frame_is_that_of_the_whole_clip(clip, tmp_path, monkeypatch, options, threads):
    run = ["prior", str(clip / "clip.mkv"), "--depth", str(clip / "depth.npz"), *options, "--out"]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert cli.main([*run, str(tmp_path / "streamed")]) == 0
    finally:
        torch.set_num_threads(before)
    monkeypatch.setattr(rendering, "in_turn", lambda cameras: False)
    assert cli.main([*run, str(tmp_path / "whole")]) == 0
    for name in ("color.mkv", "visible.mkv", "preview.mp4", "cameras.npz", "sheet.png", "path.png"):
        streamed, whole = (written(tmp_path / run / name) for run in ("streamed", "whole"))
        assert torch.equal(streamed, whole) if isinstance(whole, torch.Tensor) else streamed == whole, name
    streamed, whole = (json.loads((tmp_path / run / "run.json").read_text())["figures"]
                       for run in ("streamed", "whole"))
    assert {**streamed, "seconds": 0} == {**whole, "seconds": 0}


def written(path):
    """What a file holds; Matroska's has a random number of its own."""
    return path.read_bytes() if path.suffix not in (".mkv", ".mp4") else files.read_video(path).frames


@pytest.mark.parametrize("shown", [[0, 0, 1, 1, 2, 2, 3, 3, 8], [8, 7, 6, 5, 4, 3, 2, 1, 0],
                                   [3, 4, 5, 6, 7, 8, 8, 8, 8], [0, 4, 8, 4, 0, 0, 0, 0, 0]])
def test_a_path_may_show_the_clip_in_any_order(clip, tmp_path, shown):
    run = ["prior", str(clip / "clip.mkv"), "--depth", str(clip / "depth.npz"), "--out"]
    assert cli.main([*run, str(tmp_path / "first"), "--preset", "30"]) == 0
    path = json.loads((tmp_path / "first" / "cameras.json").read_text()) | {"source_frame": shown}
    (tmp_path / "path.json").write_text(json.dumps(path))
    assert cli.main([*run, str(tmp_path / "out"), "--path", str(tmp_path / "path.json"), "--erosion", "0"]) == 0
    assert len(files.read_video(tmp_path / "out" / "color.mkv")) == FRAMES


@pytest.mark.parametrize("claimed", [9, 10, 49, 1000])
def test_a_clip_shorter_than_its_timestamps_promise_is_taken_as_long_as_it_is(clip, tmp_path, monkeypatch, claimed):
    opened = footage.open_footage

    def promising(*given):
        found = opened(*given)
        return type(found)(found.pictures, found.fps, found.white, claimed)

    monkeypatch.setattr(footage, "open_footage", promising)
    run = ["prior", str(clip / "clip.mkv"), "--depth", str(clip / "depth.npz"), "--preset", "30", "--out"]
    assert cli.main([*run, str(tmp_path / "out")]) == 0
    assert len(files.read_video(tmp_path / "out" / "color.mkv")) == FRAMES
    assert cli.main([*run, str(tmp_path / "more"), "--frames", "13"]) == 2


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_frames_come_in_their_order_and_few_at_once(threads):
    alive, most, lock = 0, 0, threading.Lock()

    def frames():
        nonlocal alive, most
        for t in range(50):
            with lock:
                alive += 1
                most = max(most, alive)
            yield t

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        made = []
        for t in in_order(lambda t: t * t, frames(), torch.device("cpu")):
            with lock:
                alive -= 1
            made.append(t)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert made == [t * t for t in range(50)] and most <= threads + 2


def test_who_stops_taking_results_stops_the_work():
    begun = []
    results = in_order(lambda t: begun.append(t) or t, itertools.count(), torch.device("cpu"))
    assert [next(results) for _ in range(5)] == list(range(5))
    results.close()
    assert len(begun) < 20


def itself(frame):
    return frame


@pytest.mark.parametrize("failing", [0, 1])
def test_videos_written_side_by_side_end_together(tmp_path, failing):
    frame = torch.zeros(16, 16, dtype=torch.uint8)
    paths = [tmp_path / "a.mkv", tmp_path / "b.mkv"]
    files.write_videos(dict.fromkeys(paths, itself), (frame for _ in range(40)), 15)
    assert all(len(files.read_video(path)) == 40 for path in paths)
    for path in paths:
        path.unlink()
    paths[failing] = tmp_path / "none" / "a.mkv"
    with pytest.raises(OSError, match="cannot be written"):
        files.write_videos(dict.fromkeys(paths, itself), (frame for _ in range(400)), 15)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [(16, 16), (64, 96), (48, 144)])
def test_the_same_frames_make_the_same_preview_every_time(tmp_path, size):
    draws = torch.Generator().manual_seed(0)
    tiles = torch.rand(9, size[0] // 8, size[1] // 8, 3, generator=draws)
    frames = tiles.repeat_interleave(8, 1).repeat_interleave(8, 2)

    def write():
        files.write_video(tmp_path / "preview.mp4", frames, 15)
        return (tmp_path / "preview.mp4").read_bytes()

    assert len({write() for _ in range(12)}) == 1


@pytest.mark.parametrize("name", SCENE_NAMES)
@pytest.mark.parametrize("size", ["64x48", "50x34"])
def test_a_sample_filmed_frame_by_frame_is_the_clip_of_its_scene(tmp_path, name, size):
    assert cli.main(["sample", str(tmp_path), "--scene", name, "--frames", "5", "--size", size, "--seed", "2"]) == 0
    width, height = map(int, size.split("x"))
    frames, depth = sample_clip(name, 5, (height, width), 2)
    assert torch.equal(files.read_video(tmp_path / "clip.mkv").frames, (frames * 255).round() / 255)
    read = files.read_depth(tmp_path / "depth.npz")
    for part in ("depth", "intrinsics", "world_from_cam"):
        assert torch.equal(getattr(read, part), getattr(depth, part))


@pytest.mark.parametrize(("options", "status"), [(["--preset", "30"], 2), (["--move", "dolly:distance=0.1"], 2),
                                                 (["--preset", "30", "--radius", "3"], 0),
                                                 (["--preset", "30", "--start", "1", "--frames", "5"], 0)])
def test_a_first_frame_of_sky_needs_a_distance(clip, tmp_path, capsys, options, status):
    depth = files.read_depth(clip / "depth.npz").depth.numpy().copy()
    depth[0] = np.inf
    np.savez(tmp_path / "sky.npz", depth=depth)
    assert cli.main(["prior", str(clip / "clip.mkv"), "--depth", str(tmp_path / "sky.npz"), "--out",
                     str(tmp_path / "out"), *options]) == status
    assert ("frame 0 is all sky" in capsys.readouterr().err) == (status == 2)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("frame", [1, FRAMES - 1])
def test_a_prior_that_is_killed_while_it_is_written_leaves_no_half_file(clip, tmp_path, frame):
    """Killed by the system, which runs no clean-up; the next run sweeps what is left, and is whole."""
    command = ["prior", str(clip / "clip.mkv"), "--depth", str(clip / "depth.npz"), "--preset", "30", "--out",
               str(tmp_path)]
    code = """
import os, signal, sys
from ex4d_ops import cli
from ex4d_ops.cli import rendering
show = rendering.show
shown = iter(range(int(sys.argv[1])))
rendering.show = lambda *given: show(*given) if next(shown, None) is not None else os.kill(os.getpid(), signal.SIGKILL)
cli.main(sys.argv[2:])
"""
    assert subprocess.run([sys.executable, "-c", code, str(frame), *command]).returncode == -signal.SIGKILL
    left = [path.name for path in tmp_path.iterdir()]
    assert (left or frame == 1) and all(".part" in name for name in left)
    assert cli.main(command) == 0
    assert (tmp_path / "run.json").is_file() and not list(tmp_path.glob(".*.part*"))
    assert len(files.read_video(tmp_path / "color.mkv")) == FRAMES
