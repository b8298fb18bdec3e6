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
import threading
import time
from pathlib import Path

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
        self.seconds: list[float] = []

    def run(self) -> float:
        """Seconds that it takes once, nothing of it cached but the clip and its mesh."""
        self.seed += 1
        prior = {"class_type": "RenderDWMesh", "inputs": {
            "mesh": ["2", 0], "cameras": [str(NODE), 0], "engine": "torch", "seed": self.seed,
            "erosion": "released", "anchor_first_frame": True, "texture": "vertex"}}
        prompt = self.graph | {"10": prior, "11": {"class_type": "PreviewImage", "inputs": {"images": ["10", 0]}}}
        messages = dict(self.server.wait(self.server.queue(prompt))["status"]["messages"])
        return (messages["execution_success"]["timestamp"] - messages["execution_start"]["timestamp"]) / 1000

    def run_all(self) -> None:
        self.seconds = [self.run() for _ in range(RUNS)]


def drag(editor: CameraEditor, is_over) -> list[list[float]]:
    """Milliseconds of each picture of a drag that goes on until it is over."""
    editor.ask("(editor) => { editor.times = []; }")
    box, mouse = editor.box, editor.page.mouse
    x, y = box["left"] + box["width"] / 2, box["top"] + box["height"] / 2
    mouse.move(x, y)
    mouse.down()
    step = 0
    while not is_over():
        mouse.move(x + 60 * math.sin(step / 25), y + 15 * math.sin(step / 40))
        time.sleep(PAUSE)
        step += 1
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


def measure(editor: CameraEditor, work: Work) -> tuple[list[list[float]], list[list[float]], float, float, float]:
    """Times of pictures, alone and beside a graph; seconds of a path's coverage, of the graph alone, of it dragged."""
    editor.ask(WATCH)
    end = time.monotonic() + SECONDS
    idle = drag(editor, lambda: time.monotonic() > end)
    coverage = statistics.median(editor.ask(COVERAGE) for _ in range(5)) / 1000
    work.run()  # what it keeps of the clip
    work.run_all()
    alone = statistics.median(work.seconds)
    thread = threading.Thread(target=work.run_all)
    thread.start()
    busy = drag(editor, lambda: not thread.is_alive())
    return idle, busy, coverage, alone, statistics.median(work.seconds)


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
                idle, busy, coverage, alone, dragged = measure(editor, Work(server, page.read()[1]))
                rows.append([name, "nothing", *describe(idle), ""])
                rows.append([name, "a graph", *describe(busy), f"{100 * (dragged / alone - 1):+.0f} %"])
                figures[name] = {"idle": idle, "busy": busy, "coverage s": coverage, "graph s": [alone, dragged]}
    header = ["nodes", "what else runs", "pictures", "move to picture, ms: median", "95 %",
              "from the first move it shows", "request, ms: median", "the graph takes"]
    covered = ", ".join(f"{name} {one['coverage s']:.2f} s" for name, one in figures.items())
    publish("editor_page", "\n".join([
        "# The camera editor on its page", "", table(header, rows), "",
        f"Coverage of a path of 49 frames: {covered}. ComfyUI {version['comfyui_version']}.", "",
        describe_machine(["warp-lang", "pillow"])]), figures)


if __name__ == "__main__":
    main()
