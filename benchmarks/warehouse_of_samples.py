"""A ClickHouse server of the benchmark's own, and databases with the warehouse's tables and made-up samples."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.mcenter.local_stack import LocalStack
from parallelm.warehouse import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_driver import Client

    from parallelm.connections import Settings

DAY_MS = 86_400_000
BLOCK = 100_000
"""Rows of one insert, as those of a sink that has fallen behind."""
COLUMNS = (
    "mlapp_id, name, node_id, model_id, labels, event_time, value, agent_id, pipeline_instance_id, category, graph_type,"
    " producer_id, seq, ingested_at, _topic, _topic_id, _partition, _offset, _series, _index"
)
ONE_PART: dict[str, Any] = {
    "max_block_size": 1_000_000,
    "min_insert_block_size_rows": 1_000_000,
    "min_insert_block_size_bytes": 0,
    "max_threads": 1,
    "max_insert_threads": 1,
    "optimize_on_insert": 0,
    "group_by_two_level_threshold": 0,
    "group_by_two_level_threshold_bytes": 0,
}
"""An insert from a SELECT makes one part, as a sink's does."""


@contextmanager
def server() -> Iterator[Settings]:
    """Settings of a server that ends with the block."""
    with tempfile.TemporaryDirectory() as folder, LocalStack(Path(folder), services=("clickhouse",)) as stack:
        yield stack.admin_settings


@contextmanager
def database(settings: Settings, name: str) -> Iterator[Client]:
    """A client of a migrated database that is dropped at the end."""
    settings = replace(
        settings, clickhouse=replace(settings.clickhouse, database=name, query_timeout_s=600.0)
    )
    migrate(settings)
    with clickhouse_client(settings.clickhouse) as client:
        yield client
        client.execute(f"DROP DATABASE {name} SYNC")


def samples(series: int, step_ms: int, *, value: str, start_ms: str, jitter_ms: int = 0) -> str:
    """SELECT of samples, every ``series`` of them at one time; ``number`` counts them. 20 series are one record."""
    at_ms = f"{start_ms} + intDiv(number, {series}) * {step_ms}"
    host = f"toString(intDiv(number, 20) % {max(series // 20, 1)})"
    return f"""
        SELECT 'app', 'stat.' || toString(number % 20), 'predict', 'model-1', map('carrier', {host}),
            fromUnixTimestamp64Milli(toInt64({at_ms} + rand(1) % {jitter_ms + 1}), 'UTC'), {value},
            'host-' || {host}, 'instance-' || {host}, 'TIME_SERIES', 'LINEGRAPH', 'producer-' || {host},
            intDiv(number, {series}), fromUnixTimestamp64Milli(toInt64({at_ms} + 50), 'UTC'),
            'mlops.statistics', 'topic id', 0, intDiv(number, 20), number % 20, 0
    """


def merge(client: Client) -> None:
    """Let every table have one part a partition, as it has at rest."""
    for (table,) in client.execute(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    ):
        client.execute(f"OPTIMIZE TABLE {table} FINAL")


def table_bytes(client: Client) -> dict[str, int]:
    """Bytes on disk of each table that has any."""
    return dict(
        client.execute(
            "SELECT table, sum(bytes_on_disk) FROM system.parts WHERE database = currentDatabase() AND active GROUP BY table"
        )
    )
