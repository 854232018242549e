"""What rollups of statistics cost on insert and at rest, from a sample an hour to ten a second.

Each density is inserted in blocks of 100,000 rows, in the order of time: into the samples alone, with the rollup by day
that the warehouse has, and with others for comparison. ``python -m benchmarks.rollups --rounds 5`` sets the rounds.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.warehouse_of_samples import (
    BLOCK,
    COLUMNS,
    DAY_MS,
    ONE_PART,
    database,
    merge,
    samples,
    server,
    table_bytes,
)

if TYPE_CHECKING:
    from clickhouse_driver import Client

ROUNDS = 5
ROWS = 720_000
VIEW = "statistics_by_day_from_statistics"
STATE = "statistics_by_day_state"


class Density(NamedTuple):
    """How often each of so many series reports."""

    name: str
    series: int
    step_ms: int


DENSITIES = (
    Density("a sample an hour", 1000, 3_600_000),
    Density("a sample a minute", 100, 60_000),
    Density("a sample a second", 20, 1_000),
    Density("ten a second", 20, 100),
)
VARIANTS = ("none", "day", "hour", "hour, quantiles")


def main() -> None:
    """Print time and bytes a sample of each density and variant, with their ratio to the samples alone."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = options.parse_args().rounds
    print(f"{'density':20}{'rollup':18}{'ns a sample':>12}{'ratio':>7}{'bytes':>8}{'ratio':>7}")
    with server() as settings, ExitStack() as opened:
        clients = {
            variant: opened.enter_context(database(settings, f"rollup{number}"))
            for number, variant in enumerate(VARIANTS)
        }
        for variant, client in clients.items():
            _make(client, variant)
        for density in DENSITIES:
            _compare(clients, density, rounds)


def _compare(clients: dict[str, Client], density: Density, rounds: int) -> None:
    spent_ns: dict[str, list[float]] = defaultdict(list)
    bytes_a_sample: dict[str, float] = {}
    _stage(clients["none"], density)
    for number in range(rounds):
        for variant, client in clients.items():
            for table in ("statistics", STATE):
                client.execute(f"TRUNCATE TABLE {table}")
            spent_ns[variant].append(_fill(client) / ROWS)
            if number == 0:
                merge(client)
                bytes_a_sample[variant] = sum(table_bytes(client).values()) / ROWS
    for variant in VARIANTS:
        slower = median(a / b for a, b in zip(spent_ns[variant], spent_ns["none"], strict=True))
        larger = bytes_a_sample[variant] / bytes_a_sample["none"]
        print(
            f"{density.name:20}{variant:18}{median(spent_ns[variant]):12.0f}{slower:7.2f}"
            f"{bytes_a_sample[variant]:8.2f}{larger:7.2f}",
            flush=True,
        )


def _stage(client: Client, density: Density) -> None:
    """Have the samples ready in memory, in the order of time."""
    client.execute("CREATE OR REPLACE TABLE default.stage AS statistics ENGINE = Memory")
    select = samples(
        density.series,
        density.step_ms,
        value="randNormal(100, 15, number)",
        start_ms=f"intDiv(toUnixTimestamp(now()) * 1000, {DAY_MS}) * {DAY_MS} - 30 * {DAY_MS}",
        jitter_ms=density.step_ms // 10,
    )
    for first in range(0, ROWS, BLOCK):
        rows = f"numbers({first}, {min(BLOCK, ROWS - first)})"
        client.execute(f"INSERT INTO default.stage ({COLUMNS}) {select} FROM {rows}", settings=ONE_PART)


def _make(client: Client, variant: str) -> None:
    """Change the rollup by day, which a migrated database has, into another."""
    if variant == "day":
        return
    [(select,)] = client.execute(
        "SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = %(view)s",
        {"view": VIEW},
    )
    client.execute(f"DROP VIEW {VIEW}")
    if variant == "none":
        return
    select = select.replace(str(DAY_MS), "3600000")
    if variant.endswith("quantiles"):
        client.execute(
            f"ALTER TABLE {STATE} ADD COLUMN quantiles"
            " AggregateFunction(quantilesTDigestIf(0.05, 0.5, 0.95, 0.99), Float64, UInt8)"
        )
        state = "quantilesTDigestIfState(0.05, 0.5, 0.95, 0.99)(value, isFinite(value)) AS quantiles, "
        select = select.replace("max(ingested_at)", f"{state}max(ingested_at)")
    client.execute(f"CREATE MATERIALIZED VIEW {VIEW} TO {STATE} AS {select}")


def _fill(client: Client) -> int:
    """Insert what is staged; returns the nanoseconds that it took."""
    client.execute("SYSTEM STOP MERGES")
    started_ns = time.perf_counter_ns()
    for first in range(0, ROWS, BLOCK):
        client.execute(
            f"INSERT INTO statistics (series_id, {COLUMNS}) SELECT series_id, {COLUMNS} FROM default.stage"  # noqa: S608 - made of numbers
            f" WHERE _offset >= {first // 20} AND _offset < {(first + BLOCK) // 20}",
            settings=ONE_PART,
        )
    spent_ns = time.perf_counter_ns() - started_ns
    client.execute("SYSTEM START MERGES")
    [(stored,)] = client.execute("SELECT count() FROM statistics")
    if stored != ROWS:
        raise SystemExit(f"{stored} of {ROWS} rows were stored")
    return spent_ns


if __name__ == "__main__":
    main()
