"""Takes a timeline capture of many samples: seconds, size, and the most memory of the process that makes it.

``python -m benchmarks.captures --samples 10000000 --import-samples 500000``
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.warehouse_of_samples import COLUMNS, samples
from parallelm.connections import save_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.mcenter.local_stack import LocalStack
from parallelm.schemas.topic_admin import create_topics
from parallelm.warehouse import migrate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import Settings

SERIES = 200
STEP_MS = 1000
START_MS = 1_767_225_600_000
"""2026-01-01."""
INSERTED = 1_000_000


def main() -> None:
    """Print what it took."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--samples", type=int, default=10_000_000)
    options.add_argument("--import-samples", type=int, default=200_000)
    chosen = options.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalStack(Path(folder) / "stack", services=("kafka", "clickhouse", "registry", "sink")) as stack,
    ):
        settings = stack.admin_settings
        create_topics(settings)
        migrate(settings)
        save_settings(settings, Path(folder) / "bench.toml")
        _fill(settings, chosen.samples)
        environ = os.environ | {"MCENTER_CONFIG": str(Path(folder) / "bench.toml"), "TMPDIR": folder}
        _take(folder, environ, "all", chosen.samples)
        _take(folder, environ, "some", chosen.import_samples)
        command = ["import", f"{folder}/some.tar", "--mlapp", "copy"]
        seconds, most = _watched(command, environ)
        with clickhouse_client(settings.clickhouse) as client:
            [(count,)] = client.execute("SELECT count() FROM statistics WHERE mlapp_id = 'copy'")
        print(f"import of {count:,} samples: {seconds:.0f} s, at most {most / 1e6:.0f} MB", flush=True)


def _fill(settings: Settings, count: int) -> None:
    with clickhouse_client(settings.clickhouse) as client:
        for first in range(0, count, INSERTED):
            rows = samples(SERIES, STEP_MS, value="randCanonical()", start_ms=str(START_MS))
            client.execute(
                f"INSERT INTO statistics ({COLUMNS}) SELECT * FROM ({rows.rstrip()} "  # noqa: S608 - of our own making
                f"FROM (SELECT number + {first} AS number FROM numbers({min(INSERTED, count - first)})))"
            )


def _take(folder: str, environ: dict[str, str], name: str, count: int) -> None:
    """Take a capture of the first ``count`` samples and download it."""
    end_s = (START_MS + -(-count // SERIES) * STEP_MS) / 1000
    end = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(end_s))
    seconds, most = _watched(["create", "app", "--from", "2026-01-01", "--to", end, "--name", name], environ)
    run = [sys.executable, "-m", "parallelm.mcenter", "capture"]
    listed = subprocess.run([*run, "list", "--json"], env=environ, check=True, capture_output=True, text=True)
    capture_id = listed.stdout.splitlines()[0].split('"capture_id": "')[1].split('"')[0]
    subprocess.run([*run, "download", capture_id, "-o", f"{folder}/{name}.tar"], env=environ, check=True)
    size = Path(folder, f"{name}.tar").stat().st_size
    print(
        f"capture of {count:,} samples: {seconds:.0f} s, at most {most / 1e6:.0f} MB, file of {size / 1e6:.0f} MB",
        flush=True,
    )


def _watched(command: Sequence[str], environ: dict[str, str]) -> tuple[float, int]:
    """Seconds that a command takes, and the most memory of its process."""
    began_s, most = time.monotonic(), 0
    with subprocess.Popen(
        [sys.executable, "-m", "parallelm.mcenter", "capture", *command], env=environ
    ) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            most = max(most, _memory(watched))
            time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"capture {command[0]} ended with {process.returncode}")
    return time.monotonic() - began_s, most


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


if __name__ == "__main__":
    main()
