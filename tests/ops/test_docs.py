"""What the documents promise holds: links lead somewhere, commands run, and a reader finds the file to open."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
from PIL import Image

from ex4d_ops import cli
from ex4d_ops.estimators.weights import CATALOGUE
from ex4d_ops.evaluation.weights import EVALUATORS

PACK = Path(__file__).parents[2]
DOCUMENTS = [*PACK.glob("*.md"), *(PACK / "docs").glob("*.md"), PACK / "example_workflows" / "README.md"]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
QUESTION = re.compile(r"^\d+\. \*(.+?)\*(.*(?:\n    .*)*)", re.MULTILINE)


def block(language: str) -> str:
    """The first code block of the README in a language."""
    return re.search(rf"```{language}\n(.*?)```", (PACK / "README.md").read_text("utf-8"), re.DOTALL)[1]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PACK)))
def test_every_link_leads_somewhere(document):
    links = [link for link in LINK.findall(document.read_text("utf-8")) if "://" not in link]
    assert not [link for link in links if not (document.parent / link).exists()]


def test_every_document_is_linked_from_the_readme_or_the_design():
    known = (PACK / "README.md").read_text("utf-8") + (PACK / "docs" / "design.md").read_text("utf-8")
    assert not [page.name for page in (PACK / "docs").glob("*.md") if page.name not in known]


def test_twenty_questions_are_answered_with_links():
    questions = QUESTION.findall((PACK / "docs" / "design.md").read_text("utf-8"))
    assert len(questions) >= 20
    assert not [question for question, answer in questions if not question.endswith("?") or not LINK.search(answer)]


def test_the_readme_is_short_and_its_picture_moves():
    assert (PACK / "README.md").stat().st_size <= 8 * 1024
    picture = PACK / "docs" / "side_view.webp"
    assert picture.stat().st_size < 2e6 and Image.open(picture).n_frames > 10


def test_the_commands_and_the_python_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = [line.split("#")[0] for line in block("sh").splitlines() if line.startswith("ex4d ")]
    assert len(commands) >= 3
    for command in commands:
        assert cli.main(shlex.split(command)[1:]) == 0, command
    assert (tmp_path / "result" / "color.mkv").is_file()
    (tmp_path / "readme.py").write_text(block("python"), encoding="utf-8")
    names = runpy.run_path(str(tmp_path / "readme.py"))
    assert names["prior"].color.shape == (*names["prior"].visible.shape, 3)


def test_every_model_to_download_is_on_the_page_with_its_size_and_license():
    page = (PACK / "docs" / "models.md").read_text("utf-8")
    for name, weights in (CATALOGUE | EVALUATORS).items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        assert f"{weights.megabytes:.0f} MB" in row and weights.licence in row and weights.folder in row
