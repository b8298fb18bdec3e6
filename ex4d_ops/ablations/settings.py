"""A table of ablations as YAML files: one of what all rows share, and one per row of what it changes."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from ..files.damage import quote
from ..preparation.recipe import Masks
from ..rules import Surface
from ..training.config import check_choice, check_file, check_keys, check_rule, read_yaml
from ..training.rules import TrainingRules
from ..wan import BASE_DTYPES

Name = Literal["wan", "cogvideox"]  # of a backbone
CHOICES = {"masks": get_args(Masks), "surface": get_args(Surface), "backbone": get_args(Name),
           "base_dtype": tuple(BASE_DTYPES)}
TEXTS = ("name", "left_out", "caption", "note")


@dataclass(frozen=True)
class Row:
    """What a row changes of the full model. masks, surface: as in Recipe; without watertight meshes in training, priors
    to sample with are drawn without them too. backbone: which of Table's files. left_out: why it is not trained, or "".
    """

    name: str
    masks: Masks = "both"
    surface: Surface = "watertight"
    rank: int = 16
    backbone: Name = "wan"
    left_out: str = ""


@dataclass(frozen=True)
class Files:
    """The files of a video model and of what encodes for it; clip_vision: of Wan alone."""

    base: Path
    vae: Path
    text_encoder: Path
    clip_vision: Path | None = None


@dataclass(frozen=True)
class Table:
    """What all rows share. rows: folder of their YAML files, in the order of its names. videos, depth: to train on, see
    Recipe. runs: folder made by `ex4d evaluate plan`, whose clips are sampled and which says how long and large all
    clips are. out: of everything else. wan, cogvideox: None where rows of it are left out. caption: of all clips. note:
    shown below the table. rules: but for the rank, which is a row's.
    """

    rows: Path
    videos: Path
    runs: Path
    out: Path
    depth: Path | None = None
    wan: Files | None = None
    cogvideox: Files | None = None
    base_dtype: str = "bfloat16"
    comfyui: Path | None = None
    caption: str = ""
    note: str = ""
    sampling_steps: int = 25
    rules: TrainingRules = field(default_factory=TrainingRules)


def read_table(path: Path) -> Table:
    """Read what all rows share. Raises ValueError in one sentence for what it does not know or take."""
    values = read_yaml(path)
    kinds = {entry.name: entry for entry in fields(Table)}
    rules = {rule.name: rule for rule in fields(TrainingRules) if rule.name != "rank"}
    read: dict[str, Any] = {}
    try:
        for name, value in check_keys(values, fields(Table), "").items():
            if name in ("wan", "cogvideox"):
                given = check_keys(value, fields(Files), f"{name}: ")
                read[name] = Files(**{key: check_file(f"{name}: {key}", each, path.parent)
                                      for key, each in given.items()})
            elif name == "rules":
                given = check_keys(value, tuple(rules.values()), "rules: ")
                read[name] = TrainingRules(**{key: check_rule(rules[key], each) for key, each in given.items()})
            else:
                read[name] = check_value(kinds[name], value, path.parent)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return Table(**read)


def read_rows(folder: Path) -> list[Row]:
    """The rows of a folder, in the order of its names. Raises ValueError where there are none, or one is wrong."""
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise ValueError(f"{folder}: does not contain rows, which are YAML files; use example_configs/ablations")
    rows = [read_row(path) for path in paths]
    names = [row.name for row in rows]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{folder}: has two rows named {quote(repeated)}; rename one")
    return rows


def read_row(path: Path) -> Row:
    """Read what a row changes. Raises ValueError in one sentence for what it does not know or take."""
    values = read_yaml(path)
    try:
        given = check_keys(values, fields(Row), "")
        row = Row(**{kind.name: check_value(kind, given[kind.name], path.parent) for kind in fields(Row)
                     if kind.name in given})
        if not row.name or Path(row.name).name != row.name:
            raise ValueError(f"name: {quote(row.name)} cannot name a folder; leave out slashes")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return row


def check_value(kind, value: object, folder: Path) -> Any:
    """A setting's value as its type. Raises ValueError where it is of another, or out of range."""
    if kind.name in TEXTS:
        if not isinstance(value, str):
            raise ValueError(f"{kind.name}: got {quote(value)}; write a text")
        return value
    if kind.name in CHOICES:
        return check_choice(kind.name, value, CHOICES[kind.name])
    if kind.name in ("rank", "sampling_steps"):
        return check_rule(kind, value)
    return check_file(kind.name, value, folder)
