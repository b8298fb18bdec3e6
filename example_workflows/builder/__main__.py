"""Build the example workflows, their pictures and the blueprint in ComfyUI's own front end.

    python example_workflows/builder            all of them
    python example_workflows/builder 01 04      some, by the start of their names
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

PACK = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PACK))

import boxes  # noqa: E402
import crossview  # noqa: E402
import generation  # noqa: E402
import generators  # noqa: E402
import graphs  # noqa: E402
import training  # noqa: E402
from sheet import Box, Sheet  # noqa: E402

from ex4d_ops.dataset import MANIFEST  # noqa: E402
from ex4d_ops.files import write_video  # noqa: E402
from ex4d_ops.scene import FPS, sample_clip  # noqa: E402
from headless.frontend import FrontEnd, open_front_end  # noqa: E402
from headless.server import serve  # noqa: E402

EXAMPLES, SUBGRAPHS = PACK / "example_workflows", PACK / "subgraphs"
ID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
ARRANGE, BOX = ((Path(__file__).parent / name).read_text() for name in ("arrange.js", "box.js"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python example_workflows/builder", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[""], help="which ones, by the start of their names")
    parser.add_argument("--comfyui", type=Path, help="where ComfyUI stands (default: COMFYUI_PATH or ~/comfy/ComfyUI)",
                        default=os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI")
    options = parser.parse_args()
    chosen = tuple(options.names)
    every_sheet = (make() for room in (graphs, generation, training, generators, crossview) for make in room.SHEETS)
    sheets = [sheet for sheet in every_sheet if sheet.name.startswith(chosen)]
    every_box = [make() for make in boxes.BOXES]
    with tempfile.TemporaryDirectory() as base, serve(options.comfyui, Path(base), ["--cpu"]) as server:
        lend_files(Path(base), [*sheets, *(node.box.inside for sheet in sheets for node in sheet.numbered if node.box),
                                *(box.inside for box in every_box)])
        info = server.get("/object_info")
        with open_front_end(server.url) as front_end:
            for box in every_box:
                if box.inside.name.startswith(chosen):
                    blueprint = make_box(box, front_end, info)
                    write(SUBGRAPHS / f"{box.inside.name}.json", blueprint, box.inside.name)
                info[box.inside.name] = box.info(read_box(box.inside.name))
            for sheet in sheets:
                if missing := {kind for kind in sheet.kinds if kind not in info}:
                    print(f"{sheet.name} is left as it is: it needs a newer ComfyUI, with {', '.join(sorted(missing))}")
                else:
                    build(sheet, front_end, info)


def lend_files(base: Path, sheets: list[Sheet]) -> None:
    """Stand-ins of the files that the workflows name, or the front end would mark them red."""
    for model in {model for sheet in sheets for node in sheet.numbered for model in node.models}:
        folder = base / "models" / model.directory
        folder.mkdir(parents=True, exist_ok=True)
        (folder / model.name).touch()
    frames, _ = sample_clip("street", 49, (216, 384), seed=0)
    write_video(base / "input" / "your_video.mp4", frames, FPS)
    prepared = base / "input" / "prepared" / MANIFEST
    prepared.parent.mkdir()
    prepared.touch()


def build(sheet: Sheet, front_end: FrontEnd, info: dict[str, dict]) -> None:
    """Write a workflow as the front end saves it and in API format."""
    boxes = {node.kind: make_box(node.box, front_end, info) if node.box else read_box(node.kind)
             for node in sheet.numbered if node.box or "id" in info.get(node.kind, {})}
    info = info | {node.kind: node.box.info(boxes[node.kind]) for node in sheet.numbered if node.box}
    lay_out(sheet, front_end, info, [box["definitions"]["subgraphs"][0] for box in boxes.values()])
    front_end.page.evaluate(ARRANGE, [sheet.arrangement(info), measure(front_end, sheet.name)])
    workflow, prompt = front_end.read()
    workflow["extra"].pop("ds", None)
    workflow["extra"] |= sheet.linear(info)
    write(EXAMPLES / f"{sheet.name}.json", workflow, sheet.name)
    write(EXAMPLES / "api" / f"{sheet.name}.json", prompt, sheet.name)


def make_box(box: Box, front_end: FrontEnd, info: dict[str, dict]) -> dict:
    """A box as the front end saves it."""
    lay_out(box.inside, front_end, info)
    front_end.page.evaluate(BOX, box.arrangement(info))
    workflow, _ = front_end.read()
    workflow["definitions"]["subgraphs"][0]["category"] = "EX-4D"
    workflow["extra"] = {"BlueprintDescription": box.description, "BlueprintSearchAliases": list(box.aliases)}
    return workflow


def lay_out(sheet: Sheet, front_end: FrontEnd, info: dict[str, dict], boxes: Sequence[dict] = ()) -> None:
    front_end.open_prompt(sheet.prompt(info), sheet.name, boxes)
    front_end.page.evaluate(ARRANGE, [sheet.arrangement(info), {}])
    front_end.settle()


def measure(front_end: FrontEnd, name: str) -> dict[str, float]:
    """How high the nodes of the open workflow are drawn once it is opened from its file, in either way of drawing."""
    workflow, _ = front_end.read()
    heights: dict[str, float] = {}
    for nodes_2 in (True, False):
        front_end.use_nodes_2(nodes_2)
        front_end.open(workflow, name)
        for node, (_, _, _, height) in front_end.places().items():
            heights[node] = max(heights.get(node, 0), height)
    return heights


def read_box(name: str) -> dict:
    return json.loads((SUBGRAPHS / f"{name}.json").read_text("utf-8"))


def write(path: Path, content: dict, name: str) -> None:
    """Write JSON whose random ids become ones that depend on the name and the rest: a rebuild changes nothing else.

    A box of other contents has another id: the front end takes boxes of one id for one and the same, also where a
    workflow was saved with a former version of it.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False)
    rest = ID.sub("", text)
    steady: dict[str, str] = {}
    text = ID.sub(lambda found: steady.setdefault(
        found[0], str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name} {len(steady)} {rest}"))), text)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    print(path.relative_to(PACK))


if __name__ == "__main__":
    main()
