"""Erase an MLApp, or all rows with a label's value: seen first, named once more, then done by a task."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import HTMLResponse, Response

from parallelm.server import erasing
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api.erasures import require_confirmed, selection_of
from parallelm.server.context import context_of
from parallelm.server.pages import Page
from parallelm.server.pages.rendering import render
from parallelm.server.pages.toasts import gone_to

ROUTER: Final = APIRouter(prefix="/erase", dependencies=[Depends(require("erase"))])
PAGE: Final = Page("Erase", "/erase", "erase", place=95)
_Text = Annotated[str, Query(max_length=1000)]
_Sent = Annotated[str, Form(max_length=1000)]


@ROUTER.get("")
def preview(request: Request, mlapp_id: _Text = "", label: _Text = "") -> HTMLResponse:
    """What there is of something; nothing is changed."""
    values: dict[str, Any] = {"mlapp_id": mlapp_id, "label": label, "selection": None}
    if mlapp_id or label:
        selection = selection_of(mlapp_id, label)
        found, held = erasing.find(context_of(request), selection)
        values |= {"selection": str(selection), "found": found, "held": held}
    return render(request, "erase.html", values)


@ROUTER.post("")
def erase(
    request: Request,
    asking: Asking,
    mlapp_id: _Sent = "",
    label: _Sent = "",
    confirm: _Sent = "",
    comment: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Begin, and go to the task."""
    selection = selection_of(mlapp_id, label)
    require_confirmed(selection, confirm)
    task_id = erasing.begin(context_of(request), selection, asking.author, comment)
    return gone_to(request, f"/tasks/{task_id}", f"{selection} is being erased")
