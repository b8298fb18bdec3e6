"""The camera editor of one node of the open workflow, worked as a user works it: with the mouse and the keyboard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from playwright.sync_api import Locator, Page

from .frontend import FrontEnd, Stopped

NODE = 3  # the id of the editor's node in GRAPH
GRAPH = {
    "1": {"class_type": "EX4DSampleScene", "inputs": {"scene": "street", "frames": 9, "width": 128, "height": 96}},
    "2": {"class_type": "BuildDWMesh", "inputs": {"images": ["1", 0], "depth": ["1", 1]}},
    str(NODE): {"class_type": "EX4DCameraKeyframes", "inputs": {"scene": ["2", 0]}},
    "4": {"class_type": "EX4DSaveCameras", "inputs": {"cameras": [str(NODE), 0]}},
}
KEYS = '[\n  {"frame": 0},\n  {"frame": 4, "yaw": 20},\n  {"frame": 8, "yaw": -20, "pitch": 5}\n]'

FIND = """(node) => {
    const find = (graph) => {
        for (const one of graph.nodes) {
            const view = one.widgets?.find((widget) => widget.name === "ex4d_view");
            if (view && String(one.id) === String(node)) return view.element;
            const inside = one.subgraph && find(one.subgraph);
            if (inside) return inside;
        }
    };
    return find(app.rootGraph ?? app.graph);
}"""
IS_REST = """(root) => {
    const { pictures, paths } = root.ex4d;
    return root.isConnected && !pictures.isBusy && !paths.isBusy;
}"""
IS_STILL = """(node) => {
    const root = (FIND)(node), { left, top, width } = root.getBoundingClientRect();
    const place = [left, top, width].join(), isStill = root.isConnected && width > 0 && root.dataset.place === place;
    root.dataset.place = place;
    return isStill;
}""".replace("FIND", FIND)
USE_NODES_2 = "(on) => app.extensionManager.setting.set('Comfy.VueNodes.Enabled', on)"
AT_ONE_TO_ONE = """(node) => {
    const [left, top] = app.graph.getNodeById(node)?.pos ?? [0, 0];
    app.canvas.ds.scale = 1;
    app.canvas.ds.offset = [200 - left, 80 - top];
    app.canvas.setDirty(true, true);
}"""


@dataclass(frozen=True)
class CameraEditor:
    """The editor of the node of an id; inside a subgraph too, where ids of ours are unique."""

    front_end: FrontEnd
    node: int

    @classmethod
    def open(cls, front_end: FrontEnd, text: str) -> CameraEditor:
        """The editor of GRAPH, opened anew and run, with a text of keyframes."""
        front_end.place_prompt(GRAPH, "editor")
        front_end.set({NODE: {"keyframes": text}})
        editor = cls(front_end, NODE)
        editor.come_into_view()
        editor.run()
        return editor

    @property
    def page(self) -> Page:
        return self.front_end.page

    def ask(self, script: str, *given: object) -> object:
        """What a function of the editor's object, and of what is given, returns."""
        return self.page.evaluate(f"([node, given]) => ({script})(({FIND})(node).ex4d, ...given)",
                                  [self.node, list(given)])

    @property
    def text(self) -> str:
        """The node's widget."""
        return str(self.ask("(editor) => editor.host.read()"))

    @property
    def keys(self) -> list[dict]:
        script = json.loads(self.text)
        return script if isinstance(script, list) else script["keys"]

    @property
    def words(self) -> str:
        """What is said in place of the picture, or over it."""
        return str(self.ask("(editor) => editor.layout.picture.words.innerText"))

    @property
    def box(self) -> dict[str, float]:
        """The picture on the page: left, top, width, height."""
        frame = self.ask("(editor) => editor.layout.picture.frame()")
        assert isinstance(frame, dict)
        return frame

    @property
    def root(self) -> Locator:
        """Its element. For pages with one editor."""
        return self.page.locator(".ex4d-editor")

    def come_into_view(self) -> None:
        """At a scale of 1, so that pixels of the page are those of the node."""
        self.page.evaluate(AT_ONE_TO_ONE, self.node)
        self.page.wait_for_function(IS_STILL, arg=self.node)

    def run(self) -> None:
        """Queue this node alone and wait until its picture is there."""
        ended, detail = self.page.evaluate("(nodes) => frontEnd.run(nodes)", [str(self.node)])
        if ended != "execution_success":
            raise Stopped(f"{ended}: {detail}")
        self.wait("(editor) => editor.scene && editor.path && editor.coverage && editor.shownPictures > 0")

    def wait(self, condition: str) -> None:
        """Until a function of the editor's object is true, its picture is the newest and its path is known."""
        self.page.wait_for_function(f"(node) => {{ const root = ({FIND})(node); return root && ({IS_REST})(root) "
                                    f"&& ({condition})(root.ex4d); }}", arg=self.node)

    def rest(self) -> None:
        self.wait("() => true")

    def seek(self, frame: int) -> None:
        self.ask("(editor, frame) => editor.seek(frame)", frame)
        self.rest()

    def drag(self, right: float, down: float, held: Sequence[str] = (), start: tuple[float, float] = (0.5, 0.5),
             button: str = "left") -> None:
        """Drag over the picture from a place of it, shares, with keys held down."""
        mouse, box = self.page.mouse, self.box
        x, y = box["left"] + start[0] * box["width"], box["top"] + start[1] * box["height"]
        for key in held:
            self.page.keyboard.down(key)
        mouse.move(x, y)
        mouse.down(button=button)
        mouse.move(x + right, y + down, steps=4)
        mouse.up(button=button)
        for key in held:
            self.page.keyboard.up(key)
        self.rest()

    def wheel(self, pixels: float) -> None:
        """Turn the wheel over the picture, which has the focus."""
        box = self.box
        self.page.mouse.move(box["left"] + box["width"] / 2, box["top"] + box["height"] / 2)
        self.ask("(editor) => editor.layout.picture.area.focus({ preventScroll: true })")
        self.page.mouse.wheel(0, pixels)

    def press(self, *keys: str) -> None:
        """Press keys over the picture, which has the focus."""
        self.ask("(editor) => editor.layout.picture.area.focus({ preventScroll: true })")
        for key in keys:
            self.page.keyboard.press(key)
        self.rest()


def use_nodes_2(page: Page, on: bool) -> None:
    page.evaluate(USE_NODES_2, on)
