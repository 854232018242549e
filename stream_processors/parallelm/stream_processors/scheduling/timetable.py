"""Runs that are due by a schedule, and those whose time passed while nobody could begin them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from parallelm.definitions.due_times import due_times, jitter_ms, next_due
from parallelm.definitions.durations import format_duration
from parallelm.schemas.well_known import BY_SCHEDULE
from parallelm.stream_processors.scheduling import cycles

if TYPE_CHECKING:
    from parallelm.definitions.running import ScheduleForm
    from parallelm.stream_processors.scheduling.plans import NodePlan
    from parallelm.stream_processors.scheduling.work import Work

ON_TIME_MS = 30_000
"""A time that is handled so soon after it has not been missed. Less than a minute: only one is on time at a time."""
MAX_LISTED = 100
"""Missed times that are reported, and run, one by one; earlier ones are reported together."""
_FIRST_LOOK_MS = 3_600_000


def plan_next(work: Work, plan: NodePlan, *, after_ms: int | None = None) -> None:
    """Set when a node is due next: after ``after_ms``, or after what was handled already."""
    node, schedule = work.node(plan.node_id), plan.running.schedule
    scheduled_ms = node.scheduled_ms if after_ms is None else after_ms
    next_ms = None
    if schedule is not None and not plan.is_online and work.begins_runs and not node.paused:
        next_ms = next_due(schedule, scheduled_ms)
    jitter = jitter_ms(schedule, work.app.mlapp_id, plan.node_id) if schedule is not None else 0
    work.put(replace(node, scheduled_ms=scheduled_ms, next_due_ms=0 if next_ms is None else next_ms + jitter))


def on_time(work: Work, plan: NodePlan) -> None:
    """Begin, or report as missed, every run that was due since the last time."""
    node, schedule = work.node(plan.node_id), plan.running.schedule
    if schedule is None or not node.next_due_ms or node.next_due_ms > work.now_ms:
        return
    until_ms = work.now_ms - jitter_ms(schedule, work.app.mlapp_id, plan.node_id)
    times, earlier = _passed(schedule, node.scheduled_ms, until_ms)
    if not times:
        plan_next(work, plan)
        return
    plan_next(work, plan, after_ms=times[-1])
    if earlier is not None:
        why = (
            f"it and every other time that was due before {_iso(times[0])} passed while the control plane was away or "
            "the node was paused"
        )
        cycles.begin(work, plan, BY_SCHEDULE, str(earlier), due_ms=earlier, missed=why)
    for due_ms in times:
        missed = _missed(schedule, due_ms, until_ms, is_last=due_ms == times[-1])
        cycles.begin(work, plan, BY_SCHEDULE, str(due_ms), due_ms=due_ms, missed=missed)


def catch_up(work: Work) -> None:
    """What was due until now is due whatever follows: before schedules change, or somebody pauses or stops them."""
    for plan in work.app.plans:
        on_time(work, plan)


def _missed(schedule: ScheduleForm, due_ms: int, until_ms: int, *, is_last: bool) -> str:
    late_ms = until_ms - due_ms
    if schedule.deadline and late_ms > schedule.deadline:
        return f"nobody could begin it within {format_duration(schedule.deadline)}, its deadline"
    if late_ms <= ON_TIME_MS or schedule.missed == "run_all" or (schedule.missed == "run_last" and is_last):
        return ""
    return (
        "its time passed while the control plane was away or the node was paused "
        f"(schedule.missed: {schedule.missed})"
    )


def _passed(schedule: ScheduleForm, after_ms: int, until_ms: int) -> tuple[list[int], int | None]:
    """The last times until now, in order, and the first of those before them when there are more."""
    found = list(itertools.islice(due_times(schedule, after_ms, until_ms), MAX_LISTED + 1))
    if len(found) <= MAX_LISTED:
        return found, None
    first, span_ms = found[0], _FIRST_LOOK_MS
    while True:
        last = list(due_times(schedule, max(after_ms, until_ms - span_ms), until_ms))
        if len(last) >= MAX_LISTED or until_ms - span_ms <= after_ms:
            return last[-MAX_LISTED:], first
        span_ms *= 4


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1_000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
