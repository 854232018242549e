"""The pages: a file a page, with its ``ROUTER`` and, where the menu names it, its ``PAGE``; a folder where a page has several.

``PAGES`` instead of ``PAGE`` are several entries: of the main menu and among an MLApp's tabs.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from fastapi import APIRouter


@dataclass(frozen=True, slots=True)
class Page:
    """An entry of the menu."""

    title: str
    path: str
    action: str
    """What somebody must be allowed to do to see it."""
    place: int
    """Entries are in the order of their places."""
    of_mlapp: bool = False
    """A tab of an MLApp's pages: its path is below ``/mlapps/{mlapp_id}``."""


@cache
def _modules() -> tuple[ModuleType, ...]:
    names = (module.name for module in pkgutil.iter_modules(__path__))
    found = (importlib.import_module(f"{__name__}.{name}") for name in names if not name.startswith("_"))
    return tuple(module for module in found if hasattr(module, "ROUTER"))


def routers() -> Iterator[APIRouter]:
    """The router of each page."""
    yield from (module.ROUTER for module in _modules())


def menu() -> list[Page]:
    """All entries, in their order."""
    several = (getattr(module, "PAGES", ()) for module in _modules())
    single = (module.PAGE for module in _modules() if hasattr(module, "PAGE"))
    return sorted((*chain.from_iterable(several), *single), key=lambda page: page.place)
