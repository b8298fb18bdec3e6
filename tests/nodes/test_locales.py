"""Every node, input and output has its name in every language that we ship, and no name is left of one that is gone."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

LOCALES = Path(__file__).parents[2] / "locales"
LANGUAGES = ("en", "zh", "ja", "ko", "ru")
ENGLISH = json.loads((LOCALES / "en" / "nodeDefs.json").read_text("utf-8"))
KEPT = {"VAE", "LoRA", "3D", "EX-4D"}  # written alike everywhere


def read(language: str) -> dict:
    return json.loads((LOCALES / language / "nodeDefs.json").read_text("utf-8"))


def every_input(inputs: list, choices, path: str = "") -> Iterator[tuple[str, str]]:
    """(key, name shown) of all inputs, those that a choice brings too."""
    for widget in inputs:
        yield path + widget.id, widget.display_name or widget.id
        for brought in choices(widget).values():
            yield from every_input(brought, choices, f"{path}{widget.id}_")


def names_of(cls, choices) -> dict:
    """What the nodes themselves show, as a locale says it."""
    schema = cls.define_schema()
    return {"display_name": schema.display_name,
            "inputs": {key: {"name": name} for key, name in every_input(schema.inputs, choices)},
            "outputs": {str(place): {"name": output.display_name or output.id or output.io_type}
                        for place, output in enumerate(schema.outputs)}}


def test_english_is_what_the_nodes_show(nodes, choices):
    assert {node: names_of(cls, choices) for node, cls in nodes.by_id.items()} == ENGLISH


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_names_the_same_things(language):
    def outline(value):
        return {key: outline(inner) for key, inner in value.items()} if isinstance(value, dict) else bool(value)

    assert outline(read(language)) == outline(ENGLISH)


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_every_name_is_translated(language):
    for node, names in read(language).items():
        assert names["display_name"].endswith("(EX-4D)") and names["display_name"] != ENGLISH[node]["display_name"]
        for part in ("inputs", "outputs"):
            for key, entry in names[part].items():
                assert not entry["name"].isascii() or entry["name"] in KEPT, f"{node}.{part}.{key}: {entry['name']}"


def test_every_folder_is_a_language_that_is_tested():
    assert {folder.name for folder in LOCALES.iterdir()} == set(LANGUAGES)
