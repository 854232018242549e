"""The KPIs of all MLApps, or of one."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, RedirectResponse

from parallelm.server.access.dependencies import Asking, require
from parallelm.server.context import context_of
from parallelm.server.pages._rows import rows
from parallelm.server.pages.rendering import render
from parallelm.warehouse.queries import kpi_summaries

ROUTER: Final = APIRouter()
DEFAULT_MLAPP: Final = "default"
"""Whose KPIs are those that belong to no MLApp: as the command has it."""


@ROUTER.get("/kpis", dependencies=[Depends(require("mlapps.read", anywhere=True))])
def list_of_kpis(request: Request, asking: Asking) -> HTMLResponse:
    """Those that somebody may see."""
    found = kpi_summaries(context_of(request).settings, asking.mlapps("mlapps.read"))
    values = {"kpis": rows(found), "default_mlapp": DEFAULT_MLAPP, "may_upload": asking.mlapps("kpis.write")}
    return render(request, "kpis/list.html", values)


@ROUTER.get("/kpis/upload", dependencies=[Depends(require("kpis.write", anywhere=True))])
def choose_mlapp(request: Request, mlapp_id: str = DEFAULT_MLAPP) -> RedirectResponse:
    """To the upload for an MLApp."""
    root = request.scope.get("root_path", "")
    return RedirectResponse(f"{root}/mlapps/{quote(mlapp_id.strip() or DEFAULT_MLAPP, safe='')}/kpis/upload")


@ROUTER.get("/mlapps/{mlapp_id}/kpis", dependencies=[Depends(require("mlapps.read"))])
def kpis_of_an_mlapp(request: Request, mlapp_id: str) -> HTMLResponse:
    """Those of one MLApp."""
    found = rows(kpi_summaries(context_of(request).settings, mlapp_id))
    return render(request, "kpis/of_mlapp.html", {"mlapp_id": mlapp_id, "kpis": found})
