"""Time from ``set_stat`` to the row that a reader sees, at 1,000 samples a second over a local stack."""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from pathlib import Path

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.mcenter.local_stack import LocalStack
from parallelm.mlops import mlops

SAMPLES_A_SECOND = 1_000
SECONDS = 30
WARM_UP_S = 3.0


def main() -> None:
    """Print percentiles of the time in seconds. Each sample's value is the time of its call."""
    with tempfile.TemporaryDirectory() as folder:
        stack = LocalStack(Path(folder), services=("kafka", "clickhouse", "sink"))
        with stack:
            os.environ["MCENTER_CONFIG"] = str(Path(folder) / "mcenter.toml")
            mlops.init(mlops_mode="agent")
            reporting = threading.Thread(target=_report)
            reporting.start()
            with clickhouse_client(stack.settings.clickhouse) as client:
                delays = _watch(client, reporting)
            mlops.done()
    delays.sort()
    points = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
    found = "  ".join(f"{name} {delays[int(share * len(delays))]:.3f} s" for name, share in points.items())
    print(f"{len(delays)} samples: {found}  most {delays[-1]:.3f} s  mean {statistics.mean(delays):.3f} s")


def _report() -> None:
    due_s = time.perf_counter()
    for _ in range(SAMPLES_A_SECOND * SECONDS):
        mlops.set_stat("call_to_row", time.time())
        due_s += 1 / SAMPLES_A_SECOND
        time.sleep(max(0.0, due_s - time.perf_counter()))


def _watch(client: object, reporting: threading.Thread) -> list[float]:
    delays: list[float] = []
    started_s, newest = time.time(), 0.0
    quiet_since_s = time.perf_counter()
    while reporting.is_alive() or time.perf_counter() - quiet_since_s < 3:
        rows = client.execute(  # type: ignore[attr-defined]
            "SELECT value FROM statistics WHERE name = 'call_to_row' AND value > %(newest)s ORDER BY value",
            {"newest": newest},
        )
        now_s = time.time()
        if rows:
            newest, quiet_since_s = rows[-1][0], time.perf_counter()
            delays += [now_s - value for (value,) in rows if value > started_s + WARM_UP_S]
        time.sleep(0.005)
    return delays


if __name__ == "__main__":
    main()
