"""How long it takes to judge a million predictions of a year whose outcomes came later, and the memory of the server."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import psutil

from benchmarks.warehouse_of_samples import DAY_MS, ONE_PART, database, merge, server
from parallelm.warehouse.queries.model_quality import Judged, model_quality

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_driver import Client

    from parallelm.connections import Settings

DAYS = 365
INSERTED = 500_000
ROUNDS = 3
_LINEAGE = "'mlops.predictions', 'topic id', 0, intDiv(number, 5000), number % 5000"


def main() -> None:
    """Print seconds of each question, and the server's highest memory since it was started."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=1_000_000)
    chosen = options.parse_args()
    with server() as server_settings, database(server_settings, "quality") as client:
        settings = replace(
            server_settings, clickhouse=replace(server_settings.clickhouse, database="quality")
        )
        start_ms = (int(time.time() * 1000) // DAY_MS - DAYS) * DAY_MS
        _fill(client, chosen.rows, start_ms)
        last, middle = (
            datetime.fromtimestamp((start_ms + days * DAY_MS) / 1000, UTC) for days in (DAYS - 1, DAYS // 2)
        )
        asked: dict[str, Callable[[], object]] = {
            "the last day": lambda: model_quality(settings, Judged(mlapp_id="app", start=last)),
            "a year by day": lambda: model_quality(settings, Judged(mlapp_id="app")),
            "a year by day and carrier": lambda: model_quality(
                settings, Judged(mlapp_id="app"), segment="carrier"
            ),
            "a year as known at a time": lambda: model_quality(
                settings, Judged(mlapp_id="app", known_at=middle)
            ),
        }
        for name, ask in asked.items():
            spent_s = []
            for _ in range(ROUNDS):
                started_s = time.perf_counter()
                ask()
                spent_s.append(time.perf_counter() - started_s)
            print(
                f"{name:60}{median(spent_s):7.2f} s   server {_peak_mb(settings):6.0f} MB at most", flush=True
            )


def _fill(client: Client, rows: int, start_ms: int) -> None:
    """Predictions evenly over the year, and an outcome of each, a day later."""
    of_a_day = rows // DAYS
    for first in range(0, rows, INSERTED):
        numbers = f"numbers({first}, {min(INSERTED, rows - first)})"
        at = f"{start_ms} + intDiv(number * {DAY_MS}, {of_a_day})"
        client.execute(
            f"""
            INSERT INTO predictions (mlapp_id, node_id, outcome, kind, model_id, prediction_id, event_time, value, features,
                sampled_share, ingested_at, _topic, _topic_id, _partition, _offset, _index)
            SELECT 'app', 'predict', 'delayed', 'score', 'model-' || toString(intDiv(number * 12, {rows})), 'flight-' || toString(number),
                fromUnixTimestamp64Milli(toInt64({at}), 'UTC'), rand(1) / 4294967296, map('carrier', toString(number % 16), 'distance', toString(rand(2) % 3000)),
                1, fromUnixTimestamp64Milli(toInt64({at}), 'UTC'), {_LINEAGE} FROM {numbers}
            """,  # noqa: S608 - numbers of our own
            settings=ONE_PART | {"max_partitions_per_insert_block": 0},
        )
        client.execute(
            f"""
            INSERT INTO actuals (mlapp_id, outcome, prediction_id, event_time, actual, ingested_at, _topic, _topic_id, _partition, _offset, _index)
            SELECT 'app', 'delayed', 'flight-' || toString(number), fromUnixTimestamp64Milli(toInt64({at} + {DAY_MS}), 'UTC'),
                toString(rand(3) % 2), fromUnixTimestamp64Milli(toInt64({at} + {DAY_MS}), 'UTC'), {_LINEAGE} FROM {numbers}
            """,  # noqa: S608 - numbers of our own
            settings=ONE_PART | {"max_partitions_per_insert_block": 0},
        )
    merge(client)


def _peak_mb(settings: Settings) -> float:
    """Of the process that listens on the server's port."""
    [pid] = {
        each.pid
        for each in psutil.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN and each.laddr.port == settings.clickhouse.port
    }
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
