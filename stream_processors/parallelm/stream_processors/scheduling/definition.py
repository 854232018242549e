"""A definition was applied, or an MLApp was removed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from parallelm.stream_processors.scheduling import services, timetable
from parallelm.stream_processors.scheduling.plans import plans_of
from parallelm.stream_processors.scheduling.state import AppRuns, Life
from parallelm.stream_processors.scheduling.stopping import stop

if TYPE_CHECKING:
    from parallelm.schemas.records import MLAppDefinition
    from parallelm.stream_processors.scheduling.work import Work


def on_definition(work: Work, record: MLAppDefinition | None) -> None:
    """What has gone is stopped; a changed schedule counts from now on; services start anew when they have changed."""
    before = work.app
    timetable.catch_up(work)
    if record is None:
        work.app = AppRuns(before.mlapp_id, life=Life.REMOVED)
        _stop_gone(work, "the MLApp was removed")
        return
    life = Life.DEFINED if before.life is Life.REMOVED else before.life
    work.app = replace(before, version=record.version, name=record.name, life=life, plans=plans_of(record))
    _stop_gone(work, f"version {record.version} of the definition has removed the node")
    for plan in work.app.plans:
        earlier = before.plan(plan.node_id)
        if earlier is None or earlier.running.schedule != plan.running.schedule:
            timetable.plan_next(work, plan, after_ms=work.now_ms)
        if earlier is not None and earlier.form != plan.form:
            services.wake(work, plan.node_id)
        if earlier is not None and earlier.is_online != plan.is_online:
            for run in work.node(plan.node_id).runs:
                stop(work, plan.node_id, run, f"version {record.version} has made the node {plan.mode}")


def _stop_gone(work: Work, reason: str) -> None:
    for node in list(work.nodes.values()):
        if work.plan(node.node_id) is not None:
            continue
        for run in node.runs:
            stop(work, node.node_id, run, reason)
        left = work.node(node.node_id)
        work.put(replace(left, next_due_ms=0, services=(), cycles=(), paused=False))
