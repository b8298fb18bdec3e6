"""How soon the camera editor shows what a drag asks for, and what it costs a graph that runs meanwhile.

From the pointer's move to the new picture on the page, in a real browser before a real server, both on this machine and
without a GPU: 49 frames of 384x384. Run it while nothing else runs: python benchmarks/editor_page.py
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from report import describe_machine, publish, table

from headless.editor import GRAPH, NODE, CameraEditor, use_nodes_2
from headless.frontend import open_front_end
from headless.server import Server, serve

COMFYUI = Path(os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI")
SECONDS = 8.0  # of dragging
PAUSE = 0.012  # seconds between two moves of the pointer
WARM = 20  # pictures that are left out of the numbers
RUNS = 3  # of the graph that runs alone, and during a drag
SIZE = {"scene": "street", "frames": 49, "width": 384, "height": 384}
Result = TypeVar("Result")
# moves: when the pointer moved since the last picture was asked for; times: of each picture, from the last move it
# shows, from the first one it shows, and what its request took.
WATCH = """(editor) => {
    const { server } = editor, area = editor.layout.picture;
    const [ask, show] = [server.picture.bind(server), area.show.bind(area)];
    let moves = [], asked = [], took = 0;
    editor.times = [];
    document.addEventListener("pointermove", () => moves.push(performance.now()), true);
    server.picture = async (...given) => {
        [asked, moves] = [moves, []];
        const begun = performance.now(), picture = await ask(...given);
        took = performance.now() - begun;
        return picture;
    };
    area.show = async (picture) => {
        const [began, request] = [asked, took];
        await show(picture);
        if (began.length) requestAnimationFrame(() => {
            const now = performance.now();
            editor.times.push([now - began.at(-1), now - began[0], request]);
        });
    };
}"""
COVERAGE = """async (editor) => {
    const begun = performance.now();
    await editor.server.ask("coverage", { ...editor.askedPath(), editor: "benchmark" });
    return performance.now() - begun;
}"""


class Work:
    """A graph that keeps every core busy: the prior of the clip, drawn by the slow engine on the CPU."""

    def __init__(self, server: Server, graph: dict) -> None:
        self.server, self.graph = server, graph
        self.seed = int(time.time())  # not one that has run

    def run(self) -> float:
        """Seconds that it takes once, nothing of it cached but the clip and its mesh."""
        self.seed += 1
        prior = {"class_type": "RenderDWMesh", "inputs": {
            "mesh": ["2", 0], "cameras": [str(NODE), 0], "engine": "torch", "seed": self.seed,
            "erosion": "released", "anchor_first_frame": True, "texture": "vertex"}}
        prompt = self.graph | {"10": prior, "11": {"class_type": "PreviewImage", "inputs": {"images": ["10", 0]}}}
        messages = dict(self.server.wait(self.server.queue(prompt))["status"]["messages"])
        return (messages["execution_success"]["timestamp"] - messages["execution_start"]["timestamp"]) / 1000

    def beside(self, act: Callable[[Callable[[], bool]], Result]) -> tuple[float, Result]:
        """Seconds that it takes while something is done, until it is over, and what that gives."""
        with ThreadPoolExecutor(1) as pool:
            runs = pool.submit(lambda: statistics.median(self.run() for _ in range(RUNS)))
            given = act(runs.done)
            return runs.result(), given


def swing(editor: CameraEditor, is_over: Callable[[], bool]) -> None:
    """Move the pointer to and fro over the picture until it is over."""
    box = editor.box
    x, y = box["left"] + box["width"] / 2, box["top"] + box["height"] / 2
    step = 0
    while not is_over():
        editor.page.mouse.move(x + 60 * math.sin(step / 25), y + 15 * math.sin(step / 40))
        time.sleep(PAUSE)
        step += 1


def drag(editor: CameraEditor, is_over: Callable[[], bool]) -> list[list[float]]:
    """Milliseconds of each picture of a drag that goes on until it is over."""
    editor.ask("(editor) => { editor.times = []; }")
    box, mouse = editor.box, editor.page.mouse
    mouse.move(box["left"] + box["width"] / 2, box["top"] + box["height"] / 2)
    mouse.down()
    swing(editor, is_over)
    mouse.up()
    editor.rest()
    times = editor.ask("(editor) => editor.times")
    assert isinstance(times, list)
    return times[WARM:]


def describe(times: list[list[float]]) -> list[str]:
    """Of times: how many pictures, median and 95 % from the last move, median from the first, median of requests."""
    last, first, request = map(sorted, zip(*times))
    return [str(len(last)), f"{statistics.median(last):.0f}", f"{last[int(0.95 * (len(last) - 1))]:.0f}",
            f"{statistics.median(first):.0f}", f"{statistics.median(request):.0f}"]


@dataclass(frozen=True)
class Measured:
    """Times of pictures, alone and beside a graph; seconds of a path's coverage, of the graph alone, beside a pointer
    that presses nothing, and beside a drag."""

    idle: list[list[float]]
    busy: list[list[float]]
    coverage: float
    alone: float
    pointed: float
    dragged: float


def measure(editor: CameraEditor, work: Work) -> Measured:
    editor.ask(WATCH)
    end = time.monotonic() + SECONDS
    idle = drag(editor, lambda: time.monotonic() > end)
    coverage = statistics.median(editor.ask(COVERAGE) for _ in range(5)) / 1000
    work.run()  # what it keeps of the clip
    alone = work.beside(lambda is_over: None)[0]
    pointed = work.beside(lambda is_over: swing(editor, is_over))[0]
    dragged, busy = work.beside(lambda is_over: drag(editor, is_over))
    return Measured(idle, busy, coverage, alone, pointed, dragged)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--front-end", type=Path, help="Folder of another front end than ComfyUI's own.")
    parser.add_argument("--nodes", choices=["classic", "Nodes 2.0"], help="Only these.")
    chosen = parser.parse_args()
    flags = ["--cpu", *(["--front-end-root", str(chosen.front_end)] if chosen.front_end else [])]
    graph = GRAPH | {"1": {"class_type": "EX4DSampleScene", "inputs": SIZE}}
    rows, figures = [], {}
    with tempfile.TemporaryDirectory() as base, serve(COMFYUI, Path(base), flags) as server:
        version = server.get("/system_stats")["system"]  # type: ignore[call-overload]
        with open_front_end(server.url) as page:
            for name in [chosen.nodes] if chosen.nodes else ["classic", "Nodes 2.0"]:
                use_nodes_2(page.page, name != "classic")
                page.open_prompt(graph, "editor")
                editor = CameraEditor(page, NODE)
                editor.come_into_view()
                editor.run()
                seen = measure(editor, Work(server, page.read()[1]))
                slower = [f"{100 * (seconds / seen.alone - 1):+.0f} %" for seconds in (seen.dragged, seen.pointed)]
                rows.append([name, "nothing", *describe(seen.idle), "", ""])
                rows.append([name, "a graph", *describe(seen.busy), *slower])
                figures[name] = asdict(seen)
    header = ["nodes", "what else runs", "pictures", "move to picture, ms: median", "95 %",
              "from the first move it shows", "request, ms: median", "the graph takes", "beside a mere pointer"]
    covered = ", ".join(f"{name} {one['coverage']:.2f} s" for name, one in figures.items())
    publish("editor_page", "\n".join([
        "# The camera editor on its page", "", table(header, rows), "",
        f"Coverage of a path of 49 frames: {covered}. ComfyUI {version['comfyui_version']}.", "",
        describe_machine(["warp-lang", "pillow"])]), figures)


if __name__ == "__main__":
    main()
