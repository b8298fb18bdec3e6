"""`ex4d study build` and `ex4d study tally`: which videos people choose."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from ..evaluation.runs import list_runs
from .terminal import add_command, check_exists, say

BUILD_EPILOG = """\
examples:
  ex4d study build runs/ --out study
  ex4d study build runs/ --out study --post https://example.org/answers

RUNS is what ex4d evaluate takes. Each clip and range of which all methods made a video becomes one question of the
study: the videos are shown in random order under letters, beside the source. Two clips, whose right answer is plain,
check whether somebody looks.

files in the folder --out:
  page/                 the page, index.html, and its videos: put this folder on any web server, or send it
  key.json              which method made which video: keep it to yourself

The page sends the answers of each participant as JSON by POST to --post, or lets them be downloaded.
"""
TALLY_EPILOG = """\
examples:
  ex4d study tally answers/*.json --key study/key.json

Shares are of all choices; the intervals are the 2.5 and 97.5 percentiles of 2000 bootstrap samples over participants.
Who chose a spoiled video in a check of attention is left out.
"""


def add_study_commands(commands) -> None:
    build = add_command(commands, "study build", make_study, "Make a page on which people choose between videos.",
                        BUILD_EPILOG)
    build.add_argument("runs", type=Path, metavar="RUNS", help="folder of runs, or CSV file")
    build.add_argument("--out", type=Path, required=True, help="folder for the page and its key")
    build.add_argument("--clips", type=int, default=12, metavar="N",
                       help="number of clips that each participant sees, drawn at random (default: 12)")
    build.add_argument("--title", default="Which video is best?", help="title of the page (default: %(default)s)")
    build.add_argument("--post", metavar="URL", help="address to send answers to (default: answers are downloaded)")
    build.add_argument("--seed", type=int, default=0, help="random seed of the videos' names (default: 0)")
    tally = add_command(commands, "study tally", count_answers, "Count the answers of a study.", TALLY_EPILOG)
    tally.add_argument("answers", type=Path, nargs="+", metavar="ANSWERS", help="JSON files of answers")
    tally.add_argument("--key", type=Path, help="key.json of the study (default: key.json beside the first answers)")
    tally.add_argument("--out", type=Path, metavar="FILE", help="also write the table to this file (.md)")


def make_study(options) -> None:
    if options.clips < 1:
        raise ValueError(f"--clips: got {options.clips}, must be 1 or more")
    if options.post is not None and urlsplit(options.post).scheme not in ("http", "https"):
        raise ValueError(f"--post: {options.post!r} is not an address; write one that begins with https://")
    runs, missing = list_runs(options.runs)
    from tqdm import tqdm

    from ..evaluation.study import KEY, PAGE, SITE, StudyRules, build_study

    rules = StudyRules(options.title, options.clips, options.post, options.seed)
    with tqdm(desc="writing", unit="clip", disable=None) as bar:
        clips, lacking = build_study(runs, rules, options.out, lambda: bar.update())
    for said in [f"{name}: is missing" for name in missing] + [
            f"{name}: left out, because not every method made a video of it" for name in lacking]:
        say(said)
    print(f"{options.out / SITE / PAGE}: {clips} clips, {min(clips, options.clips)} for each participant; "
          f"{options.out / KEY} says which method made which video")


def count_answers(options) -> None:
    key = options.key or options.answers[0].parent / "key.json"
    check_exists(key, *options.answers)
    from ..evaluation.tally import tally, write_shares
    from ..files.whole import written_whole

    counted = tally(options.answers, key)
    for remark in counted.remarks:
        say(remark)
    table = write_shares(counted.shares)
    if options.out is not None:
        with written_whole(options.out) as part:
            part.write_text(table, encoding="utf-8")
    print(f"{table}\n{counted.people} participants, {len(options.answers)} files of answers")
