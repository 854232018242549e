"""``mlops.agents``: one row a state of an agent, and one for the removal of an agent."""

from __future__ import annotations

from parallelm.schemas import records, topics
from parallelm.sinks.columns import columns_of
from parallelm.sinks.record_rows import TableSpec
from parallelm.sinks.versions import IS_DELETED, Version, version_of


def _removed(agent_id: str, arrived_at_ms: int) -> list[Version]:
    empty = records.AgentState(
        event_time_ms=arrived_at_ms, agent_id=agent_id, hostname="", version="", labels={}, pipelines=()
    )
    return [Version(empty, is_deleted=True)]


TABLE = TableSpec(
    topics.AGENTS,
    table="agents",
    columns=columns_of(records.AgentState, "record") | IS_DELETED,
    sources=version_of,
    tombstone=_removed,
)
