"""The log of a run, a part at a time: the last lines first, earlier ones on request, later ones as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse

from parallelm.operations.run_logs import LogPlace, read_log
from parallelm.operations.runs import find_run
from parallelm.server.access.dependencies import require
from parallelm.server.context import context_of
from parallelm.server.pages.rendering import render

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
    stream: Annotated[str, Query(pattern="^(stdout|stderr|)$")] = "",
    after: Annotated[str, Query(pattern=r"^(\d{1,9}\.\d{1,18})?$")] = "",
    before: Annotated[str, Query(pattern=r"^(\d{1,9}\.\d{1,18})?$")] = "",
) -> LogFilter:
    return LogFilter(search, stream, after, before)


Logs = Annotated[LogFilter, Depends(_filter)]


@ROUTER.get("/mlapps/{mlapp_id}/runs/{run_id}/lines", dependencies=[Depends(require("mlapps.read"))])
def lines(request: Request, mlapp_id: str, run_id: str, chosen: Logs) -> HTMLResponse:
    """Lines after or before a place, for htmx."""
    settings = context_of(request).settings
    found = find_run(settings, run_id, mlapp_id=mlapp_id)
    values = {"mlapp_id": mlapp_id, "run": found, "chosen": chosen, **shown_lines(settings, found, chosen)}
    return render(request, "runs/_earlier.html" if chosen.before else "runs/_later.html", values)


def shown_lines(settings: Settings, run: Mapping[str, Any], chosen: LogFilter) -> dict[str, Any]:
    """Lines, where they begin and end, and whether there may be earlier ones."""
    part = read_log(
        settings,
        run,
        after=LogPlace.of(chosen.after),
        before=LogPlace.of(chosen.before),
        search=chosen.search or None,
        stream=chosen.stream or None,
        limit=_LINES,
    )
    first = part.lines[0] if part.lines else None
    return {
        "lines": part.lines,
        "first_place": str(LogPlace(first["attempt"], first["line"])) if first else "",
        "last_place": str(part.next_place),
        "is_followed": not part.is_complete,
        "may_have_earlier": not chosen.after and len(part.lines) == _LINES,
    }
