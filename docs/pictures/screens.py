"""The pictures of ComfyUI in the README: workflow 0 after a run and workflow 7 as it opens, classic and in Nodes 2.0.

    python -m docs.pictures.screens

The depth model is not at hand where this runs: the exact depth of the sample scene that is the video stands in for it.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from PIL import Image

from ex4d_ops.files import write_depth, write_video
from ex4d_ops.scene import FPS, sample_clip
from headless.frontend import FrontEnd, open_front_end
from headless.server import PACK, Server, serve

COMFYUI = Path(os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI")
WINDOW = {"width": 1500, "height": 900}  # pixels
GAP, MARGIN = 8, 16  # pixels: between two pictures side by side, and around the graph
# The one that runs comes last: the front end shows films of a run on nodes of a workflow that is opened after it.
NAMES = {"07": "07_ex4d_video_generated_as_released", "00": "00_ex4d_video_from_a_new_view"}
# The node that estimates depth, in the box of workflow 0, and one that loads it wired to it.
STAND_IN = """(file) => {
    const box = app.graph.nodes.find((node) => node.subgraph).subgraph;
    const estimate = box.nodes.find((node) => node.type === "EstimateVideoDepth");
    const load = LiteGraph.createNode("EX4DLoadDepth");
    box.add(load);
    frontEnd.turn(load, "file", file);
    frontEnd.turn(estimate, "model", "depth input");
    load.connect(0, estimate, estimate.inputs.findIndex((input) => input.name === "model.depth"));
}"""

# Whether so many films have come; they then show their ends, where the camera has moved the farthest.
ENDS_OF_FILMS = """(count) => {
    const films = [...document.querySelectorAll("video")].filter((film) => film.readyState >= 2 && film.duration < 60);
    for (const film of films) film.currentTime = film.duration - 0.01;
    return films.length >= count;
}"""
# Left, top, right and bottom of the graph in the window, pixels.
PLACE = """() => {
    const [left, top, width, height] = frontEnd.bounds(), { scale, offset } = app.canvas.ds;
    const canvas = document.getElementById("graph-canvas").getBoundingClientRect();
    const x = (left + offset[0]) * scale + canvas.x, y = (top + offset[1]) * scale + canvas.y;
    return [x, y, x + width * scale, y + height * scale];
}"""


def main() -> None:
    with tempfile.TemporaryDirectory() as base, serve(COMFYUI, Path(base), ["--cpu"]) as server:
        lend_files(server)
        with open_front_end(server.url) as front_end:
            front_end.page.set_viewport_size(WINDOW)
            for number in NAMES:
                halves = [take_picture(front_end, number, nodes_2) for nodes_2 in (False, True)]
                save_beside_each_other(halves, PACK / "docs" / f"workflow_{number}.jpg")


def lend_files(server: Server) -> None:
    """The video, its depth, and empty stand-ins for the models, which are only named."""
    frames, depth = sample_clip("garden", 25, (288, 512), seed=1)
    write_video(server.base / "input" / "your_video.mp4", frames, FPS)
    write_depth(server.base / "input" / "depth.npz", depth)
    for name in NAMES.values():
        workflow = read(name)
        boxes = workflow["definitions"]["subgraphs"]
        for node in (node for graph in (workflow, *boxes) for node in graph["nodes"]):
            for model in node["properties"].get("models", []):
                path = server.base / "models" / model["directory"] / model["name"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()


def read(name: str) -> dict:
    return json.loads((PACK / "example_workflows" / f"{name}.json").read_text("utf-8"))


def take_picture(front_end: FrontEnd, number: str, nodes_2: bool) -> Image.Image:
    """A workflow as the window shows it, open as a graph; workflow 0 has run."""
    workflow = read(NAMES[number])
    workflow["extra"].pop("linearMode", None)
    front_end.use_nodes_2(nodes_2)
    front_end.open(workflow, NAMES[number])
    if number == "00":
        front_end.page.evaluate(STAND_IN, "depth.npz")
        ended, detail = front_end.page.evaluate("() => frontEnd.run()")
        assert ended == "execution_success", detail
    front_end.fit_view()
    front_end.page.wait_for_function(ENDS_OF_FILMS, arg=2 if number == "00" else 1)
    front_end.settle()
    left, top, right, bottom = front_end.page.evaluate(PLACE)
    with tempfile.TemporaryDirectory() as folder:
        front_end.see(Path(folder) / "seen.png")
        seen = Image.open(Path(folder) / "seen.png")
        return seen.crop((round(left) - MARGIN, round(top) - MARGIN, round(right) + MARGIN, round(bottom) + MARGIN))


def save_beside_each_other(halves: list[Image.Image], path: Path) -> None:
    width, height = halves[0].width + GAP + halves[1].width, max(half.height for half in halves)
    page = Image.new("RGB", (width, height), "white")
    page.paste(halves[0], (0, 0))
    page.paste(halves[1], (halves[0].width + GAP, 0))
    page.save(path, quality=80, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
