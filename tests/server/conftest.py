"""One real ComfyUI server for all tests of this folder, prompts for it, and eyes for what it makes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from headless.server import Server, serve

BROKEN_NODES = '''
import torch
from comfy_api.latest import ComfyExtension, io

class TestImages(io.ComfyNode):
    """Images as nodes should not make them, but do."""
    @classmethod
    def define_schema(cls):
        kinds = ["fine", "one is NaN", "all are NaN", "none", "one pixel", "gray with holes"]
        return io.Schema(node_id="TestImages", inputs=[io.Combo.Input("kind", options=kinds)],
                         outputs=[io.Image.Output()])

    @classmethod
    def execute(cls, kind):
        images = torch.linspace(0.1, 1, 3 * 32 * 48).reshape(3, 32, 48, 1).repeat(1, 1, 1, 3)
        if kind == "one is NaN":
            images[1, 2, 3, 0] = torch.nan
        if kind == "gray with holes":
            images[1, 2:4, 3:5] = torch.nan
        return io.NodeOutput({"all are NaN": images * torch.nan, "none": images[:0],
                              "one pixel": images[:, :1, :1]}.get(kind, images))

class TestFileName(io.ComfyNode):
    """A file name that is known only when the graph runs."""
    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="TestFileName", inputs=[io.String.Input("name")], outputs=[io.AnyType.Output()])

    @classmethod
    def execute(cls, name):
        return io.NodeOutput(name)

class TestExtension(ComfyExtension):
    async def get_node_list(self):
        return [TestImages, TestFileName]

async def comfy_entrypoint():
    return TestExtension()
'''


class Workflow(dict):
    """A prompt in API format, grown node by node; widgets that are not named keep the defaults of /object_info."""

    def __init__(self, info: dict) -> None:
        super().__init__()
        self.info = info

    def add(self, class_type: str, **inputs) -> str:
        """Add a node and return its id; [id, n] links to its output n. In names of inputs __ stands for the dot."""
        node, given = str(len(self) + 1), {name.replace("__", "."): value for name, value in inputs.items()}
        filled = dict(defaults(self.info[class_type]["input"], given))
        assert set(given) <= set(filled), f"{class_type} has no {set(given) - set(filled)}"
        self[node] = {"class_type": class_type, "inputs": filled}
        return node

    def clip(self, frames: int = 5, **inputs) -> str:
        """A small sample clip: outputs images, depth, fps."""
        return self.add("EX4DSampleScene", frames=frames, **{"width": 48, "height": 32, "scene": "colonnade"} | inputs)

    def prior(self, clip: str, frames: int = 5, **inputs) -> tuple[str, str, str]:
        """The mesh of a clip, an orbit, and the prior of both: nodes with all their outputs."""
        mesh = self.add("BuildDWMesh", images=[clip, 0], depth=[clip, 1])
        path = self.add("CameraTrajectory", move="orbit", move__yaw=25.0, frames=frames, scene=[clip, 1])
        return mesh, path, self.add("RenderDWMesh", mesh=[mesh, 0], cameras=[path, 0], **inputs)


def defaults(inputs: dict, given: dict, prefix: str = "") -> Iterator[tuple[str, object]]:
    """(name, value) of every input that is given or has a default; those of a dynamic combo follow its choice."""
    for name, (kind, *more) in [*inputs.get("required", {}).items(), *inputs.get("optional", {}).items()]:
        key, settings = prefix + name, more[0] if more else {}
        options = kind if isinstance(kind, list) else settings.get("options")
        nested = {option["key"]: option["inputs"] for option in options or [] if isinstance(option, dict)}
        if key in given:
            value = given[key]
        elif "default" in settings or options:
            value = settings["default"] if "default" in settings else next(iter(nested), options[0])
        else:
            continue
        yield key, value
        if nested:
            yield from defaults(nested[value], given, f"{key}.")


@pytest.fixture(scope="session")
def server(comfyui_path, server_flags, tmp_path_factory) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("comfyui")
    (base / "custom_nodes").mkdir()
    (base / "custom_nodes" / "broken_nodes.py").write_text(BROKEN_NODES)
    with serve(comfyui_path, base, server_flags) as running:
        yield running


@pytest.fixture(scope="session")
def object_info(server) -> dict:
    return server.get("/object_info")


@pytest.fixture
def workflow(object_info) -> Workflow:
    return Workflow(object_info)


@pytest.fixture
def new_workflow(object_info) -> Callable[[], Workflow]:
    return lambda: Workflow(object_info)


@pytest.fixture(scope="module")
def pictures(server):
    """pictures(said): the images [T, H, W, 3] in [0, 1] that an output node says it has saved or previewed."""

    def read(said: dict) -> Tensor:
        files = [server.base / image["type"] / image["subfolder"] / image["filename"] for image in said["images"]]
        return torch.stack([torch.from_numpy(np.array(Image.open(file).convert("RGB"))).float() / 255
                            for file in files])

    return read


@pytest.fixture(scope="module")
def follow(server):
    """follow(workflow, react): queue it and return what the server says of it, message by message, until it ends.

    react(kind, data) is called with each.
    """

    import aiohttp  # which ComfyUI brings

    async def listen(workflow: dict, react) -> list[tuple[str, dict]]:
        heard, url = [], f"{server.url.replace('http', 'ws')}/ws?clientId=follower"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
            prompt = await asyncio.to_thread(server.queue, workflow, "follower")
            async for message in socket:
                said = json.loads(message.data) if message.type is aiohttp.WSMsgType.TEXT else {"data": {}}
                if said["data"].get("prompt_id") != prompt:
                    continue
                heard.append((said["type"], said["data"]))
                await asyncio.to_thread(react, *heard[-1])
                if said["type"] in ("execution_success", "execution_error", "execution_interrupted"):
                    return heard

    def run(workflow: dict, react=lambda kind, data: None) -> list[tuple[str, dict]]:
        return asyncio.run(asyncio.wait_for(listen(workflow, react), 300))

    return run


@pytest.fixture
def input_folder(server) -> Path:
    return server.base / "input"
