"""When nodes are to run by their schedules, from the definitions in force."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parallelm.definitions.due_times import due_times, jitter_ms
from parallelm.definitions.running import ScheduleForm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.connections import Settings

MOST_OF_A_NODE: Final = 2_000
"""Due times of one node that are told; a schedule of every minute has 10,080 in a week."""


@dataclass(frozen=True, slots=True)
class NodeSchedule:
    """A node that runs by a schedule, and when it is due."""

    mlapp_id: str
    node_id: str
    cron: str
    timezone: str
    due_ms: tuple[int, ...]
    """Within the range that was asked for, jitter added."""
    is_cut: bool
    """There are more."""


def schedules(
    settings: Settings, start_ms: int, end_ms: int, *, mlapp_ids: Iterable[str] | None = None
) -> list[NodeSchedule]:
    """Nodes with a schedule, by MLApp and node, with the times from start to before the end at which they are due."""
    from parallelm.warehouse.queries.runs import running_forms

    found = []
    for row in running_forms(settings, None if mlapp_ids is None else list(mlapp_ids)):
        written = json.loads(row["running_json"] or "{}").get("schedule")
        if written is None:
            continue
        schedule = ScheduleForm.model_validate(written)
        later = jitter_ms(schedule, row["mlapp_id"], row["node_id"])
        times = due_times(schedule, start_ms - later - 1, end_ms - later - 1)
        first = [due + later for due in itertools.islice(times, MOST_OF_A_NODE + 1)]
        found.append(
            NodeSchedule(
                row["mlapp_id"],
                row["node_id"],
                schedule.cron,
                schedule.timezone,
                tuple(first[:MOST_OF_A_NODE]),
                len(first) > MOST_OF_A_NODE,
            )
        )
    return found
