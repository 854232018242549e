"""Records that could not be handled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.warehouse.queries._frames import Conditions, frame

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

    from parallelm.connections import Settings


def dead_letters(
    settings: Settings,
    *,
    source_topic: str | None = None,
    stage: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    limit: int | None = None,
) -> pd.DataFrame:
    """Dead letters, the latest first.

    Columns: ``failed_at, source_topic, source_partition, source_offset, stage, error_type,
    error, consumer_group, size_bytes``.
    """
    where = Conditions().equal(source_topic=source_topic, stage=stage).between("failed_at", start, end)
    return frame(
        settings,
        f"""
        SELECT failed_at, source_topic, source_partition, source_offset, stage, error_type, error, consumer_group,
               length(value) AS size_bytes
        FROM dead_letters {where}
        ORDER BY failed_at DESC, source_topic, source_partition, source_offset DESC
        {f"LIMIT {int(limit)}" if limit is not None else ""}
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
    )
