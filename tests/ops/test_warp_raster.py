"""What the Warp engine needs of the place it is imported from, nothing, and of a folder for what it compiles."""

import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PACKAGE = Path(__file__).resolve().parents[2] / "ex4d_ops"


@pytest.fixture
def named_by_its_path(monkeypatch):
    """The library imported as ComfyUI imports a pack, under its path for a name; the name."""
    name = str(PACKAGE).replace(".", "_x_")
    spec = importlib.util.spec_from_file_location(name, PACKAGE / "__init__.py")
    package = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, package)
    spec.loader.exec_module(package)
    yield name
    for module in [module for module in sys.modules if module.startswith(f"{name}.")]:
        del sys.modules[module]


def test_kernels_compile_where_the_pack_is_named_by_its_path(named_by_its_path):
    pytest.importorskip("warp")
    engine = importlib.import_module(f"{named_by_its_path}.raster.warp_raster")
    assert engine.find_obstacle(torch.device("cpu")) is None


DRAW = """
import torch
from ex4d_ops import raster
raster.choose_engine("warp", torch.device("cpu"))
raster.rasterize(1 + torch.rand(8, 8), torch.ones(8, 8, 4), torch.eye(3), torch.eye(4), torch.eye(3), (8, 8), "warp")
"""


def test_kernels_are_compiled_once_and_not_again_by_what_draws(tmp_path):
    """Where frames are drawn side by side, some would be drawn by half-compiled ones."""
    pytest.importorskip("warp")
    environment = os.environ | {"WARP_CACHE_PATH": str(tmp_path), "PYTHONPATH": str(PACKAGE.parent)}
    subprocess.run([sys.executable, "-c", DRAW], env=environment, check=True)
    for kernels in ("raster", "shading"):
        assert len(list(tmp_path.rglob(f"wp_ex4d_{kernels}*.o"))) == 1


@pytest.mark.parametrize("generation", [75, 86, 89, 90, 120])  # Turing, Ampere, Ada, Hopper, Blackwell
def test_kernels_compile_for_every_generation_of_gpus_that_warp_knows(tmp_path, generation):
    warp = pytest.importorskip("warp", minversion="1.19")  # older ones need a GPU for it
    from ex4d_ops.raster import warp_kernels, warp_shading

    for kernels in (warp_kernels, warp_shading):
        warp.compile_aot_module(warp.get_module(kernels.__name__), arch=generation, module_dir=tmp_path, use_ptx=True)
    compiled = [path.read_text() for path in tmp_path.glob("*.ptx")]
    assert len(compiled) == 2 and all(f".target sm_{generation}" in text for text in compiled)


CHOICE = """
import logging, sys, tempfile, torch
logging.basicConfig(format="said: %(message)s")
from ex4d_ops import raster
{before}
print("engine:", raster.choose_engine("auto", torch.device("cpu")))
if "ex4d_ops.raster.warp_raster" in sys.modules:
    import warp
    print("cache:", warp.config.kernel_cache_dir)
"""
GONE = """
import shutil, warp
warp.init()
shutil.rmtree(warp.config.kernel_cache_dir)
open(warp.config.kernel_cache_dir, "w").close()
"""
NO_ROOM = """
def refuse(*args, **kwargs):
    raise OSError(28, "No space left on device")
tempfile.mkdtemp = refuse
"""


def choose_in_another_process(cache: Path, before: str = "") -> str:
    """What is said where an engine is chosen and Warp is to keep what it compiles in this folder."""
    environment = os.environ | {"WARP_CACHE_PATH": str(cache), "PYTHONPATH": str(PACKAGE.parent)}
    ran = subprocess.run([sys.executable, "-c", CHOICE.format(before=before)], env=environment, capture_output=True,
                         text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr


@pytest.mark.parametrize("spoilt", ["no folder", "a file", "gone since"])
def test_a_cache_that_cannot_be_written_is_replaced_by_a_temporary_one(tmp_path, spoilt):
    pytest.importorskip("warp")
    (tmp_path / "file").touch()
    cache = {"no folder": Path("/dev/null/warp"), "a file": tmp_path / "file", "gone since": tmp_path / "new"}[spoilt]
    said = choose_in_another_process(cache, GONE if spoilt == "gone since" else "")
    assert "engine: warp" in said and said.count("said:") == 1 and "WARP_CACHE_PATH" in said
    used = next(line.removeprefix("cache: ") for line in said.splitlines() if line.startswith("cache: "))
    assert "ex4d-warp-" in used and not Path(used).exists(), "it goes with the process"


def test_without_any_folder_the_next_engine_draws_and_one_line_says_why():
    pytest.importorskip("warp")
    said = choose_in_another_process(Path("/dev/null/warp"), NO_ROOM)
    assert "engine: torch" in said and said.count("said:") == 1 and "No space left on device" in said
