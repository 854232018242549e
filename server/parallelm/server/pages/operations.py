"""Operations: how far the platform is behind, which processes run, what it could not handle, how late it stores, and how long it keeps."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from starlette.responses import HTMLResponse, Response

from parallelm.operations.dead_letters import (
    Answer,
    Answers,
    Selection,
    find_dead_letter,
    list_dead_letters,
    replayable,
)
from parallelm.operations.lag import group_lags
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.context import context_of
from parallelm.server.local_processes import local_processes
from parallelm.server.pages import Page
from parallelm.server.pages.rendering import render
from parallelm.server.pages.toasts import toast
from parallelm.warehouse.queries.ingestion import delays_by_table
from parallelm.warehouse.retention import retention

ROUTER: Final = APIRouter()
PAGE: Final = Page("Operations", "/operations", "operations.read", place=70)
_READ: Final = [Depends(require("operations.read"))]
_SHOWN: Final = 100


@ROUTER.get("/operations", dependencies=_READ)
def operations(request: Request) -> HTMLResponse:
    """The page; its parts are loaded one by one, since each asks something else that may be away."""
    return render(request, "operations.html")


@ROUTER.get("/operations/processes", dependencies=_READ)
def processes(request: Request) -> HTMLResponse:
    """Consumer groups with their members, which are asked for once, and the services of a local stack."""
    values = {"groups": group_lags(context_of(request).settings), "services": local_processes()}
    return render(request, "parts/operations_processes.html", values)


@ROUTER.get("/operations/ingestion", dependencies=_READ)
def ingestion(request: Request) -> HTMLResponse:
    """How late the sinks have stored in the last hour."""
    return render(
        request, "parts/operations_ingestion.html", {"tables": delays_by_table(context_of(request).settings)}
    )


@ROUTER.get("/operations/retention", dependencies=_READ)
def kept(request: Request) -> HTMLResponse:
    """How long tables keep their rows."""
    return render(
        request, "parts/operations_retention.html", {"tables": retention(context_of(request).settings)}
    )


@ROUTER.get("/operations/dead-letters", dependencies=_READ)
def dead_letters(request: Request, topic: str = "", *, all_: bool = False) -> HTMLResponse:
    """Records that could not be handled, the latest first."""
    selection = Selection(topic=topic or None, limit=_SHOWN)
    found = list_dead_letters(context_of(request).settings, selection, open_only=not all_)
    letters: list[dict[Any, Any]] = found.to_dict("records")
    values = {"letters": letters, "most": _SHOWN, "topic": topic, "all": all_}
    return render(request, "parts/operations_dead_letters.html", values)


@ROUTER.get("/operations/dead-letters/{letter_id}", dependencies=_READ)
def dead_letter(request: Request, letter_id: str) -> HTMLResponse:
    """One of them, with its record."""
    fields, record = find_dead_letter(context_of(request).settings, letter_id)
    return render(request, "dead_letter.html", {"fields": fields, "record": record})


@ROUTER.post("/operations/dead-letters/{answer}", dependencies=[Depends(require("operations.write"))])
def answer_dead_letters(
    request: Request,
    asking: Asking,
    answer: Answer,
    letter: Annotated[list[str] | None, Form()] = None,
    comment: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Send the chosen ones again, or give them up."""
    if not letter:
        raise HTTPException(422, "choose the letters that this is about")
    settings = context_of(request).settings
    chosen = list_dead_letters(settings, Selection())
    chosen = chosen[chosen["letter_id"].isin(letter)]
    ids, left_out = list(chosen["letter_id"]), []
    if answer == "replay_dead_letter":
        can = replayable(settings, chosen)
        ids, left_out = list(can.letter_ids), list(can.left_out)
    given = Answers(settings).give(answer, ids, who=asking.author, comment=comment) if ids else 0
    words = f"{given} sent again" if answer == "replay_dead_letter" else f"{given} given up"
    return toast("; ".join([words, *left_out]), Response(status_code=204, headers={"HX-Refresh": "true"}))
