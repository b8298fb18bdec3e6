"""ComfyUI's front end in a browser that nobody sees: open workflows, edit and queue them, take their picture."""

from __future__ import annotations

import io
import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WINDOW = {"width": 1800, "height": 1000}  # pixels
PATIENCE = 120  # seconds; a busy machine
MARGIN = 20  # pixels around what is photographed
# No first-visit dialogs over the graph, and words on nodes however small they are drawn.
SETTINGS = {"Comfy.TutorialCompleted": True, "Comfy.Minimap.Visible": False, "Comfy.Graph.CanvasInfo": False,
            "LiteGraph.Canvas.MinFontSizeForLOD": 0}
# What only some releases queue for nodes of their own: servers don't mind any of it, comfy-cli minds what is missing.
FROM_SOME_RELEASES = {"SaveVideo": {"format.codec": "auto"}, "LoadVideo": {"video-preview": ""}}
EMPTY = {"version": 0.4, "last_node_id": 0, "last_link_id": 0, "nodes": [], "links": []}
ONLY_THE_GRAPH = "body * { visibility: hidden } #graph-canvas, .dom-widget, .dom-widget * { visibility: visible }"


class Stopped(RuntimeError):
    """A workflow that the front end queued and that did not end well."""


@dataclass(frozen=True)
class FrontEnd:
    """ComfyUI in a browser. complaints: the errors its console has shown so far, without the server's address."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def load(self) -> None:
        """Load the front end, again where it stands already, as after files have come or gone."""
        self.page.goto(self.url)
        self.page.wait_for_function("() => frontEnd.isUp()")
        self.settle()

    def open(self, workflow: dict, name: str) -> None:
        """Open a workflow as the front end saves it."""
        self.page.evaluate("([workflow, name]) => frontEnd.open(workflow, name)", [workflow, name])
        self.fit()

    def open_prompt(self, prompt: dict, name: str, boxes: Sequence[dict] = ()) -> None:
        """Open a workflow in API format, its nodes unarranged; what it does not say comes as the nodes have it.

        boxes: the subgraphs that nodes of it may be, by their ids, as blueprints hold them.
        """
        self.place_prompt(prompt, name, boxes)
        self.fit()

    def place_prompt(self, prompt: dict, name: str, boxes: Sequence[dict] = ()) -> None:
        """The same, out of view as it may be."""
        empty = EMPTY | {"id": str(uuid.uuid4()), "definitions": {"subgraphs": list(boxes)}}
        self.page.evaluate("([workflow, name]) => frontEnd.open(workflow, name)", [empty, name])
        self.page.evaluate("(prompt) => frontEnd.place(prompt)", prompt)

    def fit(self) -> None:
        """Bring all of the graph into view; nodes out of view show no pictures."""
        self.page.evaluate("() => frontEnd.fit()")
        self.settle()

    def fit_view(self) -> float:
        """Fit the view as the menu and its key do, and return the scale."""
        self.page.evaluate("() => app.extensionManager.command.execute('Comfy.Canvas.FitView')")
        return self.page.evaluate("() => frontEnd.glided()")

    def read(self) -> tuple[dict, dict]:
        """The workflow now open, as the front end saves it and in API format, for every release of ComfyUI."""
        workflow, prompt = json.loads(self.page.evaluate("() => frontEnd.read()"))
        for node in prompt.values():
            for name, value in FROM_SOME_RELEASES.get(node["class_type"], {}).items():
                node["inputs"].setdefault(name, value)
        return workflow, prompt

    def use_nodes_2(self, on: bool) -> None:
        """Draw nodes as elements of the page, or on the canvas."""
        self.page.evaluate("(on) => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)", on)

    def places(self) -> dict[str, list[float]]:
        """Left, top, width and height that every node takes up as it is drawn, in graph units, by id."""
        return self.page.evaluate("() => frontEnd.places()")

    def faults(self) -> list[str]:
        """What the open workflow shows as wrong: unknown nodes, red nodes and inputs, choices that are not offered."""
        return self.page.evaluate("() => frontEnd.faults()")

    def set(self, values: dict[int, dict[str, object]]) -> None:
        """Turn widgets of the open workflow, as a user does: {node id: {widget: value}}."""
        self.page.evaluate("(values) => frontEnd.set(values)", values)

    def run(self, nodes: Sequence[str] | None = None) -> None:
        """Queue the open workflow, or what some of its output nodes need, and wait. Raises Stopped."""
        ended, detail = self.page.evaluate("(nodes) => frontEnd.run(nodes)", nodes)
        if ended != "execution_success":
            raise Stopped(f"{ended}: {detail}")
        self.page.wait_for_function("() => frontEnd.showsAll()")
        self.settle()

    def shown(self) -> dict[str, list[str]]:
        """What the nodes show of the last run, by node id: files of pictures and videos, or words."""
        return self.page.evaluate("() => frontEnd.shown()")

    def settle(self) -> None:
        """Wait until nothing more is loaded and drawn."""
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(500)

    def see(self, path: Path) -> None:
        """A picture of the browser's window, as a user sees it."""
        keep(Image.open(io.BytesIO(self.page.screenshot())), path)

    def photograph(self, path: Path, width: int | None = None) -> None:
        """A picture of the whole graph alone. width: of the file, pixels; None: a pixel a graph unit."""
        style = self.page.add_style_tag(content=ONLY_THE_GRAPH)
        self.page.set_viewport_size(self.page.evaluate("(margin) => frontEnd.frame(margin)", MARGIN))
        self.page.evaluate("(margin) => frontEnd.frame(margin)", MARGIN)
        self.page.wait_for_function("() => frontEnd.hasVideos()")
        self.page.evaluate("() => frontEnd.showEnds()")
        self.settle()
        picture = Image.open(io.BytesIO(self.page.screenshot()))
        style.evaluate("(style) => style.remove()")
        self.page.set_viewport_size(WINDOW)
        if width and width < picture.width:
            picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
        keep(picture, path)


@contextmanager
def open_front_end(url: str) -> Iterator[FrontEnd]:
    """Open the front end of the server at a URL, without its first-visit dialogs, until the block ends."""
    browser_path = find_browser()
    if browser_path is None:
        raise FileNotFoundError(f"no browser: none of {', '.join(BROWSERS)} is installed; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        page = browser.new_page(viewport=WINDOW)
        page.set_default_timeout(1000 * PATIENCE)
        page.add_init_script(path=Path(__file__).with_suffix(".js"))
        front_end = FrontEnd(page, url)

        def complain(words: str, place: str = "") -> None:
            if words.startswith("Failed to load resource") and not place.startswith(url):
                return  # the front end asks its makers for news, at any moment, and not every machine reaches them
            front_end.complaints.append(f"{words} ({place})".replace(url, ""))

        page.on("pageerror", lambda error: complain(str(error)))
        page.on("console", lambda said: complain(said.text, said.location["url"]) if said.type == "error" else None)
        page.request.post(f"{url}/settings", data=SETTINGS)
        front_end.load()
        try:
            yield front_end
        finally:
            browser.close()


def keep(picture: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.convert("RGB").save(path, quality=85)


def find_browser() -> str | None:
    """The browser to use, None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)
