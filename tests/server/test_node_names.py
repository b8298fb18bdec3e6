"""Nodes are called what the node menu calls them: in help pages, documents, notes of workflows and tooltips."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACK = Path(__file__).parents[2]
FOLDERS = (PACK / "web" / "docs", PACK, PACK / "docs", PACK / "example_workflows")
PAGES = [page for folder in FOLDERS for page in sorted([*folder.glob("*.md"), *folder.glob("*/en.md")])]
WORKFLOWS = sorted((PACK / "example_workflows").glob("*.json"))
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
EMPHASIZED = re.compile(r"(?<![*\w])(\*\*?)(?=[^\s*])([^*]+?)(?<=\S)\1(?![*\w])")
# "Load Video", "Depth from Images", "Load 3D (Advanced)"; "WanImageToVideo"; "KSampler"
LIKE_A_NAME = re.compile(r"[A-Z0-9][\w-]*(?:(?: (?:to|from|as|of|by))* \(?[A-Z0-9][\w-]*\)?)+"
                         r"|[A-Z]\w*[a-z][A-Z]\w*|[A-Z]{2,}[a-z]\w+")
BY_VERB = re.compile(r"\b(?:Load|Save|Apply|Run|Build|Render|Compose|Encode|Preview|Train|Create)"
                     r"(?: \(?[A-Z0-9][\w-]*\)?)+")
# Emphasized, and not nodes: terms, programs, models, places in menus; a node of another pack.
OTHERS = {"Depth Watertight Mesh", "ComfyUI", "DepthCrafter", "TensorBoard", "Unet Loader (GGUF)"}
BLUEPRINTS = {blueprint.stem for blueprint in (PACK / "subgraphs").glob("*.json")}


def names_like_nodes(text: str) -> Iterator[str]:
    """What is emphasized in Markdown and written like the name of a node."""
    for _, words in EMPHASIZED.findall(CODE.sub("code", text)):
        words = " ".join(words.split())
        if LIKE_A_NAME.fullmatch(words) and words not in OTHERS:
            yield words


@pytest.fixture(scope="session")
def node_names(object_info) -> set[str]:
    """Names of ours, with and without the mark of the pack, and of ComfyUI's own; ids where a node has no name."""
    shown = BLUEPRINTS | {info["display_name"] or node for node, info in object_info.items()}
    return shown | {name.removesuffix(" (EX-4D)") for name in shown}


@pytest.mark.parametrize("words", ["Apply EX-4D", "Save GLB", "KSampler", "Load 3D (Advanced)", "Depth from Images",
                                   "WanImageToVideo"])
def test_names_of_nodes_are_told_from_other_words(words):
    first, *rest = words.split(" ")
    lines = "\n".join([first, " ".join(rest)]).strip()
    text = f"**{words}**, *{lines}*, **Hints:** *euler*, **Radius.** **Change** `**{words}**` ***{words}***"
    assert list(names_like_nodes(text)) == [words, words]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name + "/" + page.stem)
def test_every_node_on_a_page_is_called_by_its_name(page, node_names):
    assert not [name for name in names_like_nodes(page.read_text("utf-8")) if name not in node_names]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.stem)
def test_every_node_in_a_note_is_called_by_its_name_or_its_title_there(workflow, node_names):
    graph = json.loads(workflow.read_text("utf-8"))
    nodes = graph["nodes"]
    boxes = {box["name"] for box in graph.get("definitions", {}).get("subgraphs", [])}
    titles = boxes | {node.get("title") for node in nodes}
    notes = [node["widgets_values"][0] for node in nodes if node["type"] == "MarkdownNote"]
    assert notes and not [name for note in notes for name in names_like_nodes(note) if name not in node_names | titles]


def test_every_node_in_a_tooltip_is_called_by_its_name(object_info, node_names):
    words = json.dumps([(info["description"], info["output_tooltips"], info["input"]) for info in object_info.values()
                        if info["category"].startswith("EX-4D/")])
    named = BY_VERB.findall(words)
    assert len(named) > 5 and not [name for name in named if name not in node_names]
