"""Models: what there is and what is live, reviews, one model, two beside each other, upload and deletion."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from parallelm.server.pages import Page
from parallelm.server.pages.models import comparison, files, listing, one

ROUTER: Final = APIRouter()
# One model last: its id could be anything.
for _module in (listing, comparison, files, one):
    ROUTER.include_router(_module.ROUTER)
PAGES: Final = (
    Page("Models", "/models", "mlapps.read", place=30),
    Page("Models", "/models", "mlapps.read", place=50, of_mlapp=True),
)
