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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.warehouse_of_samples import COLUMNS, samples
from parallelm.connections import save_settings
from parallelm.connections.clickhouse import clickhouse_client
from parallelm.mcenter.local_stack import LocalStack
from parallelm.operations.authors import Author
from parallelm.operations.captures import (
    CaptureRequest,
    CaptureState,
    download_capture,
    find_capture,
    start_capture,
)
from parallelm.schemas.topic_admin import create_topics
from parallelm.schemas.well_known import UNVERIFIED_LOCAL_USER
from parallelm.warehouse import migrate

if TYPE_CHECKING:
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
        _take(settings, Path(folder), "all", chosen.samples)
        file = _take(settings, Path(folder), "some", chosen.import_samples)
        command = [
            sys.executable,
            "-m",
            "parallelm.mcenter",
            "capture",
            "import",
            str(file),
            "--mlapp",
            "copy",
        ]
        began_s = time.monotonic()
        with subprocess.Popen(
            command,
            env=os.environ | {"MCENTER_CONFIG": str(Path(folder) / "bench.toml")},
            stdout=subprocess.DEVNULL,
        ) as process:
            most = _most_memory(psutil.Process(process.pid))
        with clickhouse_client(settings.clickhouse) as client:
            [(count,)] = client.execute("SELECT count() FROM statistics WHERE mlapp_id = 'copy'")
        print(
            f"import of {count:,} samples: {time.monotonic() - began_s:.0f} s, at most {most / 1e6:.0f} MB",
            flush=True,
        )


def _fill(settings: Settings, count: int) -> None:
    with clickhouse_client(settings.clickhouse) as client:
        for first in range(0, count, INSERTED):
            rows = samples(SERIES, STEP_MS, value="randCanonical()", start_ms=str(START_MS))
            client.execute(
                f"INSERT INTO statistics ({COLUMNS}) SELECT * FROM ({rows.rstrip()} "  # noqa: S608 - of our own making
                f"FROM (SELECT number + {first} AS number FROM numbers({min(INSERTED, count - first)})))"
            )


def _take(settings: Settings, folder: Path, name: str, count: int) -> Path:
    """Take a capture of the first ``count`` samples and download it."""
    start = datetime.fromtimestamp(START_MS / 1000, UTC)
    end = start + timedelta(milliseconds=-(-count // SERIES) * STEP_MS)
    began_s = time.monotonic()
    request = CaptureRequest(
        mlapp_id="app", start=start, end=end, who=Author("bench", UNVERIFIED_LOCAL_USER), name=name
    )
    record = start_capture(settings, request)
    most = _most_memory(psutil.Process(record.pid))
    seconds = time.monotonic() - began_s
    done = find_capture(settings, record.capture_id)
    if done.state is not CaptureState.COMPLETE:
        raise SystemExit(f"capture {name} has failed: {done.reason}")
    print(
        f"capture of {done.rows['statistics']:,} samples: {seconds:.0f} s, at most {most / 1e6:.0f} MB, "
        f"file of {done.size_bytes / 1e6:.0f} MB",
        flush=True,
    )
    return download_capture(settings, record.capture_id, folder)


def _most_memory(process: psutil.Process) -> int:
    """The most memory of a process until it ends."""
    most = 0
    while now := _memory(process):
        most = max(most, now)
        time.sleep(0.05)
    return most


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


if __name__ == "__main__":
    main()
