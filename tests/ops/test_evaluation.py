"""Laws of the evaluation: exact views come first, every damage is noticed where it should be, and nothing is lost."""

import json
import os
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from ex4d_ops import cli, files
from ex4d_ops.camera import CameraPath
from ex4d_ops.evaluation import Run, evaluate, list_runs
from ex4d_ops.evaluation.agreement import Reference, compare_frame, ssim_map
from ex4d_ops.evaluation.all_runs import PARTS, WORK
from ex4d_ops.evaluation.cameras import camera_errors, find_path
from ex4d_ops.evaluation.measures import MEASURES
from ex4d_ops.evaluation.one_run import Given, measure_frames
from ex4d_ops.evaluation.table import make_cell, tabulate, write_csv
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.prior import render_prior
from ex4d_ops.scene import make_scene, sample_clip
from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves

FRAMES, SIZE, YAW = 5, (160, 160), 20.0


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


# damage: (its two sizes, what must notice it)
PIXELS = {"psnr", "exact_psnr"}
DAMAGES = {
    "blur": (blur, (0.8, 2.0), PIXELS | {"ssim", "exact_ssim", "unsteady", "unsteady_outside", "seams"}),
    "jitter": (jitter, (1, 3), PIXELS | {"ssim", "exact_ssim", "unsteady", "unsteady_outside", "misplaced"}),
    "flicker": (flicker, (0.02, 0.06), PIXELS | {"unsteady", "unsteady_outside"}),
    "color": (shift_color, (0.04, 0.12), PIXELS),
    "seam": (seam, (0.05, 0.15), {"seams", "exact_psnr"}),
}


@cache
def frame_figures(damage: str, size: float) -> dict[str, float]:
    video = DAMAGES[damage][0](exact("gallery"), size) if damage else exact("gallery")
    given = Given(video, Reference(exact("gallery"), prior("gallery").visible, True))
    known = {name: [value for value in values if value is not None] for name, values in measure_frames(given).items()}
    return {name: sum(values) / len(values) for name, values in known.items() if values}


def badness(name: str, value: float) -> float:
    return -value if MEASURES[name].higher else value


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_noticed_the_more_the_larger_it_is(damage):
    _, sizes, noticed = DAMAGES[damage]
    none, small, large = (frame_figures(*each) for each in (("", 0.0), *((damage, size) for size in sizes)))
    for name in noticed:
        assert badness(name, none[name]) < badness(name, small[name]) < badness(name, large[name]), name
    for name in none:
        assert badness(name, none[name]) <= badness(name, large[name]), "exact views come first"


def test_what_a_damage_does_not_touch_stays():
    none, seamed = frame_figures("", 0.0), frame_figures("seam", 0.15)
    assert seamed["psnr"] == none["psnr"] and seamed["unsteady"] < none["unsteady"] + 0.01
    assert frame_figures("color", 0.04)["misplaced"] < 0.05


# ---- cameras ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gallery", "garden"])
def test_the_exact_video_follows_its_path(name):
    errors = follow(name, exact(name))
    assert errors["found"].min() == 1
    assert errors["rotation"].max() <= 0.3 and errors["translation"].max() <= 0.02


def test_a_path_ten_degrees_off_is_told_as_ten():
    assert follow("gallery", exact("gallery", YAW + 10))["rotation"][-1] == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize("off", ["short", "mirrored", "frozen", "shuffled"])
def test_a_video_along_another_path_is_told_from_its_own(off):
    video, degrees = {"short": (lambda: exact("gallery", 0.9 * YAW), 0.1 * YAW),
                      "mirrored": (lambda: exact("gallery", -YAW), 2 * YAW),
                      "frozen": (lambda: exact("gallery")[:1].expand(FRAMES, *SIZE, 3), YAW),
                      "shuffled": (lambda: exact("gallery")[[0, 4, 1, 2, 3]], YAW / 4)}[off]
    errors = follow("gallery", video())
    assert errors["rotation"][-1] == pytest.approx(degrees, abs=0.5)
    assert errors["translation"].mean() > 0.03


def test_damage_that_leaves_the_path_leaves_its_figures():
    for video in (blur(exact("gallery"), 1.0), shift_color(exact("gallery"), 0.08)):
        errors = follow("gallery", video)
        assert errors["rotation"].max() <= 0.5 and errors["translation"].max() <= 0.05


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
        files.write_depth(cell / "depth.npz", depth)
        for method, video in {"exact": seen, "blurred": blur(seen, 1.5)}.items():
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
