"""What users read is plain American English: tooltips, descriptions, errors of nodes, pages, workflows."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..plain_words import find_faults, text_of

PACK = Path(__file__).parents[2]
FOLDERS = (PACK / "web" / "docs", PACK, PACK / "docs", PACK / "example_workflows")
PAGES = [page for folder in FOLDERS for page in sorted([*folder.glob("*.md"), *folder.glob("*/en.md")])]
WORKFLOWS = [*sorted((PACK / "example_workflows").glob("*.json")), *sorted((PACK / "subgraphs").glob("*.json"))]
# Choices that mean nothing by themselves: the tooltip says of each what happens.
OPAQUE = {"released", "as given", "as stored", "as it says", "at rest", "refuse", "paper", "file", "first"}
SENTENCE_START = re.compile(r"[A-Z0-9]")


def every_tooltip(inputs: list, choices, path: str) -> Iterator[tuple[str, str, list]]:
    """(where, tooltip, choices) of all inputs, those of dynamic combos too."""
    for widget in inputs:
        brought = choices(widget)
        yield f"{path}.{widget.id}", widget.tooltip, list(brought or getattr(widget, "options", None) or [])
        for key, inner in brought.items():
            yield from every_tooltip(inner, choices, f"{path}.{widget.id}[{key}]")


@pytest.fixture(scope="session")
def tooltips(nodes, choices) -> list[tuple[str, str, list]]:
    said = []
    for node, cls in nodes.by_id.items():
        schema = cls.define_schema()
        said += [(node, schema.description, [])]
        said += every_tooltip(schema.inputs, choices, node)
        said += [(f"{node} -> {output.display_name or output.id}", output.tooltip, []) for output in schema.outputs]
    return said


# ---- errors of nodes ----------------------------------------------------------------------------


def calls_in(node: ast.AST) -> set[str]:
    return {call.func.id for call in ast.walk(node) if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)}


def find_blamed(tree: ast.Module) -> list[ast.AST]:
    """What runs within sockets.blame, which puts an input's name before errors, in whichever function it stands."""
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    blamed = [node for node in ast.walk(tree) if isinstance(node, ast.With)
              and ast.unparse(node.items[0].context_expr).startswith("sockets.blame(")]
    for node in blamed:  # which grows meanwhile
        blamed += [functions[name] for name in calls_in(node) & set(functions) if functions[name] not in blamed]
    return blamed


def every_error() -> Iterator[tuple[str, str]]:
    """(where, text) of every error that the code of the nodes raises, or that its validate_inputs returns."""
    for file in sorted((PACK / "nodes").glob("*.py")):
        tree = ast.parse(file.read_text("utf-8"))
        blamed = {node for within in find_blamed(tree) for node in ast.walk(within)}
        raised = [node.exc.args[0] for node in ast.walk(tree)
                  if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args]
        returned = [node.value for checks in ast.walk(tree)
                    if isinstance(checks, ast.FunctionDef) and checks.name == "validate_inputs"
                    for node in ast.walk(checks) if isinstance(node, ast.Return)]
        for said in [*raised, *returned]:
            if isinstance(said, ast.Call) and isinstance(said.func, ast.Attribute):
                said = said.func.value  # of text.replace(...)
            if text_of(said):
                yield f"{file.name}:{said.lineno}", ("{}: " if said in blamed else "") + text_of(said)


ERRORS = dict(every_error())
each_error = pytest.mark.parametrize("where", ERRORS)


def test_errors_are_found():
    assert len(ERRORS) > 25


@each_error
def test_every_error_begins_with_the_input_it_is_about(where, tooltips):
    inputs = {re.sub(r".*[.]", "", name) for name, _, _ in tooltips}
    names = ERRORS[where].partition(": ")[0].split(", ")
    assert names == ["{}"] or set(names) <= inputs, ERRORS[where]


@each_error
def test_every_error_is_one_sentence_that_says_what_to_do(where):
    said = ERRORS[where].partition(": ")[2]
    assert not said.endswith(".") and not re.search(r"[.!?] [A-Z]", said)
    assert "; " in said or said == "{}", "after a semicolon it says what to do"


# ---- plain words --------------------------------------------------------------------------------


def test_every_tooltip_is_made_of_sentences(tooltips):
    broken = [(where, tip) for where, tip, _ in tooltips
              if not SENTENCE_START.match(tip) or not tip.endswith(".") or "  " in tip or len(tip) > 1500]
    assert not broken


def test_every_choice_that_means_nothing_by_itself_is_explained_by_what_it_does(tooltips):
    missing = [(where, choice) for where, tip, options in tooltips for choice in OPAQUE & set(options)
               if not re.search(rf"\b{choice}\b[^:.]*: \w", tip)]
    assert not missing


def notes_of(workflow: Path) -> str:
    """The words that a workflow shows: its notes, and the titles of its nodes and groups."""
    content = json.loads(workflow.read_text("utf-8"))
    inside = content.get("definitions", {}).get("subgraphs", [])
    nodes = [node for graph in [content, *inside] for node in graph["nodes"]]
    return "\n".join([str(content["extra"].get("BlueprintDescription", "")),
                      *(group["title"] for graph in [content, *inside] for group in graph["groups"]),
                      *(node.get("title") or "" for node in nodes),
                      *(node["widgets_values"][0] for node in nodes if node["type"] == "MarkdownNote")])


@pytest.mark.parametrize("words", ["this is no mesh", "A number that draws", "in Colour", "at the centre", "5 metres",
                                   "its licence", "normalised", "was cancelled", "neighbouring"])
def test_words_that_are_not_plain_are_found(words):
    assert find_faults(words)


@pytest.mark.parametrize("words", ["there is no frame 3", "it is no longer seen", "geometry", "parameters", "rise",
                                   "a number in 0..24", "precise", "license"])
def test_plain_words_pass(words):
    assert not find_faults(words)


def test_every_tooltip_is_plain(tooltips):
    assert not [(where, faults) for where, tip, _ in tooltips if (faults := find_faults(tip))]


@each_error
def test_every_error_is_plain(where):
    assert not find_faults(ERRORS[where])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name + "/" + page.stem)
def test_every_page_is_plain(page):
    assert not find_faults(page.read_text("utf-8"))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.stem)
def test_every_workflow_is_plain(workflow):
    assert not find_faults(notes_of(workflow))
