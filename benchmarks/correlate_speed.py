"""Seconds that `mcenter correlate` takes for 4,000 series and 4 M rows; run by the benchmark ``correlate``.

The whole command in a process of its own: interpreter, imports, ClickHouse, tests, printing. By days of UTC, which are read
from the rollup, and by days of Berlin, which are read from the samples. MCENTER_BENCH_DATA_SETS=0 leaves out the tables.
"""

from __future__ import annotations

import dataclasses
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from parallelm.connections import Settings, load_settings, save_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.warehouse import migrate

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
        config = Path(opened.enter_context(tempfile.TemporaryDirectory())) / "mcenter.toml"
        save_settings(settings, config)
        print(
            f"{SERIES} series, {SERIES * SAMPLES} rows, {DAYS} days, whole command, median of {ROUNDS} rounds:"
        )
        for zone in ("UTC", "Europe/Berlin"):
            rounds = [_command(config, zone) for _ in range(ROUNDS)]
            walls, own = (sorted(each) for each in zip(*rounds, strict=True))
            print(
                f"days of {zone}: {statistics.median(walls):.2f} s ({walls[0]:.2f} … {walls[-1]:.2f}), "
                f"of the command's own processor time {statistics.median(own):.2f} s"
            )
        with clickhouse_client(settings.clickhouse, database="default") as client:
            client.execute(f"DROP DATABASE {settings.clickhouse.database}")


def _command(config: Path, zone: str) -> tuple[float, float]:
    """Seconds of one `mcenter correlate`, and of processor time in its process."""
    arguments = [sys.executable, "-m", "parallelm.mcenter", "correlate", "rate", "--timezone", zone]
    used, start = _processor_s(), time.perf_counter()
    subprocess.run(
        arguments, env={**os.environ, "MCENTER_CONFIG": str(config)}, check=True, capture_output=True
    )
    return time.perf_counter() - start, _processor_s() - used


def _processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
