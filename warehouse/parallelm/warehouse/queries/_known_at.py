"""What was known at a moment: every question asked with these settings finds only what Kafka had taken by then.

ClickHouse itself leaves out the rows that came later, wherever it reads a table for the question, be it through a view. Rollups
cannot tell: what is asked of them is asked of the samples instead, as far as retention has kept them.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from parallelm.schemas.times import TimeError, range_ms
from parallelm.warehouse.errors import QueryError

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.schemas.times import Time

ARRIVING: Final = (
    "statistics",
    "structured_statistics",
    "histograms",
    "events",
    "alert_transitions_log",
    "models_log",
    "deployment_transitions_log",
    "kpis",
    "actions",
    "mlapps",
    "agents",
    "run_transitions_log",
    "logs",
    "notifications",
    "predictions",
    "actuals",
)
"""Tables whose rows say when they arrived."""


def as_known_at(settings: Settings, at: Time | None) -> Settings:
    """Settings with which questions are answered as at a moment, its millisecond included; None: as now."""
    if at is None:
        return settings
    try:
        at_ms, _ = range_ms(at, None)
    except TimeError as error:
        raise QueryError(str(error)) from None
    clickhouse = dataclasses.replace(settings.clickhouse, known_at_ms=int(at_ms or 0))
    return dataclasses.replace(settings, clickhouse=clickhouse)


def knows_everything(settings: Settings) -> bool:
    """Whether rollups may answer."""
    return settings.clickhouse.known_at_ms is None


def arrival_filters(settings: Settings) -> dict[str, str]:
    """Settings of ClickHouse for a question."""
    at_ms = settings.clickhouse.known_at_ms
    if at_ms is None:
        return {}
    arrived = f"ingested_at <= fromUnixTimestamp64Milli(toInt64({int(at_ms)}))"
    filters = ", ".join(f"'{table}': '{arrived}'" for table in ARRIVING)
    return {"additional_table_filters": f"{{{filters}}}"}
