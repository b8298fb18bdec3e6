"""ComfyUI in a real browser: one server and one page for all tests. Where they can't be had the last lines say why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ex4d_ops.dataset import MANIFEST
from ex4d_ops.files import write_video
from ex4d_ops.scene import FPS, sample_clip
from headless.server import Server, serve

from ..example_files import NAMES, nodes_of, read
from ..tiny_depth_models import save_video_depth_anything

try:
    from headless.editor import KEYS, CameraEditor, use_nodes_2
    from headless.frontend import FrontEnd, find_browser, open_front_end
except ModuleNotFoundError:
    find_browser = None

PACK = Path(__file__).resolve().parents[2]
COMFYUI = Path(os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI")
NEEDS_A_BROWSER = "needs ComfyUI and a browser"
IN_A_BROWSER = ("ground", "browser")
FLAGS = ["--cpu", *os.environ.get("COMFYUI_FLAGS", "").split()]  # e.g. --front-end-root of another front end


def find_lack() -> str | None:
    """What is missing to open ComfyUI in a browser and how to get it, None where nothing is."""
    if not (COMFYUI / "main.py").is_file():
        return f"there is no ComfyUI at {COMFYUI}; get it with `make comfyui`, or set COMFYUI_PATH"
    if find_browser is None:
        return "Playwright is not installed; get it with `pip install playwright`"
    return None if find_browser() else "there is no Chromium; get it with `apt-get install chromium`"


LACK = find_lack()
usual: dict[tuple[str, ...], set[str]] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "front_end" in getattr(item, "fixturenames", ()):
            item.user_properties.append(IN_A_BROWSER)
            if LACK:
                item.add_marker(pytest.mark.skip(reason=NEEDS_A_BROWSER))


def pytest_terminal_summary(terminalreporter) -> None:
    reports = terminalreporter.stats
    passed = [report for report in reports.get("passed", [])
              if report.when == "call" and IN_A_BROWSER in report.user_properties]
    skipped = [report for report in reports.get("skipped", []) if NEEDS_A_BROWSER in str(report.longrepr)]
    if passed:
        terminalreporter.write_line(
            f"{len(passed)} tests passed in a real browser; its pictures are in artifacts/browser", green=True)
    if skipped:
        terminalreporter.write_line(
            f"{len(skipped)} tests in a browser were SKIPPED: {LACK}, and run the tests again.", red=True, bold=True)


@pytest.fixture(scope="module")
def artifacts() -> Path:
    """Where pictures of what the browser shows are kept."""
    return PACK / "artifacts" / "browser"


@pytest.fixture(scope="module")
def front_end_flags() -> list[str]:
    """For the front end that ComfyUI pins."""
    return FLAGS


# Closed before other tests begin: while its browser is open, Playwright holds the thread's event loop.
@pytest.fixture(scope="module")
def server_with_files(front_end_flags, tmp_path_factory) -> Iterator[Server]:
    """A server with stand-ins for every file that the example workflows name; that of workflow 00 is a tiny model."""
    with serve(COMFYUI, tmp_path_factory.mktemp("browser"), front_end_flags) as server:
        for name in NAMES:
            for node in nodes_of(read(name)):
                for model in node["properties"].get("models", []):
                    folder = server.base / "models" / model["directory"]
                    folder.mkdir(parents=True, exist_ok=True)
                    (folder / model["name"]).touch()
        save_video_depth_anything(server.base / "models" / "video_depth_anything" / "video_depth_anything_vits.pth")
        frames, _ = sample_clip("street", 9, (72, 128), seed=0)
        write_video(server.base / "input" / "your_video.mp4", frames, FPS)
        (server.base / "input" / "cameras.json").touch()  # for the choices of Load Cameras
        (server.base / "input" / "prepared").mkdir()
        (server.base / "input" / "prepared" / MANIFEST).touch()  # and of Train Adapter
        yield server


@pytest.fixture(scope="module")
def front_end(usual_complaints, server_with_files) -> Iterator[FrontEnd]:
    """ComfyUI with this pack, open in a browser."""
    with open_front_end(server_with_files.url) as page:
        yield page


@pytest.fixture(scope="module")
def usual_complaints(front_end_flags, tmp_path_factory) -> set[str]:
    """What the console of ComfyUI complains of without any pack; asked once for each front end."""
    flags = [*front_end_flags, "--disable-all-custom-nodes"]
    known = usual.get(tuple(flags))
    if known is None:
        with serve(COMFYUI, tmp_path_factory.mktemp("bare"), flags) as server, open_front_end(server.url) as page:
            known = usual[tuple(flags)] = set(page.complaints)
    return known


@pytest.fixture(scope="module", params=["classic", "nodes_2"])
def renderer(request, front_end) -> Iterator[str]:
    """Both ways in which the front end draws nodes."""
    use_nodes_2(front_end.page, request.param == "nodes_2")
    yield request.param
    use_nodes_2(front_end.page, False)


@pytest.fixture
def editor(renderer, front_end, usual_complaints) -> Iterator[CameraEditor]:
    """A camera editor whose node has run, with keyframes at frames 0, 4 and 8. The console may complain of nothing."""
    front_end.complaints.clear()
    yield CameraEditor.open(front_end, KEYS)
    assert set(front_end.complaints) <= usual_complaints
