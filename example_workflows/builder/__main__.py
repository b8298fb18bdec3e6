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
from pathlib import Path

PACK = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PACK))

import generation  # noqa: E402
import graphs  # noqa: E402
import training  # noqa: E402
from sheet import Box, Sheet, place_of  # noqa: E402

from ex4d_ops.dataset import MANIFEST  # noqa: E402
from ex4d_ops.files import write_video  # noqa: E402
from ex4d_ops.scene import FPS, sample_clip  # noqa: E402
from headless.frontend import FrontEnd, open_front_end  # noqa: E402
from headless.server import serve  # noqa: E402

EXAMPLES, SUBGRAPHS = PACK / "example_workflows", PACK / "subgraphs"
ARRANGE, BOX = ((Path(__file__).parent / name).read_text() for name in ("arrange.js", "box.js"))
PICTURE_WIDTH = 1600  # pixels
WINDOW = ("01_sample_scene_to_prior", PACK / "docs" / "comfyui.jpg")  # shown in the README


def main() -> None:
    parser = argparse.ArgumentParser(prog="python example_workflows/builder", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[""], help="which ones, by the start of their names")
    parser.add_argument("--comfyui", type=Path, help="where ComfyUI stands (default: COMFYUI_PATH or ~/comfy/ComfyUI)",
                        default=os.environ.get("COMFYUI_PATH") or Path.home() / "comfy" / "ComfyUI")
    options = parser.parse_args()
    chosen = tuple(options.names)
    every_sheet = (make() for make in (*graphs.SHEETS, *generation.SHEETS, *training.SHEETS))
    sheets = [sheet for sheet in every_sheet if sheet.name.startswith(chosen)]
    box = graphs.video_to_prior_box()
    with tempfile.TemporaryDirectory() as base, serve(options.comfyui, Path(base), ["--cpu"]) as server:
        lend_files(Path(base), [*sheets, box.inside])
        info = server.get("/object_info")
        with open_front_end(server.url) as front_end:
            for sheet in sheets:
                build(sheet, front_end, info)
            if box.inside.name.startswith(chosen):
                build_box(box, front_end, info)


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
    """Write a workflow as the front end saves it and in API format; run what runs without files, take its picture."""
    lay_out(sheet, front_end, info)
    workflow, prompt = front_end.read()
    workflow["extra"].pop("ds", None)
    write(EXAMPLES / f"{sheet.name}.json", workflow, sheet.name)
    write(EXAMPLES / "api" / f"{sheet.name}.json", prompt, sheet.name)
    front_end.open(workflow, sheet.name)
    if nodes := runnable(sheet, prompt, info):
        front_end.run(nodes)
    front_end.photograph(EXAMPLES / f"{sheet.name}.jpg", PICTURE_WIDTH)
    if sheet.name == WINDOW[0]:
        front_end.fit()
        front_end.see(WINDOW[1])


def build_box(box: Box, front_end: FrontEnd, info: dict[str, dict]) -> None:
    """Write a blueprint and take its picture."""
    name, numbers = box.inside.name, box.inside.numbered
    lay_out(box.inside, front_end, info)
    front_end.page.evaluate(BOX, [
        name, [(label, numbers[socket.node], socket.name) for label, socket in box.inputs.items()],
        [(label, numbers[output.node], place_of(output, info)) for label, output in box.outputs.items()]])
    front_end.photograph(PACK / "docs" / "blueprint.jpg")
    workflow, _ = front_end.read()
    workflow["definitions"]["subgraphs"][0]["category"] = "EX-4D"
    workflow["extra"] = {"BlueprintDescription": box.description, "BlueprintSearchAliases": list(box.aliases)}
    write(SUBGRAPHS / f"{name}.json", workflow, name)


def lay_out(sheet: Sheet, front_end: FrontEnd, info: dict[str, dict]) -> None:
    front_end.open_prompt(sheet.prompt(info), sheet.name)
    front_end.page.evaluate(ARRANGE, sheet.arrangement(info))
    front_end.settle()


def runnable(sheet: Sheet, prompt: dict[str, dict], info: dict[str, dict]) -> list[str]:
    """The output nodes that need no model."""
    loaders = {str(number) for node, number in sheet.numbered.items() if node.models}

    def needs_model(node: str) -> bool:
        sources = [value[0] for value in prompt[node]["inputs"].values() if isinstance(value, list)]
        return node in loaders or any(needs_model(source) for source in sources)

    return [node for node in prompt if info[prompt[node]["class_type"]]["output_node"] and not needs_model(node)]


def write(path: Path, content: dict, name: str) -> None:
    """Write JSON whose random ids become ones that depend on the name only, so that a rebuild changes nothing else."""
    text = json.dumps(content, indent=2, ensure_ascii=False)
    steady: dict[str, str] = {}
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", lambda found: steady.setdefault(
        found[0], str(uuid.uuid5(uuid.NAMESPACE_URL, f"{name} {len(steady)}"))), text)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
    print(path.relative_to(PACK))


if __name__ == "__main__":
    main()
