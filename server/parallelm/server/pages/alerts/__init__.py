"""Alerts: all that there are or were, one of them, silences, an MLApp's rules, and who is notified."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from parallelm.server.pages import Page
from parallelm.server.pages.alerts import listing, notifications, one, rules, silences

ROUTER: Final = APIRouter()
# Rules before one alert, whose id they would be.
for _module in (listing, rules, one, silences, notifications):
    ROUTER.include_router(_module.ROUTER)
PAGES: Final = (
    Page("Alerts", "/alerts", "mlapps.read", place=20),
    Page("Alerts", "/alerts", "mlapps.read", place=40, of_mlapp=True),
)
