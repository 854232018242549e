"""Audit log: who has done what, the latest first."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse

from parallelm.server.access.dependencies import Asking, require
from parallelm.server.pages import Page
from parallelm.server.pages.rendering import render
from parallelm.server.pages.time_range import Shown, known_settings
from parallelm.warehouse.queries.audit import action_names, actions

ROUTER: Final = APIRouter()
PAGE: Final = Page("Audit", "/audit", "audit.read", place=80)
_PAGE_SIZE: Final = 100


@ROUTER.get("/audit", dependencies=[Depends(require("audit.read", anywhere=True))])
def audit(
    request: Request,
    asking: Asking,
    shown: Shown,
    mlapp_id: str = "",
    who: str = "",
    action: str = "",
    page: Annotated[int, Query(ge=1, le=1000)] = 1,
) -> HTMLResponse:
    """Actions, with filters."""
    settings = known_settings(request)
    found = actions(
        settings,
        mlapp_id=mlapp_id or None,
        mlapps=asking.mlapps("audit.read"),
        who=who or None,
        action=action or None,
        start=shown.start,
        end=shown.end,
        limit=_PAGE_SIZE + 1,
        skip=(page - 1) * _PAGE_SIZE,
    )
    values = {
        "shown": shown,
        "mlapp_id": mlapp_id,
        "who": who,
        "action": action,
        "names": action_names(settings),
        "found": found[:_PAGE_SIZE],
        "page": page,
        "has_more": len(found) > _PAGE_SIZE,
    }
    return render(request, "audit.html", values)
