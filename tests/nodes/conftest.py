"""The nodes, called the way ComfyUI calls them but without a server."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch

from ex4d_ops import CameraPath, DWMesh, VideoDepth
from ex4d_ops.mesh import build_dw_mesh
from ex4d_ops.scene import sample_clip
from ex4d_ops.trajectory import automatic_radius, move_path, parse_moves

PACK = Path(__file__).parents[2]


@dataclass(frozen=True)
class Nodes:
    """Every node of the pack by its id, and its package, as ComfyUI has imported it."""

    by_id: dict[str, type]
    package: ModuleType

    def run(self, node: str, **inputs) -> tuple:
        """The outputs of a node. Widgets that are not named keep their defaults; dynamic combos are given as dicts."""
        return self.execute(node, inputs).result or ()

    def ui(self, node: str, **inputs) -> dict:
        """What an output node tells the front end."""
        return self.execute(node, inputs).ui

    def execute(self, node: str, inputs: dict):
        cls = self.by_id[node]
        with torch.inference_mode():
            return cls.EXECUTE_NORMALIZED(**fill_in(cls.define_schema().inputs, inputs))


def list_choices(widget) -> dict[str, list]:
    """The inputs that each choice of a dynamic combo brings; none for any other input."""
    options = getattr(widget, "options", None) or []
    return {option.key: option.inputs for option in options if hasattr(option, "inputs")}


def fill_in(widgets: list, values: dict) -> dict:
    """Values with the defaults of the widgets that are not among them, nested ones too."""
    filled = dict(values)
    for widget in widgets:
        if inner := list_choices(widget):
            chosen = filled.get(widget.id, {widget.id: next(iter(inner))})
            filled[widget.id] = fill_in(inner[chosen[widget.id]], chosen)
        elif widget.id not in filled and getattr(widget, "default", None) is not None:
            filled[widget.id] = widget.default
        elif widget.id not in filled and getattr(widget, "options", None):
            filled[widget.id] = widget.options[0]
    return filled


def import_pack(name: str, folder: Path) -> ModuleType:
    """A pack of nodes, as ComfyUI imports it."""
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py")
    package = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    return package


@pytest.fixture(scope="session")
def nodes(comfy, tmp_path_factory) -> Nodes:
    import folder_paths

    folder_paths.set_user_directory(str(tmp_path_factory.mktemp("user")))  # where the editor keeps its scenes
    package = import_pack("comfyui_ex4d", PACK)
    extension = asyncio.run(package.comfy_entrypoint())
    classes = asyncio.run(extension.get_node_list())
    return Nodes({cls.define_schema().node_id: cls for cls in classes}, package)


@pytest.fixture
def folders(comfy, tmp_path, monkeypatch) -> Path:
    """ComfyUI's input, output and temp folders, empty and for one test only."""
    import folder_paths

    for name in ("input", "output", "temp"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(folder_paths, f"{name}_directory", str(tmp_path / name))
    return tmp_path


@pytest.fixture(scope="session")
def choices():
    return list_choices


@dataclass(frozen=True)
class Take:
    """A small clip and what the library makes of it."""

    images: torch.Tensor
    depth: VideoDepth
    mesh: DWMesh
    path: CameraPath


@pytest.fixture(scope="session")
def take() -> Take:
    images, depth = sample_clip("colonnade", 5, (32, 48), seed=3)
    path = move_path(parse_moves("orbit:yaw=25"), 5, automatic_radius(depth), depth.intrinsics, depth.size)
    return Take(images, depth, build_dw_mesh(images, depth), path)


@pytest.fixture(scope="session")
def same():
    return are_same


def are_same(first, second) -> bool:
    """Whether two results, tensors or dataclasses of the library, hold the same values."""
    if isinstance(first, torch.Tensor):
        return first.shape == second.shape and torch.equal(first, second)
    if is_dataclass(first):
        return all(are_same(getattr(first, field.name), getattr(second, field.name)) for field in fields(first))
    return first == second
