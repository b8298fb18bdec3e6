"""Help pages reach the front end in every language, with their pictures, and nothing else goes out with them."""

import urllib.error
import urllib.request
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "web" / "docs"
NODES = sorted(page.parent.name for page in DOCS.glob("*/en.md"))


@pytest.fixture(scope="module")
def fetch(server, object_info):
    pack = object_info["RenderDWMesh"]["python_module"].removeprefix("custom_nodes.")

    def read(path: str) -> bytes:
        with urllib.request.urlopen(f"{server.url}/extensions/{pack}/docs/{path}") as reply:
            return reply.read()

    return read


@pytest.mark.parametrize("node", NODES)
def test_every_page_is_found_at_the_first_try_in_every_language(fetch, node):
    english = (DOCS / node / "en.md").read_bytes()
    assert {fetch(f"{node}/{language}.md") for language in ("en", "zh", "ja", "pt-BR")} == {english}


@pytest.mark.parametrize("picture", sorted(DOCS.glob("*/*.[jp][pn]g")), ids=lambda picture: picture.name)
def test_every_picture_is_found_where_the_help_panel_looks(fetch, picture):
    assert fetch(picture.name) == picture.read_bytes()


@pytest.mark.parametrize("path", ["EX4DNothing/en.md", "nothing.jpg", "en.md", "..%2f..%2fnodes/en.md",
                                  "%2e%2e%2f%2e%2e%2fREADME.md", "EX4DNothing/%2e%2e%2f%2e%2e%2fen.md"])
def test_what_is_not_a_page_or_its_picture_is_not_found(fetch, path):
    with pytest.raises(urllib.error.HTTPError) as refused:
        fetch(path)
    assert refused.value.code == 404
