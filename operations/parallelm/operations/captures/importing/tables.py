"""Which tables are imported, in which order, as which records, and how a row is known again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.operations.captures.importing.records import (
    actuals,
    kpi_batch,
    predictions,
    record_of,
    statistics_batch,
)
from parallelm.schemas import topics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parallelm.operations.captures.importing.records import Row
    from parallelm.schemas.topics import Topic

_REPORT = ("producer_id", "seq", "event_time")
"""Rows of a record that have one event time are all within a range, or all outside it: they are known as one."""


@dataclass(frozen=True, slots=True)
class ImportedTable:
    """A table of a capture whose rows are sent again."""

    name: str
    topic: Topic
    identity: tuple[str, ...]
    """Columns whose values no other report has, in an MLApp."""
    record: Callable[[Sequence[Row]], Any]
    """The record of rows that came with one."""


def _one(topic: Topic) -> Callable[[Sequence[Row]], Any]:
    return lambda rows: record_of(topic.record, rows[0])


IMPORTED_TABLES: tuple[ImportedTable, ...] = (
    ImportedTable("mlapps", topics.MLAPPS, ("version", "event_time"), _one(topics.MLAPPS)),
    ImportedTable("models", topics.MODELS, ("model_id",), _one(topics.MODELS)),
    ImportedTable("events", topics.EVENTS, ("event_id",), _one(topics.EVENTS)),
    ImportedTable("actions", topics.ACTIONS, ("action_id",), _one(topics.ACTIONS)),
    ImportedTable("kpis", topics.KPIS, _REPORT, kpi_batch),
    ImportedTable(
        "structured_statistics", topics.STRUCTURED_STATISTICS, _REPORT, _one(topics.STRUCTURED_STATISTICS)
    ),
    ImportedTable("statistics", topics.STATISTICS, _REPORT, statistics_batch),
    ImportedTable("predictions", topics.PREDICTIONS, _REPORT, predictions),
    ImportedTable("actuals", topics.ACTUALS, _REPORT, actuals),
    ImportedTable("alert_transitions", topics.ALERTS, ("transition_id",), _one(topics.ALERTS)),
    ImportedTable("deployment_transitions", topics.DEPLOYMENTS, ("transition_id",), _one(topics.DEPLOYMENTS)),
    ImportedTable("run_transitions", topics.RUNS, ("transition_id",), _one(topics.RUNS)),
)
"""What causes decisions comes before them. ``histograms`` follow from structured statistics; ``agents`` belong to their
installation."""
