"""Packages that only some estimators need."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def need(name: str, purpose: str, package: str = "") -> ModuleType:
    """Import an optional package. Raises ValueError saying what to install where it is not there.

    package: what pip calls it, where that is not its name.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ValueError(f"{purpose} needs the package {package or name}, which cannot be imported ({error}); install "
                         f"it with: pip install {package or name}") from None
