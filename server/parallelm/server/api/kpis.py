"""Business KPIs: points as they are known now or were known at a time, uploads, and withdrawals."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from parallelm.operations import kpis as operations
from parallelm.server.access.dependencies import require
from parallelm.server.api._decisions import Comment
from parallelm.server.api._labels import AskedLabels, WithoutLabels, labels_of
from parallelm.server.api._once import OnceKey
from parallelm.server.api._paging import Page, Paging
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
from parallelm.server.api._values import Answer, AskedTime, Moment, Name, Number, answers, moment_of, rows
from parallelm.server.api.mlapps import MLAppId
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError

ROUTER: Final = resource("KPIs")
_FIRST: Final = 100
_READS: Final = [Depends(require(READ))]
_WRITES: Final = [Depends(require("kpis.write"))]


class Kpi(Answer):
    """A KPI of an MLApp."""

    name: str
    points: int
    label_names: list[str]
    first_time: Moment
    last_time: Moment
    revised_at: Moment


class KpiPoint(Answer):
    """A point by its latest revision."""

    event_time: Moment
    name: str
    labels: dict[str, str]
    value: Number
    revisions: int
    source: str
    revised_at: Moment


class KpiRevision(Answer):
    """A revision of a point."""

    event_time: Moment
    name: str
    labels: dict[str, str]
    value: Number
    withdrawn: bool
    """It took the point back."""
    source: str
    ingested_at: Moment


class UploadedKpi(Answer):
    """One KPI of a file."""

    name: str
    points: int
    first_time: Moment
    last_time: Moment


class KpiUpload(Answer):
    """What was in a file, and what was sent of it."""

    dry_run: bool
    """Nothing was sent."""
    columns: list[str]
    kpis: list[UploadedKpi]
    sent_kpis: list[UploadedKpi]
    """Of `kpis` what was new or differed."""
    sent: int
    """Points that were new or differ; with `dry_run`, that would be sent."""
    revised: int
    """Known points that get another value."""
    unchanged: int
    """Points that are known with this value."""
    notes: list[str]
    """KPIs that are known with other labels only: their points make series of their own."""
    repeated: int
    """Lines that repeat a point of the file, of which the last one counts."""
    bad_lines: int
    mistakes: list[FileMistake]
    """The first hundred."""


class KpiWithdrawal(BaseModel):
    """Which points were wrong."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=500)]
    labels: Annotated[dict[str, str], Field(max_length=50)] = {}
    without_labels: Annotated[list[Name], Field(max_length=50)] = []
    """Names of labels that the points do not have."""
    from_: Annotated[AskedTime | None, Field(alias="from")] = None
    to: AskedTime | None = None
    comment: Annotated[Comment, Field(min_length=1)]
    expected: Annotated[int, Field(ge=1)] | None = None
    """How many points this should be: 409 when it is another number."""
    dry_run: bool = False
    """Say which points these are; take nothing back."""


class WithdrawnPoints(Answer):
    """How many points were taken back."""

    dry_run: bool
    """Nothing was taken back."""
    points: int
    first: list[KpiPoint]
    """The first hundred, as they were."""


@ROUTER.get("/mlapps/{mlapp_id}/kpis", dependencies=_READS)
def list_kpis(request: Request, mlapp_id: MLAppId, page: Paging) -> Page[Kpi]:
    """KPIs by name."""
    from parallelm.warehouse.queries import kpi_summaries

    keyset = page.keyset("name")
    return page.answer(Kpi, keyset, rows(kpi_summaries(context_of(request).settings, mlapp_id, keyset)))


@ROUTER.get("/mlapps/{mlapp_id}/kpi-points", dependencies=_READS)
def list_kpi_points(
    request: Request,
    mlapp_id: MLAppId,
    page: Paging,
    name: Annotated[Name | None, Query()] = None,
    label: AskedLabels = None,
    without_label: WithoutLabels = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
    known_at: Annotated[
        AskedTime | None, Query(description="As they were known then, without later revisions.")
    ] = None,
) -> Page[KpiPoint]:
    """Points by time, without those that were withdrawn."""
    from parallelm.warehouse.queries import kpis

    keyset = page.keyset("event_time", "name", "label_text")
    found = kpis(
        context_of(request).settings,
        name,
        mlapp_id=mlapp_id,
        labels=labels_of(label),
        without_labels=without_label or (),
        start=from_,
        end=to,
        known_at=known_at,
        page=keyset,
    )
    return page.answer(KpiPoint, keyset, rows(found))


@ROUTER.get("/mlapps/{mlapp_id}/kpi-revisions", dependencies=_READS)
def list_kpi_revisions(
    request: Request,
    mlapp_id: MLAppId,
    page: Paging,
    name: Annotated[Name | None, Query()] = None,
    label: AskedLabels = None,
    without_label: WithoutLabels = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
) -> Page[KpiRevision]:
    """All revisions and withdrawals, by time; those of one point in the order in which they came."""
    from parallelm.warehouse.queries import kpi_revisions

    keyset = page.keyset("event_time", "name", "_partition", "_offset", "_index")
    found = kpi_revisions(
        context_of(request).settings,
        name,
        mlapp_id=mlapp_id,
        labels=labels_of(label),
        without_labels=without_label or (),
        start=from_,
        end=to,
        page=keyset,
    )
    return page.answer(KpiRevision, keyset, rows(found))


@ROUTER.post("/mlapps/{mlapp_id}/kpi-uploads", dependencies=_WRITES, max_body_size=MOST_BYTES)
def upload_kpis(
    request: Request,
    mlapp_id: MLAppId,
    file: PointsFile,
    sent: Sent,
    once: OnceKey,
    kpi: Annotated[
        str, Query(max_length=500, description="Name of the KPI, when the file has no column of names.")
    ] = "",
    ignore: Annotated[
        list[Name] | None, Query(max_length=100, description="Column that is no label; repeated.")
    ] = None,
) -> KpiUpload:
    """Upload points; those that are known with their value are not sent. Another value is a revision."""
    settings = context_of(request).settings
    columns, found = read_sent(file, sent.of(kpi=kpi, ignore=tuple(ignore or ())))

    def act() -> KpiUpload:
        if not sent.dry_run:
            refuse_bad_lines(found, skip_bad=sent.skip_bad)
        changed = operations.changed_points(settings, mlapp_id, found.points)
        if changed.points and not sent.dry_run:
            operations.upload_kpis(settings, mlapp_id, sent.source, changed.points, who=once.author)
        return KpiUpload(
            dry_run=sent.dry_run,
            columns=columns,
            kpis=[_uploaded(each) for each in operations.summarize(found.points)],
            sent_kpis=[_uploaded(each) for each in operations.summarize(changed.points)],
            sent=len(changed.points),
            revised=changed.revised,
            unchanged=changed.unchanged,
            notes=changed.notes,
            repeated=found.repeated,
            bad_lines=found.bad_lines,
            mistakes=mistakes_of(found),
        )

    return act() if sent.dry_run else once(KpiUpload, act)


@ROUTER.post("/mlapps/{mlapp_id}/kpi-withdrawals", dependencies=_WRITES)
def withdraw_kpis(
    request: Request, mlapp_id: MLAppId, wanted: KpiWithdrawal, once: OnceKey
) -> WithdrawnPoints:
    """Say that points were wrong: they count no more, and are still told for the time in which they were known."""
    from parallelm.warehouse.queries import kpis

    settings = context_of(request).settings

    def act() -> WithdrawnPoints:
        found = kpis(
            settings,
            wanted.name,
            mlapp_id=mlapp_id,
            labels=wanted.labels,
            without_labels=wanted.without_labels,
            start=wanted.from_,
            end=wanted.to,
        )
        if found.empty:
            raise ApiProblemError(404, "unknown-kpi-point", f"KPI {wanted.name!r} has no such points")
        if wanted.expected not in {None, len(found)}:
            raise ApiProblemError(409, "other-count", f"these are {len(found)} points, not {wanted.expected}")
        if not wanted.dry_run:
            operations.withdraw_rows(settings, found, who=once.author, comment=wanted.comment)
        first = answers(KpiPoint, rows(found.head(_FIRST)))
        return WithdrawnPoints(dry_run=wanted.dry_run, points=len(found), first=first)

    return act() if wanted.dry_run else once(WithdrawnPoints, act)


def _uploaded(each: operations.UploadedKpi) -> UploadedKpi:
    times = {"first_time": moment_of(each.first_ms), "last_time": moment_of(each.last_ms)}
    return UploadedKpi.model_validate({"name": each.name, "points": each.points, **times})
