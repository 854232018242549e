"""Records that could not be handled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse.queries._frames import Conditions, frame, limit_clause

if TYPE_CHECKING:
    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time


def dead_letters(
    settings: Settings,
    *,
    source_topic: str | None = None,
    stage: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    limit: int | None = None,
) -> pd.DataFrame:
    """Dead letters, the latest first.

    Columns: ``failed_at, source_topic, source_partition, source_offset, stage, error_type,
    error, consumer_group, size_bytes, is_cut``.
    """
    where = Conditions().equal(source_topic=source_topic, stage=stage).between("failed_at", start, end)
    return frame(
        settings,
        f"""
        SELECT failed_at, source_topic, source_partition, source_offset, stage, error_type, error, consumer_group,
               size_bytes, is_cut
        FROM dead_letters {where}
        ORDER BY failed_at DESC, source_topic, source_partition, source_offset DESC
        {limit_clause(limit)}
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
    )


@dataclass(frozen=True, slots=True)
class DeadLetterRecord:
    """A record as it was on its topic."""

    source_topic: str
    key: bytes | None
    value: bytes | None
    is_cut: bool
    """Whether only its first bytes are stored, because it was too large."""


def dead_letter_records(
    settings: Settings, *, source_topic: str | None = None, stage: str | None = None
) -> list[DeadLetterRecord]:
    """Dead letters with their bytes, in the order of their topics, each record once.

    Records that retention deleted before they were read are left out.
    """
    where = Conditions().equal(source_topic=source_topic, stage=stage).unequal(stage="retention")
    client = clickhouse_client(settings.clickhouse, settings={"strings_as_bytes": True})
    try:
        rows = client.execute(
            f"""
            SELECT source_topic, key, value, is_cut
            FROM dead_letters {where}
            ORDER BY source_topic, source_partition, source_offset
            LIMIT 1 BY source_topic, topic_id, source_partition, source_offset
            """,  # noqa: S608 - made of our own column names; values are parameters
            where.parameters,
        )
    finally:
        client.disconnect()
    return [DeadLetterRecord(topic.decode(), key, value, bool(cut)) for topic, key, value, cut in rows]
