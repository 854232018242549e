"""Business report: a week, a month or a quarter on one page that can be printed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse

from parallelm.operations.business_report import PERIODS, MLAppNumbers, Period, business_report
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.context import context_of
from parallelm.server.pages import Page
from parallelm.server.pages._moments import day_of
from parallelm.server.pages.filters import zone_of
from parallelm.server.pages.rendering import render

ROUTER: Final = APIRouter()
PAGE: Final = Page("Report", "/report", "mlapps.read", place=60)


@ROUTER.get("/report", dependencies=[Depends(require("mlapps.read", anywhere=True))])
def report(
    request: Request, asking: Asking, period: Period = "month", day: date | None = None
) -> HTMLResponse:
    """The period that ``day`` is in (default: today), by the viewer's calendar."""
    if day is not None:
        day_of(day)
    zone = zone_of(request.cookies.get("zone", "UTC"))
    found = business_report(
        context_of(request).settings, period, day, zone=zone, mlapps=asking.mlapps("mlapps.read")
    )
    values = {
        "report": found,
        "nothing": MLAppNumbers(),
        "periods": PERIODS,
        "earlier": found.start - timedelta(days=1),
        "later": found.end,
    }
    return render(request, "business_report.html", values)
