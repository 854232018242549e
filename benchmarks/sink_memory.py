"""Memory of one ``mcenter sink`` that catches up with one backlog after another for some minutes."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.sink import Shape, fill
from parallelm.connections import save_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.mcenter.local_stack import LocalStack
from parallelm.schemas.topic_admin import create_topics
from parallelm.warehouse import migrate

if TYPE_CHECKING:
    from clickhouse_driver import Client

    from parallelm.connections import Settings

SHAPES = (Shape(20, 1, 50_000), Shape(20, 1, 50_000, 500), Shape(5, 20, 30_000), Shape(5, 100, 12_000))
GIVE_UP_AFTER_S = 120.0


def main() -> None:
    """Print the most memory of each minute, and how many samples were written."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=10.0)
    minutes = options.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder:
        stack = LocalStack(Path(folder), services=("kafka", "clickhouse", "registry"))
        with stack:
            settings = stack.admin_settings
            create_topics(settings)
            migrate(settings)
            save_settings(settings, Path(folder) / "bench.toml")
            environ = os.environ | {"MCENTER_CONFIG": str(Path(folder) / "bench.toml")}
            command = [sys.executable, "-m", "parallelm.mcenter", "sink", "--topics", "statistics"]
            with (
                clickhouse_client(settings.clickhouse) as client,
                (Path(folder) / "sink.log").open("ab") as log,
            ):
                process = psutil.Popen(command, env=environ, stdout=log, stderr=log)
                ended = threading.Event()
                watching = threading.Thread(target=_watch, args=(process, ended))
                watching.start()
                try:
                    written = _load(settings, client, minutes)
                finally:
                    ended.set()
                    watching.join()
                    process.terminate()
                    process.wait(30)
    print(f"{written:,} samples written")


def _load(settings: Settings, client: Client, minutes: float) -> int:
    """Send the records of one shape after the other, and wait until each are there."""
    until_s, total, number = time.monotonic() + 60 * minutes, 0, 0
    while time.monotonic() < until_s:
        shape = SHAPES[number % len(SHAPES)]
        fill(settings, shape)
        total, number = total + shape.total, number + 1
        give_up_s = time.monotonic() + GIVE_UP_AFTER_S
        while (count := client.execute("SELECT count() FROM statistics")[0][0]) < total:
            if time.monotonic() > give_up_s:
                raise SystemExit(f"the sink stored {count} of {total} samples; see its log")
            time.sleep(0.2)
    return total


def _watch(process: psutil.Process, ended: threading.Event) -> None:
    minute, most, due_s = 1, 0, time.monotonic() + 60
    while not ended.wait(0.1):
        most = max(most, process.memory_info().rss)
        if time.monotonic() > due_s:
            print(f"minute {minute}: at most {most / 1e6:.0f} MB", flush=True)
            minute, most, due_s = minute + 1, 0, due_s + 60


if __name__ == "__main__":
    main()
