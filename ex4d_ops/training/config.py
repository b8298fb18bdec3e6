"""A training run as a YAML file: where everything lies, and the rules."""

from __future__ import annotations

from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from ..files.damage import quote, reading
from ..wan import BASE_DTYPES
from .objective import Expert, Objective
from .rules import TrainingRules

# The least and the most that a number may be; bounds in rules that are not listed are those of a count.
RANGES = {"learning_rate": (1e-9, 1.0), "shift": (0.01, 100.0), "ema": (0.0, 0.999999), "rank": (1, 1024),
          "seed": (0, 2**32 - 1)}
COUNT = (1, 10**9)


@dataclass(frozen=True)
class TrainingConfig:
    """What `ex4d train` reads; relative paths are taken from the file's folder.

    data: folder of prepared clips; base: file of Wan 2.1 I2V, or of an expert of Wan 2.2 I2V; out: folder of the run.
    base_dtype: what Wan's large matrices are kept in. validation: folder of prepared clips; vae: decodes samples of
    them, without it they are rough previews. comfyui: where ComfyUI stands, else $COMFYUI_PATH or ~/comfy/ComfyUI.
    """

    data: Path
    base: Path
    out: Path
    base_dtype: str = "bfloat16"
    validation: Path | None = None
    vae: Path | None = None
    comfyui: Path | None = None
    rules: TrainingRules = field(default_factory=TrainingRules)


def read_config(path: Path) -> TrainingConfig:
    """Read a training run. Raises ValueError in one sentence for what it does not know or take."""
    values = read_yaml(path)
    try:
        given = check_keys(values, fields(TrainingConfig), "")
        rules = check_keys(given.pop("rules", {}), fields(TrainingRules), "rules: ")
        files: dict[str, Any] = {name: check_file(name, value, path.parent) if name != "base_dtype" else value
                                 for name, value in given.items()}
        if "base_dtype" in given:
            check_choice("base_dtype", given["base_dtype"], tuple(BASE_DTYPES))
        kinds = {rule.name: rule for rule in fields(TrainingRules)}
        numbers = {name: check_rule(kinds[name], value) for name, value in rules.items()}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return TrainingConfig(**files, rules=TrainingRules(**numbers))


def read_yaml(path: Path) -> object:
    """What a YAML file says. Raises ValueError where it is damaged, or nothing here can read it."""
    try:
        import yaml
    except ImportError as error:
        raise ValueError("YAML files need the package pyyaml, which is not installed; install it with: pip install "
                         "pyyaml") from error
    with reading(path, "YAML", "see example_configs/"):
        return yaml.safe_load(path.read_text(encoding="utf-8"))


def check_choice(name: str, value: object, known: tuple[str, ...]) -> Any:
    """A value that is one of those that are known. Raises ValueError where it is not."""
    if value not in known:
        raise ValueError(f"{name}: got {quote(value)}; use one of {', '.join(known)}")
    return value


def check_keys(values: object, known: tuple[Field, ...], where: str) -> dict:
    """The values by name. Raises ValueError for names that are unknown and names that are missing."""
    if not isinstance(values, dict):
        raise ValueError(f"{where}got {quote(values)}; write one `name: value` per line")
    names = [entry.name for entry in known]
    unknown = [quote(name, "") for name in values if name not in names]
    missing = [entry.name for entry in known if entry.default is entry.default_factory is MISSING
               and values.get(entry.name) is None]
    if unknown:
        raise ValueError(f"{where}{', '.join(unknown[:4])} is unknown; use {', '.join(names)}")
    if missing:
        raise ValueError(f"{where}{', '.join(missing)} missing; add {'them' if len(missing) > 1 else 'it'}")
    return {name: value for name, value in values.items() if value is not None}


def check_file(name: str, value: object, folder: Path) -> Path:
    """A path, from the config's folder where relative. Raises ValueError where nothing is there, but for out."""
    if not isinstance(value, str):
        raise ValueError(f"{name}: got {quote(value)}; write a path")
    with reading(name, f"the path {quote(value)}"):
        path = folder / Path(value).expanduser()
        exists = path.exists()
    if name != "out" and not exists:
        raise ValueError(f"{name}: {path} does not exist; relative paths start at the folder of the YAML file")
    return path


def check_rule(rule: Field, value: Any) -> Any:
    """A rule's value as its type. Raises ValueError where it is of another type or out of range."""
    if isinstance(rule.default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{rule.name}: got {quote(value)}; use true or false")
        return value
    if isinstance(rule.default, str):
        return check_choice(rule.name, value, get_args({"objective": Objective, "expert": Expert}[rule.name]))
    low, high = RANGES.get(rule.name, COUNT)
    kind = type(rule.default)
    try:
        number = kind(value)  # YAML takes 3e-5 for a string
        good = low <= number <= high and number == float(value) and not isinstance(value, bool)
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        numbers = "a whole number" if kind is int else "a number"
        raise ValueError(f"{rule.name}: got {quote(value)}; use {numbers} from {low:g} to {high:g}")
    return number
