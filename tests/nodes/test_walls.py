"""Who may import whom: the library stands without ComfyUI, nodes and command line without each other."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

PACK = Path(__file__).parents[2]
FROM_SOURCE = os.environ | {"PYTHONPATH": str(PACK)}
COMFYUI_MODULES = {"comfy", "comfy_api", "comfy_extras", "comfy_execution", "folder_paths", "nodes", "server",
                   "execution", "node_helpers", "latent_preview"}
USE_EVERYTHING = """
import importlib, pkgutil, sys
from pathlib import Path
import ex4d_ops
from ex4d_ops import cli, files, prior
from ex4d_ops.cli import main

OPTIONAL = {"nvdiffrast"}
for module in pkgutil.walk_packages(ex4d_ops.__path__, "ex4d_ops."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            assert error.name and error.name.split(".")[0] in OPTIONAL, error

out = Path(sys.argv[1])
sample = ["--depth", str(out / "depth.npz")]
assert main(["sample", str(out), "--frames", "5", "--size", "48x32"]) == 0
assert main(["inspect", str(out / "depth.npz")]) == 0
assert main(["prior", str(out / "clip.mkv"), *sample, "--preset", "30", "--mesh", "0", "--out", str(out / "a")]) == 0
assert main(["convert-path", str(out / "a" / "cameras.json"), str(out / "cameras.chan")]) == 0
depth = files.read_depth(out / "depth.npz")
for form, name in (("exr", "exr"), ("png", "png"), ("video", "depth.mkv")):
    files.write_depth(out / name, depth, form)
    files.read_depth(out / name)
print("modules:", *{name.split(".")[0] for name in sys.modules})
"""


def imports_of(file: Path) -> Iterator[str]:
    """The dotted names that a source file imports anywhere in it, relative ones from the pack's root."""
    package = file.relative_to(PACK).parent.parts
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[:len(package) + 1 - node.level] if node.level else ()
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def offenders(folder: str, forbidden: set[str]) -> list[str]:
    """What the files of a folder import that they must not."""
    return [f"{file.relative_to(PACK)}: {name}" for file in sorted((PACK / folder).rglob("*.py"))
            for name in imports_of(file)
            if any(name == wall or name.startswith(f"{wall}.") for wall in forbidden)]


def test_the_library_imports_comfyui_through_one_door_to_each_model():
    found = offenders("ex4d_ops", COMFYUI_MODULES)
    assert {line.split(": ")[0] for line in found} == {str(Path("ex4d_ops") / f"{door}.py")
                                                       for door in ("wan", "cogvideox")}


def test_nodes_and_command_line_import_nothing_of_each_other():
    assert not offenders("nodes", {"ex4d_ops.cli", "headless"})
    assert not offenders("ex4d_ops", {"headless"})


def imported_modules() -> dict[str, set[str]]:
    """Of every module of the library and of the nodes, those that it imports anywhere in it; no package's face."""
    files = [file for folder in ("ex4d_ops", "nodes") for file in (PACK / folder).rglob("*.py")]
    found = {".".join(file.relative_to(PACK).with_suffix("").parts): file for file in files if file.stem != "__init__"}
    return {name: {module for said in imports_of(file) for module in (said, said.rpartition(".")[0]) if module in found}
            for name, file in found.items()}


def room_of(module: str) -> str:
    """The file or folder at the top of the library that a module is in, or nodes."""
    return ".".join(module.split(".")[:2 if module.startswith("ex4d_ops.") else 1])


def test_no_file_imports_itself_through_others():
    tuple(TopologicalSorter(imported_modules()).static_order())  # raises CycleError, which names the circle


def test_rooms_import_downwards_alone():
    rooms: dict[str, set[str]] = {}
    for module, imported in imported_modules().items():
        rooms.setdefault(room_of(module), set()).update({room_of(other) for other in imported} - {room_of(module)})
    order = [room.removeprefix("ex4d_ops.") for room in TopologicalSorter(rooms).static_order()]
    floors = ["camera", "depth", "mesh", "background", "prior", "simulate", "preparation", "training", "cli"]
    assert [room for room in order if room in floors] == floors


def test_no_file_is_longer_than_a_reader_can_hold_and_no_function_than_a_screen():
    for folder, most in (("ex4d_ops", 400), ("nodes", 400), ("headless", 400), ("tests", 600), ("benchmarks", 600)):
        for file in (PACK / folder).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            assert text.count("\n") <= most, file
            long = [node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)
                    and node.end_lineno - node.lineno >= 60 and node.name != "define_schema"]
            assert not long, (file, long)


def test_the_imports_of_a_file_are_found():
    assert {"comfy_api.latest.io", "ex4d_ops.camera.move_to", "nodes.sockets"} <= set(
        imports_of(PACK / "nodes" / "render.py"))


def test_comfyui_is_not_imported_by_anything_the_library_does(tmp_path):
    script = tmp_path / "use_everything.py"
    script.write_text(USE_EVERYTHING)
    ran = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, env=FROM_SOURCE)
    assert ran.returncode == 0, ran.stderr
    modules = set(ran.stdout.rsplit("modules:", 1)[1].split())
    assert {"ex4d_ops", "torch", "av", "warp"} <= modules
    assert not modules & COMFYUI_MODULES


def test_importing_the_library_loads_no_engine_and_no_codec():
    code = "import sys, ex4d_ops, ex4d_ops.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=FROM_SOURCE)
    assert not {"warp", "cv2", "av", "trimesh", "matplotlib", "OpenEXR", "nvdiffrast"} & set(loaded.stdout.split())
