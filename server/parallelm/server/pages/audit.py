"""Audit log: who has done what, the latest first."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse

from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._readable import readable
from parallelm.server.pages import Page
from parallelm.server.pages._cursor import After, ListOrder, number_of
from parallelm.server.pages._moments import moment_of
from parallelm.server.pages._rows import rows
from parallelm.server.pages.rendering import render
from parallelm.server.pages.time_range import Shown, known_settings
from parallelm.warehouse.queries.audit import action_log, action_names

ROUTER: Final = APIRouter()
PAGE: Final = Page("Audit", "/audit", "audit.read", place=80)
_ORDER: Final = ListOrder(
    {"ingested_at": moment_of, "_partition": number_of, "_offset": number_of}, shown=100
)


@ROUTER.get("/audit", dependencies=[Depends(require("audit.read", anywhere=True))])
def audit(
    request: Request,
    asking: Asking,
    shown: Shown,
    mlapp_id: str = "",
    who: str = "",
    action: str = "",
    after: After = "",
) -> HTMLResponse:
    """Actions, with filters; ``after`` is the last one of the page before."""
    settings = known_settings(request)
    found = rows(
        action_log(
            settings,
            mlapp_id=readable(asking, mlapp_id or None, "audit.read"),
            who=who or None,
            action=action or None,
            start=shown.start,
            end=shown.end,
            page=_ORDER.keyset(after),
        )
    )
    page, older = _ORDER.page_of(request, found)
    values = {
        "shown": shown,
        "mlapp_id": mlapp_id,
        "who": who,
        "action": action,
        "names": action_names(settings),
        "found": page,
        "is_first": not after,
        "older": older,
    }
    return render(request, "audit.html", values)
