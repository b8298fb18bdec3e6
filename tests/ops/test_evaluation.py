"""Laws of the evaluation: exact views come first, every damage is noticed where it should be, and nothing is lost."""

import json
import os
import random
import re
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from ex4d_ops import cli, files
from ex4d_ops.camera import CameraPath
from ex4d_ops.clip import Clip
from ex4d_ops.evaluation import Run, evaluate, list_runs
from ex4d_ops.evaluation.agreement import Reference, compare_frame, ssim_map
from ex4d_ops.evaluation.all_runs import PARTS, WORK
from ex4d_ops.evaluation.cameras import camera_errors, find_path
from ex4d_ops.evaluation.cell import Cell, Scene, project_subject
from ex4d_ops.evaluation.measures import MEASURES
from ex4d_ops.evaluation.one_run import fit_video, measure_cameras, measure_frames, summarize
from ex4d_ops.evaluation.table import make_cell, tabulate, write_csv
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.prior import render_prior
from ex4d_ops.scene import make_scene, sample_clip
from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves

FRAMES, SIZE, YAW = 4, (160, 160), 20.0


@cache
def clip(name: str):
    return sample_clip(name, FRAMES, SIZE)


@cache
def path(name: str, yaw: float) -> CameraPath:
    depth = clip(name)[1]
    return move_path(parse_moves(f"orbit:yaw={yaw}"), FRAMES, automatic_radius(depth), depth.intrinsics[0], SIZE)


@cache
def exact(name: str, yaw: float = YAW) -> torch.Tensor:
    return make_scene(name).render(path(name, yaw))[0]


@cache
def mesh(name: str):
    return build_dw_mesh(*clip(name))


@cache
def prior(name: str):
    return render_prior(mesh(name), path(name, YAW))


def follow(name: str, video: torch.Tensor) -> dict[str, torch.Tensor]:
    return camera_errors(find_path(video, mesh(name), path(name, YAW)), path(name, YAW), clip(name)[1].nearest)


# ---- pixels -------------------------------------------------------------------------------------


def noisy_pair(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    first = torch.rand(40, 56, 3, generator=draw)
    return first, (first + 0.2 * torch.randn(40, 56, 3, generator=draw)).clamp(0, 1)


@pytest.mark.parametrize("seed", range(3))
def test_ssim_is_that_of_kornia_around_every_pixel(seed):
    from kornia.metrics import ssim

    first, second = noisy_pair(seed)
    planes = [frame.double().movedim(-1, 0)[None] for frame in (first, second)]
    known = ssim(*planes, 11, eps=0)[0].mean(0)
    assert (ssim_map(first, second) - known).abs().max() < 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_ssim_and_psnr_are_those_of_torchmetrics(seed):
    image = pytest.importorskip("torchmetrics.functional.image", reason="torchmetrics isn't installed")
    first, second = noisy_pair(seed)
    planes = [frame.double().movedim(-1, 0)[None] for frame in (first, second)]
    ours = compare_frame(first, second, torch.ones(40, 56, dtype=torch.bool))
    assert ours["psnr"] == pytest.approx(float(image.peak_signal_noise_ratio(*planes, data_range=1.0)), abs=1e-6)
    assert ours["ssim"] == pytest.approx(
        float(image.structural_similarity_index_measure(*planes, data_range=1.0)), abs=1e-6)


def test_what_lies_outside_of_the_mask_does_not_count():
    first, second = noisy_pair(0)
    inside = torch.zeros(40, 56, dtype=torch.bool)
    inside[4:30, 6:40] = True
    changed = second.where(inside[..., None], 1 - second)
    assert compare_frame(first, second, inside) == compare_frame(first, changed, inside)


# ---- damages ------------------------------------------------------------------------------------


def blur(video: torch.Tensor, size: float) -> torch.Tensor:
    import cv2

    return torch.stack([torch.from_numpy(cv2.GaussianBlur(frame.numpy(), (0, 0), size)) for frame in video])


def jitter(video: torch.Tensor, size: float) -> torch.Tensor:
    ways = [(0, 0), (1, -1), (-1, 0), (1, 1), (0, -1)]
    return torch.stack([frame.roll((round(size * y), round(size * x)), (0, 1))
                        for frame, (x, y) in zip(video, ways * len(video))])


def flicker(video: torch.Tensor, size: float) -> torch.Tensor:
    steps = torch.tensor([(-1.0) ** t for t in range(len(video))])
    return (video + size * steps[:, None, None, None]).clamp(0, 1)


def shift_color(video: torch.Tensor, size: float) -> torch.Tensor:
    return (video + size * torch.tensor([1.0, -0.5, 0.3])).clamp(0, 1)


def seam(video: torch.Tensor, size: float) -> torch.Tensor:
    return (video + size * (~prior("gallery").visible)[..., None]).clamp(0, 1)


def walk(video: torch.Tensor, yaw: float) -> torch.Tensor:
    """What is seen along a path of another angle."""
    return exact("gallery", yaw)


def freeze(video: torch.Tensor, since: float) -> torch.Tensor:
    return video[[min(t, round(since)) for t in range(len(video))]]


def shuffle(video: torch.Tensor, mixed: float) -> torch.Tensor:
    return video[{1: [0, 2, 1, 3], 2: [1, 0, 3, 2], 3: [3, 2, 1, 0]}[round(mixed)]]


# damage: (its sizes from small to large, what must notice it, what must not)
PIXELS = {"psnr", "ssim", "exact_psnr", "exact_ssim"}
CAMERAS = {"rotation", "translation", "cammc"}
FOUND = CAMERAS | {"found"}
PATHS = PIXELS | CAMERAS | {"misplaced"}
DAMAGES = {
    "blur": (blur, (0.8, 1.4, 2.5), PIXELS | {"unsteady", "unsteady_outside", "seams"}, FOUND),
    "jitter": (jitter, (1, 2, 4), PIXELS | {"misplaced", "unsteady", "unsteady_outside", "subject"}, set()),
    "flicker": (flicker, (0.02, 0.04, 0.08), {"psnr", "exact_psnr", "unsteady", "unsteady_outside"},
                {"misplaced", "subject"}),
    "color": (shift_color, (0.04, 0.08, 0.14), {"psnr", "exact_psnr"}, FOUND | {"misplaced", "subject"}),
    "seam": (seam, (0.05, 0.1, 0.15), {"seams", "exact_psnr"}, {"psnr", "ssim", "unsteady", "misplaced", "subject"}),
    "path short": (walk, (0.95 * YAW, 0.9 * YAW, 0.8 * YAW), PATHS, {"found"}),
    "path mirrored": (walk, (-0.25 * YAW, -0.5 * YAW, -YAW), CAMERAS | {"psnr", "exact_psnr"}, {"found"}),
    "frozen": (freeze, (2, 1, 0), PATHS - {"ssim", "exact_ssim"} | {"subject"}, {"found"}),
    "shuffled": (shuffle, (1, 2, 3), PATHS - {"ssim", "exact_ssim"} | {"unsteady", "subject"}, {"found"}),
}
UNMOVED = {"rotation": 0.3, "translation": 4, "cammc": 0.05, "found": 0, "misplaced": 0.1, "subject": 0.7, "psnr": 0.0,
           "ssim": 0.0, "unsteady": 0.01}  # by how much a measure may move that must not notice


LOOKED_AT = [1, 3]  # frames in which cameras are sought, which takes a while


def scene(frames: list[int]) -> Scene:
    whole = path("gallery", YAW)
    cameras = CameraPath(whole.cam_from_world[frames], whole.intrinsics[frames], SIZE, whole.source_frame[frames])
    return Scene(mesh("gallery"), cameras, clip("gallery")[1].nearest)


@cache
def pixels_cell() -> Cell:
    """What the pixels of damaged videos are compared with."""
    subject = torch.zeros(FRAMES, *SIZE, dtype=torch.bool)
    subject[:, 60:110, 50:100] = True
    wanted = Reference(exact("gallery"), prior("gallery").visible, True, project_subject(scene([0, 1, 2, 3]), subject))
    return Cell(Clip(prior("gallery").color, 15), wanted, None)


@cache
def cameras_cell() -> Cell:
    """What their cameras are compared with."""
    wanted = Reference(exact("gallery")[LOOKED_AT], prior("gallery").visible[LOOKED_AT], True)
    return Cell(Clip(prior("gallery").color[LOOKED_AT], 15), wanted, scene(LOOKED_AT))


@cache
def figures_of(damage: str, size: float, cameras: bool) -> dict[str, float]:
    """The means of the measures of cameras, or of those of pixels."""
    video = DAMAGES[damage][0](exact("gallery"), size) if damage else exact("gallery")
    figures = measure_cameras(fit_video(video[LOOKED_AT], cameras_cell())) if cameras else \
        measure_frames(fit_video(video, pixels_cell()))
    return summarize({"frames": figures})


def badness(name: str, value: float) -> float:
    return -value if MEASURES[name].higher else value


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_noticed_the_more_the_larger_it_is(damage):
    _, sizes, noticed, _ = DAMAGES[damage]
    for cameras in {name in CAMERAS for name in noticed} | {False}:
        none, *found = (figures_of(*each, cameras) for each in (("", 0.0), *((damage, size) for size in sizes)))
        for name in noticed & set(none):
            grown = [badness(name, each[name]) for each in (none, *found)]
            assert all(less < more for less, more in zip(grown, grown[1:])), (name, grown)
        for name in none:
            best = badness(name, none[name])
            assert all(best <= badness(name, each[name]) for each in found), f"{name}: exact views come first"


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_measure_notices_what_it_must_not(damage):
    _, sizes, _, unmoved = DAMAGES[damage]
    for name in unmoved:
        none, large = (figures_of(*each, name in FOUND) for each in (("", 0.0), (damage, sizes[-1])))
        assert abs(large[name] - none[name]) <= UNMOVED[name], (name, none[name], large[name])


# ---- cameras ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gallery", "garden"])
def test_the_exact_video_follows_its_path(name):
    errors = follow(name, exact(name))
    assert errors["found"].min() == 1
    assert errors["rotation"].max() <= 0.3 and errors["translation"].max() <= 0.02


def test_a_path_ten_degrees_off_is_told_as_ten():
    assert follow("gallery", exact("gallery", YAW + 10))["rotation"][-1] == pytest.approx(10, abs=0.5)


def test_noise_is_not_found_and_counts_as_standing_still():
    noise = torch.rand(FRAMES, *SIZE, 3, generator=torch.Generator().manual_seed(0))
    errors = follow("gallery", noise)
    assert errors["found"].max() == 0 and errors["rotation"][-1] == pytest.approx(YAW, abs=0.01)


def test_frames_that_show_too_little_of_the_source_are_not_judged():
    cameras = path("gallery", YAW).cam_from_world.clone()
    cameras[-1] = torch.diag(torch.tensor([-1.0, 1, -1, 1]))  # looks back
    away = replace(path("gallery", YAW), cam_from_world=cameras)
    errors = camera_errors(find_path(exact("gallery"), mesh("gallery"), away), away, 1.0)
    assert errors["rotation"].isnan()[-1] and not errors["rotation"].isnan()[0]


# ---- folders and tables -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two clips along a path, with exact views, as two methods made them; one of the second clip is missing."""
    folder = tmp_path_factory.mktemp("runs")
    size, frames = (64, 64), 3
    for name in ("gallery", "garden"):
        cell = folder / name / "30"
        (cell / "prior").mkdir(parents=True)
        colors, depth = sample_clip(name, frames, size)
        cameras = move_path(parse_moves("orbit:yaw=10"), frames, automatic_radius(depth), depth.intrinsics[0], size)
        drawn = render_prior(build_dw_mesh(colors, depth), cameras)
        seen = make_scene(name).render(cameras)[0]
        for place, video in {"source.mkv": colors, "exact.mkv": seen, "prior/color.mkv": drawn.color,
                             "prior/visible.mkv": drawn.visible}.items():
            files.write_video(cell / place, video, 15)
        files.write_path(cell / "prior" / "cameras.json", cameras)
        if name == "gallery":  # finding cameras takes a while
            files.write_depth(cell / "depth.npz", depth)
        for method, video in {"exact": seen, "blurred": blur(seen, 0.8)}.items():
            (cell / method).mkdir()
            if (name, method) != ("garden", "blurred"):
                files.write_video(cell / method / "result_00001.mkv", video, 15)
    (folder / "plan.json").write_text(json.dumps({"methods": ["exact", "blurred"]}))
    return folder


@pytest.fixture
def in_process(monkeypatch):
    def run_here(todo, begin, workers):
        work = begin()
        yield from (work(item) for item in todo)

    monkeypatch.setitem(WORK, "processes", run_here)


def test_a_report_is_made_and_a_run_that_was_stopped_ends_with_the_same(runs, tmp_path, in_process, capsys):
    assert cli.main(["evaluate", str(runs), "--out", str(tmp_path / "a")]) == 0
    said = capsys.readouterr()
    assert "3 videos of 2 methods; 0 left out, 1 missing" in said.out and "garden, 30, blurred: is missing" in said.err
    first = {name: (tmp_path / "a" / name).read_bytes() for name in ("table.md", "table.csv", "index.html")}
    page = first["index.html"].decode()
    assert page.count("<video") == 9 and not re.search(r"(src|href)=.?https?:", page)
    parts = sorted((tmp_path / "a" / PARTS).glob("*.json"))
    kept = parts[0].stat().st_mtime_ns
    parts[1].unlink()  # as if it had been killed meanwhile
    (parts[1].parent / f".{parts[2].stem}.1.part.json").write_text("{")
    assert cli.main(["evaluate", str(runs), "--out", str(tmp_path / "a")]) == 0
    assert {name: (tmp_path / "a" / name).read_bytes() for name in first} == first
    assert parts[0].stat().st_mtime_ns == kept and not list(parts[0].parent.glob(".*"))
    rows = dict((tuple(line.split(",")[:3]), line.split(",")[3]) for line in first["table.csv"].decode().splitlines())
    assert float(rows["exact", "30", "exact_psnr"]) > float(rows["blurred", "30", "exact_psnr"])
    assert float(rows["exact", "30", "seams"]) == 0


EVALUATE = """
import sys
from ex4d_ops import cli
from ex4d_ops.evaluation.all_runs import WORK

def run_here(todo, begin, workers):
    work = begin()
    print("begun", flush=True)
    yield from (work(item) for item in todo)

WORK["processes"] = run_here
cli.main(["evaluate", *sys.argv[1:]])
"""


def test_killed_at_any_moment_and_started_again_it_ends_with_the_same_bit_for_bit(runs, tmp_path, in_process, capsys):
    table = tmp_path / "runs.csv"
    columns = ("method", "clip", "range", "video", "source", "prior", "cameras", "exact")
    table.write_text("\n".join(",".join(map(str, row)) for row in [columns, *(
        [getattr(run, name) for name in columns] for run in list_runs(runs)[0])]) + "\n")
    assert cli.main(["evaluate", str(table), "--out", str(tmp_path / "whole")]) == 0
    draw = random.Random(0)
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", EVALUATE, str(table), "--out", str(tmp_path / "killed")],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | {
                                     "PYTHONPATH": str(Path(cli.__file__).parents[2])})
        assert child.stdout and child.stdout.readline().strip() == b"begun"
        time.sleep(draw.uniform(0, 0.4))
        child.kill()
        child.communicate()
    assert cli.main(["evaluate", str(table), "--out", str(tmp_path / "killed")]) == 0
    for name in ("table.md", "table.csv", "index.html"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    left = {path.name for path in (tmp_path / "killed" / PARTS).iterdir()}
    assert left == {path.name for path in (tmp_path / "whole" / PARTS).iterdir()}, "nothing half written is left"


def as_table(runs: Path, tmp_path: Path, **changes) -> Path:
    """A CSV file of one run, some of its columns changed."""
    cell = runs / "gallery" / "30"
    row = {"method": "m", "clip": "c", "range": "30", "video": cell / "exact" / "result_00001.mkv",
           "source": cell / "source.mkv", "prior": cell / "prior", "cameras": cell / "prior" / "cameras.json",
           "depth": "", "exact": ""} | changes
    table = tmp_path / "runs.csv"
    table.write_text(",".join(row) + "\n" + ",".join(map(str, row.values())) + "\n")
    return table


def test_a_table_without_depth_and_exact_views_has_no_figures_of_cameras(runs, tmp_path, in_process):
    [run], missing = list_runs(as_table(runs, tmp_path))
    [entry] = evaluate([run], tmp_path)
    names = {cell.measure for cell in tabulate([entry])}
    assert not missing and {"psnr", "ssim", "unsteady", "misplaced"} <= names and "rotation" not in names
    assert not {"exact_psnr", "exact_ssim"} & names


@pytest.mark.parametrize("kind, said", [("longer", "has 4 or more frames, but 3 are planned"),
                                        ("shorter", "has 2 frames, but 3 are planned"),
                                        ("larger", "is 96x96, but 64x64 is planned"),
                                        ("faster", "has 24 frames per second, but 15 are planned")])
def test_a_video_that_is_not_as_planned_is_left_out_used_or_refused_as_asked(runs, tmp_path, in_process, kind, said):
    video = files.read_video(runs / "gallery" / "30" / "exact" / "result_00001.mkv").frames
    video = {"longer": video[[0, 1, 2, 2]], "shorter": video[:2]}.get(kind, video)
    if kind == "larger":
        video = video.repeat_interleave(3, 1).repeat_interleave(3, 2)[:, ::2, ::2]
    files.write_video(tmp_path / "other.mkv", video, 24 if kind == "faster" else 15)
    [run], _ = list_runs(as_table(runs, tmp_path, video=tmp_path / "other.mkv"))
    assert said in evaluate([run], tmp_path / "skip")[0]["skipped"]
    [used] = evaluate([run], tmp_path / "use", "use")
    assert said in used["notes"][0] and used["frames"]["psnr"]
    with pytest.raises(ValueError, match=re.escape(said)):
        evaluate([run], tmp_path / "stop", "stop")


def test_a_damaged_video_is_left_out_and_the_rest_is_measured(runs, tmp_path, in_process):
    (tmp_path / "broken.mkv").write_bytes(b"no video" * 99)
    good = list_runs(as_table(runs, tmp_path))[0][0]
    entries = evaluate([replace(good, method="bad", video=tmp_path / "broken.mkv"), good], tmp_path)
    assert "broken.mkv" in entries[0]["skipped"] and "frames" in entries[1]


@pytest.mark.parametrize("text, said", [
    ("method,clip\na,b\n", "does not have the column range"), ("", "does not have the column method"),
    ("method,clip,range,video,source,prior,cameras\na,b,30,,s,p,c\n", "line 2 lacks video"),
    ("method,clip,range,video,source,prior,cameras\n" + 2 * "a,b,30,v,s,p,c\n", "has 'b, 30, a' twice")])
def test_a_table_that_cannot_be_meant_is_refused_in_one_sentence(tmp_path, text, said):
    (tmp_path / "runs.csv").write_text(text)
    with pytest.raises(ValueError, match=re.escape(said)):
        list_runs(tmp_path / "runs.csv")


def test_a_place_without_runs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="does not contain runs"):
        list_runs(tmp_path)
    with pytest.raises(ValueError, match="is not a folder of runs or a CSV file"):
        list_runs(tmp_path / "none")


def test_a_changed_video_is_measured_again(runs, tmp_path, in_process):
    [run], _ = list_runs(as_table(runs, tmp_path))
    first = evaluate([run], tmp_path)
    os.utime(run.video, ns=(1, 1))
    assert evaluate([run], tmp_path)[0]["fingerprint"] != first[0]["fingerprint"]


def test_every_interval_holds_its_mean_and_one_clip_has_none():
    draw = torch.Generator().manual_seed(0)
    for count in (2, 5, 30):
        clips = torch.rand(count, generator=draw).tolist()
        cell = make_cell("m", "30", "psnr", clips)
        assert cell.low <= cell.mean <= cell.high and cell == make_cell("m", "30", "psnr", clips)
    assert make_cell("m", "30", "psnr", [1.0]).low is None
    assert write_csv([make_cell("m", "30", "psnr", [1.0])]).splitlines()[1] == "m,30,psnr,1,,,1"


def test_every_key_is_a_file_name_of_its_own():
    places = [Path("x")] * 4
    keys = {Run(*names, *places).key for names in (("a", "b", "30"), ("a", "b/30", ""), ("a/b", "", "30"))}
    assert len(keys) == 3 and all(re.fullmatch(r"[\w-]+", key) for key in keys)
