"""Outcomes of what was predicted: uploaded as files, and how good models were by them."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Query, Request

from parallelm.operations import outcomes as operations
from parallelm.operations.json_values import plain
from parallelm.server.access.dependencies import require
from parallelm.server.api._once import OnceKey
from parallelm.server.api._readable import READ
from parallelm.server.api._resource import resource
from parallelm.server.api._uploads import (
    MOST_BYTES,
    FileMistake,
    PointsFile,
    Sent,
    mistakes_of,
    read_sent,
    refuse_bad_lines,
)
from parallelm.server.api._values import Answer, AskedTime, Name, rows
from parallelm.server.api.mlapps import MLAppId
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError

ROUTER: Final = resource("actuals")
_ID: Final = "id"


class ActualsUpload(Answer):
    """What was in a file, and what was sent of it."""

    dry_run: bool
    """Nothing was sent."""
    columns: list[str]
    outcomes: int
    """Of the file, by their ids."""
    sent: int
    """Those that are new or differ; with `dry_run`, that would be sent."""
    revised: int
    unchanged: int
    unpredicted: int
    """Ids of which there is no prediction yet."""
    bad_lines: int
    mistakes: list[FileMistake]


class ModelQuality(Answer):
    """How good predictions were, by when they were made."""

    rows: list[dict[str, Any]]
    """With the columns of `mcenter models quality`; a measure that does not apply is `NaN`."""


@ROUTER.post(
    "/mlapps/{mlapp_id}/actuals-uploads",
    dependencies=[Depends(require("kpis.write"))],
    max_body_size=MOST_BYTES,
)
def upload_actuals(
    request: Request,
    mlapp_id: MLAppId,
    file: PointsFile,
    sent: Sent,
    once: OnceKey,
    outcome: Annotated[Name, Query(description="What was predicted.")] = "outcome",
    classes: Annotated[bool, Query(description="Values are names of classes, not numbers.")] = False,
    positive: Annotated[Name | None, Query(description="Class that is 1; all others are 0.")] = None,
) -> ActualsUpload:
    """Upload outcomes; those that are known with their value and time are not sent."""
    settings = context_of(request).settings
    names = classes or positive is not None
    columns = dict(sent.columns)
    id_column = columns.pop(_ID, _ID)
    wanted = sent.of(kpi=outcome, values_are_names=names, columns=columns)
    known_columns, found = read_sent(file, wanted)
    if positive is not None and positive not in found.written:
        raise ApiProblemError(422, "unknown-class", f"the file has no value {positive!r}")

    def act() -> ActualsUpload:
        if not sent.dry_run:
            refuse_bad_lines(found, skip_bad=sent.skip_bad)
        outcomes = operations.outcomes_of(found, id_column, names=names, positive=positive)
        changed = operations.changed_outcomes(settings, mlapp_id, outcome, outcomes)
        if changed.outcomes and not sent.dry_run:
            operations.upload_actuals(
                settings, mlapp_id, outcome, sent.source, changed.outcomes, who=once.author
            )
        return ActualsUpload(
            dry_run=sent.dry_run,
            columns=known_columns,
            outcomes=len(outcomes),
            sent=len(changed.outcomes),
            revised=changed.revised,
            unchanged=changed.unchanged,
            unpredicted=changed.unpredicted,
            bad_lines=found.bad_lines,
            mistakes=mistakes_of(found),
        )

    return act() if sent.dry_run else once(ActualsUpload, act)


@ROUTER.get("/mlapps/{mlapp_id}/model-quality", dependencies=[Depends(require(READ))])
def get_model_quality(
    request: Request,
    mlapp_id: MLAppId,
    model_id: Annotated[Name | None, Query()] = None,
    outcome: Annotated[Name | None, Query()] = None,
    by: Annotated[Literal["hour", "day", "week", "month", "all"], Query()] = "day",
    segment: Annotated[Name | None, Query(description="A row for each value of this feature.")] = None,
    timezone: Annotated[str, Query(max_length=100)] = "UTC",
    threshold: Annotated[
        float, Query(ge=-1e300, le=1e300, description="A score from here on decides for 1.")
    ] = 0.5,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
    known_at: Annotated[AskedTime | None, Query(description="Without what arrived later.")] = None,
) -> ModelQuality:
    """How good the predictions of a model, or of all, were by the outcomes that are known."""
    from parallelm.warehouse.queries.model_quality import Judged, model_quality

    judged = Judged(
        mlapp_id=mlapp_id,
        model_id=model_id,
        outcome=outcome,
        start=from_,
        end=to,
        known_at=known_at,
        threshold=threshold,
    )
    bucket = None if by == "all" else by
    found = model_quality(context_of(request).settings, judged, by=bucket, segment=segment, timezone=timezone)
    return ModelQuality(rows=plain(rows(found)))
