"""What the Warp engine needs of the place it is imported from: nothing."""

import importlib
import importlib.util
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
