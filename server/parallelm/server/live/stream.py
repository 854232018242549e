"""The stream that each open page listens to."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from parallelm.server.access.dependencies import Asking
from parallelm.server.context import context_of

ROUTER: Final = APIRouter()


@ROUTER.get("/live")
async def live(request: Request, asking: Asking, mlapp_id: str = "") -> StreamingResponse:
    """Server-sent events: ``alerts``, ``statistics``, … when some have arrived, with the ids of their MLApps.

    With ``mlapp_id`` of that one only; without a role on it, of none.
    """
    allowed = asking.mlapps("mlapps.read")
    if mlapp_id:
        allowed = frozenset({mlapp_id} if asking.may("mlapps.read", mlapp_id) else ())
    events = context_of(request).live.stream(allowed)
    return StreamingResponse(
        events,
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
