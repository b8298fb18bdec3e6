"""What GitHub and pre-commit are told to run exists here, under that name."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import yaml

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # which pytest brings

PACK = Path(__file__).parents[1]
GITHUB = PACK / ".github"
PROJECT = tomllib.loads((PACK / "pyproject.toml").read_text("utf-8"))
MAKEFILE = (PACK / "Makefile").read_text("utf-8")
TARGETS = {name for line in re.findall(r"^([\w -]+):(?![:=])", MAKEFILE, re.MULTILINE) for name in line.split()}
EXTRAS = PROJECT["project"]["optional-dependencies"]
TOOLS = {re.match(r"[\w-]+", requirement)[0] for extra in EXTRAS.values() for requirement in extra}


def parse(path: Path):
    return yaml.safe_load(path.read_text("utf-8"))


def cells(job: dict) -> Iterator[dict[str, str]]:
    """The values of a job's matrix, one choice of them after the other."""
    matrix = dict(job.get("strategy", {}).get("matrix", {}))
    included = matrix.pop("include", [])
    if matrix or not included:
        yield from (dict(zip(matrix, choice)) for choice in product(*matrix.values()))
    yield from included


def commands(path: Path) -> Iterator[tuple[str, ...]]:
    """The words of every command of a workflow, for every choice of its matrix."""
    for job in parse(path)["jobs"].values():
        for cell in cells(job):
            for step in job["steps"]:
                lines = step.get("run", "")
                for name, value in cell.items():
                    lines = lines.replace(f"${{{{ matrix.{name} }}}}", value)
                yield from (tuple(shlex.split(line)) for line in lines.splitlines())


def find_fault(words: tuple[str, ...]) -> str | None:
    """What of a command is not in this repository; None where all of it is."""
    program, *rest = words
    if program == "make":
        return next((f"no target {name}" for name in rest if name not in TARGETS), None)
    if words[:3] == ("python", "-m", "pytest"):
        return next((f"no tests in {place}" for place in words[3:] if not (PACK / place).exists()), None)
    if words[:5] == ("python", "-m", "pip", "install", "-e"):
        asked = re.fullmatch(r"\.\[([\w,]+)\]", words[5])
        return next((f"no extra {extra}" for extra in asked[1].split(",") if extra not in EXTRAS), None)
    if program == "grep":
        return None if (PACK / rest[-1]).is_file() else f"no file {rest[-1]}"
    return None if program in TOOLS else f"{program} is not among what the extras bring"


WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
COMMANDS = sorted({words for path in WORKFLOWS for words in commands(path)})


def test_the_workflows_run_the_tests_and_the_linters():
    assert {("make", "comfyui"), ("make", "test"), ("make", "lint"), ("make", "test-oldest"),
            ("make", "test-newest")} <= set(COMMANDS)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_of_a_workflow_exists(words):
    assert find_fault(words) is None


@pytest.mark.parametrize("words", [
    ("make", "tests"), ("python", "-m", "pytest", "tests/opps"), ("python", "-m", "pip", "install", "-e", ".[tests]"),
    ("grep", "-F", "version", "setup.py"), ("tox",),
], ids=" ".join)
def test_a_command_that_does_not_exist_is_found(words):
    assert find_fault(words)


def test_pre_commit_runs_what_the_tests_bring():
    hooks = [hook for repository in parse(PACK / ".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    assert hooks and not [hook["id"] for hook in hooks if find_fault(tuple(shlex.split(hook["entry"])))]


def test_the_library_runs_on_every_system_from_the_oldest_python_on():
    matrix = parse(GITHUB / "workflows" / "tests.yml")["jobs"]["library"]["strategy"]["matrix"]
    assert {system.split("-")[0] for system in matrix["os"]} == {"ubuntu", "windows", "macos"}
    assert matrix["python"] == ["3.10", "3.11", "3.12", "3.13", "3.14"]
    assert PROJECT["project"]["requires-python"] == f">={matrix['python'][0]}"


def test_comfyui_is_fetched_in_the_oldest_release_that_is_allowed():
    release = re.search(r"^COMFYUI_RELEASE := v(\S+)$", MAKEFILE, re.MULTILINE)[1]
    assert PROJECT["tool"]["comfy"]["requires-comfyui"] == f">={release}"


@pytest.mark.parametrize("tag, published", [
    (f"v{PROJECT['project']['version']}", True), (f"v{PROJECT['project']['version']}.1", False), ("v", False),
])
def test_only_the_tag_of_this_version_is_published(tag, published):
    steps = parse(GITHUB / "workflows" / "publish.yml")["jobs"]["registry"]["steps"]
    checks = [step["run"] for step in steps if "run" in step]
    assert steps[-1]["uses"].startswith("Comfy-Org/publish-node-action@") and len(checks) == 1
    ran = subprocess.run(["bash", "-e", "-c", checks[0]], cwd=PACK, env=os.environ | {"GITHUB_REF_NAME": tag},
                         capture_output=True)
    assert (ran.returncode == 0) == published


@pytest.mark.parametrize("path", [path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"],
                         ids=lambda path: path.stem)
def test_every_issue_form_asks_for_something_once(path):
    form = parse(path)
    assert form["name"] and form["description"]
    asked = [field["id"] for field in form["body"]]
    assert asked and len(set(asked)) == len(asked)
    assert all(field["attributes"]["label"] for field in form["body"])
