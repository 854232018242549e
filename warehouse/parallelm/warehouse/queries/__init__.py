"""Questions to the warehouse, as functions that return DataFrames; times are UTC.

``last_deployed_model`` needs nothing but the driver, all others pandas. They raise the driver's errors when ClickHouse
is away, and ``QueryError`` when a question cannot be answered as it was put.
"""

from parallelm.warehouse.queries._frames import query_frame, time_column
from parallelm.warehouse.queries.alerts import alerts
from parallelm.warehouse.queries.correlate import correlate
from parallelm.warehouse.queries.dead_letters import DeadLetterRecord, dead_letter_records, dead_letters
from parallelm.warehouse.queries.events import events
from parallelm.warehouse.queries.kpis import kpi_revisions, kpis
from parallelm.warehouse.queries.models import DeployedModel, deployments, last_deployed_model, models
from parallelm.warehouse.queries.statistics import (
    histograms,
    statistic_counts,
    statistics,
    statistics_rollup,
    structured_statistics,
)

__all__ = [
    "DeadLetterRecord",
    "DeployedModel",
    "alerts",
    "correlate",
    "dead_letter_records",
    "dead_letters",
    "deployments",
    "events",
    "histograms",
    "kpi_revisions",
    "kpis",
    "last_deployed_model",
    "models",
    "query_frame",
    "statistic_counts",
    "statistics",
    "statistics_rollup",
    "structured_statistics",
    "time_column",
]
