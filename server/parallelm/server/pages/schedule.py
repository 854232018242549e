"""The schedule: a week of what ran, with how it ended, and what is due."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse

from parallelm.operations.schedule import schedules
from parallelm.server.access.dependencies import Asking, allow, require
from parallelm.server.context import context_of
from parallelm.server.pages import Page
from parallelm.server.pages._moments import day_of
from parallelm.server.pages.filters import zone_of
from parallelm.server.pages.rendering import render
from parallelm.warehouse.queries import mlapp_life, run_rows

ROUTER: Final = APIRouter(dependencies=[Depends(require("mlapps.read", anywhere=True))])
PAGE: Final = Page("Schedule", "/schedule", "mlapps.read", place=52)
_DAYS: Final = 7
_MOST_OF_A_DAY: Final = 6
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Due:
    """Something in a cell: a run, or a time that comes."""

    at_ms: int
    state: str
    """Of a run; empty for what is due."""
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A node and its week."""

    mlapp_id: str
    node_id: str
    told: str
    """Its cron expression and zone."""
    is_launched: bool
    days: tuple[tuple[Due, ...], ...]
    """The latest of a day are left out beyond ``_MOST_OF_A_DAY``."""
    more: tuple[int, ...]
    """How many are left out."""


@ROUTER.get("/schedule")
def schedule(
    request: Request,
    asking: Asking,
    week: Annotated[str, Query(pattern=r"^(\d{4}-\d{2}-\d{2})?$")] = "",
    mlapp_id: Annotated[str, Query(max_length=500)] = "",
) -> HTMLResponse:
    """The week that a day is in, in the viewer's zone; this one without a day."""
    if mlapp_id:
        allow(asking, "mlapps.read", mlapp_id)
    zone = zone_of(request.cookies.get("zone", "UTC"))
    today = datetime.now(zone).date()
    monday = _monday(day_of(_day(week) or today))
    midnights = [
        datetime.combine(monday + timedelta(days=n), datetime.min.time(), zone) for n in range(_DAYS + 1)
    ]
    bounds = [(each - _EPOCH) // timedelta(milliseconds=1) for each in midnights]
    only = frozenset({mlapp_id}) if mlapp_id else asking.mlapps("mlapps.read")
    values = {
        "rows": _rows(request, only, bounds),
        "days": [each.date() for each in midnights[:-1]],
        "today": today,
        "monday": monday,
        "previous": monday - timedelta(days=_DAYS),
        "next": monday + timedelta(days=_DAYS),
        "only": mlapp_id,
    }
    return render(request, "schedule.html", values)


def _rows(request: Request, only: frozenset[str] | None, bounds: list[int]) -> list[Row]:
    settings = context_of(request).settings
    now_ms = time.time_ns() // 1_000_000
    # What was due before is told by the runs.
    planned = schedules(settings, max(bounds[0], now_ms), bounds[-1], mlapp_ids=only)
    ran: dict[tuple[str, str], list[dict[str, Any]]] = {}
    bound = {"start": _moment(bounds[0]), "end": _moment(bounds[-1])}
    for row in run_rows(settings, mlapp_id=only, trigger="schedule", **bound):
        ran.setdefault((row["mlapp_id"], row["node_id"]), []).append(row)
    life = mlapp_life(settings, only)
    found = {(each.mlapp_id, each.node_id): each for each in planned}
    rows = []
    for mlapp_id, node_id in sorted({*found, *ran}):
        plan = found.get((mlapp_id, node_id))
        entries = [
            Due(_ms(row["due_at"]), row["state"], row["run_id"]) for row in ran.get((mlapp_id, node_id), ())
        ]
        entries += [Due(due, "") for due in (plan.due_ms if plan else ()) if due > now_ms]
        days = _by_day(entries, bounds)
        told = f"{plan.cron} {plan.timezone}" if plan else "no longer scheduled"
        is_launched = life.get(mlapp_id, {"state": ""})["state"] == "launched"
        cut = tuple(day[:_MOST_OF_A_DAY] for day in days)
        more = tuple(max(0, len(day) - _MOST_OF_A_DAY) for day in days)
        rows.append(Row(mlapp_id, node_id, told, is_launched, cut, more))
    return rows


def _by_day(entries: Iterable[Due], bounds: list[int]) -> list[tuple[Due, ...]]:
    ordered = sorted(entries, key=lambda due: due.at_ms)
    return [
        tuple(due for due in ordered if bounds[day] <= due.at_ms < bounds[day + 1]) for day in range(_DAYS)
    ]


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _moment(at_ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=at_ms)


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
