"""The audit log: who did what, and how it is known who it was."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query, Request

from parallelm.server.access.dependencies import Asking
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._readable import readable
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, Moment, Name, rows
from parallelm.server.context import context_of

ROUTER: Final = resource("audit")
_READ: Final = "audit.read"


class Action(Answer):
    """Something that somebody did."""

    action_id: str
    event_time: Moment
    ingested_at: Moment
    mlapp_id: str
    """`*`: of no single MLApp."""
    who: str
    authenticated_by: str
    action: str
    node_id: str
    model_id: str
    target: str
    comment: str
    parameters: dict[str, str]
    imported_from: str
    """Capture that alone says so; empty: this installation."""


@ROUTER.get("/actions")
def list_actions(
    request: Request,
    asking: Asking,
    page: Paging,
    mlapp_id: Annotated[Name | None, Query(description="Only on this MLApp.")] = None,
    who: Annotated[Name | None, Query()] = None,
    action: Annotated[Name | None, Query(examples=["approve"])] = None,
    target: Annotated[Name | None, Query(description="Alert, silence, … that it acts on.")] = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
) -> Page[Action]:
    """Actions, the latest first."""
    from parallelm.warehouse.queries.audit import action_log

    keyset = page.keyset("ingested_at", "_partition", "_offset", descending=True)
    found = action_log(
        context_of(request).settings,
        mlapp_id=readable(asking, mlapp_id, _READ),
        who=who,
        action=action,
        target=target,
        start=from_,
        end=to,
        page=keyset,
    )
    return page.answer(Action, keyset, rows(found))
