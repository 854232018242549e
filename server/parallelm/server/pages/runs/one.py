"""One run: what has happened to it, what it was given and made, and what its program wrote."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from parallelm.operations.runs import find_run
from parallelm.server.access.dependencies import require
from parallelm.server.pages.rendering import render
from parallelm.server.pages.runs.logs import Logs, shown_lines
from parallelm.server.pages.runs.state import KNOWN, known_at_of, run_state
from parallelm.server.pages.time_range import known_settings
from parallelm.warehouse.queries import log_sizes

ROUTER: Final = APIRouter()


@ROUTER.get("/mlapps/{mlapp_id}/runs/{run_id}", dependencies=[Depends(require("mlapps.read"))])
def run(
    request: Request, mlapp_id: str, run_id: str, chosen: Logs, known: Annotated[str, KNOWN] = ""
) -> Response:
    """The page, or with htmx the part that changes: nothing where the page has it as it is."""
    settings = known_settings(request)
    found = find_run(settings, run_id, mlapp_id=mlapp_id)
    values: dict[str, Any] = {"mlapp_id": mlapp_id, "run": found, "known_at": known_at_of(request)}
    if request.headers.get("hx-target") == "run":
        state = run_state(settings, found, known)
        if state is None:
            return Response(status_code=204)
        return render(request, "runs/_run.html", values | state)
    lines, dropped = log_sizes(settings, mlapp_id, [found["run_id"]]).get(found["run_id"], (0, 0))
    values |= {
        "line_count": lines,
        "dropped": dropped,
        "log_days": settings.retention.logs_days or "all",
        "chosen": chosen,
        **(run_state(settings, found) or {}),
        **shown_lines(settings, found, chosen),
    }
    return render(request, "runs/one.html", values)
