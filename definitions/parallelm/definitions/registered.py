"""Finds forms that have a file each (rule types and model policies) by importing all files of their folder."""

from __future__ import annotations

import importlib
import pkgutil


def import_modules_of(package: str) -> None:
    """Import every module of ``package``, so that the forms in them register themselves."""
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        importlib.import_module(f"{package}.{module.name}")
