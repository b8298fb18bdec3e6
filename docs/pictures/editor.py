"""Films the camera editor at work, in ComfyUI and a real browser: python -m docs.pictures.editor"""

from __future__ import annotations

import io
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from headless.editor import GRAPH, NODE, CameraEditor, use_nodes_2
from headless.frontend import open_front_end
from headless.server import serve

COMFYUI = Path(os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI")
FILE = Path(__file__).parents[2] / "web" / "docs" / "EX4DCameraKeyframes" / "EX4DCameraKeyframes-editor.webp"
SCENE = {"scene": "street", "frames": 49, "width": 512, "height": 384}
START = '[\n  {"frame": 0},\n  {"frame": 48, "yaw": 10}\n]'
WIDTH = 480  # pixels of the node
FRAME_TIME = 90  # milliseconds
POINTER = """([x, y]) => {
    const dot = document.querySelector("#pointer") ?? document.body.appendChild(document.createElement("div"));
    dot.id = "pointer";
    dot.style.cssText = `position: fixed; left: ${x - 7}px; top: ${y - 7}px; width: 14px; height: 14px; z-index: 9999;
        border: 2px solid #fff; border-radius: 50%; background: rgb(95 159 240 / 75%); pointer-events: none`;
}"""


@dataclass
class Film:
    """Pictures of the editor's node, one for each step of the pointer."""

    editor: CameraEditor
    pictures: list[Image.Image] = field(default_factory=list)
    place: tuple[float, float] = (0, 0)

    def look(self, times: int = 1) -> None:
        """Keep what is seen now, for so many frames."""
        self.editor.rest()
        self.editor.page.evaluate(POINTER, self.place)
        box = self.editor.root.bounding_box()
        assert box
        clip = {"x": box["x"] - 12, "y": box["y"] - 12, "width": box["width"] + 24, "height": box["height"] + 24}
        seen = Image.open(io.BytesIO(self.editor.page.screenshot(clip=clip))).convert("RGB")
        self.pictures += [seen] * times

    def go(self, x: float, y: float, steps: int = 8) -> None:
        """Move the pointer there, filmed."""
        left, top = self.place
        for step in range(1, steps + 1):
            self.place = left + (x - left) * step / steps, top + (y - top) * step / steps
            self.editor.page.mouse.move(*self.place)
            self.look()

    def drag(self, right: float, down: float, steps: int = 12) -> None:
        self.editor.page.mouse.down()
        self.go(self.place[0] + right, self.place[1] + down, steps)
        self.editor.page.mouse.up()
        self.look(3)

    def click(self, name: str, role: str = "button") -> None:
        box = self.editor.root.get_by_role(role, name=name).bounding_box()
        assert box
        self.go(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.editor.page.mouse.click(*self.place)
        self.look(4)

    def seek(self, frame: int, steps: int = 8) -> None:
        lane = self.editor.page.locator(".ex4d-strip").bounding_box()
        assert lane
        self.go(lane["x"] + lane["width"] * (frame + 0.5) / 49, lane["y"] + 8, steps)


def direct(film: Film) -> None:
    """What happens: two views are set by dragging, the path is looked through, the numbers are shown."""
    editor = film.editor
    box = editor.box
    film.place = box["left"] + box["width"] / 2, box["top"] + box["height"] / 2
    film.look(6)
    film.seek(48)
    editor.page.mouse.down()
    editor.page.mouse.up()
    film.look(2)
    film.go(box["left"] + 0.7 * box["width"], box["top"] + 0.5 * box["height"])
    film.drag(-110, 35)
    film.seek(24)
    editor.page.mouse.down()
    editor.page.mouse.up()
    film.look(2)
    film.go(box["left"] + 0.4 * box["width"], box["top"] + 0.5 * box["height"])
    film.drag(150, 20)
    film.click("Keep this view")
    film.seek(0)
    editor.page.mouse.down()
    film.seek(48, 24)
    editor.page.mouse.up()
    film.click("Keyframes", "tab")
    film.look(10)


def main() -> None:
    graph = GRAPH | {"1": {"class_type": "EX4DSampleScene", "inputs": SCENE}}
    with tempfile.TemporaryDirectory() as base, serve(COMFYUI, Path(base), ["--cpu"]) as server:
        with open_front_end(server.url) as front_end:
            use_nodes_2(front_end.page, True)
            front_end.open_prompt(graph, "editor")
            front_end.set({NODE: {"keyframes": START}})
            front_end.page.evaluate("([id, width]) => { const node = app.graph.getNodeById(id); "
                                    "node.setSize([width, node.size[1]]); node.pos = [0, 0]; }", [NODE, WIDTH])
            editor = CameraEditor(front_end, NODE)
            editor.come_into_view()
            editor.run()
            film = Film(editor)
            direct(film)
    first, *rest = film.pictures
    first.save(FILE, save_all=True, append_images=rest, duration=FRAME_TIME, loop=0, quality=60, method=6)
    print(f"{FILE.name}: {FILE.stat().st_size / 1e3:.0f} kB, {len(film.pictures)} frames")


if __name__ == "__main__":
    main()
