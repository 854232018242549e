"""Overview: all MLApps, those that need somebody first."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse

from parallelm.schemas.well_known import HOSTS_MLAPP
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.context import context_of
from parallelm.server.pages import Page
from parallelm.server.pages.rendering import render
from parallelm.warehouse.queries.overview import MLAppSummary, mlapp_summaries

ROUTER: Final = APIRouter()
PAGE: Final = Page("Overview", "/", "mlapps.read", place=10)

Show = Literal["all", "attention", "reviews", "production", "sandbox", "undefined"]
_ORDER: Final = {"critical": 0, "warning": 1, "unknown": 3, "good": 2}
_PAGE_SIZE: Final = 100


@ROUTER.get("/", dependencies=[Depends(require("mlapps.read", anywhere=True))])
def overview(
    request: Request,
    asking: Asking,
    q: str = "",
    show: Show = "all",
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> HTMLResponse:
    """MLApps that somebody may see, filtered by ``q`` (id, name) and ``show``."""
    allowed = asking.mlapps("mlapps.read")
    known = [
        each
        for each in mlapp_summaries(context_of(request).settings)
        if allowed is None or each.mlapp_id in allowed
    ]
    found = sorted(
        (each for each in known if _is_shown(each, q.strip().casefold(), show)),
        key=lambda each: (_ORDER[each.health], -each.pending_reviews, each.mlapp_id),
    )
    values = {
        "q": q,
        "show": show,
        "hosts_mlapp": HOSTS_MLAPP,
        "known": known,
        "found": found[(page - 1) * _PAGE_SIZE : page * _PAGE_SIZE],
        "total": len(found),
        "page": page,
        "pages": -(-len(found) // _PAGE_SIZE) or 1,
        "alerts": {
            severity: sum(each.alerts.get(severity, 0) for each in known)
            for severity in ("critical", "warning", "info")
        },
    }
    part = request.headers.get("hx-target") == "mlapps"
    return render(request, "parts/overview_mlapps.html" if part else "overview.html", values)


def _is_shown(each: MLAppSummary, text: str, show: Show) -> bool:
    if text and text not in f"{each.mlapp_id}\n{each.name}\n{each.description}".casefold():
        return False
    return {
        "all": True,
        "attention": bool(each.alerts),
        "reviews": bool(each.pending_reviews),
        "production": each.stage == "production",
        "sandbox": each.stage == "sandbox",
        "undefined": not each.version,
    }[show]
