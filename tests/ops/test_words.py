"""What the library and the command line say is plain American English: errors, warnings, --help, printed lines."""

import ast
import re
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

import pytest

from ex4d_ops.cli import build_parser

from ..plain_words import find_faults, text_of

PACK = Path(__file__).parents[2]
TREES = {str(file.relative_to(PACK)): ast.parse(file.read_text("utf-8"))
         for folder in ("ex4d_ops", "benchmarks", "headless") for file in sorted((PACK / folder).rglob("*.py"))}
LIBRARY = [file for file in TREES if file.startswith("ex4d_ops")]
SAYING = {"warning", "info", "error", "say", "print", "complain", "ArgumentTypeError"}
BROKEN = re.compile(r"[.!?] [A-Z][a-z]|  |(?<![.])[.]$|[,;]$")  # as sentences of errors may not be
PROPER = re.compile(r"[a-z0-9]|[A-Z]{2,}|[A-Z][a-z]+(-|[A-Z0-9])")  # small, a name in capitals, or a product


def documenting(tree: ast.Module) -> set[ast.expr]:
    """The docstrings of a file."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def every_text(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, text) of every string of several words but docstrings, which users may come to read."""
    within = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in set(ast.walk(tree)) - documenting(tree) - within:
        if (text := text_of(node)) and text.count(" ") > 1:
            yield node.lineno, text


def every_error(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, text) of what is raised, logged or printed."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name in SAYING or name.endswith("Error"):
                yield from ((call.lineno, text) for said in call.args if (text := text_of(said)) and " " in text)


def every_command() -> dict[str, ArgumentParser]:
    parser = build_parser()
    return {"ex4d": parser, **next(action.choices for action in parser._actions if action.choices)}


COMMANDS = every_command()
OPTIONS = {f"{command} {'/'.join(action.option_strings) or action.dest}": action
           for command, parser in COMMANDS.items() if command != "ex4d"
           for action in parser._actions if action.dest != "help"}


def test_texts_are_found():
    texts, errors = ([found for tree in TREES.values() for found in every(tree)] for every in (every_text, every_error))
    assert len(texts) > 400 and len(errors) > 200 and len(COMMANDS) > 8 and len(OPTIONS) > 80


@pytest.mark.parametrize("file", TREES)
def test_every_text_is_plain(file):
    assert not [(line, faults) for line, text in every_text(TREES[file]) if (faults := find_faults(text))]


@pytest.mark.parametrize("file", LIBRARY)
def test_every_error_is_one_sentence_without_a_period(file):
    assert not [(line, said) for line, said in every_error(TREES[file]) if BROKEN.search(said)]


@pytest.mark.parametrize("said", ["it is late. Go home", "two  spaces", "it ends.", "it ends;"])
def test_broken_sentences_are_found(said):
    assert BROKEN.search(said)


@pytest.mark.parametrize("said", ["{}: is 0.5, must be 1; use e.g. 1", "write 0, 1, 2 ...", "{}: "])
def test_whole_sentences_pass(said):
    assert not BROKEN.search(said)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_is_plain(command):
    parser = COMMANDS[command]
    assert not find_faults(parser.format_help())
    assert re.match(r"[A-Z].*[.`]$", parser.description.strip(), re.DOTALL), "a command is described by sentences"


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_says_in_one_phrase_what_it_is_and_its_default(option):
    action = OPTIONS[option]
    assert PROPER.match(action.help) and not action.help.endswith(".") and "  " not in action.help
    if action.default not in (None, False) and not action.required:
        assert "default" in action.help
