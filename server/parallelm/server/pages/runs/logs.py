"""The log of a run, a part at a time: the last lines first, earlier ones on request, later ones as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from parallelm.operations.run_logs import LogPlace, read_log
from parallelm.operations.runs import find_run
from parallelm.server.access.dependencies import require
from parallelm.server.pages.rendering import render
from parallelm.server.pages.runs.state import KNOWN, known_at_of, run_state
from parallelm.server.pages.time_range import known_settings

if TYPE_CHECKING:
    from parallelm.connections import Settings

ROUTER: Final = APIRouter()
_LINES: Final = 200


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which lines are shown."""

    search: str = ""
    stream: str = ""
    after: str = ""
    before: str = ""


def _filter(
    search: Annotated[str, Query(alias="q", max_length=500)] = "",
    stream: Annotated[str, Query(pattern="^(stdout|stderr|keeper|)$")] = "",
    after: Annotated[str, Query(pattern=r"^(\d{1,9}\.\d{1,18})?$")] = "",
    before: Annotated[str, Query(pattern=r"^(\d{1,9}\.\d{1,18})?$")] = "",
) -> LogFilter:
    return LogFilter(search, stream, after, before)


Logs = Annotated[LogFilter, Depends(_filter)]


@ROUTER.get("/mlapps/{mlapp_id}/runs/{run_id}/lines", dependencies=[Depends(require("mlapps.read"))])
def lines(
    request: Request, mlapp_id: str, run_id: str, chosen: Logs, known: Annotated[str, KNOWN] = ""
) -> Response:
    """Lines after or before a place, for htmx. To a page that follows the log also what has changed of the run; nothing where nothing has."""
    settings = known_settings(request)
    found = find_run(settings, run_id, mlapp_id=mlapp_id)
    values = {
        "mlapp_id": mlapp_id,
        "run": found,
        "chosen": chosen,
        "known_at": known_at_of(request),
        **shown_lines(settings, found, chosen),
    }
    if chosen.before:
        return render(request, f"runs/{'_between' if chosen.after else '_earlier'}.html", values)
    state = run_state(settings, found, known)
    if state is None and not values["lines"] and values["is_followed"]:
        return Response(status_code=204)
    values |= {**(state or {"digest": known}), "is_beside": state is not None}
    return render(request, "runs/_later.html", values)


def shown_lines(settings: Settings, run: Mapping[str, Any], chosen: LogFilter) -> dict[str, Any]:
    """Lines, where they begin and end, and whether there may be earlier ones."""
    after, before = LogPlace.of(chosen.after), LogPlace.of(chosen.before)
    asked = {"search": chosen.search or None, "stream": chosen.stream or None}
    part = read_log(settings, run, after=after, before=before, limit=_LINES + 1, **asked)
    are_more = len(part.lines) > _LINES
    has_gap = are_more and after is not None and before is None
    if has_gap:
        # A program that writes faster than pages ask: they go on at its end, and what is between is there on request.
        part = read_log(settings, run, after=None, limit=_LINES, **asked)
    lines = part.lines[:_LINES] if after else part.lines[-_LINES:]
    is_now = settings.clickhouse.known_at_ms is None
    return {
        "lines": lines,
        "has_gap": has_gap,
        "are_more": are_more,
        "first_place": str(_place(lines[0])) if lines else "",
        "last_place": str(_place(lines[-1]) if lines else part.next_place),
        "is_followed": is_now and before is None and not part.is_complete,
        "may_have_earlier": after is None and are_more,
    }


def _place(line: Mapping[str, Any]) -> LogPlace:
    return LogPlace(line["attempt"], line["line"])
