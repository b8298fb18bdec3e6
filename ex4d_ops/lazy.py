"""Packages whose names are imported when first used, so that who asks for little waits for little (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any


def import_later(package: str, **homes: str) -> Callable[[str], Any]:
    """The __getattr__ of a package: homes: the names in each of its files, a space between them."""
    home_of = {name: file for file, names in homes.items() for name in names.split()}

    def find(name: str) -> Any:
        if name in home_of:
            return getattr(import_module(f".{home_of[name]}", package), name)
        if find_spec(f"{package}.{name}") is not None:
            return import_module(f".{name}", package)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
