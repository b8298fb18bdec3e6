"""Where ComfyUI stands; tests that need it are skipped where it doesn't, and the last lines say what ran on what."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is there: side by side, each is faster on a core of its own
    os.environ.setdefault("OMP_NUM_THREADS", "1")

COMFYUI = Path(os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI")
FOUND = (COMFYUI / "main.py").is_file()
NEEDS_COMFYUI = "needs ComfyUI"
GROUNDS = {"server": "against a real ComfyUI server", "comfyui_path": "inside ComfyUI, without a server"}  # by fixture


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--gpu", action="store_true", help="let the servers of tests/server use a GPU")
    parser.addoption("--freeze-schema", action="store_true", help="write tests/schema.json anew, from the nodes as "
                                                                  "they are")


@pytest.fixture(scope="session")
def comfyui_path() -> Path:
    """Where ComfyUI stands. Whatever asks for it is skipped where there is none."""
    return COMFYUI


@pytest.fixture(scope="session")
def server_flags(request) -> list[str]:
    """What ComfyUI is started with: on a CPU, where MoGe has no half precision, unless --gpu asks for more."""
    return ["--fp32-text-enc"] if request.config.getoption("--gpu") else ["--cpu", "--fp32-text-enc"]


@pytest.fixture(scope="session")
def comfy(comfyui_path) -> None:
    """ComfyUI's modules, to be imported as on a machine without a GPU."""
    sys.path.insert(0, str(comfyui_path))  # first, or the pack's nodes/ passes for ComfyUI's nodes.py
    import comfy.cli_args

    comfy.cli_args.args.cpu = True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        ground = next((words for fixture, words in GROUNDS.items() if fixture in fixtures), None)
        if ground:
            item.user_properties.append(("ground", ground))
        if not FOUND and "comfyui_path" in fixtures:
            item.add_marker(pytest.mark.skip(reason=NEEDS_COMFYUI))


def pytest_terminal_summary(terminalreporter) -> None:
    passed = [report for report in terminalreporter.stats.get("passed", []) if report.when == "call"]
    skipped = [report for report in terminalreporter.stats.get("skipped", [])
               if report.longrepr[-1].endswith(NEEDS_COMFYUI)]
    grounds = Counter(dict(report.user_properties).get("ground") for report in passed)
    for ground in GROUNDS.values():
        if grounds[ground]:
            terminalreporter.write_line(f"{grounds[ground]} tests passed {ground}", green=True)
    if skipped:
        terminalreporter.write_line(
            f"{len(skipped)} tests were SKIPPED: there is no ComfyUI at {COMFYUI}. Get it with `make comfyui`, or set "
            "COMFYUI_PATH to where it stands, and run `make test` again.", red=True, bold=True)
