"""Packages that only some estimators need."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def need(name: str, purpose: str) -> ModuleType:
    """Import an optional package. Raises ValueError saying what to install where it is not there."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ValueError(f"{purpose} needs the package {name}, which cannot be imported ({error}); install it with: "
                         f"pip install {name}") from None
