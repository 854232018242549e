"""Forms that stand one in a file and are found by their file alone: rule types and model policies."""

from __future__ import annotations

import importlib
import pkgutil


def import_modules_of(package: str) -> None:
    """Import every module of ``package``, so that the forms in them register themselves."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
