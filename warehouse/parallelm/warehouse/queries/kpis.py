"""Business KPIs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.warehouse.queries._frames import Conditions, frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time


def kpis(
    settings: Settings,
    name: str | None = None,
    *,
    mlapp_id: str | None = None,
    labels: Mapping[str, str] | None = None,
    start: Time | None = None,
    end: Time | None = None,
) -> pd.DataFrame:
    """KPI points by their latest revision: ``event_time, name, labels, value, mlapp_id, revisions, source, revised_at``.

    ``labels`` selects points that have these labels, among any others.
    """
    where = Conditions().equal(name=name, mlapp_id=mlapp_id).labels(labels).between("event_time", start, end)
    return frame(
        settings,
        f"""
        SELECT event_time, name, labels, value, mlapp_id, revisions, source, revised_at
        FROM kpis_current {where}
        ORDER BY event_time, name, labels
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
    )


def kpi_revisions(
    settings: Settings, name: str | None = None, *, mlapp_id: str | None = None
) -> pd.DataFrame:
    """All revisions of KPI points, the latest of a point last.

    Columns: ``event_time, name, labels, value, mlapp_id, source,
    ingested_at``.
    """
    where = Conditions().equal(name=name, mlapp_id=mlapp_id)
    return frame(
        settings,
        f"""
        SELECT event_time, name, labels, value, mlapp_id, source, ingested_at
        FROM kpis {where}
        ORDER BY event_time, name, labels, ingested_at, _partition, _offset, _index
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
    )
