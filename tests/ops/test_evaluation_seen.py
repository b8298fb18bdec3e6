"""Laws of the tables of measures that look with networks: nothing is seen twice, nothing is lost, the rest is made."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ex4d_ops import cli, files
from ex4d_ops.evaluation import networks, sights, vbench
from ex4d_ops.evaluation.all_runs import PARTS, WORK
from ex4d_ops.evaluation.measures import MEASURES
from ex4d_ops.evaluation.networks import NETWORKS
from ex4d_ops.evaluation.paper import AUTHORS, lay_out
from ex4d_ops.evaluation.runs import Run, list_runs
from ex4d_ops.evaluation.seen import Looking, look_at_runs
from ex4d_ops.evaluation.sights import SEEN
from ex4d_ops.evaluation.table import Cell, write_markdown
from ex4d_ops.evaluation.weights import ALEXNET, CLIP, EVALUATORS, FOLDER, I3D, INCEPTION, VIDEOMAE

FRAMES, SIZE = 16, (32, 48)
DISTRIBUTIONS = {"fid", "kid", "fvd_i3d", "fvd_videomae"}


def film(seed: int) -> torch.Tensor:
    """A pattern that drifts."""
    wall = torch.rand(3, 12, 16, generator=torch.Generator().manual_seed(seed))
    wall = torch.nn.functional.interpolate(wall[None], (SIZE[0], SIZE[1] + FRAMES), mode="bilinear")[0].movedim(0, -1)
    return torch.stack([wall[:, t : t + SIZE[1]] for t in range(FRAMES)])


def noisy(video: torch.Tensor, size: float) -> torch.Tensor:
    return (video + size * torch.randn(video.shape, generator=torch.Generator().manual_seed(9))).clamp(0, 1)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Two clips in two ranges, as three methods made them: the exact view, and two that are ever noisier."""
    folder = tmp_path_factory.mktemp("seen") / "runs"
    for number, clip in enumerate(("one", "two")):
        for span in ("30", "90"):
            cell = folder / clip / span
            (cell / "prior").mkdir(parents=True)
            source, view = film(number), film(number).flip(2)
            for name, video in {"source": source, "exact": view, "prior/color": view,
                                "prior/visible": torch.ones(FRAMES, *SIZE, dtype=torch.bool)}.items():
                files.write_video(cell / f"{name}.mkv", video, 15)
            for method, size in {"exact": 0.0, "noisy": 0.05, "noisier": 0.2}.items():
                (cell / method).mkdir()
                files.write_video(cell / method / "result.mkv", noisy(view, size), 15)
    (folder / "one" / "prompt.txt").write_text("a wall\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def measured(place) -> tuple[list[Run], list[dict]]:
    runs, _ = list_runs(place)
    return runs, [{"method": run.method, "clip": run.clip, "range": run.range, "size": list(SIZE), "fps": 15,
                   "frames": {"psnr": [20.0] * FRAMES}} for run in runs]


@pytest.fixture
def shown(monkeypatch) -> list:
    """Networks that look at the means of patches, here, and note what they are shown."""
    shown = []

    def patches(frames):
        return torch.nn.functional.avg_pool2d(frames.movedim(-1, 1), 8).flatten(1)

    def load(name):
        def see(frames, sight):
            shown.append((name, sight))
            told = patches(frames)
            if name == ALEXNET:
                wanted = networks.read_frames(sight.reference, sight)
                apart = (told - patches(wanted)).norm(dim=1).numpy()
                return {"lpips": apart} | ({"exact_lpips": apart} if sight.exact else {})
            if name == CLIP:
                told = networks.unit(told)
                return {"frames": told.numpy()} | ({"prompt": told[:1].numpy()} if sight.prompt else {})
            if name == INCEPTION:
                return {"frames": told.numpy()}
            pieces = [patches(piece).mean(0) for piece in frames.split(16) if len(piece) == 16]
            return {"pieces": np.array(pieces, np.float32).reshape(len(pieces), told.shape[1])}
        return lambda folder, device: see

    for name, network in NETWORKS.items():
        monkeypatch.setitem(NETWORKS, name, replace(network, load=load(name)))
    monkeypatch.setitem(WORK, "processes", lambda todo, begin, workers: map(begin(), todo))
    return shown


def bring_weights(models: Path, *names: str) -> None:
    for name in names or EVALUATORS:
        for repository in EVALUATORS[name].repositories:
            for file in repository.files:
                path = models / FOLDER / repository.folder / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"weights")


def look(measured, tmp_path: Path, **rules):
    runs, entries = measured
    return look_at_runs(runs, entries, Looking(tmp_path / "models", tmp_path / PARTS, **rules),
                        lambda title, count: lambda done: None)


def table(cells) -> dict:
    return {(cell.method, cell.range, cell.measure): cell.mean for cell in cells}


def test_what_is_nearest_comes_first_in_every_measure(measured, shown, tmp_path):
    bring_weights(tmp_path / "models")
    entries, cells, remarks = look(measured, tmp_path, against="exact")
    means = table(cells)
    assert {place[2] for place in means} == DISTRIBUTIONS and {place[1] for place in means} == {"30", "90", "all"}
    for span in ("30", "90", "all"):
        for measure in DISTRIBUTIONS:
            exact, little, much = (means[method, span, measure] for method in ("exact", "noisy", "noisier"))
            assert exact < little < much, measure
            assert exact == pytest.approx(0, abs=1e-6) or measure == "kid"  # which has no bias, so it can be below 0
    for entry in entries:
        assert max(entry["frames"]["exact_lpips"]) == 0 or entry["method"] != "exact"
        assert len(entry["frames"]["clip_frames"]) == FRAMES and entry["frames"]["clip_source"][0] < 1
        assert ("clip_text" in entry["frames"]) == (entry["clip"] == "one")
    assert remarks == ["CLIP-T: left out where there is no prompt; write it into CLIP/prompt.txt, or into the column "
                       "prompt"]


def test_nothing_is_seen_twice_and_a_run_that_was_stopped_ends_with_the_same(measured, shown, tmp_path):
    bring_weights(tmp_path / "models", INCEPTION, CLIP)
    first = look(measured, tmp_path)
    kept = sorted((tmp_path / PARTS / SEEN).iterdir())
    stamps = [path.stat().st_mtime_ns for path in kept]
    looked = [(name, sights.place_of(name, sight, tmp_path, tmp_path)) for name, sight in shown]
    assert len(looked) == len(set(looked)) == len(set(kept)) - sum(path.suffix == ".json" for path in kept)
    assert sum(name == INCEPTION and sight.video.stem == "source" for name, sight in shown) == 2, "one of each clip"
    shown.clear()
    assert look(measured, tmp_path) == first and not shown
    assert [path.stat().st_mtime_ns for path in kept] == stamps
    for path in kept[::3]:  # as if it had been killed meanwhile
        path.unlink()
    (tmp_path / PARTS / SEEN / ".half.1.part.safetensors").write_bytes(b"h")
    assert look(measured, tmp_path) == first
    assert sorted((tmp_path / PARTS / SEEN).iterdir()) == kept


def test_the_same_frames_under_another_name_and_time_are_known_again(measured, shown, tmp_path):
    bring_weights(tmp_path / "models", INCEPTION)
    look(measured, tmp_path)
    runs, entries = measured
    shown.clear()
    copy = tmp_path / "copy.mkv"
    copy.write_bytes(runs[0].video.read_bytes())
    renamed = [replace(runs[0], method="other", video=copy)], [{**entries[0], "method": "other"}]
    look(renamed, tmp_path)
    assert not shown
    longer = [{**entries[0], "frames": {"psnr": [20.0] * (FRAMES - 1)}}]
    look((renamed[0], longer), tmp_path)
    assert len(shown) == 2, "fewer frames are something else"


def test_every_network_without_weights_is_named_and_the_rest_is_made(measured, shown, tmp_path):
    bring_weights(tmp_path / "models", INCEPTION)
    _, cells, remarks = look(measured, tmp_path)
    assert {cell.measure for cell in cells} == {"fid", "kid"} and len(remarks) == len(NETWORKS) - 1
    for name, network in NETWORKS.items():
        said = [remark for remark in remarks if remark.startswith(f"{network.title}: left out, because ")]
        assert len(said) == (name != INCEPTION)
        for remark in said:
            assert "MB, license: " in remark and f"download {name} --models" in remark
            assert "https://" in remark and "\n" not in remark


def test_weights_of_another_network_leave_the_rest(measured, tmp_path, monkeypatch):
    pytest.importorskip("cdfvd", reason="cd-fvd isn't installed")
    monkeypatch.setitem(WORK, "processes", lambda todo, begin, workers: map(begin(), todo))
    bring_weights(tmp_path / "models", I3D)
    torch.save({"features.0.weight": torch.ones(2)}, tmp_path / "models" / FOLDER / "i3d_pretrained_400.pt")
    _, cells, remarks = look(measured, tmp_path)
    assert not cells and any(remark.startswith("FVD by I3D: left out, because ") and "does not fit the model" in remark
                             for remark in remarks)


def test_one_clip_has_no_fvd_and_that_is_said(measured, shown, tmp_path):
    bring_weights(tmp_path / "models", INCEPTION, I3D, VIDEOMAE)
    one = tuple(zip(*((run, entry) for run, entry in zip(*measured) if run.clip == "one")))
    _, cells, remarks = look(one, tmp_path)
    assert {cell.measure for cell in cells} == {"fid", "kid"}
    assert "FVD: left out, because it needs 2 clips or more, and there is one" in remarks


def test_videos_shorter_than_a_piece_have_no_fvd_and_that_is_said(measured, shown, tmp_path):
    bring_weights(tmp_path / "models", I3D)
    runs, entries = measured
    _, cells, remarks = look((runs, [{**entry, "frames": {"psnr": [20.0] * 9}} for entry in entries]), tmp_path)
    assert not cells and "FVD: left out, because its videos are shorter than the 16 frames that it looks at" in remarks


def test_exact_views_that_are_not_known_are_asked_for_in_vain(measured, shown, tmp_path):
    bring_weights(tmp_path / "models", INCEPTION)
    runs, entries = measured
    _, cells, remarks = look(([replace(run, exact=None) for run in runs], entries), tmp_path, against="exact")
    assert not cells and "FID: left out, because the exact view is not known of every clip; compare with the source " \
                         "instead" in remarks


def test_a_damaged_source_is_named_and_only_its_runs_are_left_out(measured, shown, tmp_path):
    bring_weights(tmp_path / "models", INCEPTION)
    runs, entries = measured
    for name in ("broken.mkv", "copy.mkv"):
        (tmp_path / name).write_bytes(b"no video" * 99)
    runs = [replace(run, source=tmp_path / "broken.mkv") if run.clip == "two" else run for run in runs]
    runs.append(replace(runs[0], clip="three", source=tmp_path / "copy.mkv"))
    _, cells, remarks = look((runs, [*entries, entries[0]]), tmp_path)
    assert {cell.clips for cell in cells} == {1} and {cell.measure for cell in cells} == {"fid", "kid"}
    for name in ("broken.mkv", "copy.mkv"):
        said = f"FID and KID: {tmp_path / name} is left out, because"
        assert sum(remark.startswith(said) for remark in remarks) == 1


def test_the_command_puts_all_into_its_tables(place, shown, tmp_path, capsys):
    bring_weights(tmp_path / "models")
    arguments = ["evaluate", str(place), "--out", str(tmp_path / "report"), "--models", str(tmp_path / "models")]
    runs, _ = list_runs(place)
    (tmp_path / "report" / PARTS / SEEN).mkdir(parents=True)
    for run in runs:
        vbench.place_of(tmp_path / "report" / PARTS, "imaging_quality", vbench.digest(run.video)[:20]).write_text("0.5")
    few = tmp_path / "runs.csv"
    few.write_text("method,clip,range,video,source,prior,cameras,prompt\n" + "".join(
        f"{run.method},{run.clip},{run.range},{run.video},{run.source},{run.prior},{run.cameras},\"red, blue\"\n"
        for run in runs if (run.method, run.range) == ("noisy", "90")))
    for run in runs:
        files.write_path(run.cameras, path_at_rest())
    assert cli.main([*arguments[:1], str(few), *arguments[2:]]) == 0
    said = capsys.readouterr()
    assert "left out" not in said.err and "2 videos of 1 methods" in said.out
    rows = [line.split(",")[:3] for line in (tmp_path / "report" / "table.csv").read_text().splitlines()]
    assert {row[2] for row in rows[1:]} >= DISTRIBUTIONS | {"lpips", "clip_text", "clip_frames", "clip_source",
                                                            "vbench_imaging_quality"}
    for name in ("table.md", "index.html"):
        text = (tmp_path / "report" / name).read_text()
        assert "Table 1 of the paper" in text and "823.61" in text and "Table 2 of the paper" in text


def path_at_rest():
    from ex4d_ops.camera import CameraPath

    intrinsics = torch.tensor([[40.0, 0, SIZE[1] / 2], [0, 40.0, SIZE[0] / 2], [0, 0, 1]])
    return CameraPath(torch.eye(4).expand(FRAMES, 4, 4), intrinsics.expand(FRAMES, 3, 3), SIZE)


# ---- the paper's tables -------------------------------------------------------------------------


def test_the_paper_s_tables_hold_ours_and_theirs_apart():
    cells = [Cell(method, span, measure, mean, None, None, 2) for method, mean in (("a", 50.0), ("b", 60.0))
             for span in ("30", "90", "all") for measure in ("fid", "fvd_i3d")]
    [layout] = lay_out(cells)
    assert layout.head == ["method", "FID 30", "FVD 30", "FID 90", "FVD 90"]
    assert [row[0][0] for row in layout.rows] == ["a", "b", *(f"{name} (EX-4D's authors)" for name in AUTHORS)]
    assert all(len(row) == len(layout.head) for row in layout.rows)
    assert [best for _, best in layout.rows[0][1:]] == [True] * 4, "theirs are not ranked"
    assert ("55.42", False) in layout.rows[-1] and ("-", False) in layout.rows[-1]
    assert not lay_out([Cell("a", "30", "psnr", 20.0, None, None, 2)])


def test_a_figure_a_little_below_nothing_is_written_as_nothing():
    assert "| 0.0000 |" in write_markdown([Cell("a", "30", "kid", -1e-6, None, None, 2)]).replace("**0", "0").replace(
        "0**", "0")


# ---- VBench -------------------------------------------------------------------------------------

STAND_IN = """#!{python}
import json, pathlib, sys
given = json.load(sys.stdin)
if given["dimension"] == "dynamic_degree":
    sys.exit("out of memory")
videos = sorted(pathlib.Path(given["videos"]).iterdir())
results = [dict(video_path=str(path), video_results=40 + k) for k, path in enumerate(videos)]
assert all(path.suffix == ".mp4" for path in videos)
text = "broken" if given["dimension"] == "aesthetic_quality" else json.dumps({{given["dimension"]: [0.4, results]}})
(pathlib.Path(given["out"]) / (given["dimension"] + "_eval_results.json")).write_text(text)
"""


@pytest.fixture
def environment(tmp_path, monkeypatch) -> Path:
    """An environment whose Python answers as VBench does, with all weights but DINO's."""
    monkeypatch.setenv("VBENCH_CACHE_DIR", str(tmp_path / "cache"))
    for dimension, assets in vbench.DIMENSIONS.items():
        for asset in assets if dimension != "subject_consistency" else ():
            (tmp_path / "cache" / asset.path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "cache" / asset.path).touch()
    python = vbench.python_of(tmp_path / "environment")
    python.parent.mkdir(parents=True)
    python.write_text(STAND_IN.format(python=sys.executable))
    python.chmod(0o755)
    return tmp_path / "environment"


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script that Windows does not start")
def test_what_vbench_says_is_kept_once_and_what_it_cannot_is_said(measured, environment, tmp_path):
    runs, entries = (several[:4] for several in measured)
    asked = []
    left_out = vbench.run_vbench(runs, environment, tmp_path, "cpu", False, asked.append)
    assert [remark.split(":")[0] for remark in left_out] == ["subject_consistency", "dynamic_degree",
                                                             "aesthetic_quality"]
    assert "343 MB, license: Apache-2.0" in left_out[0] and "VBench failed; see" in left_out[1]
    assert "cannot be read as results of VBench" in left_out[2] and not list(tmp_path.glob(".*"))
    told = [entry["whole"] for entry in vbench.recall_vbench(runs, entries, tmp_path)]
    assert {len(each) for each in told} == {4}
    assert 0.4 <= told[0]["vbench_imaging_quality"] < 0.5 and told[0]["vbench_motion_smoothness"] >= 40
    asked.clear()
    vbench.run_vbench(runs, environment, tmp_path, "cpu", False, asked.append)
    assert [line.split(":")[0] for line in asked] == ["dynamic_degree", "aesthetic_quality"]


def test_a_place_without_vbench_is_refused_in_one_sentence(measured, tmp_path):
    with pytest.raises(ValueError, match="is not an environment with VBench; make it with --set-up"):
        vbench.run_vbench(measured[0], tmp_path / "none", tmp_path, "cpu", False, print)


def test_a_python_that_is_too_new_for_vbench_is_refused_before_anything_is_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(vbench.sys, "version_info", (3, 13, 0))
    with pytest.raises(ValueError, match=r"needs Python 3.11 or older, and this is 3.13; make the environment with: "):
        vbench.set_up(tmp_path / "environment", print)
    assert not list(tmp_path.iterdir())


def test_the_seven_dimensions_are_those_of_vbench_s_quality_score():
    named = {name.removeprefix("vbench_") for name in MEASURES if name.startswith("vbench_")}
    assert named == set(vbench.DIMENSIONS) and len(named) == 7
