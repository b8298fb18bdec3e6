"""Laws of prepared clips: what is chosen, what is stored, and that a run that is killed loses and repeats nothing."""

import json
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ex4d_ops import cli, dataset, files
from ex4d_ops.adapter import encode_prior
from ex4d_ops.clip import FITS, describe_fit, fit_boxes, fit_frame
from ex4d_ops.dataset import Encoders, open_dataset, read_manifest, read_state
from ex4d_ops.depth import DepthUnits, fill_invalid
from ex4d_ops.preparation import Recipe, Source, list_sources, prepare, workers
from ex4d_ops.preparation.one_clip import find_depth
from ex4d_ops.preparation.select import select_clip
from ex4d_ops.scene import SCENES, sample_clip
from ex4d_ops.simulate import mask_frames

SIZE = (32, 48)
SMALL = Recipe(frames=5, size=SIZE, masks="tracking")


def film(path: Path, name: str = "gallery", frames: int = 5, seed: int = 0, size=SIZE) -> tuple:
    """A procedural clip in a file, and its frames and depth."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colors, depth = sample_clip(name, frames, size, seed)
    files.write_video(path, colors, 15)
    return colors, depth


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Three clips with depth beside them, one too short, one still, one broken."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("gallery", "garden", "street"):
        _, depth = film(folder / name / "clip.mkv", name, 7)
        files.write_depth(folder / name / "depth.npz", depth)
    film(folder / "short.mkv", frames=3)
    still, _ = sample_clip("gallery", 1, SIZE)
    files.write_video(folder / "still.mkv", still.expand(7, -1, -1, -1), 15)
    (folder / "broken.mp4").write_bytes(b"no video" * 100)
    return folder


@pytest.fixture
def in_process(monkeypatch):
    """Prepare in this process, without a pool."""
    monkeypatch.setattr(workers, "run_processes", run_here)


def run_here(todo, job, processes):
    preparer = workers.Preparer(job)
    yield from (preparer.prepare(source) for source in todo)


def tiny_encode(frames: torch.Tensor) -> torch.Tensor:
    """As a VAE: [T, H, W, 3] in [0, 1], read as 2p - 1, to [1, 16, t, H/8, W/8]."""
    planes = torch.nn.functional.avg_pool2d((2 * frames - 1).movedim(-1, 1), 8)
    return planes[::4].repeat(1, 6, 1, 1)[:, :16].movedim(0, 1)[None]


def tiny_encoders() -> Encoders:
    return Encoders(tiny_encode, lambda caption: torch.full((1, 4, 8), float(len(caption))),
                    lambda frame: frame.mean((0, 1)).expand(1, 6, 3))


# ---- which clips --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_in_motion_has_no_cut(name, tmp_path):
    film(tmp_path / "a.mkv", name, 13)
    start, clip, _ = select_clip(tmp_path / "a.mkv", 13, SIZE)
    assert start == 0 and len(clip) == 13 and clip.fps == 15


@pytest.mark.parametrize(("first", "second"), [("gallery", "street"), ("colonnade", "garden"), ("street", "street")])
def test_a_clip_begins_after_a_cut(first, second, tmp_path):
    before, after = sample_clip(first, 6, SIZE)[0], sample_clip(second, 7, SIZE, seed=5)[0]
    files.write_video(tmp_path / "a.mkv", torch.cat([before, after]), 15)
    start, clip, _ = select_clip(tmp_path / "a.mkv", 7, SIZE)
    assert start == 6 and (clip.frames - after).abs().max() < 1 / 255
    with pytest.raises(ValueError, match="7 frames without a cut, but 9 are needed"):
        select_clip(tmp_path / "a.mkv", 9, SIZE)


def test_a_clip_begins_where_something_moves(tmp_path):
    moving, _ = sample_clip("street", 9, SIZE)
    files.write_video(tmp_path / "a.mkv", torch.cat([moving[:1].expand(5, -1, -1, -1), moving]), 15)
    assert select_clip(tmp_path / "a.mkv", 5, SIZE)[0] == 5


def test_blank_clips_are_doubted(tmp_path):
    fading = torch.linspace(0, 1, 7)[:, None, None, None].expand(7, *SIZE, 3)
    files.write_video(tmp_path / "a.mkv", fading, 15)
    with pytest.raises(ValueError, match="one color throughout|without a cut"):
        select_clip(tmp_path / "a.mkv", 5, SIZE)


def test_a_clip_is_cropped_at_its_centre(tmp_path):
    wide, _ = film(tmp_path / "a.mkv", size=(32, 80))
    _, clip, _ = select_clip(tmp_path / "a.mkv", 5, (32, 32))
    assert (clip.frames - wide[:, :, 24:56]).abs().max() < 1 / 255


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(("filmed", "size"), [((32, 80), (32, 32)), ((80, 32), (48, 48)), ((32, 32), (32, 80)),
                                              (SIZE, SIZE)])
def test_every_fit_is_that_of_frames_and_its_loss_is_said(fit, filmed, size, tmp_path, in_process):
    colors, depth = film(tmp_path / "a.mkv", "street", size=filmed)
    files.write_depth(tmp_path / "a.npz", depth)
    prepare(list_sources(tmp_path), Recipe(frames=5, size=size, crop=False, fit=fit), tmp_path / "out")
    clips = open_dataset(tmp_path / "out")
    expected = torch.stack([fit_frame(frame, size, fit) for frame in colors[:5]])
    assert (clips[0]["video"] - expected).abs().max() < 1.01 / 255
    assert clips.infos[0].get("loss") == describe_fit(filmed, size, fit)
    _, filled = fit_boxes(filmed, size, fit)
    bars = torch.ones(size, dtype=torch.bool)
    bars[filled] = False
    assert clips[0]["visible"][:, bars].all(), "bars count as shown"
    assert not clips[0]["visible"][:, ~bars].all(), "and of the picture parts are hidden"


@pytest.mark.parametrize("fit", FITS)
def test_windows_glide_over_the_picture_without_its_bars(fit, tmp_path, in_process):
    colors, depth = film(tmp_path / "a.mkv", size=(32, 80))
    files.write_depth(tmp_path / "a.npz", depth)
    prepare(list_sources(tmp_path), Recipe(frames=5, size=(48, 48), fit=fit), tmp_path / "out")
    video = open_dataset(tmp_path / "out")[0]["video"]
    rows, columns = fit_boxes((32, 80), (48, 48), fit)[1]
    assert (video[:, rows, columns].amax((1, 2, 3)) > 0.2).all()
    video[:, rows, columns] = 0
    assert not video.any()


def test_keys_hold_no_dot_and_differ_where_names_do():
    names = ["a/b.mp4", "a-b.mp4", "a/b.mkv", "ü ö.mp4", f"{'x' * 300}.mp4", "a.b/c.d.mp4"]
    keys = [Source(Path(name), name).key for name in names]
    assert len(set(keys)) == len(names)
    assert all("." not in key and "/" not in key and key.isascii() and len(key) < 80 for key in keys)


def test_openvid_tables_are_understood(tmp_path):
    columns = ["video", "caption", "aesthetic score", "motion score", "temporal consistency score", "camera motion",
               "frame", "fps", "seconds"]
    (tmp_path / "OpenVid-1M.csv").write_text(
        ",".join(columns) + '\na_0_1.mp4,"A cat, asleep.",5.1,2.2,0.99,static,120,30,4\nb.mp4,,1,1,1,pan,9,30,1\n')
    sources = list(list_sources(tmp_path / "OpenVid-1M.csv", tmp_path / "video"))
    assert [source.name for source in sources] == ["a_0_1.mp4", "b.mp4"]
    assert sources[0].path == tmp_path / "video" / "a_0_1.mp4" and sources[0].caption == "A cat, asleep."
    assert next(list_sources(tmp_path / "OpenVid-1M.csv")).path == tmp_path / "a_0_1.mp4"
    (tmp_path / "other.csv").write_text("name,score\nx,1\n")
    with pytest.raises(ValueError, match="does not have a column of videos; name one video"):
        list(list_sources(tmp_path / "other.csv"))
    with pytest.raises(ValueError, match="not a folder of videos or a CSV"):
        list(list_sources(tmp_path / "nothing"))


@pytest.mark.parametrize("header", [
    "file_name,text", "File_Name,Text", " video , caption ", "path,prompt", "video_path,description", "filename,text",
])
def test_tables_of_other_programs_are_understood_by_the_names_of_their_columns(tmp_path, header):
    (tmp_path / "metadata.csv").write_text(f'{header}\na/b.mp4,"a garden, in summer"\n', encoding="utf-8-sig")
    (source,) = list_sources(tmp_path / "metadata.csv")
    assert source.path == tmp_path / "a" / "b.mp4" and source.caption == "a garden, in summer"


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("head", ["", "sep={}\n"])
@pytest.mark.parametrize("names", [("video", "caption"), ("Video Path", "Text"), ("file-name", "prompt"),
                                   ('"video"', '"caption"')])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".tsv"])
def test_every_delimiter_and_encoding_of_a_spreadsheet_is_understood(tmp_path, mark, head, names, encoding, ends,
                                                                     suffix):
    rows = [mark.join(names), mark.join(["a.mp4", '"a, b; c\td"']), mark.join(["b.mp4", "schön"])]
    text = (head.format(mark) + "\n".join(rows) + "\n").replace("\n", ends)
    (tmp_path / f"t{suffix}").write_bytes(text.encode(encoding))
    sources = list(list_sources(tmp_path / f"t{suffix}"))
    assert [(source.name, source.caption) for source in sources] == [("a.mp4", "a, b; c\td"), ("b.mp4", "schön")]


@pytest.mark.parametrize("row", ["broken row", "a,", "a, ", "", ",", "a,b\0.mp4"])
def test_a_row_that_names_no_video_is_left_out_and_said(tmp_path, caplog, row):
    (tmp_path / "t.csv").write_text(f"caption,video\nfirst,a.mp4\n{row}\nlast,b.mp4\n")
    assert [source.name for source in list_sources(tmp_path / "t.csv")] == ["a.mp4", "b.mp4"]
    assert row == "" or "line 3 does not name a video" in caplog.text  # csv itself skips empty lines


@pytest.mark.parametrize("content", [
    b"caption,video\nfirst,a.mp4\n\xff\xfe\x00,b.mp4\n", b'video\n"' + b"x" * 2**25 + b'"\n',
    b"\x89PNG\r\n\x1a\n\x00\x00", b""])
def test_a_table_that_cannot_be_read_is_refused_in_one_sentence(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"^\S+t\.csv: ") as refusal:
        list(list_sources(tmp_path / "t.csv"))
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 400


@pytest.mark.parametrize("name", ["a.mp4", "/", ".", "..", "a/b.c.mp4", "é.mp4", "x" * 300 + ".mp4"])
def test_every_name_gives_a_key_that_a_file_can_have(name):
    key = Source(Path(name), name).key
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,80}", key)


# ---- what is stored -----------------------------------------------------------------------------


def test_every_video_becomes_a_clip_or_a_reason(videos, tmp_path, in_process):
    state = prepare(list_sources(videos), Recipe(frames=5, size=SIZE), tmp_path)
    reasons = {entry["source"]: entry["skipped"] for entry in state.entries if "skipped" in entry}
    assert set(reasons) == {"short.mkv", "still.mkv", "broken.mp4"}
    assert reasons["short.mkv"] == "3 frames without a cut, but 5 are needed"
    assert reasons["still.mkv"] == "nothing moves"
    assert "cannot be read as a video" in reasons["broken.mp4"]
    assert len(open_dataset(tmp_path)) == 3 and not list((tmp_path / "parts").iterdir())


def test_pixels_are_the_clip_and_its_mask(videos, tmp_path, in_process):
    prepare(list_sources(videos / "gallery"), Recipe(frames=5, size=SIZE, crop=False), tmp_path)
    sample, info = open_dataset(tmp_path)[0], open_dataset(tmp_path).infos[0]
    source, _ = sample_clip("gallery", 7, SIZE)
    assert (sample["video"] - source[:5]).abs().max() < 1 / 255
    assert sample["visible"].dtype == torch.bool and 0 < sample["visible"].float().mean() < 0.8
    assert info["shown"] == pytest.approx(float(sample["visible"].float().mean()), abs=1e-4)
    assert info["source"] == "clip.mkv" and info["frames"] == 5 and info["size"] == list(SIZE)


def test_latents_are_the_encoders_of_the_masked_clip(videos, tmp_path, in_process):
    recipe = Recipe(frames=5, size=SIZE, caption="a cat")
    prepare(list_sources(videos / "street"), recipe, tmp_path / "pixels")
    prepare(list_sources(videos / "street"), recipe, tmp_path / "latents", make_encoders=tiny_encoders)
    pixels, latents = (open_dataset(tmp_path / name)[0] for name in ("pixels", "latents"))
    prior = mask_frames(pixels["video"], pixels["visible"])
    given = torch.cat([pixels["video"][:1], torch.full_like(pixels["video"][1:], 0.5)])
    expected = {"video_latent": tiny_encode(pixels["video"])[0], "prior_latent": encode_prior(prior, tiny_encode)[0],
                "image_latent": tiny_encode(given)[0], "context": torch.full((4, 8), 5.0),
                "clip_fea": pixels["video"][0].mean((0, 1)).expand(6, 3)}
    assert set(latents) == set(expected)
    for name, tensor in latents.items():
        assert tensor.dtype == torch.bfloat16 and tensor.shape == expected[name].shape
        assert (tensor.float() - expected[name]).abs().max() < 0.02  # bf16, and the pixels went through 8 bits
    assert latents["prior_latent"].shape == (32, 2, 4, 6)


@pytest.mark.parametrize("change", [{"masks": "rendering"}, {"masks": "random"}, {"masks": "tracking"},
                                    {"surface": "visible"}, {"seed": 1}, {"hidden_reach": 0.1}])
def test_every_setting_makes_other_masks(videos, tmp_path, in_process, change):
    for name, recipe in (("a", Recipe(frames=5, size=SIZE)), ("b", Recipe(**{"frames": 5, "size": SIZE} | change))):
        prepare(list_sources(videos / "garden"), recipe, tmp_path / name)
    first, second = (open_dataset(tmp_path / name)[0]["visible"] for name in "ab")
    assert not torch.equal(first, second)


def test_a_clip_is_the_same_however_many_are_made_beside_it(videos, tmp_path, in_process):
    recipe = Recipe(frames=5, size=SIZE)
    prepare(list_sources(videos), recipe, tmp_path / "all")
    prepare(reversed(list(list_sources(videos))), recipe, tmp_path / "reversed")
    for first, second in zip(open_dataset(tmp_path / "all"), open_dataset(tmp_path / "reversed")):
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_shards_are_plain_webdataset(videos, tmp_path, in_process):
    wds = pytest.importorskip("webdataset")
    prepare(list_sources(videos), SMALL, tmp_path, make_encoders=tiny_encoders)
    shard = str(tmp_path / "clips-000000.tar")
    samples = list(wds.WebDataset(shard, shardshuffle=False, empty_check=False))
    assert [sample["__key__"] for sample in samples] == [info["key"] for info in open_dataset(tmp_path).infos]
    assert all({"clip.json", "latents.safetensors"} <= set(sample) for sample in samples)


def test_depth_is_cropped_and_resized_as_the_clip_is(tmp_path):
    colors, depth = film(tmp_path / "v" / "a.mkv", size=(32, 80))
    (tmp_path / "d").mkdir()
    files.write_depth(tmp_path / "d" / "a.npz", depth)
    recipe = Recipe(frames=5, size=(32, 32), depth=tmp_path / "d")
    start, clip, filmed = select_clip(tmp_path / "v" / "a.mkv", 5, (32, 32))
    found = find_depth(Source(tmp_path / "v" / "a.mkv", "a.mkv"), recipe, start, clip, filmed)
    assert torch.allclose(found.depth, depth.depth[:, :, 24:56])
    assert torch.allclose(found.intrinsics[0, 0, 2], depth.intrinsics[0, 0, 2] - 24)
    with pytest.raises(ValueError, match="depth not found at"):
        find_depth(Source(tmp_path / "v" / "b.mkv", "b.mkv"), recipe, start, clip, filmed)


def test_depth_is_read_as_the_recipe_says(tmp_path):
    _, depth = film(tmp_path / "a.mkv")
    holed = depth.depth.numpy() * 2
    holed[:, 3, 4] = 0
    np.savez(tmp_path / "a.npz", left=depth.depth, right=holed)
    recipe = Recipe(frames=5, size=SIZE, depth=tmp_path, units=DepthUnits("depth"), fill=True, channel="right")
    found = find_depth(Source(tmp_path / "a.mkv", "a.mkv"), recipe, *select_clip(tmp_path / "a.mkv", 5, SIZE))
    assert torch.equal(found.depth, fill_invalid(torch.from_numpy(holed)))
    with pytest.raises(ValueError, match="contains left, right; the depth must be named depth"):
        find_depth(Source(tmp_path / "a.mkv", "a.mkv"), replace(recipe, channel=None), 0, found, SIZE)


# ---- runs that end early ------------------------------------------------------------------------


def names(folder: Path) -> list[str]:
    """The names of all members of all shards."""
    found = []
    for shard in folder.glob("clips-*.tar"):
        with tarfile.open(shard) as tar:
            found += tar.getnames()
    return sorted(found)


def check_same(folder: Path, whole: Path) -> None:
    """Two folders hold the same clips, each once, and list each once."""
    assert names(folder) == names(whole) == sorted(set(names(folder)))
    keys = [entry["key"] for entry in read_manifest(folder)]
    assert sorted(keys) == sorted(entry["key"] for entry in read_manifest(whole)) and len(set(keys)) == len(keys)
    assert not [path for path in folder.rglob("*") if ".part" in path.name or path.parent.name == "parts"]
    for first, second in zip(open_dataset(folder), open_dataset(whole), strict=True):
        assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """Many tiny videos, some of which give no clip."""
    folder = tmp_path_factory.mktemp("many")
    colors, _ = sample_clip("street", 69, SIZE)
    for k in range(64):
        files.write_video(folder / f"{k:02}.mkv", colors[k:k + (3 if k % 6 == 5 else 5)], 15)
    return folder


def prepare_and_log(videos: Path, out: Path, log: Path) -> None:
    """Prepare in this process in shards of three; note when a clip is begun and when it is done."""
    def note(word: str, key: str) -> None:
        with open(log, "a") as lines:
            lines.write(f"{word} {key}\n")

    def run(todo, job, processes):
        preparer = workers.Preparer(job)
        for source in todo:
            note("begun", source.key)
            preparer.prepare(source)
            note("done", source.key)
            yield source.key

    torch.set_num_threads(1)
    workers.run_processes, workers.SHARD_CLIPS = run, 3
    prepare(list_sources(videos), SMALL, out)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork server to begin twenty processes quickly")
def test_killed_twenty_times_nothing_is_lost_nothing_is_done_twice(many, tmp_path, monkeypatch):
    # ComfyUI has a tests package too, which would pass for this one in the processes.
    monkeypatch.setattr(sys, "path", [place for place in sys.path if not Path(place, "comfy").is_dir()])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ex4d_ops.preparation", "cv2", "av"])
    draw, kills, log, out = random.Random(0), 0, tmp_path / "log", tmp_path / "killed"
    begin = context.Process(target=prepare_and_log, args=(many, tmp_path / "whole", tmp_path / "whole-log"))
    begin.start()
    begin.join()
    while True:
        run = context.Process(target=prepare_and_log, args=(many, out, log))
        run.start()
        seen = log.stat().st_size if log.exists() else 0
        while kills < 20 and run.is_alive() and (log.stat().st_size if log.exists() else 0) == seen:
            time.sleep(0.002)  # until it works
        run.join(draw.uniform(0, 0.015) if kills < 20 else None)
        if not run.is_alive():
            break
        os.kill(run.pid, signal.SIGKILL)
        run.join()
        kills += 1
        read_state(out)  # readable at any moment
    assert run.exitcode == 0 and kills == 20
    check_same(out, tmp_path / "whole")
    words = Counter(log.read_text().split("\n"))
    assert all(count == 1 for line, count in words.items() if line.startswith("done"))
    begun = sum(count for line, count in words.items() if line.startswith("begun"))
    assert begun <= 64 + kills  # at most the clip in hand is lost
    assert len(open_dataset(out)) == 54


class Ended(BaseException):
    """As if the process ended here."""


@pytest.mark.parametrize("moment", ["before listing", "amid listing", "amid the first line", "before removing parts",
                                    "amid removing parts"])
def test_a_run_that_ends_while_it_makes_a_shard_goes_on_where_it_was(many, tmp_path, in_process, monkeypatch, moment):
    monkeypatch.setattr(workers, "SHARD_CLIPS", 7)
    sources = list(list_sources(many))[:16]
    prepare(sources, SMALL, tmp_path / "whole")
    append, unlink, calls = dataset.append_lines, Path.unlink, Counter()

    def end_listing(folder, lines):
        lines = list(lines)
        if moment.startswith("before listing") or not lines:
            raise Ended
        append(folder, lines if "removing" in moment else lines[:3] if moment == "amid listing" else [])
        if "removing" not in moment:
            with open(folder / "manifest.jsonl", "ab") as manifest:
                manifest.write(json.dumps(lines[4]).encode()[:-9])
            raise Ended

    def end_removing(path, missing_ok=False):
        calls["unlink"] += path.parent.name == "parts" and path.suffix == ".tar" and not path.name.startswith(".")
        if "removing" in moment and calls["unlink"] > (0 if "before" in moment else 3):
            raise Ended
        unlink(path, missing_ok)

    def end(*arguments):
        with monkeypatch.context() as ending:
            ending.setattr(dataset, "append_lines", end_listing)
            ending.setattr(Path, "unlink", end_removing)
            return dataset.gather(*arguments)

    with monkeypatch.context() as ending:
        ending.setattr(workers, "gather", end)
        with pytest.raises(Ended):
            prepare(sources, SMALL, tmp_path / "ended")
    prepare(sources, SMALL, tmp_path / "ended")
    check_same(tmp_path / "ended", tmp_path / "whole")


def test_a_folder_is_not_filled_by_two_recipes(many, tmp_path, in_process):
    prepare([], SMALL, tmp_path)
    with pytest.raises(ValueError, match="was started with seed=0, but now it is 1; use the first value, or another "
                                         "--out"):
        prepare([], Recipe(**vars(SMALL) | {"seed": 1}), tmp_path)


def test_a_folder_begun_before_a_setting_was_known_goes_on_with_its_default(many, tmp_path, in_process):
    prepare([], SMALL, tmp_path)
    settings = tmp_path / "settings.json"
    begun = json.loads(settings.read_text())
    settings.write_text(json.dumps({name: value for name, value in begun.items() if name not in ("fill", "channel")}))
    prepare([], SMALL, tmp_path)
    with pytest.raises(ValueError, match="was started with fill=False, but now it is True"):
        prepare([], Recipe(**vars(SMALL) | {"fill": True}), tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b"\xff", b"[" * 10_000])
def test_a_folder_whose_recipe_is_broken_is_refused(many, tmp_path, in_process, content):
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(ValueError, match="settings.json: cannot be read as the recipe of a folder") as refused:
        prepare([], SMALL, tmp_path)
    assert "\n" not in str(refused.value)


def test_an_empty_folder_holds_no_dataset(tmp_path):
    with pytest.raises(ValueError, match="does not contain prepared clips; make some with ex4d prepare"):
        open_dataset(tmp_path)


# ---- the command, its workers, and a cluster ----------------------------------------------------


def command(videos: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "ex4d_ops", "prepare", str(videos), "--out", str(out), "--frames", "5", "--size",
            "48x32", "--masks", "tracking", *options]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups to find workers by")
def test_workers_of_a_killed_run_end_with_it_and_the_next_goes_on(many, tmp_path):
    run = subprocess.Popen(command(many, tmp_path / "out", "--workers", "2"), start_new_session=True)
    while not list((tmp_path / "out" / "parts").glob("*.tar")):
        assert run.poll() is None
        time.sleep(0.01)
    run.kill()
    run.wait()
    end = time.monotonic() + 20
    while subprocess.run(["pgrep", "-g", str(run.pid)], capture_output=True).stdout and time.monotonic() < end:
        time.sleep(0.05)
    assert not subprocess.run(["pgrep", "-g", str(run.pid)], capture_output=True).stdout
    made = len(read_state(tmp_path / "out").done)
    assert 0 < made
    result = subprocess.run(command(many, tmp_path / "out"), capture_output=True, text=True, check=True)
    assert "54 clips of 64 videos; 10 skipped" in result.stdout
    assert len(open_dataset(tmp_path / "out")) == 54


def test_a_careless_user_is_told_what_to_do(many, tmp_path, capsys):
    def complain(*options: str) -> str:
        assert cli.main(command(many, tmp_path / "out", *options)[3:]) == 2
        return capsys.readouterr().err

    assert "T=6, but Wan needs 4k+1; use 5 or 9" in complain("--frames", "6")
    assert "Wan needs multiples of 16, got 50x32; use 48x32" in complain("--size", "50x32")
    assert "latents need all three" in complain("--vae", "vae.safetensors")
    assert "cotracker needs --tracker-weights FILE; lk needs none" in complain("--tracker", "cotracker")
    assert "--workers: got 0" in complain("--workers", "0")


def test_ray_prepares_what_processes_do(many, tmp_path, in_process, monkeypatch):
    ray = pytest.importorskip("ray", reason="Ray isn't installed")
    monkeypatch.setattr(workers, "RAY_ROWS", 9)  # so that two portions are handed over
    sources = list(list_sources(many))[:16]
    prepare(sources, SMALL, tmp_path / "processes")
    prepare(sources, SMALL, tmp_path / "ray", engine="ray", workers=2)
    check_same(tmp_path / "ray", tmp_path / "processes")
    assert not ray.is_initialized()


TWO_MACHINES = """
import os, sys, time
from pathlib import Path
import ray
from ray.cluster_utils import Cluster
from ex4d_ops.side_by_side import on_a_cluster

met = Path(sys.argv[1])

def begin():
    def tell_node(number):
        node, end = ray.get_runtime_context().get_node_id(), time.monotonic() + 60
        (met / node).touch()
        while len(list(met.iterdir())) < 2 and time.monotonic() < end:  # or one is done before the other is there
            time.sleep(0.1)
        return number, node
    return tell_node

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
os.environ["RAY_ADDRESS"] = cluster.address
told = sorted(on_a_cluster(iter(range(8)), begin, 2))
cluster.shutdown()
print([number for number, _ in told], len({node for _, node in told}))
"""


def test_a_cluster_of_two_machines_shares_the_work(tmp_path):
    pytest.importorskip("ray", reason="Ray isn't installed")
    ran = subprocess.run([sys.executable, "-c", TWO_MACHINES, tmp_path], capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1:] == [f"{list(range(8))} 2"], ran.stderr


def test_a_recipe_for_other_machines_names_full_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = Recipe(depth=Path("depth"), tracker="cotracker", weights=Path("../scaled_offline.pth"))
    full = workers.at_full_paths(recipe)
    assert full.depth == tmp_path / "depth" and full.weights == tmp_path.parent / "scaled_offline.pth"
    assert full == Recipe(**vars(recipe) | {"depth": full.depth, "weights": full.weights})


def test_a_run_without_ray_says_what_is_missing(many, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert cli.main(command(many, tmp_path, "--engine", "ray")[3:]) == 2
    said = capsys.readouterr().err
    assert "--engine ray needs ray, which is not installed; install it with: pip install 'ray[data]'" in said
