"""Which times the charts of an MLApp's page show, and their addresses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from starlette.requests import Request

from parallelm.schemas.well_known import RUN_STATISTICS
from parallelm.server.charts.lines import Window
from parallelm.server.pages.time_range import TimeRange, known_settings


def window_of(request: Request, mlapp_id: str, shown: TimeRange) -> Window:
    """The range asked for; a side that is not, is where the MLApp's reports begin or end."""
    from parallelm.warehouse.queries import reported_span

    if shown.start_ms is not None and shown.end_ms is not None:
        return Window(shown.start_ms, shown.end_ms)
    first_ms, last_ms = reported_span(known_settings(request), mlapp_id, besides=RUN_STATISTICS) or (
        None,
        None,
    )
    start_ms = first_ms if shown.start_ms is None else shown.start_ms
    end_ms = last_ms if shown.end_ms is None else shown.end_ms
    if start_ms is not None and end_ms is not None and end_ms <= start_ms:
        end_ms = start_ms + 1
    return Window(start_ms, end_ms)


def window_query(window: Window, shown: TimeRange) -> dict[str, str]:
    """For addresses of charts."""
    times = {"from": window.start_ms, "to": window.end_ms, "known_at": shown.known_at_ms}
    return {name: iso(moment) for name, moment in times.items() if moment is not None}


def address(request: Request, *parts: str, **query: str) -> str:
    """Address of another route: path segments, and what is asked for there; nothing empty."""
    return address_of_pairs(request, list(query.items()), *parts)


def address_of_pairs(request: Request, query: Sequence[tuple[str, str]], *parts: str) -> str:
    """The same where a name may come several times."""
    path = "/".join(quote(part, safe="") for part in parts)
    asked = urlencode([(name, value) for name, value in query if value])
    return f"{request.scope.get('root_path', '')}/{path}" + (f"?{asked}" if asked else "")


def iso(moment_ms: int) -> str:
    """A time for an address."""
    return (
        datetime.fromtimestamp(moment_ms / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def ms_of(moment: datetime) -> int:
    """Milliseconds since 1970."""
    return round(moment.timestamp() * 1000)
