"""MLApps of which nothing is known but that some record names them: other pages link to theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.operations.errors import UnknownMLAppError
from parallelm.warehouse.queries.overview import is_mentioned

if TYPE_CHECKING:
    from parallelm.connections import Settings


def require_mentioned(settings: Settings, mlapp_id: str) -> None:
    """For a page that has nothing to show: raises ``UnknownMLAppError`` when no record names the MLApp."""
    if not is_mentioned(settings, mlapp_id):
        raise UnknownMLAppError(f"there is no MLApp {mlapp_id!r}: it is not defined, and no record names it")
