"""The REST API: a file a resource, each with its ``ROUTER``."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import APIRouter

PREFIX: Final = "/api/v1"


def routers() -> Iterator[APIRouter]:
    """The router of each resource."""
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            yield importlib.import_module(f"{__name__}.{module.name}").ROUTER
