"""Questions about a KPI: what moves with it, what changed with a deployment, and everything on one time axis."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Path, Query, Request

from parallelm.operations.json_values import plain
from parallelm.server.access.dependencies import require
from parallelm.server.api._labels import AskedLabels, labels_of
from parallelm.server.api._readable import READ
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, Moment, Name, Number, answers, rows
from parallelm.server.api.alerts import found_id
from parallelm.server.api.deployments import found_deployment
from parallelm.server.api.mlapps import MLAppId
from parallelm.server.context import context_of

ROUTER: Final = resource("KPIs")
_READS: Final = [Depends(require(READ))]
KpiName = Annotated[str, Path(min_length=1, max_length=500, examples=["revenue"])]


@dataclass(frozen=True, slots=True)
class KpiChoice:
    """Which points, in which buckets."""

    labels: dict[str, str]
    kpi_aggregation: Literal["mean", "sum"] | None
    bucket: str
    timezone: str | None

    def options(self) -> dict[str, Any]:
        """As the queries take them."""
        return asdict(self)


def _choice(
    label: AskedLabels = None,
    aggregation: Annotated[
        Literal["mean", "sum"] | None, Query(description="How several label sets are taken together.")
    ] = None,
    bucket: Annotated[str, Query(max_length=20, examples=["1D", "6h", "30min"])] = "1D",
    timezone: Annotated[
        str | None, Query(max_length=100, description="Whose clock cuts days and hours; UTC.")
    ] = None,
) -> KpiChoice:
    return KpiChoice(labels_of(label), aggregation, bucket, timezone)


Choice = Annotated[KpiChoice, Depends(_choice)]


class Correlation(Answer):
    """A statistic beside the KPI, at its best lag."""

    node_id: str
    statistic: str
    labels: Any
    aggregation: str
    lag: int
    """Buckets by which the statistic comes first."""
    r: Number | None
    n: int
    n_effective: Number | None
    p: Number | None
    p_adjusted: Number | None
    deviation: Number | None
    effect: Number | None
    effect_low: Number | None
    effect_high: Number | None
    verdict: str
    in_words: str


class Correlations(Answer):
    """Statistics beside a KPI, the surest first."""

    correlations: list[Correlation]
    removed: list[str]
    """What was removed from all series before they were compared."""
    tests: int
    """`p_adjusted` accounts for so many."""
    notes: list[str]


class KpiChange(Answer):
    """What changed, beyond season and trend."""

    effect: Number
    low: Number
    high: Number
    expected: Number
    naive: Number
    before_mean: Number
    after_mean: Number
    before: int
    after: int
    autocorrelation: Number
    removed: list[str]


class Impact(Answer):
    """A KPI before and after a moment."""

    kpi: str
    what: str
    change: KpiChange | None
    """Null: too short to tell."""
    sentences: list[str]
    notes: list[str]
    model: str
    """How it was estimated."""


class KpiTimeline(Answer):
    """Everything of a KPI on one time axis."""

    kpi: str
    start: Moment
    end: Moment
    width_ms: int
    points: list[dict[str, Any]]
    """`time`, `value`."""
    statistics: list[dict[str, Any]]
    """`node_id`, `statistic`, `labels`, `aggregation`, `time`, `value`."""
    models: list[dict[str, Any]]
    """`node_id`, `model`, `model_id`, `live_from`, `live_to`."""
    alerts: list[dict[str, Any]]
    notes: list[str]


@ROUTER.get("/mlapps/{mlapp_id}/kpis/{kpi}/correlations", dependencies=_READS)
def correlate_kpi(
    request: Request,
    mlapp_id: MLAppId,
    kpi: KpiName,
    choice: Choice,
    max_lag: Annotated[int, Query(ge=0, le=100)] = 7,
    statistic: Annotated[
        list[Name] | None, Query(max_length=100, description="Only these; repeated.")
    ] = None,
    holiday: Annotated[
        list[Annotated[str, Query(max_length=20)]] | None,
        Query(max_length=500, description="A day apart; repeated."),
    ] = None,
    keep: Annotated[list[Literal["season", "trend"]] | None, Query(max_length=2)] = None,
    correction: Annotated[Literal["holm", "fdr_bh"], Query()] = "holm",
    all_lags: Annotated[bool, Query()] = False,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
) -> Correlations:
    """Statistics that move with the KPI once season and trend are removed from both."""
    from parallelm.warehouse.queries import correlate

    found = correlate(
        context_of(request).settings,
        kpi,
        mlapp_id=mlapp_id,
        **choice.options(),
        max_lag=max_lag,
        statistics=statistic or (),
        holidays=holiday or (),
        keep=keep or (),
        correction=correction,
        all_lags=all_lags,
        start=from_,
        end=to,
    )
    return Correlations(
        correlations=answers(Correlation, rows(found.table)),
        removed=list(found.removed),
        tests=found.tests,
        notes=list(found.notes),
    )


@ROUTER.get("/mlapps/{mlapp_id}/kpis/{kpi}/impact", dependencies=_READS)
def get_kpi_impact(
    request: Request,
    mlapp_id: MLAppId,
    kpi: KpiName,
    choice: Choice,
    deployment_id: Annotated[
        Name | None, Query(description="When the model of this deployment went live.")
    ] = None,
    alert_id: Annotated[Name | None, Query(description="When this alert fired.")] = None,
    at: Annotated[AskedTime | None, Query(description="At this time; one of the three.")] = None,
    before: Annotated[int, Query(ge=1, le=1000, description="Buckets before the change.")] = 120,
    after: Annotated[int, Query(ge=1, le=1000, description="Buckets from the change on.")] = 60,
    holiday: Annotated[list[Annotated[str, Query(max_length=20)]] | None, Query(max_length=500)] = None,
) -> Impact:
    """The KPI before and after a moment, beyond season and trend."""
    from parallelm.warehouse.queries import impact

    found = impact(
        context_of(request).settings,
        kpi,
        deployment_id=deployment_id and found_deployment(request, mlapp_id, deployment_id)["deployment_id"],
        alert_id=alert_id and found_id(request, mlapp_id, alert_id),
        at=at,
        mlapp_id=mlapp_id,
        **choice.options(),
        before=before,
        after=after,
        holidays=holiday or (),
    )
    return Impact.model_validate(found)


@ROUTER.get("/mlapps/{mlapp_id}/kpis/{kpi}/timeline", dependencies=_READS)
def get_kpi_timeline(
    request: Request,
    mlapp_id: MLAppId,
    kpi: KpiName,
    choice: Choice,
    statistic: Annotated[
        list[Name] | None,
        Query(max_length=50, description="Without any, those that go with the KPI most surely."),
    ] = None,
    node_id: Annotated[Name | None, Query(description="Only models and alerts of this node.")] = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
) -> KpiTimeline:
    """The KPI, statistics, live models and alerts."""
    from parallelm.warehouse.queries import timeline

    found = timeline(
        context_of(request).settings,
        kpi,
        mlapp_id=mlapp_id,
        **choice.options(),
        statistics=statistic,
        node_id=node_id,
        start=from_,
        end=to,
    )
    return KpiTimeline(
        kpi=found.kpi,
        start=found.start.to_pydatetime(),
        end=found.end.to_pydatetime(),
        width_ms=round(found.width.total_seconds() * 1000),
        points=plain(rows(found.points)),
        statistics=plain(rows(found.statistics)),
        models=plain(rows(found.models)),
        alerts=plain(rows(found.alerts)),
        notes=list(found.notes),
    )
