"""Erasures: an MLApp, or all rows with a label's value, removed for good."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from fastapi import Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from parallelm.server import erasing
from parallelm.server.access.dependencies import require
from parallelm.server.api._decisions import Comment
from parallelm.server.api._once import OnceKey
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, Name
from parallelm.server.api.tasks import TaskStatus, begun
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError
from parallelm.warehouse.erasure import OfLabel, OfMLApp, Selection

ROUTER: Final = resource("erasures")
_ERASES: Final = [Depends(require("erase"))]
Label = Annotated[str, Field(pattern=r"^[^=]+=", max_length=1000, description="`name=value`.")]


class HeldRecords(Answer):
    """How long a topic of Kafka still holds old records."""

    topic: str
    holds: str
    """In words."""
    until: datetime | None
    """At the latest; null: for ever."""
    why: str
    """The topic's settings that say so."""


class ErasePreview(Answer):
    """What would be erased."""

    confirm: str
    """What `confirm` has to say."""
    rows: dict[str, int]
    """By table."""
    things: dict[str, int]
    """Files of models, captures, silences, roles."""
    is_defined: bool
    """The MLApp has a definition, which goes too."""
    held: list[HeldRecords]


class NewErasure(BaseModel):
    """What is erased: an MLApp, or a label's value."""

    model_config = ConfigDict(extra="forbid")

    mlapp_id: Name | None = None
    label: Label | None = None
    confirm: Annotated[
        str, Field(max_length=2000, description="What is erased, as the preview names it in `confirm`.")
    ]
    comment: Comment = ""


@ROUTER.get("/erasures/preview", dependencies=_ERASES)
def preview_erasure(
    request: Request,
    mlapp_id: Annotated[Name | None, Query(description="Everything of this MLApp.")] = None,
    label: Annotated[Label | None, Query(description="Rows of all MLApps with this `name=value`.")] = None,
) -> ErasePreview:
    """Count what an erasure would remove; nothing is changed."""
    wanted = selection_of(mlapp_id, label)
    found, held = erasing.find(context_of(request), wanted)
    return ErasePreview(
        confirm=str(wanted),
        rows=dict(found.rows),
        things=dict(found.things),
        is_defined=found.is_defined,
        held=[HeldRecords.model_validate(each) for each in held],
    )


@ROUTER.post("/erasures", dependencies=_ERASES, status_code=202)
def begin_erasure(request: Request, wanted: NewErasure, once: OnceKey) -> TaskStatus:
    """Begin to remove it for good; `/tasks/{task_id}` tells how far it is. Stop what reports it before.

    What was cut short is finished by asking for it again. Its `result` has counts by table (`rows`), of files and captures
    (`things`), how long Kafka still holds it (`held`), and what has come meanwhile (`since`).
    """

    def act() -> TaskStatus:
        selection = selection_of(wanted.mlapp_id, wanted.label)
        require_confirmed(selection, wanted.confirm)
        return begun(request, erasing.begin(context_of(request), selection, once.author, wanted.comment))

    return once(TaskStatus, act)


def selection_of(mlapp_id: str | None, label: str | None) -> Selection:
    """What is meant; 422 unless it is one of the two."""
    if bool(mlapp_id) == bool(label):
        raise ApiProblemError(422, "invalid-request", "name either mlapp_id or label")
    if mlapp_id:
        return OfMLApp(mlapp_id)
    name, equals, value = (label or "").partition("=")
    if not (name and equals):
        raise ApiProblemError(422, "invalid-request", f"the label {label!r} is not name=value")
    return OfLabel(name, value)


def require_confirmed(selection: Selection, confirm: str) -> None:
    """422 unless somebody has said what goes."""
    if confirm.strip() != str(selection):
        raise ApiProblemError(
            422,
            "not-confirmed",
            f"confirm that {selection} is erased for good: confirm must be {str(selection)!r}",
        )
