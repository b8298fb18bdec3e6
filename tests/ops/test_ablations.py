"""The paper's table of ablations: its rows are all there, and each is trained, sampled and measured, once."""

import pickle
import re
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import pytest

from ex4d_ops import cli, files
from ex4d_ops import wan as seam
from ex4d_ops.ablations import rows as work
from ex4d_ops.ablations.rows import Backbone, make_row, make_table, open_backbones, prior_of
from ex4d_ops.ablations.settings import Row, Table, read_row, read_rows, read_table
from ex4d_ops.checkpoint import load_adapter
from ex4d_ops.evaluation.plan import Planned, PlanRules, plan_one
from ex4d_ops.scene import FPS, sample_clip
from ex4d_ops.training import TrainingRules, adapter_file
from headless.demo_ablations import ROWS, build
from headless.tiny_wan import decode_video, draw_tiny_cogvideox, draw_tiny_wan, tiny_encoders

FULL = Row("full model")
PAPER = {"full model": {}, "no DW-Mesh": {"surface": "visible"}, "random masks": {"masks": "random"},
         "no rendering masks": {"masks": "tracking"}, "no tracking masks": {"masks": "rendering"},
         "rank 64": {"rank": 64}, "CogVideoX": {"backbone": "cogvideox"}}
FRAMES, SIZE = 5, (64, 64)
RULES = TrainingRules(steps=1, hidden_channels=8, recompute=False, tensorboard=False)
EXAMPLES = Path(__file__).parents[2] / "example_configs"


def test_every_row_of_the_papers_table_is_there():
    rows = read_rows(ROWS)
    assert [row.name for row in rows] == [*PAPER, "ControlNet"]
    assert rows[:-1] == [replace(FULL, name=name, **changed) for name, changed in PAPER.items()]
    assert "80 GB" in rows[-1].left_out


# ---- what is asked for --------------------------------------------------------------------------


@pytest.mark.parametrize("text, sentence", [
    ("masks: both", "name missing; add it"),
    ("name: a/b", "name: 'a/b' cannot name a folder; leave out slashes"),
    ("name: a\nmasks: all", "masks: got 'all'; use one of both, rendering, tracking, random"),
    ("name: a\nsurface: []", "surface: got .*; use one of watertight, visible"),
    ("name: a\nbackbone: hunyuan", "backbone: got 'hunyuan'; use one of wan, cogvideox"),
    ("name: a\nrank: 0", "rank: got 0; use a whole number from 1 to 1024"),
    ("name: 7", "name: got 7; write a text"),
    ("name: a\nspeed: 3", "speed is unknown; use name, masks"),
    ("- name", "write one `name: value` per line"),
])
def test_every_wrong_row_is_said_in_one_sentence(tmp_path, text, sentence):
    (tmp_path / "row.yaml").write_text(text)
    with pytest.raises(ValueError, match=sentence) as refused:
        read_row(tmp_path / "row.yaml")
    assert str(refused.value).startswith(f"{tmp_path / 'row.yaml'}: ") and "\n" not in str(refused.value)


def test_a_folder_needs_rows_of_different_names(tmp_path):
    with pytest.raises(ValueError, match="does not contain rows"):
        read_rows(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("name: same")
    with pytest.raises(ValueError, match="has two rows named 'same'; rename one"):
        read_rows(tmp_path)


def test_the_example_says_where_everything_lies(tmp_path):
    text = re.sub(r"^# (cogvideox:|  \w+: \w+\.safetensors$)", r"\1", (EXAMPLES / "ablations-14b.yaml").read_text(),
                  flags=re.M)
    for name in ("ablations", "videos", "runs", *re.findall(r"\S+\.safetensors", text)):
        (tmp_path / name).touch()
    (tmp_path / "ablations-14b.yaml").write_text(text)
    table = read_table(tmp_path / "ablations-14b.yaml")
    assert table.wan and table.wan.clip_vision == tmp_path / "clip_vision_h.safetensors" and table.rules.steps == 20000
    assert table.cogvideox and table.cogvideox.clip_vision is None
    opened = open_backbones(table)
    assert set(opened) == {"wan", "cogvideox"}
    assert [pickle.dumps(backbone.make_encoders) for backbone in opened.values()]  # for the processes that prepare
    for old, new, sentence in (("  steps: 20000", "  rank: 3", "rules: rank is unknown"),
                               ("vae: wan", "vae: other", "wan: vae: .* does not exist"),
                               ("bfloat16", "int4", "base_dtype: got 'int4'; use one of bfloat16")):
        (tmp_path / "wrong.yaml").write_text(text.replace(old, new))
        with pytest.raises(ValueError, match=sentence):
            read_table(tmp_path / "wrong.yaml")


# ---- rows ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(comfy, tmp_path_factory) -> Path:
    """A clip to train on, and a planned one."""
    pytest.importorskip("peft", reason="needs the packages of the extra `train`")
    pytest.importorskip("accelerate", reason="needs the packages of the extra `train`")
    seam.open_comfyui()
    folder = tmp_path_factory.mktemp("ablations")
    (folder / "videos").mkdir()
    frames, depth = sample_clip("gallery", FRAMES, SIZE)
    files.write_video(folder / "videos" / "gallery.mkv", frames, FPS)
    files.write_depth(folder / "videos" / "gallery.npz", depth)
    (folder / "runs").mkdir()
    (folder / "runs" / "plan.json").write_text(f'{{"frames": {FRAMES}, "size": {list(SIZE)}, "methods": []}}')
    plan_one(Planned("gallery", "30"), PlanRules(FRAMES, SIZE, "crop", ()), folder / "runs")
    return folder


@pytest.fixture
def table(folder, monkeypatch) -> Table:
    """Prepared in this process: starting another is most of the time."""
    from ex4d_ops.preparation import workers

    monkeypatch.setattr(workers, "run_processes", lambda todo, job, count: map(workers.begin_preparing(job), todo))
    return Table(ROWS, folder / "videos", folder / "runs", folder / "out", sampling_steps=1, rules=RULES, note="A toy.")


BACKBONES = {name: Backbone(partial(build, cache(partial(draw, blocks=1))), tiny_encoders,
                            lambda: decode_video)
             for name, draw in (("wan", draw_tiny_wan), ("cogvideox", draw_tiny_cogvideox))}


@pytest.mark.parametrize("row", read_rows(ROWS)[:-1], ids=lambda row: row.name)
def test_every_row_is_trained_and_sampled_once(table, row, monkeypatch):
    make_row(row, table, BACKBONES[row.backbone], cpu=True)
    video = table.runs / "gallery" / "30" / row.name / "result.mkv"
    assert files.read_video(video).frames.shape == (FRAMES, *SIZE, 3)
    adapter = load_adapter(adapter_file(table.out / row.name, 1))
    assert adapter.rank == row.rank and adapter.base.startswith("CogVideoX") == (row.backbone == "cogvideox")
    monkeypatch.setattr(work, "train", lambda *_, **__: pytest.fail("it is trained again"))
    make_row(row, table, BACKBONES[row.backbone], cpu=True)
    if row.surface == "visible":
        cell, clip = video.parents[1], files.read_video(video.parents[1] / "source.mkv")
        opened, closed = (prior_of(each, cell, clip) for each in (row, FULL))
        assert (opened.visible & ~closed.visible).any()  # what hidden faces have hidden


@pytest.fixture
def measured(monkeypatch) -> None:
    """Rows are made and measured at once."""
    def make(row: Row, table: Table, backbone: Backbone, cpu: bool) -> None:
        (table.out / row.name).mkdir(parents=True, exist_ok=True)
        (table.out / row.name / "row.json").write_text('{"loss": 0.25}')

    def measure(runs: list, out: Path, workers: int) -> list[dict]:
        return [{"method": FULL.name, "clip": "a", "range": "30", "frames": {"exact_psnr": [20.0, 22.0]}}]

    monkeypatch.setattr(work, "make_row", make)
    monkeypatch.setattr(work, "evaluate", measure)


def test_the_table_has_a_line_for_every_row_and_says_what_is_left_out(table, measured):
    rows = [FULL, Row("other", backbone="cogvideox"), read_rows(ROWS)[-1]]
    told = []
    text = make_table(rows, table, {"wan": BACKBONES["wan"]}, cpu=True, report=told.append)
    lines = text.splitlines()
    assert (table.out / "table.md").read_text() == text and len(told) == 1
    assert [line.split("|")[1].strip() for line in lines[2:5]] == ["full model", "other", "ControlNet"]
    assert lines[0] == "|  | rank | loss | PSNR exact ↑ |"
    assert lines[2:4] == ["| full model | 16 | 0.250 | 21.00 |", "| other | - | - | - |"]
    assert lines[6:] == ["- A toy.", "- other: the files of cogvideox are not given",
                         f"- ControlNet: {read_rows(ROWS)[-1].left_out}"]


def test_the_command_prints_the_table_or_one_sentence(folder, measured, tmp_path, capsys):
    shared = {"rows": ROWS, "videos": folder / "videos", "runs": folder / "runs", "out": tmp_path / "out"}
    config = tmp_path / "table.yaml"
    config.write_text("".join(f"{name}: {path}\n" for name, path in shared.items()))
    assert cli.main(["evaluate", "ablations", str(config)]) == 0
    said = capsys.readouterr().out
    assert said.count("the files of wan are not given") == 6 and said.count("the files of cogvideox are not given") == 1
    config.write_text(config.read_text().replace(str(folder / "runs"), str(tmp_path)))
    assert cli.main(["evaluate", "ablations", str(config)]) == 2
    assert "does not contain planned clips; make them with ex4d evaluate plan" in capsys.readouterr().err
