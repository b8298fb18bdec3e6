"""Ids, inputs, defaults and outputs stay as saved workflows know them: tests/schema.json holds them.

Removed or renamed inputs, new required ones, other types and narrower limits break the workflows people have saved.
"""

import difflib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

FROZEN = Path(__file__).parents[1] / "schema.json"
WORDS = ("tooltip", "display_name", "multiselect", "multiline")  # may change without breaking anything
USERS_FILES = ("file", "folder", "adapter", "clips", "weights")  # combos whose choices are what lies in folders
HOW_TO_CHANGE = ("saved workflows would meet other nodes than they were made with. If that is meant, freeze it anew "
                 "and read the difference: python -m pytest tests/server/test_schema.py --freeze-schema")


def freeze(info: dict) -> dict:
    """What saved workflows rely on: inputs in their order with type, default, limits and choices, and outputs."""
    return {"category": info["category"], "output_node": info["output_node"],
            "inputs": dict(freeze_inputs(info["input"])), "outputs": dict(zip(info["output_name"], info["output"]))}


def freeze_inputs(inputs: dict, prefix: str = "") -> Iterator[tuple[str, dict]]:
    """(name, settings) of every input; those that a choice brings are named combo[choice].input."""
    for group in ("required", "optional"):
        for name, (kind, settings) in inputs.get(group, {}).items():
            left_out = (*WORDS, "options") if name in USERS_FILES else WORDS
            kept = {key: value for key, value in settings.items() if key not in left_out}
            choices = {option["key"]: option["inputs"] for option in kept.get("options", [])
                       if isinstance(option, dict)}
            yield prefix + name, {"type": kind, "group": group} | kept | ({"options": list(choices)} if choices else {})
            for choice, inner in choices.items():
                yield from freeze_inputs(inner, f"{prefix}{name}[{choice}].")


def as_text(nodes: dict[str, dict]) -> str:
    """JSON with a line for every input and output, so that differences can be read."""
    def block(entries: dict, indent: str, write) -> str:
        rows = ",\n".join(f"{indent}  {json.dumps(key)}: {write(value)}" for key, value in entries.items())
        return f"{{\n{rows}\n{indent}}}" if entries else "{}"

    def section(value) -> str:
        return block(value, "    ", json.dumps) if isinstance(value, dict) else json.dumps(value)

    return block(nodes, "", lambda node: block(node, "  ", section)) + "\n"


def test_nodes_are_as_saved_workflows_know_them(object_info, request):
    ours = {node: info for node, info in sorted(object_info.items()) if info["category"].startswith("EX-4D/")}
    now = as_text({node: freeze(info) for node, info in ours.items()})
    if request.config.getoption("--freeze-schema"):
        FROZEN.write_text(now, encoding="utf-8")
        pytest.skip(f"{FROZEN.name} is frozen anew; read what has changed in it")
    frozen = FROZEN.read_text(encoding="utf-8")
    difference = "\n".join(difflib.unified_diff(frozen.splitlines(), now.splitlines(), "frozen", "now", "", "", 1, ""))
    assert not difference, f"{HOW_TO_CHANGE}\n{difference}"


def test_the_frozen_schema_is_json(object_info):
    frozen = json.loads(FROZEN.read_text(encoding="utf-8"))
    assert frozen["RenderDWMesh"]["inputs"]["erosion[fixed].pixels"]["default"] == 4
    assert list(frozen["RenderDWMesh"]["outputs"]) == ["color", "visible", "coverage"]
