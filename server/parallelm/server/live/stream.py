"""The stream that each open page listens to."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from parallelm.server.access.dependencies import Asking
from parallelm.server.context import context_of

ROUTER: Final = APIRouter()


@ROUTER.get("/live")
async def live(request: Request, asking: Asking) -> StreamingResponse:
    """Server-sent events: ``changed`` with ``{mlapp_id: [kind, …]}`` when something has arrived."""
    events = context_of(request).live.stream(asking.mlapps("mlapps.read"))
    return StreamingResponse(
        events,
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
