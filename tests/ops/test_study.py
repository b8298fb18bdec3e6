"""Laws of the user study: nothing on the page tells who made a video, and every answer is counted or said why not."""

import json
from pathlib import Path

import pytest
import torch

from ex4d_ops import cli, files
from ex4d_ops.evaluation.study import spoil
from ex4d_ops.evaluation.tally import tally

METHODS, CLIPS = ("first method", "second method", "third method"), ("one", "two", "three")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """A study of three methods and clips, the last without one of the videos."""
    folder = tmp_path_factory.mktemp("study")
    draw = torch.Generator().manual_seed(0)
    rows = ["method,clip,range,video,source,prior,cameras"]
    for clip in CLIPS:
        files.write_video(folder / f"{clip}.mkv", torch.rand(4, 32, 48, 3, generator=draw), 8)
        for number, method in enumerate(METHODS):
            video = folder / f"{clip}-{number}.mkv"
            if (clip, number) != ("three", 2):
                files.write_video(video, torch.rand(4 + number, 32, 48, 3, generator=draw), 8)
            rows.append(f"{method},{clip},{30 if clip == 'one' else 60},{video.name},{clip}.mkv,p,c")
    (folder / "runs.csv").write_text("\n".join(rows) + "\n")
    assert cli.main(["study", "build", str(folder / "runs.csv"), "--out", str(folder / "study"), "--clips", "2"]) == 0
    return folder / "study"


def read_key(study: Path) -> dict:
    return json.loads((study / "key.json").read_text())


def answer(folder: Path, path: Path, person: str, chosen: str = METHODS[0], check: bool = True, **changes) -> Path:
    """A file of answers of somebody who always chooses one method."""
    key = read_key(folder)
    answers = [{"trial": trial, "choice": dict.fromkeys(
        ("consistency", "viewpoint"), {made: name for name, made in shown["videos"].items()}[chosen])}
        for trial, shown in key["trials"].items()]
    answers += [{"trial": trial, "choice": {"consistency": right if check else "v0"}}
                for trial, right in key["checks"].items()]
    path.write_text(json.dumps({"study": key["study"], "participant": person, "answers": answers} | changes))
    return path


def test_nothing_on_the_page_tells_who_made_a_video_and_every_video_is_there(study):
    page = (study / "page" / "index.html").read_text()
    assert not any(method in page for method in METHODS) and "http" not in page.replace("http-equiv", "")
    shown = json.loads(page.split('id="study">')[1].split("</script>")[0])
    named = [name for trial in shown["trials"] + shown["checks"] for name in (trial["source"], *trial["videos"])]
    assert len(set(named)) == len(named) == 2 * 4 + 2 * 4
    assert {path.stem for path in (study / "page" / "videos").iterdir()} == set(named)
    lengths = {len(files.read_video(study / "page" / "videos" / f"{name}.mp4")) for name in named}
    assert lengths == {4}, "a length of its own would tell a method"
    key = read_key(study)
    assert {trial["clip"] for trial in key["trials"].values()} == {"one", "two"}, "three lacks a method"
    assert all(set(trial["videos"].values()) == set(METHODS) for trial in key["trials"].values())


def test_a_spoiled_video_is_told_from_its_source_at_a_glance():
    frames = torch.rand(2, 64, 48, 3, generator=torch.Generator().manual_seed(0))
    spoiled = spoil(frames)
    assert spoiled.shape == frames.shape and len(spoiled[0].reshape(-1, 3).unique(dim=0)) <= 8 * 11


def test_shares_add_up_and_their_intervals_hold_them(study, tmp_path, capsys):
    people = [answer(study, tmp_path / f"{k}.json", str(k), METHODS[k % 4 % 3]) for k in range(8)]
    counted = tally(people, study / "key.json")
    assert counted.people == 8 and not counted.remarks
    for question in ("consistency", "viewpoint"):
        for span in ("30", "60", "all"):
            shares = {each.method: each for each in counted.shares if (each.question, each.range) == (question, span)}
            assert [shares[method].share for method in METHODS] == pytest.approx([0.5, 0.25, 0.25])
            assert all(each.low <= each.share <= each.high and each.low < each.high for each in shares.values())
    assert cli.main(["study", "tally", *map(str, people), "--key", str(study / "key.json"), "--out",
                     str(tmp_path / "shares.md")]) == 0
    said = capsys.readouterr().out
    assert "8 participants, 8 files" in said and "**50.0% [" in said
    assert (tmp_path / "shares.md").read_text() in said


def test_one_person_has_no_interval(study, tmp_path):
    shares = tally([answer(study, tmp_path / "a.json", "a")], study / "key.json").shares
    assert {(each.share, each.low) for each in shares} == {(1.0, None), (0.0, None)}


@pytest.mark.parametrize("change, said", [
    ({"check": False}, "chose a spoiled video"), ({"study": "other"}, "answers another study"),
    ({"answers": []}, "has no answers"), ({"answers": [{"trial": "t9", "choice": {"consistency": "v1"}}]}, "t9"),
    ({"answers": [{"trial": "t0", "choice": {"consistency": "v1"}}]}, "does not have"),
    ({"answers": 7}, "cannot be read as answers")])
def test_answers_that_cannot_be_counted_are_named_and_the_rest_is_counted(study, tmp_path, change, said):
    good, bad = answer(study, tmp_path / "a.json", "a"), answer(study, tmp_path / "b.json", "b", **change)
    counted = tally([bad, good], study / "key.json")
    assert counted.people == 1 and len(counted.remarks) == 1
    assert said in counted.remarks[0] and counted.remarks[0].endswith("left out")
    with pytest.raises(ValueError, match="none of the answers can be counted"):
        tally([bad], study / "key.json")


def test_the_last_answers_of_a_person_count(study, tmp_path):
    first, last = (answer(study, tmp_path / f"{k}.json", "a", METHODS[k]) for k in (0, 1))
    counted = tally([first, last], study / "key.json")
    assert counted.people == 1 and "are there twice" in counted.remarks[0]
    assert {each.method for each in counted.shares if each.share == 1} == {METHODS[1]}


@pytest.mark.parametrize("arguments, said", [
    (["build", "runs.csv", "--out", "x", "--clips", "0"], "--clips: got 0"),
    (["build", "runs.csv", "--out", "x", "--post", "mail me"], "is not an address"),
    (["tally", "none.json"], "there is no such file")])
def test_what_cannot_be_meant_is_refused_in_one_sentence(tmp_path, capsys, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["study", *arguments]) == 2 and said in capsys.readouterr().err


def test_a_study_of_one_method_is_refused(study, tmp_path, capsys):
    rows = (study.parent / "runs.csv").read_text().splitlines()
    table = study.parent / "single.csv"
    table.write_text("\n".join(row for row in rows if not row.startswith(METHODS[1:])) + "\n")
    assert cli.main(["study", "build", str(table), "--out", str(tmp_path / "x")]) == 2
    assert "two or more methods" in capsys.readouterr().err and not (tmp_path / "x").exists()
