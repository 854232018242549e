"""What was reported in a range of event time, in the order in which Kafka took it: what rules are tried on.

A sample comes as a number of its series and five other numbers: texts and labels are read once for each series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse.queries._frames import Conditions, records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time

_SORT_BYTES = 500_000_000
"""A sort that needs more memory goes over the server's disk."""
_SERIES = "sipHash64(name, node_id, pipeline_instance_id, agent_id, model_id, toString(labels))"


class SampleRow(NamedTuple):
    """One sample."""

    ingested_ms: int
    topic: str
    partition: int
    offset: int
    series: int
    event_ms: int
    value: float


def statistic_names(
    settings: Settings, *, mlapp_id: str, start: Time | None = None, end: Time | None = None
) -> list[str]:
    """Names of the statistics that were reported."""
    where = Conditions().equal(mlapp_id=mlapp_id).between("event_time", start, end)
    query = f"SELECT DISTINCT name FROM statistics {where} ORDER BY name"  # noqa: S608 - values are parameters
    found = records(settings, query, where.parameters)
    return [row["name"] for row in found]


def past_series(
    settings: Settings,
    names: Sequence[str],
    *,
    mlapp_id: str,
    start: Time | None = None,
    end: Time | None = None,
) -> list[dict[str, Any]]:
    """Series of these statistics: ``series, name, node_id, pipeline_instance_id, agent_id, model_id, labels, samples``."""
    where, parameters = _where(names, mlapp_id, start, end)
    return records(
        settings,
        f"""
        SELECT series, any(sample.name) AS name, any(sample.node_id) AS node_id,
               any(sample.pipeline_instance_id) AS pipeline_instance_id, any(sample.agent_id) AS agent_id,
               any(sample.model_id) AS model_id, any(sample.labels) AS labels, count() AS samples
        FROM (SELECT *, {_SERIES} AS series FROM statistics {where}) AS sample
        GROUP BY series
        """,  # noqa: S608 - made of our own column names; values are parameters
        parameters,
    )


def past_samples(
    settings: Settings,
    names: Sequence[str],
    *,
    mlapp_id: str,
    start: Time | None = None,
    end: Time | None = None,
) -> Iterator[SampleRow]:
    """Samples of these statistics by the time at which Kafka took their records, and by their places in them.

    They are streamed: neither side holds all of them. Raises the driver's errors.
    """
    where, parameters = _where(names, mlapp_id, start, end)
    client = clickhouse_client(settings.clickhouse)
    try:
        rows = client.execute_iter(
            f"""
            SELECT toUnixTimestamp64Milli(ingested_at), _topic, _partition, _offset, {_SERIES},
                   toUnixTimestamp64Milli(event_time), value
            FROM statistics {where}
            ORDER BY ingested_at, _topic, _partition, _offset, _series, _index
            SETTINGS max_bytes_before_external_sort = {_SORT_BYTES}
            """,  # noqa: S608 - as above
            parameters,
        )
        for row in rows:
            yield SampleRow(*row)
    finally:
        client.disconnect()


def past_events(
    settings: Settings, *, mlapp_id: str, start: Time | None = None, end: Time | None = None
) -> list[dict[str, Any]]:
    """Rows of ``events`` by the time at which Kafka took them, with ``event_ms`` and ``ingested_ms``."""
    return _rows(settings, "events", mlapp_id, start, end, "_topic, _partition, _offset")


def past_kpis(
    settings: Settings, *, mlapp_id: str, start: Time | None = None, end: Time | None = None
) -> list[dict[str, Any]]:
    """Rows of ``kpis``, all revisions, by the time at which Kafka took them, with ``event_ms`` and ``ingested_ms``."""
    return _rows(settings, "kpis", mlapp_id, start, end, "_topic, _partition, _offset, _index")


def past_successions(
    settings: Settings, *, mlapp_id: str, start: Time | None = None, end: Time | None = None
) -> list[dict[str, Any]]:
    """Rows of ``deployment_transitions`` that say that a model was superseded, with ``event_ms`` and ``ingested_ms``."""
    return _rows(
        settings,
        "deployment_transitions",
        mlapp_id,
        start,
        end,
        "_topic, _partition, _offset",
        state="superseded",
    )


def _rows(
    settings: Settings,
    table: str,
    mlapp_id: str,
    start: Time | None,
    end: Time | None,
    place: str,
    **filters: str,
) -> list[dict[str, Any]]:
    where = Conditions().equal(mlapp_id=mlapp_id, **filters).between("event_time", start, end)
    return records(
        settings,
        f"""
        SELECT *, toUnixTimestamp64Milli(event_time) AS event_ms, toUnixTimestamp64Milli(ingested_at) AS ingested_ms
        FROM {table} {where}
        ORDER BY ingested_at, {place}
        """,  # noqa: S608 - as above
        where.parameters,
    )


def _where(
    names: Sequence[str], mlapp_id: str, start: Time | None, end: Time | None
) -> tuple[str, dict[str, Any]]:
    where = Conditions().equal(mlapp_id=mlapp_id).between("event_time", start, end)
    return f"{where} AND name IN %(names)s", where.parameters | {"names": tuple(names)}
