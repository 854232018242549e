"""What an erasure asks before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.connections.clickhouse import clickhouse_client

if TYPE_CHECKING:
    from parallelm.connections import Settings

_UNFINISHED = """
SELECT argMax(action, (ingested_at, _offset)) = 'begin_erase'
FROM actions
WHERE mlapp_id = '*' AND action IN ('begin_erase', 'erase') AND target = %(target)s
"""
_MODELS = "SELECT DISTINCT model_id FROM models_log WHERE mlapp_id = %(mlapp_id)s ORDER BY model_id"
_MLAPPS = "SELECT DISTINCT mlapp_id FROM models_log UNION DISTINCT SELECT DISTINCT mlapp_id FROM mlapps"


def is_unfinished(settings: Settings, target: str) -> bool:
    """Whether the last erasure of this was begun and has not come to its end, as far as sinks have stored."""
    with clickhouse_client(settings.clickhouse) as client:
        ((unfinished,),) = client.execute(_UNFINISHED, {"target": target})
        return bool(unfinished)


def model_ids(settings: Settings, mlapp_id: str) -> list[str]:
    """Ids of all models of an MLApp that were announced."""
    with clickhouse_client(settings.clickhouse) as client:
        return [model_id for (model_id,) in client.execute(_MODELS, {"mlapp_id": mlapp_id})]


def mlapp_ids(settings: Settings) -> list[str]:
    """Ids of all MLApps that have been defined, or have models."""
    with clickhouse_client(settings.clickhouse) as client:
        return [mlapp_id for (mlapp_id,) in client.execute(_MLAPPS)]
