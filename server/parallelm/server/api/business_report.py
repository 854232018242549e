"""Business report: a week, a month or a quarter in numbers, each beside that of the period before."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final

from fastapi import Depends, Query, Request

from parallelm.operations.business_report import MLAppNumbers, Period, business_report, calendar_of
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._readable import READ
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, Moment, Number
from parallelm.server.context import context_of

ROUTER: Final = resource("business report")


class PeriodNumbers(Answer):
    """What happened in a period."""

    models: int
    """Models trained."""
    deployed: int
    rolled_back: int
    predictions: Number
    alerts: dict[str, int]
    """Alerts that fired, by severity."""


class MLAppInPeriod(PeriodNumbers):
    """What happened to an MLApp."""

    mlapp_id: str
    is_new: bool
    """Whether it was defined in this period."""
    before: PeriodNumbers


class KpiInPeriod(Answer):
    """The mean of a KPI over all its points; NaN where there are none."""

    mlapp_id: str
    name: str
    mean: Number
    points: int
    mean_before: Number
    points_before: int
    change: Number
    """Share by which the mean differs from that of the period before; NaN where it cannot be told."""


class BusinessReport(Answer):
    """A period and the one before."""

    period: str
    start: Moment
    end: Moment
    total: PeriodNumbers
    total_before: PeriodNumbers
    mlapps: list[MLAppInPeriod]
    kpis: list[KpiInPeriod]


@ROUTER.get("/business-report", dependencies=[Depends(require(READ, anywhere=True))])
def get_business_report(
    request: Request,
    asking: Asking,
    period: Annotated[Period, Query()] = "month",
    day: Annotated[date | None, Query(description="A day of the period; today.")] = None,
    timezone: Annotated[
        str, Query(max_length=100, description="Whose calendar.", examples=["Europe/Berlin"])
    ] = "UTC",
) -> BusinessReport:
    """What happened to the MLApps that somebody may read."""
    zone, mlapps = calendar_of(timezone), asking.mlapps(READ)
    found = business_report(context_of(request).settings, period, day, zone=zone, mlapps=mlapps)
    nothing = MLAppNumbers()
    return BusinessReport(
        period=found.period,
        start=found.start,
        end=found.end,
        total=PeriodNumbers.model_validate(found.total),
        total_before=PeriodNumbers.model_validate(found.total_before),
        mlapps=[
            MLAppInPeriod(
                mlapp_id=mlapp_id,
                is_new=each.new,
                before=PeriodNumbers.model_validate(found.before.get(mlapp_id, nothing)),
                **_numbers(each),
            )
            for mlapp_id, each in sorted(found.now.items())
        ],
        kpis=[KpiInPeriod.model_validate(each) for each in found.kpis],
    )


def _numbers(found: MLAppNumbers) -> dict[str, Any]:
    return {name: getattr(found, name) for name in PeriodNumbers.model_fields}
