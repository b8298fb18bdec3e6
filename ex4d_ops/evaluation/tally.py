"""What people answered in a user study: the share of choices that each method got, with intervals."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files.damage import quote, reading
from .table import ALL, INTERVAL, ROUNDS


@dataclass(frozen=True)
class Share:
    """How often a method was chosen of all times that it could be; low, high: None where one person alone answered."""

    question: str
    range: str
    method: str
    share: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Tally:
    """people: whose answers count; remarks: which do not, and why."""

    shares: list[Share]
    people: int
    remarks: list[str]


Votes = dict[tuple[str, str], list[str]]  # the methods that one person chose, by question and range


def tally(files: Sequence[Path], key_file: Path) -> Tally:
    """Count files of answers, by the key that was written beside the study's page.

    Who chose a spoiled video in a check is left out, and so is a file that is damaged or of another study. Raises
    ValueError where the key is, or where no file is left.
    """
    with reading(key_file, "the key of a study", "give the one that was written beside the page"):
        key = json.loads(key_file.read_text(encoding="utf-8"))
        methods = sorted({method for trial in key["trials"].values() for method in trial["videos"].values()})
    people: dict[str, Votes] = {}
    remarks = []
    for file in files:
        try:
            person, votes = read_votes(file, key)
        except ValueError as error:
            remarks.append(f"{error}; left out")
            continue
        if person in people:
            remarks.append(f"{file}: answers of participant {person} are there twice; the last ones count")
        people[person] = votes
    if not people:
        raise ValueError(f"{files[0].parent}: none of the answers can be counted; {'; '.join(remarks)}")
    return Tally(count(list(people.values()), methods), len(people), remarks)


def read_votes(file: Path, key: dict) -> tuple[str, Votes]:
    """Who answered, and what. Raises ValueError where that cannot be counted."""
    with reading(file, "answers", "ask for the file again"):
        content = json.loads(file.read_text(encoding="utf-8"))
        study, person = content["study"], str(content["participant"])
        answers = [(answer["trial"], dict(answer["choice"])) for answer in content["answers"]]
    if study != key["study"]:
        raise ValueError(f"{file}: answers another study, {quote(study)}")
    votes: Votes = {}
    for trial, choice in answers:
        if trial in key["checks"]:
            if set(choice.values()) != {key["checks"][trial]}:
                raise ValueError(f"{file}: chose a spoiled video in a check of attention")
            continue
        shown = key["trials"].get(trial)
        if shown is None or not set(choice.values()) <= set(shown["videos"]):
            raise ValueError(f"{file}: names the clip {quote(trial)} or a video of it, which the study does not have")
        for question, video in choice.items():
            for span in (shown["range"], ALL):
                votes.setdefault((question, span), []).append(shown["videos"][video])
    if not votes:
        raise ValueError(f"{file}: has no answers")
    return person, votes


def count(people: list[Votes], methods: list[str]) -> list[Share]:
    """The shares of every question, range and method. Intervals are bootstrapped over people."""
    shares = []
    for question, span in dict.fromkeys(place for votes in people for place in votes):
        chosen = np.array([[votes.get((question, span), []).count(method) for method in methods] for votes in people])
        chosen = chosen[chosen.sum(1) > 0]
        low = high = [None] * len(methods)
        if len(chosen) > 1:
            draw = np.random.default_rng(zlib.crc32(f"{question}:{span}".encode()))
            drawn = chosen[draw.integers(0, len(chosen), (ROUNDS, len(chosen)))].sum(1)
            low, high = np.percentile(drawn / drawn.sum(1, keepdims=True), INTERVAL, axis=0).tolist()
        share = (chosen.sum(0) / chosen.sum()).tolist()
        shares += [Share(question, span, *each) for each in zip(methods, share, low, high)]
    return shares


def write_shares(shares: Sequence[Share]) -> str:
    """A table in Markdown: a row per method, a column per question and range; the largest share is bold."""
    places = sorted({(share.question, share.range == ALL, share.range) for share in shares})
    lines = [["method", *(f"{question}, {span}" for question, _, span in places)], ["---"] * (1 + len(places))]
    for method in dict.fromkeys(share.method for share in shares):
        row = [method]
        for question, _, span in places:
            column = {each.method: each for each in shares if (each.question, each.range) == (question, span)}
            text = describe(column[method])
            row.append(f"**{text}**" if column[method].share == max(each.share for each in column.values()) else text)
        lines.append(row)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def describe(share: Share) -> str:
    text = f"{share.share:.1%}"
    return text if share.low is None or share.high is None else f"{text} [{share.low:.1%}, {share.high:.1%}]"
