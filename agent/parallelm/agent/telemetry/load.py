"""The load of the host and of each run, as numbers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil

from parallelm.schemas.well_known import (
    HOST_CPU,
    HOST_DISK,
    HOST_DISK_FREE,
    HOST_DISK_READ,
    HOST_DISK_WRITTEN,
    HOST_LOAD,
    HOST_MEMORY,
    HOST_MEMORY_USED,
    HOST_RECEIVED,
    HOST_SENT,
    RUN_CPU,
    RUN_MEMORY,
    RUN_PROCESSES,
    RUN_THREADS,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from parallelm.agent.runners import RunKey
    from parallelm.agent.telemetry.processes import Processes


class Load:
    """Measures by differences: of what is counted since the start, the first call tells nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._at_s = 0.0
        self._counts: dict[str, int] = {}
        self._run_cpu: dict[RunKey, tuple[float, float]] = {}
        psutil.cpu_percent()

    def of_host(self) -> dict[str, float]:
        """Statistics of the host by name."""
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(self._folder))
        found = {
            HOST_CPU: float(psutil.cpu_percent()),
            HOST_LOAD: float(psutil.getloadavg()[0]),
            HOST_MEMORY: float(memory.percent),
            HOST_MEMORY_USED: float(memory.total - memory.available),
            HOST_DISK: float(disk.percent),
            HOST_DISK_FREE: float(disk.free),
        }
        now_s, counts = time.monotonic(), dict(_counts())
        passed_s, self._at_s = now_s - self._at_s, now_s
        for name, count in counts.items():
            # A network interface that has gone takes its counts with it.
            if name in self._counts and count >= self._counts[name] and passed_s > 0:
                found[name] = (count - self._counts[name]) / passed_s
        self._counts = counts
        return found

    def of_run(self, key: RunKey, pids: Iterable[int], seen: Processes) -> dict[str, float]:
        """Statistics of a run by name: of its processes and theirs; none when there is no process."""
        use = seen.below(pids)
        if not use.processes:
            self._run_cpu.pop(key, None)
            return {}
        found = {
            RUN_MEMORY: float(use.memory_bytes),
            RUN_THREADS: float(use.threads),
            RUN_PROCESSES: float(use.processes),
        }
        now_s = time.monotonic()
        before_s, before_cpu_s = self._run_cpu.get(key, (0.0, 0.0))
        if key in self._run_cpu and now_s > before_s and use.cpu_s >= before_cpu_s:
            found[RUN_CPU] = 100 * (use.cpu_s - before_cpu_s) / (now_s - before_s)
        self._run_cpu[key] = now_s, use.cpu_s
        return found

    def forget(self, known: set[RunKey]) -> None:
        """Forget all other runs."""
        self._run_cpu = {key: value for key, value in self._run_cpu.items() if key in known}


def _counts() -> Iterator[tuple[str, int]]:
    if disks := psutil.disk_io_counters():
        yield HOST_DISK_READ, disks.read_bytes
        yield HOST_DISK_WRITTEN, disks.write_bytes
    if network := psutil.net_io_counters():
        yield HOST_RECEIVED, network.bytes_recv
        yield HOST_SENT, network.bytes_sent
