"""``mlops.mlapps``: one row a version of a definition, and one for the removal of an MLApp."""

from __future__ import annotations

from parallelm.schemas import records, topics
from parallelm.sinks.columns import columns_of
from parallelm.sinks.record_rows import TableSpec
from parallelm.sinks.versions import IS_DELETED, Version, version_of

_NOT_STORED = (
    "parameters_json",
    "node_policies",
    "rules.match_labels",
    "rules.keep_firing_for_ms",
    "rules.labels",
    "rules.annotations",
)
"""They are in ``source_yaml``."""


def _removed(mlapp_id: str, arrived_at_ms: int) -> list[Version]:
    policy = records.Policy(
        model_policy=records.ModelPolicy.ALWAYS_UPDATE,
        health_threshold=0.0,
        canary_threshold=0.0,
        accept_timeout_ms=0,
    )
    empty = records.MLAppDefinition(
        event_time_ms=arrived_at_ms,
        mlapp_id=mlapp_id,
        name="",
        description="",
        version=0,
        applied_by="",
        nodes=(),
        policy=policy,
        rules=(),
        source_yaml="",
        stage="",
    )
    return [Version(empty, is_deleted=True)]


TABLE = TableSpec(
    topics.MLAPPS,
    table="mlapps",
    columns=columns_of(records.MLAppDefinition, "record", leave_out=_NOT_STORED) | IS_DELETED,
    sources=version_of,
    tombstone=_removed,
)
