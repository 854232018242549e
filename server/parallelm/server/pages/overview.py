"""Overview: all MLApps."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse

from parallelm.server.access.dependencies import require
from parallelm.server.pages import Page
from parallelm.server.pages.rendering import render

ROUTER: Final = APIRouter()
PAGE: Final = Page("Overview", "/", "mlapps.read", place=10)


@ROUTER.get("/", dependencies=[Depends(require("mlapps.read"))])
def overview(request: Request) -> HTMLResponse:
    """All MLApps that somebody may see."""
    return render(request, "overview.html")
