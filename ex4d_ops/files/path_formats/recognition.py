"""Which format a camera path is in, told from its name and its content."""

from __future__ import annotations

import logging
from pathlib import Path

from ...trajectory.keyframes import FIELDS
from ..damage import quote
from ..parsing import are_numbers, list_names, read_json, read_lines
from ..path_settings import BY_SUFFIX, MODEL_FILES
from . import npz, pose_rows

log = logging.getLogger(__name__)


def guess_format(path: Path) -> str:
    """The format of a file. Where its content can't tell formats apart, what it is taken for is said."""
    suffix = path.suffix.lower()
    if path.is_dir() or path.name in MODEL_FILES:
        return "colmap"
    if suffix == ".json":
        return guess_json(read_json(path))
    if suffix == ".txt":
        return guess_txt(path)
    if suffix == ".npz":
        return npz.guess_npz(path)
    return guess_from_suffix(suffix)


def guess_from_suffix(suffix: str) -> str:
    if suffix not in BY_SUFFIX:
        known = ", ".join(filter(None, BY_SUFFIX))
        raise ValueError(f"{quote(suffix)} is not a camera path; use {known} or a COLMAP folder")
    return BY_SUFFIX[suffix]


def guess_json(content: object) -> str:
    """The format of a JSON file, or ValueError for a list that says neither axes nor direction of what it holds."""
    if isinstance(content, list):
        return guess_list(content)
    fields = set(content) if isinstance(content, dict) else set()
    for field, name in (("cam_from_world", "ex4d"), ("frame0", "recammaster"), ("asset", "gltf"),
                        ("trajectory", "neoverse"), ("keyframes", "neoverse"), ("frames", "nerfstudio"),
                        ("keys", "keyframes")):
        if field in fields:
            return name
    return "ex4d"


def guess_list(content: list) -> str:
    first = content[0] if content else {}
    if not isinstance(first, dict):
        raise ValueError("is a list of numbers or matrices, which does not say their direction (camera to world, or "
                         "world to camera) or their axes; save the path as .npz, COLMAP, .chan or keyframes")
    if {"position", "rotation"} <= set(first):
        return "3dgs"
    if {"f", "az"} <= set(first):
        return "crossviewwarp"
    if first and not set(FIELDS) & set(first):
        raise ValueError(f"is a list whose first entry has {list_names(first)}, which is not a known camera "
                         "path; keyframes have frame or time")
    return "keyframes"


def guess_txt(path: Path) -> str:
    rows = [line.split() for line in read_lines(path)]
    if len(rows) != 3 or not all(map(are_numbers, rows)) or {len(row) for row in rows} == {pose_rows.COLUMNS}:
        return "realestate"
    log.warning("%s: three lines of numbers may be TrajectoryCrafter's or ViewCrafter's, so they are read as "
                "TrajectoryCrafter's (theta, phi, r); if they are ViewCrafter's (phi, theta, r), choose the format "
                "viewcrafter", path)
    return "trajectorycrafter"
