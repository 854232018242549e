"""A task of the server: how far it is, and what came of it."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from parallelm.server.access.dependencies import Asking
from parallelm.server.api.tasks import readable_task, status_of
from parallelm.server.pages.rendering import render

ROUTER: Final = APIRouter(prefix="/tasks")


@ROUTER.get("/{task_id}")
def task(request: Request, asking: Asking, task_id: str) -> HTMLResponse:
    """It asks for itself again while it goes on."""
    found = status_of(readable_task(request, asking, task_id))
    part = request.headers.get("hx-target") == "task"
    return render(request, "parts/task.html" if part else "task.html", {"task": found})
