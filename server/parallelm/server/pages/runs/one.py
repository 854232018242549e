"""One run: what has happened to it, what it was given and made, and what its program wrote."""

from __future__ import annotations

import time
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse

from parallelm.operations.runs import find_run
from parallelm.server.access.dependencies import require
from parallelm.server.pages._rows import rows
from parallelm.server.pages.rendering import render
from parallelm.server.pages.runs.listing import seconds_of
from parallelm.server.pages.runs.logs import LogFilter, Logs, known_at_of, shown_lines
from parallelm.server.pages.time_range import known_settings
from parallelm.warehouse.queries import log_sizes, models_of_pipelines, run_transitions

ROUTER: Final = APIRouter()


@ROUTER.get("/mlapps/{mlapp_id}/runs/{run_id}", dependencies=[Depends(require("mlapps.read"))])
def run(request: Request, mlapp_id: str, run_id: str, chosen: Logs) -> HTMLResponse:
    """The page, or with htmx the part that changes."""
    values = known_run(request, mlapp_id, run_id, chosen)
    part = request.headers.get("hx-target") == "run"
    return render(request, "runs/_run.html" if part else "runs/one.html", values)


def known_run(request: Request, mlapp_id: str, run_id: str, chosen: LogFilter) -> dict[str, Any]:
    """What the page shows of it; raises ``UnknownRunError``."""
    settings = known_settings(request)
    found = find_run(settings, run_id, mlapp_id=mlapp_id)
    run_id = found["run_id"]
    lines, dropped = log_sizes(settings, mlapp_id, [run_id]).get(run_id, (0, 0))
    return {
        "mlapp_id": mlapp_id,
        "run": found,
        "seconds": seconds_of(found, time.time_ns() // 1_000_000),
        "transitions": rows(run_transitions(settings, mlapp_id=mlapp_id, run_id=run_id)),
        "models": models_of_pipelines(settings, mlapp_id, node_id=found["node_id"], run_id=run_id),
        "known_at": known_at_of(request),
        "line_count": lines,
        "dropped": dropped,
        "log_days": settings.retention.logs_days or "all",
        "chosen": chosen,
        **shown_lines(settings, found, chosen),
    }
