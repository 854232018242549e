"""Records that could not be handled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse.queries._frames import Conditions, fetch, frame, limit_clause

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.schemas.times import Time
    from parallelm.warehouse.queries._keyset import Keyset


def dead_letters(
    settings: Settings,
    *,
    letter_id: str | None = None,
    source_topic: str | None = None,
    stage: str | None = None,
    start: Time | None = None,
    end: Time | None = None,
    open_only: bool = True,
    limit: int | None = None,
    page: Keyset | None = None,
) -> pd.DataFrame:
    """Dead letters, the latest first; ``open_only``: without those that were sent again or dropped.

    Columns: ``letter_id, failed_at, state, source_topic, source_partition, source_offset, stage, error_type, error,
    consumer_group, size_bytes, is_cut, resolved_at, who, comment``. ``letter_id`` may be the beginning of an id.
    """
    where = Conditions().equal(source_topic=source_topic, stage=stage, state="open" if open_only else None)
    where.between("failed_at", start, end).starting("letter_id", letter_id)
    return frame(
        settings,
        f"""
        SELECT letter_id, failed_at, state, source_topic, source_partition, source_offset, stage, error_type, error,
               consumer_group, size_bytes, is_cut, resolved_at, who, comment
        FROM dead_letters {where}
        ORDER BY failed_at DESC, source_topic, source_partition, source_offset DESC, stage, consumer_group
        {limit_clause(limit)}
        """,  # noqa: S608 - made of our own column names; values are parameters
        where.parameters,
        page,
    )


def open_dead_letters(settings: Settings) -> int:
    """How many dead letters wait for somebody."""
    [[count]], _ = fetch(settings, "SELECT count() FROM dead_letters WHERE state = 'open'")
    return int(count)


@dataclass(frozen=True, slots=True)
class DeadLetterRecord:
    """A record as it was on its topic."""

    letter_id: str
    source_topic: str
    consumer_group: str
    """Who gave up on it."""
    key: bytes | None
    value: bytes | None
    """None for a tombstone, and where retention deleted the record before it was read."""


def dead_letter_records(settings: Settings, letter_ids: Sequence[str]) -> list[DeadLetterRecord]:
    """The bytes of dead letters, in the order of their topics."""
    client = clickhouse_client(settings.clickhouse, settings={"strings_as_bytes": True})
    try:
        rows = client.execute(
            """
            SELECT letter_id, source_topic, consumer_group, key, value
            FROM dead_letters
            WHERE letter_id IN %(letter_ids)s
            ORDER BY source_topic, source_partition, source_offset, stage
            """,
            {"letter_ids": list(letter_ids)},
        )
    finally:
        client.disconnect()
    return [
        DeadLetterRecord(id_.decode(), topic.decode(), group.decode(), key, value)
        for id_, topic, group, key, value in rows
    ]
