"""Runs of an MLApp's nodes by agents: all of them, one with its log, and what people do about them."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from parallelm.server.pages import Page
from parallelm.server.pages.runs import actions, listing, logs, one

ROUTER: Final = APIRouter()
for _module in (listing, actions, one, logs):
    ROUTER.include_router(_module.ROUTER)
PAGE: Final = Page("Runs", "/runs", "mlapps.read", place=15, of_mlapp=True)
