"""How soon the camera editor shows what a drag asks for, and how soon it knows the coverage of a path.

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
from pathlib import Path

from headless.editor import GRAPH, NODE, CameraEditor, use_nodes_2
from headless.frontend import open_front_end
from headless.server import serve

COMFYUI = Path(os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI")
MOVES = 300  # of the pointer, in each renderer
PAUSE = 0.012  # seconds between them
WARM = 20  # pictures that are left out of the numbers
WATCH = """(editor) => {
    const { server } = editor, area = editor.layout.picture;
    const [ask, show] = [server.picture.bind(server), area.show.bind(area)];
    let moved = 0, asked = 0, fetched = 0;
    editor.times = [];
    document.addEventListener("pointermove", () => { moved = performance.now(); }, true);
    server.picture = async (...given) => {
        asked = moved;
        const begun = performance.now(), picture = await ask(...given);
        fetched = performance.now() - begun;
        return picture;
    };
    area.show = async (picture) => {
        const began = asked, took = fetched;
        await show(picture);
        requestAnimationFrame(() => editor.times.push([performance.now() - began, took]));
    };
}"""
COVERAGE = """async (editor) => {
    const begun = performance.now();
    await editor.server.ask("coverage", { ...editor.askedPath(), editor: "benchmark" });
    return performance.now() - begun;
}"""


def measure_drag(editor: CameraEditor) -> tuple[list[float], list[float]]:
    """Milliseconds from each move to its picture, and those of them that its request took."""
    editor.ask(WATCH)
    box, mouse = editor.box, editor.page.mouse
    x, y = box["left"] + box["width"] / 2, box["top"] + box["height"] / 2
    mouse.move(x, y)
    mouse.down()
    for step in range(MOVES):
        mouse.move(x + 60 * math.sin(step / 25), y + 15 * math.sin(step / 40))
        time.sleep(PAUSE)
    mouse.up()
    editor.rest()
    totals, requests = zip(*editor.ask("(editor) => editor.times")[WARM:])
    return sorted(totals), sorted(requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--front-end", type=Path, help="Folder of another front end than ComfyUI's own.")
    front_end = parser.parse_args().front_end
    flags = ["--cpu", *(["--front-end-root", str(front_end)] if front_end else [])]
    graph = GRAPH | {"1": {"class_type": "EX4DSampleScene",
                           "inputs": {"scene": "street", "frames": 49, "width": 384, "height": 384}}}
    print("| nodes | pictures | move to picture, ms: median | 95 % | request, ms: median | coverage of 49 frames, s |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as base, serve(COMFYUI, Path(base), flags) as server:
        with open_front_end(server.url) as page:
            for name in ("classic", "Nodes 2.0"):
                use_nodes_2(page.page, name != "classic")
                page.open_prompt(graph, "editor")
                editor = CameraEditor(page, NODE)
                editor.come_into_view()
                editor.run()
                totals, requests = measure_drag(editor)
                coverage = statistics.median(editor.ask(COVERAGE) for _ in range(5)) / 1000
                print(f"| {name} | {len(totals)} | {statistics.median(totals):.0f} | "
                      f"{totals[int(0.95 * len(totals))]:.0f} | {statistics.median(requests):.0f} | {coverage:.2f} |",
                      flush=True)


if __name__ == "__main__":
    main()
