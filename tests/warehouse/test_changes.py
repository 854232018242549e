"""What has arrived since a position: nothing is missed though blocks come to be seen in another order, nothing is told twice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from parallelm.warehouse.queries.changes import OVERLAP_MS, changes_since, latest_position, new_reports
from tests.warehouse.rows import T0_MS, insert, statistic

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections import Settings

NOW_MS = time.time_ns() // 1_000_000


def block(client: Client, number: int, inserted_ms: int, name: str = "x", event_ms: int = T0_MS) -> None:
    """A block of one sample, as the sink stores it."""
    arrived_ms = NOW_MS + number
    row = statistic(name, event_ms, 1.0, ingested_at=arrived_ms, _offset=number, mlapp_id=f"app-{number}")
    insert(client, "statistics", [row])
    log = {
        "table_name": "statistics",
        "_topic": "mlops.statistics",
        "_topic_id": "id",
        "_partition": 0,
        "first_offset": number,
        "last_offset": number,
        "records": 1,
        "rows": 1,
        "first_ingested_at": arrived_ms,
        "last_ingested_at": arrived_ms,
        "inserted_at": inserted_ms,
    }
    client.execute(f"INSERT INTO ingested_blocks ({', '.join(log)}) VALUES", [log])


def test_a_block_that_is_seen_after_a_later_one_is_told_and_none_twice(
    settings: Settings, client: Client
) -> None:
    now_ms = NOW_MS
    assert latest_position(settings) == 0
    block(client, 1, now_ms)
    first = changes_since(settings, 0)
    assert (first.until_ms, first.found) == (now_ms, {("statistics", "app-1")})
    assert changes_since(settings, first.until_ms, first.blocks).found == frozenset()
    block(client, 3, now_ms - 900)
    second = changes_since(settings, first.until_ms, first.blocks)
    assert ("statistics", "app-3") in second.found
    assert second.until_ms == now_ms
    assert changes_since(settings, second.until_ms, second.blocks).found == frozenset()
    block(client, 4, now_ms + 2 * OVERLAP_MS)
    third = changes_since(settings, second.until_ms, second.blocks)
    assert ("statistics", "app-4") in third.found
    assert len(third.blocks) == 1, "those that no question finds again are forgotten"


def test_a_late_report_is_found_by_when_it_arrived(settings: Settings, client: Client) -> None:
    now_ms = NOW_MS
    block(client, 1, now_ms, "x")
    block(client, 2, now_ms + 5 * OVERLAP_MS, "y", T0_MS - 86_400_000)
    found = new_reports(settings, "app-2", {"x", "y"}, now_ms + 2 * OVERLAP_MS)
    assert found.first_ms == {"y": T0_MS - 86_400_000}
    assert found.until_ms == now_ms + 5 * OVERLAP_MS
    assert not new_reports(settings, "app-2", {"y"}, now_ms + 7 * OVERLAP_MS).first_ms
