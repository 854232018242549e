"""Silences: who mutes notifications of which alerts, and until when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from parallelm.definitions.matchers import MAX_VALUE, Matcher, make_matcher
from parallelm.operations import silences as operations
from parallelm.schemas.times import range_ms
from parallelm.server.access.dependencies import Asking, allow
from parallelm.server.access.principal import Principal
from parallelm.server.api._decisions import Comment, CommentRequest
from parallelm.server.api._once import OnceKey
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._readable import READ, unknown
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, Moment, moment_of
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError

if TYPE_CHECKING:
    from parallelm.schemas.records import Silence as SilenceRecord

ROUTER: Final = resource("silences")
_SILENCE: Final = "alerts.silence"


class LabelMatcher(BaseModel):
    """A condition on one label; a label that is not there has an empty value."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    label: Annotated[str, Field(min_length=1, max_length=500, examples=["mlapp"])]
    operator: Literal["=", "!=", "=~", "!~"] = "="
    value: Annotated[str, Field(max_length=MAX_VALUE, examples=["fraud"])]


class NewSilence(BaseModel):
    """What is muted."""

    model_config = ConfigDict(extra="forbid")

    matchers: Annotated[list[LabelMatcher], Field(min_length=1, max_length=50)]
    """All must hold. One that says `mlapp` `=` an MLApp lets those silence it who may do so for this MLApp only."""
    starts_at: AskedTime | None = None
    """Now where it is missing."""
    ends_at: AskedTime
    comment: Annotated[Comment, Field(min_length=1)]


class Silence(Answer):
    """A silence."""

    silence_id: str
    matchers: list[LabelMatcher]
    starts_at: Moment
    ends_at: Moment
    created_at: Moment
    who: str
    comment: str
    is_over: bool


@ROUTER.get("/silences")
def list_silences(
    request: Request,
    asking: Asking,
    page: Paging,
    in_force: Annotated[bool, Query(description="Without those that are over.")] = False,
) -> Page[Silence]:
    """Silences by their start, the latest first; those that were over days ago are forgotten."""
    found = [
        _shown(each)
        for each in operations.list_silences(context_of(request).settings)
        if _is_seen(asking, each)
    ]
    found = [each for each in found if not (in_force and each["is_over"])]
    return page.page_of(Silence, found, "starts_at", "silence_id", descending=True)


@ROUTER.post("/silences", status_code=201)
def create_silence(request: Request, wanted: NewSilence, asking: Asking, once: OnceKey) -> Silence:
    """Mute notifications of what all matchers hold for."""
    try:
        matchers = [make_matcher(each.label, each.operator, each.value) for each in wanted.matchers]
    except ValueError as error:
        raise ApiProblemError(422, "invalid-request", str(error)) from error
    allow(asking, _SILENCE, _mlapp_of(matchers))
    starts_at_ms, ends_at_ms = (range_ms(at, None)[0] for at in (wanted.starts_at, wanted.ends_at))

    def act() -> Silence:
        made = operations.add_silence(
            context_of(request).settings,
            matchers,
            starts_at_ms=starts_at_ms,
            ends_at_ms=ends_at_ms or 0,
            who=once.author,
            comment=wanted.comment,
        )
        return Silence.model_validate(_shown(made))

    return once(Silence, act)


@ROUTER.post("/silences/{silence_id}/end")
def end_silence(
    request: Request,
    silence_id: Annotated[str, Path(min_length=1, max_length=200)],
    said: CommentRequest,
    asking: Asking,
    once: OnceKey,
) -> Silence:
    """End a silence now."""

    def act() -> Silence:
        settings = context_of(request).settings
        found = [each for each in operations.list_silences(settings) if each.silence_id == silence_id]
        if not found or not _is_seen(asking, found[0]):
            raise unknown("silence", silence_id)
        allow(asking, _SILENCE, _mlapp_of(operations.matchers_of(found[0])))
        ended = operations.end_silence(settings, silence_id, who=once.author, comment=said.comment)
        return Silence.model_validate(_shown(ended))

    return once(Silence, act)


def _mlapp_of(matchers: list[Matcher]) -> str | None:
    """The one MLApp that a silence is about; None: any."""
    named = {each.value for each in matchers if (each.label, each.operator) == ("mlapp", "=")}
    return named.pop() if len(named) == 1 else None


def _is_seen(asking: Principal, silence: SilenceRecord) -> bool:
    return asking.may(READ, _mlapp_of(operations.matchers_of(silence)))


def _shown(silence: SilenceRecord) -> dict[str, Any]:
    return {
        "silence_id": silence.silence_id,
        "matchers": silence.matchers,
        "starts_at": moment_of(silence.starts_at_ms),
        "ends_at": moment_of(silence.ends_at_ms),
        "created_at": moment_of(silence.created_at_ms),
        "who": silence.who,
        "comment": silence.comment,
        "is_over": silence.ends_at_ms <= time.time_ns() // 1_000_000,
    }
