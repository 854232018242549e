"""The stream that each open page listens to."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from parallelm.server.access.dependencies import Asking
from parallelm.server.context import context_of

ROUTER: Final = APIRouter()
_POSITION: Final = re.compile("[0-9]{1,15}")


def remember_position(request: Request) -> None:
    """Before a page reads the warehouse: what arrives from then on, ``/live?since=`` tells."""
    is_page = request.method == "GET" and "text/html" in request.headers.get("accept", "")
    request.state.position_ms = context_of(request).live.position_ms() if is_page else None


@ROUTER.get("/live")
async def live(
    request: Request,
    asking: Asking,
    mlapp_id: str = "",
    since: Annotated[int | None, Query(ge=0, le=10**15, description="Position that the page shows.")] = None,
    last_event_id: Annotated[str, Header()] = "",
) -> StreamingResponse:
    """Server-sent events: ``alerts``, ``statistics``, … when some have arrived, with the ids of their MLApps.

    With ``mlapp_id`` of that one only; without a role on it, of none. First what has arrived since the position of the page, or
    since the last event that a browser had before it was cut off.
    """
    since_ms = int(last_event_id) if _POSITION.fullmatch(last_event_id) else since
    allowed = asking.mlapps("mlapps.read")
    if mlapp_id:
        allowed = frozenset({mlapp_id} if asking.may("mlapps.read", mlapp_id) else ())
    events = context_of(request).live.stream(allowed, since_ms)
    return StreamingResponse(
        events,
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
