"""The schedule: a week of what ran, with how it ended, and what is due."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse

from parallelm.operations.schedule import planned_nodes, schedules
from parallelm.server.access.dependencies import Asking, allow, require
from parallelm.server.context import context_of
from parallelm.server.pages import Page
from parallelm.server.pages._moments import day_of
from parallelm.server.pages.filters import zone_of
from parallelm.server.pages.rendering import render
from parallelm.warehouse.queries import mlapp_life
from parallelm.warehouse.queries.node_runs import scheduled_nodes, scheduled_runs

if TYPE_CHECKING:
    from parallelm.connections import Settings

ROUTER: Final = APIRouter(dependencies=[Depends(require("mlapps.read", anywhere=True))])
PAGE: Final = Page("Schedule", "/schedule", "mlapps.read", place=52)
_DAYS: Final = 7
_MOST_OF_A_DAY: Final = 6
_ROWS: Final = 50
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
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
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
    settings = context_of(request).settings
    nodes = sorted(
        {*scheduled_nodes(settings, bounds[0], bounds[-1], mlapp_id=only), *planned_nodes(settings, only)}
    )
    first = (page - 1) * _ROWS
    values = {
        "rows": _rows(settings, nodes[first : first + _ROWS], bounds),
        "first": first,
        "total": len(nodes),
        "page": page,
        "is_last": first + _ROWS >= len(nodes),
        "days": [each.date() for each in midnights[:-1]],
        "today": today,
        "monday": monday,
        "previous": monday - timedelta(days=_DAYS),
        "next": monday + timedelta(days=_DAYS),
        "only": mlapp_id,
    }
    return render(request, "schedule.html", values)


def _rows(settings: Settings, nodes: Sequence[tuple[str, str]], bounds: Sequence[int]) -> list[Row]:
    now_ms = time.time_ns() // 1_000_000
    mlapps = sorted({mlapp_id for mlapp_id, _ in nodes})
    # What was due before is told by the runs.
    planned = schedules(settings, max(bounds[0], now_ms + 1), bounds[-1], mlapp_ids=mlapps, only=nodes)
    plans = {(each.mlapp_id, each.node_id): each for each in planned}
    ran: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in scheduled_runs(settings, nodes, bounds, most=_MOST_OF_A_DAY):
        ran.setdefault((row["mlapp_id"], row["node_id"]), []).append(row)
    life = mlapp_life(settings, mlapps)
    return [
        Row(
            *each,
            f"{plans[each].cron} {plans[each].timezone}" if each in plans else "no longer scheduled",
            life.get(each[0], {"state": ""})["state"] == "launched",
            *_by_day(ran.get(each, ()), plans[each].due_ms if each in plans else (), bounds),
        )
        for each in nodes
    ]


def _by_day(
    ran: Iterable[Mapping[str, Any]], coming_ms: Sequence[int], bounds: Sequence[int]
) -> tuple[tuple[tuple[Due, ...], ...], tuple[int, ...]]:
    """What stands in each cell, the runs before what comes, and how much of it is left out."""
    days: list[list[Due]] = [[] for _ in range(_DAYS)]
    counts = [0] * _DAYS
    for row in ran:
        day = bisect_right(bounds, row["due_ms"]) - 1
        days[day].append(Due(row["due_ms"], row["state"], row["run_id"]))
        counts[day] = row["of_day"]
    for due_ms in coming_ms:
        day = bisect_right(bounds, due_ms) - 1
        days[day].append(Due(due_ms, ""))
        counts[day] += 1
    cells = [tuple(sorted(day, key=lambda due: due.at_ms)[:_MOST_OF_A_DAY]) for day in days]
    return tuple(cells), tuple(count - len(cell) for count, cell in zip(counts, cells, strict=True))


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
