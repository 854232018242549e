"""What an erasure asks before it begins, and what has become of earlier ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse.erasure import OfMLApp, rows_since

if TYPE_CHECKING:
    from parallelm.connections import Settings

_OF_MLAPP: Final = str(OfMLApp(""))
_UNFINISHED = """
SELECT argMax(action, (ingested_at, _offset)) = 'begin_erase'
FROM actions
WHERE mlapp_id = '*' AND action IN ('begin_erase', 'erase') AND target = %(target)s
"""
_ERASED = """
SELECT target, toUnixTimestamp64Milli(maxIf(ingested_at, action = 'begin_erase')) AS moment_ms,
       argMax(action, (ingested_at, _offset)) = 'erase' AS is_done
FROM actions
WHERE mlapp_id = '*' AND action IN ('begin_erase', 'erase')
GROUP BY target ORDER BY target
"""
_DEFINED = "SELECT mlapp_id FROM mlapps_current"
_MODELS = "SELECT DISTINCT model_id FROM models_log WHERE mlapp_id = %(mlapp_id)s ORDER BY model_id"
_MLAPPS = "SELECT DISTINCT mlapp_id FROM models_log UNION DISTINCT SELECT DISTINCT mlapp_id FROM mlapps"


def is_unfinished(settings: Settings, target: str) -> bool:
    """Whether the last erasure of this was begun and has not come to its end, as far as sinks have stored."""
    with clickhouse_client(settings.clickhouse) as client:
        ((unfinished,),) = client.execute(_UNFINISHED, {"target": target})
        return bool(unfinished)


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased, and what has come of it since."""

    target: str
    is_done: bool
    """False: it was begun and did not come to its end."""
    rows_since: int
    """Of an MLApp that is not defined: something still reports it."""


def erased(settings: Settings) -> list[Erased]:
    """All erasures, as far as the audit log reaches back; rows since are those of MLApps, labels are not looked for."""
    with clickhouse_client(settings.clickhouse) as client:
        found = client.execute(_ERASED)
        defined = {mlapp_id for (mlapp_id,) in client.execute(_DEFINED)}
    moments = {
        target.removeprefix(_OF_MLAPP): moment_ms
        for target, moment_ms, is_done in found
        if is_done and target.startswith(_OF_MLAPP)
    }
    since = rows_since(settings, {key: at for key, at in moments.items() if key not in defined})
    return [
        Erased(target, bool(is_done), since.get(target.removeprefix(_OF_MLAPP), 0))
        for target, _, is_done in found
    ]


def model_ids(settings: Settings, mlapp_id: str) -> list[str]:
    """Ids of all models of an MLApp that were announced."""
    with clickhouse_client(settings.clickhouse) as client:
        return [model_id for (model_id,) in client.execute(_MODELS, {"mlapp_id": mlapp_id})]


def mlapp_ids(settings: Settings) -> list[str]:
    """Ids of all MLApps that have been defined, or have models."""
    with clickhouse_client(settings.clickhouse) as client:
        return [mlapp_id for (mlapp_id,) in client.execute(_MLAPPS)]
