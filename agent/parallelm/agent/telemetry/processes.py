"""What all processes of the host use, read in one pass: a look at each run's processes alone reads all of them for each run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.agent.keeping.process_identity import stat_fields

if TYPE_CHECKING:
    from collections.abc import Iterable

_PARENT, _CPU_TICKS, _THREADS, _RESIDENT_PAGES = 1, slice(11, 15), 17, 21
"""Fields of ``/proc/PID/stat`` behind the name of the program. Of CPU, also of children that have ended."""
_TICKS_PER_S, _PAGE_BYTES = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Use:
    """What one process uses, or some together."""

    cpu_s: float = 0.0
    memory_bytes: int = 0
    threads: int = 0
    processes: int = 0

    def __add__(self, other: Use) -> Use:
        return Use(
            self.cpu_s + other.cpu_s,
            self.memory_bytes + other.memory_bytes,
            self.threads + other.threads,
            self.processes + other.processes,
        )


@dataclass(frozen=True, slots=True)
class Processes:
    """All there were at one time."""

    uses: dict[int, Use] = field(default_factory=dict)
    children: dict[int, list[int]] = field(default_factory=dict)

    @classmethod
    def now(cls) -> Processes:
        """Those that there are."""
        seen = cls()
        for pid in [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]:
            if fields := stat_fields(pid):
                cpu_s = sum(map(int, fields[_CPU_TICKS])) / _TICKS_PER_S
                memory_bytes = int(fields[_RESIDENT_PAGES]) * _PAGE_BYTES
                seen.uses[pid] = Use(cpu_s, memory_bytes, int(fields[_THREADS]), 1)
                seen.children.setdefault(int(fields[_PARENT]), []).append(pid)
        return seen

    def below(self, pids: Iterable[int]) -> Use:
        """What these processes use, and all below them."""
        found: set[int] = set()
        waiting = [pid for pid in pids if pid in self.uses]
        while waiting:
            # Processes end while others are read: where a pid was given again, one may seem to be below itself.
            if (pid := waiting.pop()) not in found:
                found.add(pid)
                waiting += self.children.get(pid, [])
        return sum((self.uses[pid] for pid in found), Use())
