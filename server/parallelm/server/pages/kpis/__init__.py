"""Business KPIs: what there is, uploads, one KPI with its revisions, what moves with it, and what changed it."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from parallelm.server.pages import Page
from parallelm.server.pages.kpis import listing, one, questions, upload

ROUTER: Final = APIRouter()
for _module in (listing, upload, questions, one):
    ROUTER.include_router(_module.ROUTER)
PAGES: Final = (
    Page("KPIs", "/kpis", "mlapps.read", place=40),
    Page("KPIs", "/kpis", "mlapps.read", place=60, of_mlapp=True),
)
