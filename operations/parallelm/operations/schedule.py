"""When nodes are to run by their schedules, from the definitions in force."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from parallelm.definitions.due_times import due_times, jitter_ms
from parallelm.definitions.running import ScheduleForm

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

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
    settings: Settings,
    start_ms: int,
    end_ms: int,
    *,
    mlapp_ids: Iterable[str] | None = None,
    only: Collection[tuple[str, str]] | None = None,
    after: tuple[str, str] | None = None,
    most_nodes: int | None = None,
    most_of_a_node: int = MOST_OF_A_NODE,
) -> list[NodeSchedule]:
    """Nodes with a schedule, by MLApp and node, with the times from start to before the end at which they are due.

    ``only`` are MLApps and nodes; with ``after`` those behind this one.
    """
    found: list[NodeSchedule] = []
    for row, written in _scheduled(settings, mlapp_ids):
        if most_nodes is not None and len(found) == most_nodes:
            break
        if after is not None and (row["mlapp_id"], row["node_id"]) <= after:
            continue
        if only is not None and (row["mlapp_id"], row["node_id"]) not in only:
            continue
        schedule = ScheduleForm.model_validate(written)
        later = jitter_ms(schedule, row["mlapp_id"], row["node_id"])
        times = due_times(schedule, start_ms - later - 1, end_ms - later - 1)
        first = [due + later for due in itertools.islice(times, most_of_a_node + 1)]
        found.append(
            NodeSchedule(
                row["mlapp_id"],
                row["node_id"],
                schedule.cron,
                schedule.timezone,
                tuple(first[:most_of_a_node]),
                len(first) > most_of_a_node,
            )
        )
    return found


def planned_nodes(settings: Settings, mlapp_ids: Iterable[str] | None = None) -> list[tuple[str, str]]:
    """``(mlapp_id, node_id)`` of nodes with a schedule."""
    return [(row["mlapp_id"], row["node_id"]) for row, _ in _scheduled(settings, mlapp_ids)]


def _scheduled(settings: Settings, mlapp_ids: Iterable[str] | None) -> Iterator[tuple[dict[str, Any], Any]]:
    """Nodes that agents run, each with its schedule as it is written."""
    from parallelm.warehouse.queries.runs import running_forms

    for row in running_forms(settings, None if mlapp_ids is None else list(mlapp_ids)):
        written = json.loads(row["running_json"] or "{}").get("schedule")
        if written is not None:
            yield row, written
