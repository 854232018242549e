"""What the sinks say of themselves: how late rows are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._frames import records

if TYPE_CHECKING:
    from parallelm.connections import Settings


def delays_by_table(settings: Settings, hours: int = 1) -> list[dict[str, Any]]:
    """Blocks of the last hours by table.

    Keys: ``table_name, blocks, records, rows, dead_letters, median_delay_ms, worst_delay_ms, inserted_at``.
    """
    return records(
        settings,
        """
        SELECT table_name, count() AS blocks, sum(records) AS records, sum(rows) AS rows, sum(dead_letters) AS dead_letters,
               quantileExact(0.5)(delay_ms) AS median_delay_ms, max(delay_ms) AS worst_delay_ms,
               max(ingested_blocks.inserted_at) AS inserted_at
        FROM ingested_blocks
        WHERE ingested_blocks.inserted_at > now() - toIntervalHour(%(hours)s)
        GROUP BY table_name
        ORDER BY table_name
        """,
        {"hours": hours},
    )
