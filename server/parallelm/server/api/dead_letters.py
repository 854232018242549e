"""Dead letters: records that could not be handled, sent again or dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from parallelm.operations import dead_letters as operations
from parallelm.operations.dead_letters import Selection
from parallelm.operations.json_values import plain
from parallelm.server.access.dependencies import require
from parallelm.server.api._decisions import Comment
from parallelm.server.api._once import Once, OnceKey
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._readable import unknown
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, Moment, Name, rows
from parallelm.server.context import context_of

ROUTER: Final = resource("dead letters")
_READS: Final = [Depends(require("operations.read"))]
_WRITES: Final = [Depends(require("operations.write"))]


class DeadLetter(Answer):
    """A record that could not be handled."""

    letter_id: str
    failed_at: Moment
    state: str
    """`open`, or how it was answered."""
    source_topic: str
    source_partition: int
    source_offset: int
    stage: str
    error_type: str
    error: str
    consumer_group: str
    size_bytes: int
    is_cut: bool
    """It was too large to be kept in full."""
    resolved_at: Moment | None
    who: str
    comment: str


class DeadLetterDetails(DeadLetter):
    """A dead letter with the record."""

    record: Any
    """Decoded; null where that is not possible."""
    decode_error: str
    """Why it cannot be decoded; empty when it can."""


class DeadLetterSelection(BaseModel):
    """Which dead letters are answered: those that are named, or all that the filters select."""

    model_config = ConfigDict(extra="forbid")

    letter_ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=500)]], Field(max_length=10_000)
    ] = []
    """In full; empty: those that the filters select."""
    letter_id: Annotated[str, Field(max_length=500)] | None = None
    """Beginning of an id."""
    topic: Annotated[str, Field(max_length=500)] | None = None
    stage: Annotated[str, Field(max_length=500)] | None = None
    from_: Annotated[AskedTime | None, Field(alias="from")] = None
    to: AskedTime | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    """At most so many, the latest."""
    comment: Comment = ""
    dry_run: bool = False
    """Say which these are; answer none."""


class DeadLetterResult(Answer):
    """How many were answered."""

    dry_run: bool
    """None was answered."""
    count: int
    letter_ids: list[str]
    """With `dry_run` those that would be answered; empty without."""
    left_out: list[str]
    """Why others were not."""


@ROUTER.get("/dead-letters", dependencies=_READS)
def list_dead_letters(
    request: Request,
    page: Paging,
    topic: Annotated[Name | None, Query(description="Where they came from, with or without prefix.")] = None,
    stage: Annotated[Name | None, Query()] = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
    open_only: Annotated[bool, Query(description="Without those that were answered.")] = True,
) -> Page[DeadLetter]:
    """Dead letters, the latest first."""
    keyset = page.keyset("failed_at", "letter_id", descending=True)
    selection = Selection(topic=topic, stage=stage, start=from_, end=to)
    found = operations.list_dead_letters(
        context_of(request).settings, selection, open_only=open_only, page=keyset
    )
    return page.answer(DeadLetter, keyset, rows(found))


@ROUTER.get("/dead-letters/{letter_id}", dependencies=_READS)
def get_dead_letter(
    request: Request, letter_id: Annotated[str, Path(min_length=1, max_length=500)]
) -> DeadLetterDetails:
    """One dead letter with the record, decoded where that is possible."""
    settings = context_of(request).settings
    found = rows(operations.list_dead_letters(settings, Selection(letter_id=letter_id), open_only=False))
    if letter_id not in {row["letter_id"] for row in found}:
        raise unknown("dead letter", letter_id)
    fields, record = operations.find_dead_letter(settings, letter_id)
    shown = plain(record.value) if not record.error else None
    return DeadLetterDetails.model_validate(
        {**rows_of(fields), "record": shown, "decode_error": record.error}
    )


@ROUTER.post("/dead-letters/replay", dependencies=_WRITES)
def replay_dead_letters(request: Request, chosen: DeadLetterSelection, once: OnceKey) -> DeadLetterResult:
    """Send them again to the topics they came from, for the consumer that gave up on them; fix the cause first."""
    settings = context_of(request).settings

    def found() -> operations.Replayable:
        return operations.replayable(settings, _chosen(request, chosen))

    return _answered(request, "replay_dead_letter", chosen, found, once)


@ROUTER.post("/dead-letters/drop", dependencies=_WRITES)
def drop_dead_letters(request: Request, chosen: DeadLetterSelection, once: OnceKey) -> DeadLetterResult:
    """Record that they are given up; their bytes stay until retention takes them."""

    def found() -> operations.Replayable:
        return operations.Replayable(list(_chosen(request, chosen)["letter_id"]), ())

    return _answered(request, "drop_dead_letter", chosen, found, once)


def _answered(
    request: Request,
    answer: operations.Answer,
    chosen: DeadLetterSelection,
    find: Callable[[], operations.Replayable],
    once: Once,
) -> DeadLetterResult:
    def tried() -> DeadLetterResult:
        found = find()
        ids = list(found.letter_ids)
        return DeadLetterResult(dry_run=True, count=len(ids), letter_ids=ids, left_out=list(found.left_out))

    def act() -> DeadLetterResult:
        answers = operations.Answers(context_of(request).settings)
        found = find()
        count = answers.give(answer, found.letter_ids, who=once.author, comment=chosen.comment)
        return DeadLetterResult(dry_run=False, count=count, letter_ids=[], left_out=list(found.left_out))

    return tried() if chosen.dry_run else once(DeadLetterResult, act)


def _chosen(request: Request, chosen: DeadLetterSelection) -> Any:
    selection = Selection(
        letter_id=chosen.letter_id,
        topic=chosen.topic,
        stage=chosen.stage,
        start=chosen.from_,
        end=chosen.to,
        limit=chosen.limit,
    )
    found = operations.list_dead_letters(context_of(request).settings, selection)
    return found[found["letter_id"].isin(chosen.letter_ids)] if chosen.letter_ids else found


def rows_of(fields: dict[str, Any]) -> dict[str, Any]:
    """One row, NULL as None."""
    import pandas as pd

    return rows(pd.DataFrame([fields]))[0]
