"""Help pages and nodes agree: every name, default and choice of a node is on its page, and nothing else is.

A page names things in three kinds of tables, told by their first heading: `input`, `output`, and the name of a dynamic
combo, whose choices are bold and followed by the inputs that each brings. A first cell reads "`seed` 0": name, default.
"""

import re
from pathlib import Path

import pytest

from ex4d_ops.trajectory.keyframes import FIELDS

DOCS = Path(__file__).parents[2] / "web" / "docs"
PAGES = sorted(DOCS.glob("*/en.md"))
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)]*)\)")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)]*)\)")
NAMED = re.compile(r"`([^`]+)` *([^`<]*)")
BOLD = re.compile(r"\*\*(.+?)\*\*")
LARGEST = 60_000  # bytes of a picture
LARGEST_FILM = 1_500_000  # bytes, of one that moves
UNIT = re.compile(r"(?<=\d) (degrees|px|frames|scene units)$")
BY_FOLDER = {"file", "folder", "adapter", "clips"}  # combos whose choices are the user's files


each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def read_tables(page: str) -> list[tuple[str, list[str]]]:
    """Every table as its first heading and the first cells of its rows."""
    blocks = re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE)
    return [(heading, rows) for heading, _, *rows in
            ([line.split("|")[1].strip() for line in block.splitlines()] for block in blocks)]


def names_in(cell: str) -> dict[str, str]:
    """Names of a first cell and the default that follows each, less its unit; "" where none does."""
    return {name: UNIT.sub("", default.strip()) for name, default in NAMED.findall(cell.replace("<wbr>", ""))}


def inputs_on(page: str) -> dict[str, str]:
    """What a page says of inputs: "seed" or "erosion[fixed].pixels" and the default; "erosion[fixed]" for a choice."""
    said = {}
    for heading, rows in read_tables(page):
        if heading == "input":
            for row in rows:
                said |= names_in(row)
        elif combo := NAMED.fullmatch(heading):
            for row in rows:
                if choice := BOLD.match(row):
                    here = f"{combo[1]}[{choice[1]}]"
                    said[here] = ""
                said |= {f"{here}.{name}": default for name, default in names_in(row).items()}
    return said


def inputs_of(inputs: list, choices, path: str = "") -> dict[str, str]:
    """The same of a node's schema."""
    named = {}
    for widget in inputs:
        inner = choices(widget)
        named[path + widget.id] = next(iter(inner)) if inner else describe_default(widget)
        for choice, brought in inner.items():
            here = f"{path}{widget.id}[{choice}]"
            named |= {here: ""} | inputs_of(brought, choices, f"{here}.")
    return named


def describe_default(widget) -> str:
    """A default as a page writes it; "" for sockets and for texts of several lines, which pages show elsewhere."""
    default = getattr(widget, "default", None)
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, float):
        return f"{default:g}"
    return "" if default is None or "\n" in str(default) else str(default)


def plain_combos(inputs: list, choices):
    """Combos with fixed choices, those within dynamic ones too."""
    for widget in inputs:
        for brought in choices(widget).values():
            yield from plain_combos(brought, choices)
        if not choices(widget) and getattr(widget, "options", None) and widget.id not in BY_FOLDER:
            yield widget


def test_every_node_has_a_page_and_every_page_a_node(nodes):
    assert {page.parent.name for page in PAGES} == set(nodes.by_id)


@each_page
def test_pages_begin_with_the_name_on_the_node(page, nodes):
    assert read(page).splitlines()[0] == f"# {nodes.by_id[page.parent.name].define_schema().display_name}"


@each_page
def test_every_input_is_on_its_page_with_its_default_and_no_other(page, nodes, choices):
    assert inputs_on(read(page)) == inputs_of(nodes.by_id[page.parent.name].define_schema().inputs, choices)


@each_page
def test_every_choice_is_on_its_page(page, nodes, choices):
    inputs = nodes.by_id[page.parent.name].define_schema().inputs
    missing = [f"{combo.id}: {option}" for combo in plain_combos(inputs, choices) for option in combo.options
               if f"`{option}`" not in read(page)]
    assert not missing


@each_page
def test_every_output_is_on_its_page_with_its_type_and_no_other(page, nodes):
    said = [names_in(row) for heading, rows in read_tables(read(page)) if heading == "output" for row in rows]
    assert said == [{output.display_name or output.id or output.io_type: output.io_type}
                    for output in nodes.by_id[page.parent.name].define_schema().outputs]


@each_page
def test_prose_names_only_what_there_is(page, nodes, choices):
    known = set(FIELDS)
    for cls in nodes.by_id.values():
        schema = cls.define_schema()
        known |= {name for path in inputs_of(schema.inputs, choices) for name in re.split(r"[\[\].]+", path)}
        known |= {output.display_name or output.id for output in schema.outputs}
        known |= {option for combo in plain_combos(schema.inputs, choices) for option in combo.options}
    assert set(re.findall(r"`([a-z][a-z0-9_-]*)`", read(page))) <= known


@each_page
def test_pictures_are_described_there_and_small(page):
    pictures = PICTURE.findall(read(page))
    assert pictures
    for words, name in pictures:
        assert len(words) > 20, name
        largest = LARGEST_FILM if name.endswith(".webp") else LARGEST
        assert 0 < (page.parent / name).stat().st_size < largest, name
        assert re.split("[.-]", name)[0] == page.parent.name, "pages find pictures beside them, by their name"


def test_every_picture_is_used():
    used = {page.parent / name for page in PAGES for _, name in PICTURE.findall(read(page))}
    assert used == {file for file in DOCS.rglob("*.*") if file.suffix != ".md"}


@each_page
def test_links_lead_out_of_comfyui(page):
    # The help panel resolves pictures, but not links between pages.
    assert all(link.startswith("https://") for link in LINK.findall(read(page)))
