"""Alerts of the time that a page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.server.pages._rows import rows
from parallelm.server.pages._window import ms_of
from parallelm.server.pages.time_range import TimeRange, known_settings

if TYPE_CHECKING:
    from fastapi import Request


def alerts_shown(request: Request, mlapp_id: str, shown: TimeRange) -> list[dict[str, Any]]:
    """Alerts of an MLApp that were open, after they had fired, at some time of the range."""
    from parallelm.warehouse.queries import alerts

    found = []
    for row in rows(alerts(known_settings(request), mlapp_id=mlapp_id, end=shown.end)):
        resolved_at = row["resolved_at"]
        is_over = shown.start_ms is not None and resolved_at and ms_of(resolved_at) < shown.start_ms
        if not is_over and (shown.end_ms is None or ms_of(row["fired_at"]) < shown.end_ms):
            found.append(row)
    return found
