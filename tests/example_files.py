"""The example workflows as files, and which of them an older ComfyUI lacks nodes for."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from .conftest import COMFYUI, FOUND

EXAMPLES = Path(__file__).resolve().parents[1] / "example_workflows"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.json"))
NEEDS = {"19_ex4d_new_view_by_minimax_h3": (0, 33)}  # of ComfyUI, more than the pack needs


def is_newer(needed: tuple[int, int]) -> bool:
    """Whether the ComfyUI that the tests have is of this version or newer."""
    said = re.search(r"(\d+)\.(\d+)", (COMFYUI / "comfyui_version.py").read_text("utf-8") if FOUND else "")
    return said is not None and (int(said[1]), int(said[2])) >= needed


def with_needs(names: Sequence[str]) -> list:
    """Workflows as parameters of a test in a running ComfyUI, skipped where it is too old for them."""
    return [pytest.param(name, marks=pytest.mark.skipif(
        FOUND and name in NEEDS and not is_newer(NEEDS[name]),
        reason=f"needs ComfyUI {'.'.join(map(str, NEEDS.get(name, ())))}")) for name in names]


def read(name: str) -> dict:
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def as_graph(name: str) -> dict:
    """A workflow that opens as a graph, also one that is an app."""
    workflow = read(name)
    workflow["extra"].pop("linearMode", None)
    return workflow


def nodes_of(workflow: dict) -> Iterator[dict]:
    """All of its nodes but boxes, also those in them."""
    boxes = workflow.get("definitions", {}).get("subgraphs", [])
    for graph in (workflow, *boxes):
        yield from (node for node in graph["nodes"] if node["type"] not in {box["id"] for box in boxes})
