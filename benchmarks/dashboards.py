"""How long a dashboard's questions take on 1, 10 and 50 million samples of a sample a minute.

Half of the series belong to the MLApp that is asked about, all of them grow in time. ``python -m benchmarks.dashboards
--millions 1 10`` sets the sizes.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.warehouse_of_samples import COLUMNS, DAY_MS, ONE_PART, database, merge, samples, server

if TYPE_CHECKING:
    from clickhouse_driver import Client

SERIES = 100
ROUNDS = 15
INSERTED = 1_000_000
_ONE = "name = 'stat.2' AND node_id = 'predict' AND labels['carrier'] = '0'"
_MEAN = "SELECT bucket_start, name, labels, mean_value FROM"
QUESTIONS = {
    "last hour of one series": f"""
        SELECT event_time, value FROM statistics
        WHERE mlapp_id = 'app' AND {_ONE} AND event_time >= {{end}} - INTERVAL 1 HOUR ORDER BY event_time
    """,  # noqa: S608 - made of our own names
    "a day of 50 series by minute": f"""
        {_MEAN} statistics_by_minute
        WHERE mlapp_id = 'app' AND bucket_start >= {{end}} - INTERVAL 1 DAY ORDER BY bucket_start
    """,
    "a year of one series by day": f"""
        {_MEAN} statistics_by_day
        WHERE mlapp_id = 'app' AND {_ONE} AND bucket_start >= {{end}} - INTERVAL 1 YEAR ORDER BY bucket_start
    """,
    "a month of one series by hour": f"""
        {_MEAN} statistics_by_hour
        WHERE mlapp_id = 'app' AND {_ONE} AND bucket_start >= {{end}} - INTERVAL 30 DAY ORDER BY bucket_start
    """,
    "a year of 50 series by day": f"""
        {_MEAN} statistics_by_day
        WHERE mlapp_id = 'app' AND bucket_start >= {{end}} - INTERVAL 1 YEAR ORDER BY bucket_start
    """,
}


def main() -> None:
    """Print the median and the least of the times of each question and size, in milliseconds."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--millions", type=int, nargs="+", default=[1, 10, 50])
    options.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = options.parse_args()
    with server() as settings:
        for millions in chosen.millions:
            with database(settings, f"samples{millions}") as client:
                end = _fill(client, millions * 1_000_000)
                for question, text in QUESTIONS.items():
                    _ask(client, f"{millions:3} M  {question}", text.format(end=end), chosen.rounds)


def _fill(client: Client, rows: int) -> str:
    """Insert that many samples up to now; returns the time of their end in SQL."""
    [(now_ms,)] = client.execute(f"SELECT intDiv(toUnixTimestamp(now()) * 1000, {DAY_MS}) * {DAY_MS}")
    start_ms = now_ms - rows // SERIES * 60_000
    select = samples(
        SERIES, 60_000, value="randNormal(100, 15, number)", start_ms=str(start_ms), jitter_ms=5_000
    )
    select = select.replace("'app'", f"if(number % {SERIES} < 50, 'app', 'other')", 1)
    for first in range(0, rows, INSERTED):
        client.execute(
            f"INSERT INTO statistics ({COLUMNS}) {select} FROM numbers({first}, {min(INSERTED, rows - first)})",
            settings=ONE_PART,
        )
    merge(client)
    return f"fromUnixTimestamp64Milli(toInt64({now_ms}), 'UTC')"


def _ask(client: Client, question: str, text: str, rounds: int) -> None:
    spent_ms = []
    for _ in range(rounds):
        started_s = time.perf_counter()
        answer = client.execute(text)
        spent_ms.append((time.perf_counter() - started_s) * 1000)
    print(
        f"{question:40}{len(answer):8} rows  median {median(spent_ms):7.1f} ms  least {min(spent_ms):7.1f} ms",
        flush=True,
    )


if __name__ == "__main__":
    main()
