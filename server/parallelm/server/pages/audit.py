"""Audit log: who has done what, the latest first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse

from parallelm.server.access.dependencies import Asking, require
from parallelm.server.pages import Page
from parallelm.server.pages._moments import moment_of
from parallelm.server.pages._rows import rows
from parallelm.server.pages.rendering import render
from parallelm.server.pages.time_range import Shown, known_settings
from parallelm.warehouse.queries import Keyset
from parallelm.warehouse.queries.audit import action_log, action_names

ROUTER: Final = APIRouter()
PAGE: Final = Page("Audit", "/audit", "audit.read", place=80)
_PAGE_SIZE: Final = 100
_ORDER: Final = ("ingested_at", "_partition", "_offset")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@ROUTER.get("/audit", dependencies=[Depends(require("audit.read", anywhere=True))])
def audit(
    request: Request,
    asking: Asking,
    shown: Shown,
    mlapp_id: str = "",
    who: str = "",
    action: str = "",
    after: Annotated[str, Query(pattern=r"^(\d{1,14}\|\d{1,9}\|\d{1,18})?$")] = "",
) -> HTMLResponse:
    """Actions, with filters; ``after`` is the last one of the page before."""
    settings = known_settings(request)
    mlapps = asking.mlapps("audit.read")
    allowed = None if mlapps is None else {"", *mlapps}
    wanted = allowed if not mlapp_id else {mlapp_id} & (allowed or {mlapp_id})
    found = rows(
        action_log(
            settings,
            mlapp_id=wanted,
            who=who or None,
            action=action or None,
            start=shown.start,
            end=shown.end,
            page=Keyset(order=_ORDER, descending=True, after=_place(after), limit=_PAGE_SIZE + 1),
        )
    )
    values = {
        "shown": shown,
        "mlapp_id": mlapp_id,
        "who": who,
        "action": action,
        "names": action_names(settings),
        "found": found[:_PAGE_SIZE],
        "is_first": not after,
        "older": _older(request, found[_PAGE_SIZE - 1]) if len(found) > _PAGE_SIZE else "",
    }
    return render(request, "audit.html", values)


def _place(text: str) -> tuple[Any, ...] | None:
    if not text:
        return None
    at_ms, partition, offset = (int(part) for part in text.split("|"))
    return (moment_of(at_ms), partition, offset)


def _older(request: Request, last: dict[str, Any]) -> str:
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
    at_ms = (last["ingested_at"] - _EPOCH) // timedelta(milliseconds=1)
    return "?" + urlencode([*kept, ("after", f"{at_ms}|{last['_partition']}|{last['_offset']}")])
