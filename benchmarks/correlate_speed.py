"""Seconds that `correlate` takes for 4,000 series and 4 M rows; run by the benchmark ``correlate``."""

from __future__ import annotations

import dataclasses
import os
import statistics
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from parallelm.connections import Settings, load_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse import migrate, queries

SERIES: Final = 4_000
SAMPLES: Final = 1_000
DAYS: Final = 365
ROUNDS: Final = 5
_PARTS: Final = 8


def measure() -> None:
    """Fill a database of its own and ask; ``MCENTER_BENCH_CONFIG`` names the mcenter.toml of a running engine to use."""
    with ExitStack() as opened:
        settings = _running(opened)
        migrate(settings)
        _fill(settings)
        taken = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            found = queries.correlate(settings, "rate")
            taken.append(time.perf_counter() - start)
        with clickhouse_client(settings.clickhouse, database="default") as client:
            client.execute(f"DROP DATABASE {settings.clickhouse.database}")
    rows = SERIES * SAMPLES
    print(
        f"{len(found.table)} series, {rows} rows, {found.tests} tests: {statistics.median(taken):.2f} s "
        f"({min(taken):.2f} … {max(taken):.2f}) of {ROUNDS} rounds"
    )


def _running(opened: ExitStack) -> Settings:
    config = os.environ.get("MCENTER_BENCH_CONFIG")
    if config:
        settings = load_settings({}, file=Path(config), role="admin")
    else:
        from parallelm.mcenter.local_stack import LocalStack

        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        settings = opened.enter_context(LocalStack(folder, services=("clickhouse",))).admin_settings
    database = f"bench_{uuid.uuid4().hex[:8]}"
    return dataclasses.replace(
        settings, clickhouse=dataclasses.replace(settings.clickhouse, database=database)
    )


def _fill(settings: Settings) -> None:
    series = SERIES // _PARTS
    step_ms = DAYS * 86_400_000 // SAMPLES
    with clickhouse_client(settings.clickhouse) as client:
        for part in range(_PARTS):
            client.execute(
                f"""
                INSERT INTO statistics (mlapp_id, name, node_id, labels, event_time, value, ingested_at, _offset)
                SELECT 'app', concat('statistic ', toString(intDiv(series, 10))), 'predict',
                       map('line', toString(series % 10)),
                       fromUnixTimestamp64Milli(toInt64(1356998400000 + (number % {SAMPLES}) * {step_ms}), 'UTC'),
                       randNormal(0, 1), now64(3), number
                FROM (SELECT number, {part * series} + intDiv(number, {SAMPLES}) AS series FROM numbers({series * SAMPLES}))
                """  # noqa: S608 - numbers of our own
            )
        client.execute(
            f"""
            INSERT INTO kpis (mlapp_id, name, event_time, value, ingested_at, _offset)
            SELECT 'app', 'rate', fromUnixTimestamp64Milli(toInt64(1356998400000 + number * 86400000), 'UTC'),
                   randNormal(0, 1), now64(3), number
            FROM numbers({DAYS})
            """  # noqa: S608 - numbers of our own
        )
