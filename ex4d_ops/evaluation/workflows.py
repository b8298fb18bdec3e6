"""The example workflows in the form of ComfyUI's API, made to run one planned clip."""

from __future__ import annotations

import json
from pathlib import Path

from ..clip import Clip
from .methods import METHODS
from .runs import CAMERAS, DEPTH, PRIOR, RESULT, SOURCE

EXAMPLES = Path(__file__).parents[2] / "example_workflows" / "api"
Graph = dict[str, dict]


def adapt_workflow(name: str, cell: str, clip: Clip) -> Graph | None:
    """The graph by which a method makes the video of a planned clip, None where there is none.

    cell: its folder below ComfyUI's input folder; the result is saved in the same place below the output folder.
    """
    example = EXAMPLES / f"{METHODS[name].workflow}.json"
    if METHODS[name].workflow is None or not example.is_file():
        return None
    graph: Graph = json.loads(example.read_text(encoding="utf-8"))
    mesh, = (node for node in graph.values() if node["class_type"] == "BuildDWMesh")
    draw, = (node for node in graph.values() if node["class_type"] == "RenderDWMesh")
    depth, cameras = mesh["inputs"]["depth"][0], draw["inputs"]["cameras"][0]
    graph[depth] = {"class_type": "EX4DLoadDepth", "inputs": {
        "file": f"{cell}/{DEPTH}", "convention": "as stored", "start": 0, "frames": 0, "fill": False}}
    graph[cameras] = {"class_type": "EX4DLoadCameras", "inputs": {
        "file": f"{cell}/{PRIOR}/{CAMERAS}", "format": "ex4d", "world": "file", "frames": 0, "radius": 0.0, "width": 0,
        "height": 0, "camera": ""}}
    height, width = clip.size
    given = {"LoadVideo": {"file": f"{cell}/{SOURCE}"}, "Video Slice": {"duration": len(clip) / clip.fps + 1},
             "ImageFromBatch": {"length": len(clip)}, "ImageScale": {"width": width, "height": height},
             "SaveVideo": {"filename_prefix": f"{cell}/{name}/{RESULT}"}, "CreateVideo": {"fps": clip.fps}}
    for key, node in graph.items():
        wanted = given.get(node["class_type"], {"width": width, "height": height, "length": len(clip)})
        if node["class_type"] != "ImageFromBatch" or key.startswith("2:"):  # others take frame 0 alone
            node["inputs"] |= {field: value for field, value in wanted.items()
                               if field in node["inputs"] and not is_link(node["inputs"][field])
                               and not (field == "length" and node["inputs"][field] == 0)}
    return keep_needed(graph)


def is_link(value: object) -> bool:
    return isinstance(value, list)


def keep_needed(graph: Graph) -> Graph:
    """The nodes that saving the video needs."""
    needed, ahead = set(), [key for key, node in graph.items() if node["class_type"] == "SaveVideo"]
    while ahead:
        key = ahead.pop()
        if key not in needed:
            needed.add(key)
            ahead += [value[0] for value in graph[key]["inputs"].values() if is_link(value)]
    return {key: node for key, node in graph.items() if key in needed}
