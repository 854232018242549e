"""Time passed, or agents came and went: what is due begins, what waits is given to agents, what runs is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.stream_processors.scheduling import cycles, services, starting, timetable, watching

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.stream_processors.scheduling.work import Work


def on_tick(work: Work, node_ids: Iterable[str]) -> None:
    """These nodes are due, or their agents have changed. Afterwards nothing is due at this time any more."""
    for node_id in node_ids:
        plan = work.plan(node_id)
        if plan is not None:
            timetable.on_time(work, plan)
        watching.watch(work, node_id)
    settle(work)


def settle(work: Work) -> None:
    """After any input: nodes that follow are due, services are kept up, and runs that wait get agents."""
    while True:
        cycles.follow(work)
        for plan in work.app.plans:
            services.keep_up(work, plan)
            starting.begin_waiting(work, plan)
        if not work.ended:
            return
