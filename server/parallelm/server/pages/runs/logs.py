"""The log of a run, a part at a time: the last lines first, earlier ones on request, later ones as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse

from parallelm.operations.runs import find_run, log_is_complete
from parallelm.server.access.dependencies import require
from parallelm.server.context import context_of
from parallelm.server.pages.rendering import render
from parallelm.warehouse.queries import log_lines

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
    after, before = _place(chosen.after), _place(chosen.before)
    found = log_lines(
        settings,
        mlapp_id=run["mlapp_id"],
        run_id=run["run_id"],
        search=chosen.search or None,
        stream=chosen.stream or None,
        after=after,
        before=before,
        limit=_LINES,
    )
    first, last = (found[0], found[-1]) if found else (None, None)
    return {
        "lines": found,
        "first_place": f"{first['attempt']}.{first['line']}" if first else "",
        "last_place": f"{last['attempt']}.{last['line']}" if last else chosen.after or "0.0",
        "is_followed": not log_is_complete(run) or len(found) == _LINES,
        "may_have_earlier": after is None and len(found) == _LINES,
    }


def _place(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    attempt, line = text.split(".")
    return int(attempt), int(line)
