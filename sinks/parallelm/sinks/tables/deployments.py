"""``mlops.deployments``: one row a transition; a repeated one replaces it."""

from __future__ import annotations

from parallelm.schemas import records, topics
from parallelm.sinks.columns import columns_of
from parallelm.sinks.record_rows import TableSpec

TABLE = TableSpec(
    topics.DEPLOYMENTS,
    table="deployment_transitions_log",
    columns=columns_of(records.DeploymentTransition),
    replaceable=True,
)
