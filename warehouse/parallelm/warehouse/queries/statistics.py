"""Statistics: samples, rollups, structured ones and histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._frames import Conditions, frame, limit_clause, records

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.queries._frames import OneOrMore
    from parallelm.warehouse.queries._keyset import Keyset

_BUCKETS = {"1m": "minute", "1h": "hour", "1d": "day"}


def statistics(
    settings: Settings,
    name: str | None = None,
    *,
    mlapp_id: str | None = None,
    node_id: str | None = None,
    agent_id: str | None = None,
    model_id: str | None = None,
    labels: Mapping[str, str] | None = None,
    start: Time | None = None,
    end: Time | None = None,
    limit: int | None = None,
) -> pd.DataFrame:
    """Samples by event time; of samples with equal times, the later report of a component comes last.

    Columns: ``event_time, value, name, mlapp_id, node_id, agent_id, model_id, labels, category,
    graph_type, pipeline_instance_id``. ``limit`` selects the latest samples.

    A range does not include its end; times without a zone are UTC. An unknown name gives an empty frame.
    """
    where = (
        _where(name, mlapp_id, node_id, agent_id, model_id).labels(labels).between("event_time", start, end)
    )
    latest = ""
    if limit is not None:
        latest = "ORDER BY event_time DESC, ingested_at DESC, _partition DESC, _offset DESC, _series DESC, _index DESC"
        latest += f" {limit_clause(limit)}"
    return frame(
        settings,
        f"""
        SELECT event_time, value, name, mlapp_id, node_id, agent_id, model_id, labels, category, graph_type,
               pipeline_instance_id
        FROM (SELECT * FROM statistics {where} {latest})
        ORDER BY event_time, ingested_at, _partition, _offset, _series, _index
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
    )


def statistics_rollup(
    settings: Settings,
    bucket: str,
    name: str | None = None,
    *,
    mlapp_id: str | None = None,
    node_id: str | None = None,
    agent_id: str | None = None,
    model_id: str | None = None,
    labels: Mapping[str, str] | None = None,
    start: Time | None = None,
    end: Time | None = None,
) -> pd.DataFrame:
    """Statistics by ``bucket`` of event time, in UTC: ``"1m"``, ``"1h"`` or ``"1d"``.

    A range selects the buckets that start in it. Days come from a rollup, which outlives the samples; minutes and hours
    are aggregated from the samples.

    Columns: ``bucket_start, name, mlapp_id, node_id, agent_id, model_id, labels, samples, nonfinite_samples, sum_value,
    mean_value, min_value, max_value``, and for minutes and hours also ``last_value, p50, p95``.
    """
    if bucket not in _BUCKETS:
        raise QueryError(f"there are no statistics by {bucket!r}; there are: {', '.join(_BUCKETS)}")
    from_samples = ", last_value, p05_p50_p95_p99[2] AS p50, p05_p50_p95_p99[3] AS p95"
    where = (
        _where(name, mlapp_id, node_id, agent_id, model_id).labels(labels).between("bucket_start", start, end)
    )
    return frame(
        settings,
        f"""
        SELECT bucket_start, name, mlapp_id, node_id, agent_id, model_id, labels, samples, nonfinite_samples,
               sum_value, mean_value, min_value, max_value{"" if bucket == "1d" else from_samples}
        FROM statistics_by_{_BUCKETS[bucket]} {where}
        ORDER BY bucket_start, name, node_id, agent_id, model_id, labels
        """,  # noqa: S608 - made of our own names; values are parameters
        where.parameters,
    )


def structured_statistics(
    settings: Settings,
    name: str | None = None,
    *,
    mlapp_id: str | None = None,
    node_id: str | None = None,
    agent_id: str | None = None,
    model_id: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """Tables, graphs, histograms, opaque data.

    Columns: ``event_time, name, graph_type, mode, content_type, data, mlapp_id,
    node_id, agent_id, model_id, labels``. ``data`` is the payload as text, or as bytes if it is not text.
    """
    where = _where(name, mlapp_id, node_id, agent_id, model_id).between("event_time", start, end)
    return frame(
        settings,
        f"""
        SELECT event_time, name, graph_type, mode, content_type, data, mlapp_id, node_id, agent_id, model_id, labels
               {page.places if page else ""}
        FROM structured_statistics {where}
        ORDER BY event_time, _partition, _offset
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
        page,
    )


def histograms(
    settings: Settings,
    name: str | None = None,
    *,
    mlapp_id: str | None = None,
    node_id: str | None = None,
    model_id: str | None = None,
    feature: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """Distributions, one row a feature.

    Columns: ``event_time, name, feature, kind, edges, categories, weights, row_count, missing_count, mlapp_id,
    node_id, model_id``; there is one more edge than weights when ``kind`` is continuous.
    """
    where = _where(name, mlapp_id, node_id, None, model_id).equal(feature=feature)
    where = where.between("event_time", start, end)
    return frame(
        settings,
        f"""
        SELECT event_time, name, feature, kind, edges, categories, weights, row_count, missing_count, mlapp_id, node_id, model_id
               {page.places if page else ""}
        FROM histograms {where}
        ORDER BY event_time, _partition, _offset, _index
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
        page,
    )


def training_histograms(settings: Settings, model_id: str, label: str, value: str) -> list[dict[str, Any]]:
    """Histograms of the newest report about a model whose ``label`` has this ``value``: one a feature, as reported.

    Keys: ``feature, kind, edges, categories, weights, row_count, missing_count, model_id, event_time``. Needs no pandas.
    """
    return records(
        settings,
        """
        SELECT feature, kind, edges, categories, weights, row_count, missing_count, model_id, event_time
        FROM (
            SELECT *
            FROM histograms
            WHERE model_id = %(model_id)s AND labels[%(label)s] = %(value)s
            ORDER BY event_time DESC, ingested_at DESC, _offset DESC, _index DESC
            LIMIT 1 BY feature
        )
        ORDER BY event_time DESC, ingested_at DESC, _offset DESC, _index
        """,
        {"model_id": model_id, "label": label, "value": value},
    )


def statistic_counts(
    settings: Settings, *, mlapp_id: OneOrMore | None = None, page: Keyset | None = None
) -> pd.DataFrame:
    """What was reported: ``mlapp_id, node_id, name, samples, sum_value, first_time, last_time`` of every statistic."""
    where = Conditions().equal(mlapp_id=mlapp_id)
    return frame(
        settings,
        f"""
        SELECT mlapp_id, node_id, name, count() AS samples, sumIf(value, isFinite(value)) AS sum_value,
               min(event_time) AS first_time, max(event_time) AS last_time
        FROM statistics {where}
        GROUP BY mlapp_id, node_id, name
        ORDER BY mlapp_id, node_id, name
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
        page,
    )


def _where(
    name: str | None, mlapp_id: str | None, node_id: str | None, agent_id: str | None, model_id: str | None
) -> Conditions:
    return Conditions().equal(
        name=name, mlapp_id=mlapp_id, node_id=node_id, agent_id=agent_id, model_id=model_id
    )
