"""What people have done: the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._frames import Conditions, limit_clause, records

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.schemas.times import Time


def actions(
    settings: Settings,
    *,
    mlapp_id: str | None = None,
    who: str | None = None,
    action: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Actions, the latest first.

    Keys: ``event_time, action_id, mlapp_id, who, authenticated_by, action, node_id, model_id, target, comment, parameters, ingested_at``.
    """
    where = Conditions().equal(mlapp_id=mlapp_id, who=who, action=action).between("event_time", start, end)
    return records(
        settings,
        f"""
        SELECT event_time, action_id, mlapp_id, who, authenticated_by, action, node_id, model_id, target, comment, parameters, ingested_at
        FROM actions {where}
        ORDER BY event_time DESC, action_id
        {limit_clause(limit)}
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
    )
