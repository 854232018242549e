"""From a decision back to what led to it: rows by their place on Kafka, and what else is known of the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._frames import Conditions, records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.connections import Settings

_TABLES = ("events", "kpis", "models", "actions", "mlapps", "statistics", "structured_statistics")


def rows_of_record(
    settings: Settings,
    topic: str,
    partition: int,
    offset: int,
    *,
    came_by_ms: int | None = None,
    limit: int = 20,
) -> list[dict[str, Any]]:
    """Rows that came from one record, of whichever table its topic goes to; ``topic`` with its prefix.

    A topic that was made again has other records at the same places: of several the latest that Kafka had taken by ``came_by_ms``.
    """
    table = next((name for name in _TABLES if topic.endswith(name.replace("_", "-"))), "")
    if topic.endswith("structured-statistics"):
        table = "structured_statistics"
    if not table:
        return []
    where = Conditions().equal(_topic=topic, _partition=partition, _offset=offset)
    if came_by_ms is not None:
        where.written("ingested_at <= fromUnixTimestamp64Milli(toInt64(%(came_by_ms)s), 'UTC')")
    found = records(
        settings,
        f"SELECT * FROM {table} {where} ORDER BY ingested_at DESC LIMIT %(limit)s",  # noqa: S608 - our own names
        where.parameters | {"came_by_ms": came_by_ms, "limit": limit},
    )
    return [row for row in found if row["_topic_id"] == found[0]["_topic_id"]]


def definition_at(settings: Settings, mlapp_id: str, ingested_ms: int) -> dict[str, Any] | None:
    """Row of ``mlapps`` that was in force when Kafka's clock said ``ingested_ms``; None when there was none."""
    found = records(
        settings,
        """
        SELECT * FROM mlapps
        WHERE mlapp_id = %(mlapp_id)s AND ingested_at <= fromUnixTimestamp64Milli(toInt64(%(at)s), 'UTC')
        ORDER BY ingested_at DESC, _offset DESC LIMIT 1
        """,
        {"mlapp_id": mlapp_id, "at": ingested_ms},
    )
    return found[0] if found and not found[0]["is_deleted"] else None


def samples_around(
    settings: Settings,
    *,
    mlapp_id: str,
    name: str,
    node_id: str,
    agent_id: str,
    labels: Mapping[str, Sequence[str]],
    from_ms: int,
    to_ms: int,
    limit: int = 20,
) -> list[dict[str, Any]]:
    """The last samples of a statistic up to a time: ``event_time, value, _topic, _partition, _offset``.

    ``labels`` are conditions on labels that a series has: one of the values. Empty ids mean any.
    """
    where = Conditions().equal(
        mlapp_id=mlapp_id, name=name, node_id=node_id or None, agent_id=agent_id or None
    )
    clauses, parameters = [], dict(where.parameters)
    for number, (key, values) in enumerate(labels.items()):
        clauses.append(
            f"AND (NOT mapContains(labels, %(key_{number})s) OR labels[%(key_{number})s] IN %(values_{number})s)"
        )
        parameters |= {f"key_{number}": key, f"values_{number}": tuple(values)}
    found = records(
        settings,
        f"""
        SELECT event_time, value, _topic, _partition, _offset
        FROM statistics {where} {" ".join(clauses)}
            AND event_time >= fromUnixTimestamp64Milli(toInt64(%(from_ms)s), 'UTC')
            AND event_time <= fromUnixTimestamp64Milli(toInt64(%(to_ms)s), 'UTC')
        ORDER BY event_time DESC, _partition DESC, _offset DESC, _series DESC, _index DESC
        LIMIT %(limit)s
        """,  # noqa: S608 - made of our own column names; values are parameters
        parameters | {"from_ms": from_ms, "to_ms": to_ms, "limit": limit},
    )
    return found[::-1]


def actions_on(settings: Settings, mlapp_id: str, targets: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of ``actions`` whose target is one of these, in the order in which they were recorded."""
    return records(
        settings,
        "SELECT * FROM actions WHERE mlapp_id = %(mlapp_id)s AND target IN %(targets)s ORDER BY ingested_at, _offset",
        {"mlapp_id": mlapp_id, "targets": tuple(targets)},
    )


def notifications_of(settings: Settings, transition_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Latest row of each notification about any of these transitions, in the order in which they were decided on."""
    found = records(
        settings,
        """
        SELECT * FROM notifications
        WHERE hasAny(transition_ids, %(ids)s)
        ORDER BY ingested_at DESC, _offset DESC LIMIT 1 BY notification_id
        """,
        {"ids": list(transition_ids)},
    )
    return sorted(found, key=lambda row: (row["created_at"], row["target"]))


def deployment_transitions(settings: Settings, prefix: str) -> list[dict[str, Any]]:
    """Rows of ``deployment_transitions`` whose deployment or model begins with ``prefix``, in the order in which they were recorded."""
    return records(
        settings,
        """
        SELECT * FROM deployment_transitions
        WHERE startsWith(deployment_id, %(prefix)s) OR startsWith(model_id, %(prefix)s)
        ORDER BY ingested_at, _partition, _offset
        """,
        {"prefix": prefix},
    )
