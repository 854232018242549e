"""What people have done: the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._frames import Conditions, frame, limit_clause, records

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.queries._frames import OneOrMore
    from parallelm.warehouse.queries._keyset import Keyset


def actions(
    settings: Settings,
    *,
    mlapp_id: str | None = None,
    mlapps: Collection[str] | None = None,
    who: str | None = None,
    action: str | None = None,
    action_id: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Actions, the latest first; of ``mlapps`` only, where they are named.

    Keys: ``event_time, action_id, mlapp_id, who, authenticated_by, action, node_id, model_id, target, comment, parameters, imported_from,
    ingested_at``.
    """
    where = Conditions().equal(mlapp_id=mlapp_id, who=who, action=action, action_id=action_id)
    where.between("event_time", start, end)
    return records(
        settings,
        f"""
        SELECT event_time, action_id, mlapp_id, who, authenticated_by, action, node_id, model_id, target, comment,
               parameters, imported_from, ingested_at
        FROM (SELECT * FROM actions {where})
        WHERE %(all)s OR has(%(mlapps)s, mlapp_id)
        ORDER BY event_time DESC, action_id
        {limit_clause(limit)}
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters | {"all": mlapps is None, "mlapps": ["", *(mlapps or ())]},
    )


def action_names(settings: Settings) -> list[str]:
    """Kinds of actions that were ever taken."""
    return [
        row["action"] for row in records(settings, "SELECT DISTINCT action FROM actions ORDER BY action", {})
    ]


def action_log(
    settings: Settings,
    *,
    mlapp_id: OneOrMore | None = None,
    who: str | None = None,
    action: str | None = None,
    target: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """Actions in the order in which Kafka took them, with the columns of ``actions``."""
    where = Conditions().equal(mlapp_id=mlapp_id, who=who, action=action, target=target)
    where.between("event_time", start, end)
    return frame(
        settings,
        f"""
        SELECT event_time, action_id, mlapp_id, who, authenticated_by, action, node_id, model_id, target, comment,
               parameters, imported_from, ingested_at{page.places if page else ""}
        FROM actions {where}
        ORDER BY ingested_at, _partition, _offset
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
        page,
    )
