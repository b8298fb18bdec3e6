"""The example workflows as files."""

import json
from collections.abc import Iterator
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "example_workflows"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.json"))


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
