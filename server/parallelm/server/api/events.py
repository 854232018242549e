"""Events that components report."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Query, Request

from parallelm.server.access.dependencies import Asking
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._readable import readable
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, Moment, Name, of_payload, rows
from parallelm.server.context import context_of

ROUTER: Final = resource("events")


class Event(Answer):
    """Something that a component said."""

    event_id: str
    event_time: Moment
    type: str
    title: str
    description: str
    is_alert: bool
    """The component raised it as an alert."""
    data: Any
    """JSON as it is, text as text, bytes as `{"base64": …}`."""
    content_type: str
    mlapp_id: str
    node_id: str
    agent_id: str
    model_id: str
    labels: dict[str, str]


@ROUTER.get("/events")
def list_events(
    request: Request,
    asking: Asking,
    page: Paging,
    mlapp_id: Annotated[Name | None, Query(description="Only of this MLApp.")] = None,
    type_: Annotated[Name | None, Query(alias="type", examples=["GenericEvent"])] = None,
    node_id: Annotated[Name | None, Query()] = None,
    agent_id: Annotated[Name | None, Query()] = None,
    is_alert: Annotated[bool | None, Query()] = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
) -> Page[Event]:
    """Events, the latest first."""
    from parallelm.warehouse.queries import events

    keyset = page.keyset("event_time", "_partition", "_offset", descending=True)
    found = events(
        context_of(request).settings,
        type_,
        mlapp_id=readable(asking, mlapp_id),
        node_id=node_id,
        agent_id=agent_id,
        is_alert=is_alert,
        start=from_,
        end=to,
        page=keyset,
    )
    return page.answer(Event, keyset, rows(found), of_payload)
