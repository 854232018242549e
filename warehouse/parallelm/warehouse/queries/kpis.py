"""Business KPIs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas.times import TimeError, range_ms
from parallelm.warehouse.errors import QueryError
from parallelm.warehouse.queries._frames import Conditions, frame, limit_clause, records

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.queries._frames import OneOrMore
    from parallelm.warehouse.queries._keyset import Keyset


def kpis(
    settings: Settings,
    name: str | None = None,
    *,
    mlapp_id: str | None = None,
    labels: Mapping[str, str] | None = None,
    without_labels: Collection[str] = (),
    start: Time | None = None,
    end: Time | None = None,
    known_at: Time | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """KPI points by their latest revision: ``event_time, name, labels, value, mlapp_id, revisions, source, revised_at``.

    ``labels`` selects points that have these labels, among any others; ``without_labels`` names labels that they must not
    have. Points that were withdrawn are left out. With
    ``known_at`` they are as they were known at that moment, by the revisions that Kafka had taken until then, its
    millisecond included: what was corrected, withdrawn or reported later does not count.
    """
    where = (
        Conditions()
        .equal(name=name, mlapp_id=mlapp_id)
        .labels(labels)
        .without_labels(without_labels)
        .between("event_time", start, end)
    )
    source, parameters = as_known(known_at)
    return frame(
        settings,
        f"""
        SELECT event_time, name, labels, value, mlapp_id, revisions, source, revised_at
               {", toString(labels) AS label_text" if page else ""}
        FROM {source} {where}
        ORDER BY event_time, name, labels
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters | parameters,
        page,
    )


def kpi_revisions(
    settings: Settings,
    name: str | None = None,
    *,
    mlapp_id: str | None = None,
    labels: Mapping[str, str] | None = None,
    without_labels: Collection[str] = (),
    start: Time | None = None,
    end: Time | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """All revisions of KPI points, the latest of a point last.

    Columns: ``event_time, name, labels, value, mlapp_id, withdrawn, source, ingested_at``. ``withdrawn`` says of a revision
    that it took the point back; ``source`` then says who did and why.
    """
    where = (
        Conditions()
        .equal(name=name, mlapp_id=mlapp_id)
        .labels(labels)
        .without_labels(without_labels)
        .between("event_time", start, end)
    )
    return frame(
        settings,
        f"""
        SELECT event_time, name, labels, value, mlapp_id, withdrawn, source, ingested_at
               {page.places if page else ""}
        FROM kpis {where}
        ORDER BY event_time, name, labels, ingested_at, _partition, _offset, _index
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
        page,
    )


def withdrawn_points(
    settings: Settings,
    name: str,
    *,
    mlapp_id: str,
    start: Time | None = None,
    end: Time | None = None,
    limit: int = 200,
) -> pd.DataFrame:
    """Points whose last revision took them back, the newest first: ``event_time, labels, value, source, ingested_at``."""
    where = Conditions().equal(name=name, mlapp_id=mlapp_id).between("event_time", start, end)
    return frame(
        settings,
        f"""
        SELECT event_time, labels, argMax(point.value, place) AS value, argMax(point.source, place) AS source,
               max(point.ingested_at) AS ingested_at
        FROM (SELECT *, (ingested_at, _partition, _offset, _index) AS place FROM kpis {where}) AS point
        GROUP BY event_time, labels
        HAVING argMax(point.withdrawn, place)
        ORDER BY event_time DESC, toString(labels)
        {limit_clause(limit)}
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
    )


def kpi_summaries(
    settings: Settings, mlapp_id: OneOrMore | None = None, page: Keyset | None = None
) -> pd.DataFrame:
    """KPIs by MLApp and name: ``mlapp_id, name, points, label_names, first_time, last_time, revised_at``."""
    where = Conditions().equal(mlapp_id=mlapp_id)
    return frame(
        settings,
        f"""
        SELECT mlapp_id, name, count() AS points, arraySort(groupUniqArrayArray(mapKeys(labels))) AS label_names,
               min(event_time) AS first_time, max(event_time) AS last_time, max(kpis_current.revised_at) AS revised_at
        FROM kpis_current {where}
        GROUP BY mlapp_id, name
        ORDER BY mlapp_id, name
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
        page,
    )


def kpi_values(
    settings: Settings, mlapp_id: str, names: Sequence[str], first_ms: int, last_ms: int
) -> dict[tuple[str, tuple[tuple[str, str], ...], int], float]:
    """Latest value by name, sorted labels and time in milliseconds, of some KPIs and a time that holds both ends."""
    found = frame(
        settings,
        """
        SELECT name, labels, toInt64(toUnixTimestamp64Milli(event_time)) AS event_ms, value
        FROM kpis_current
        WHERE mlapp_id = %(mlapp_id)s AND name IN %(names)s
            AND event_time >= fromUnixTimestamp64Milli(toInt64(%(first_ms)s), 'UTC')
            AND event_time <= fromUnixTimestamp64Milli(toInt64(%(last_ms)s), 'UTC')
        """,
        {"mlapp_id": mlapp_id, "names": tuple(names), "first_ms": first_ms, "last_ms": last_ms},
    )
    return {
        (name, tuple(sorted(labels.items())), int(event_ms)): float(value)
        for name, labels, event_ms, value in found.itertuples(index=False)
    }


def kpi_label_names(
    settings: Settings, mlapp_id: str, names: Sequence[str]
) -> dict[str, set[tuple[str, ...]]]:
    """By name of a KPI, the sets of label names (sorted) that its points have."""
    query = """
    SELECT toString(name) AS name, groupUniqArray(arraySort(mapKeys(labels))) AS label_sets
    FROM kpis_current
    WHERE mlapp_id = %(mlapp_id)s AND kpis_current.name IN %(names)s
    GROUP BY name
    """
    found = records(settings, query, {"mlapp_id": mlapp_id, "names": tuple(names)})
    return {row["name"]: {tuple(each) for each in row["label_sets"]} for row in found}


def kpi_names(settings: Settings, mlapp_id: str) -> list[str]:
    """Names of the KPIs that were ever reported for an MLApp, those without labels first."""
    query = """
    SELECT toString(name) AS name
    FROM kpis
    WHERE mlapp_id = %(mlapp_id)s
    GROUP BY name
    ORDER BY max(notEmpty(labels)), name
    """
    return [row["name"] for row in records(settings, query, {"mlapp_id": mlapp_id})]


def as_known(at: Time | None) -> tuple[str, dict[str, int]]:
    """Where points are read from: as they are now, or as they were known at a moment."""
    if at is None:
        return "kpis_current", {}
    try:
        at_ms, _ = range_ms(at, None)
    except TimeError as error:
        raise QueryError(str(error)) from None
    return "kpis_known_at(at = fromUnixTimestamp64Milli(toInt64(%(known_at_ms)s), 'UTC'))", {
        "known_at_ms": int(at_ms or 0)
    }
