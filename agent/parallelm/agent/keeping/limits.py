"""What a run may use of its host: by a cgroup of its own, or else as far as the host lets a process limit itself."""

from __future__ import annotations

import contextlib
import os
import resource

from parallelm.agent.keeping.process_identity import read_proc

_PERIOD_US = 100_000


class Limits:
    """Limits of one run. ``cgroup`` is its own, or empty."""

    def __init__(self, memory_bytes: int, cpus: float, cgroup: str = "") -> None:
        self._memory_bytes, self._cpus = memory_bytes, cpus
        self._cgroup = cgroup if memory_bytes or cpus else ""
        self._kills = 0
        self.problem = ""
        """What is not enforced, and why."""
        if self._cgroup:
            try:
                self._make()
            except OSError as error:
                self._cgroup, self.problem = "", f"no cgroup can be made: {error}"
        by = "cgroup" if self._cgroup else "rlimit"
        self.how = {"memory": by if memory_bytes else "none", "cpus": "none"}
        """By what each is limited."""
        if cpus and self._cgroup:
            self.how["cpus"] = "cgroup"
        elif cpus:
            self.problem = f"cpus: {cpus:g} is not enforced: {self.problem or 'the agent has no cgroups'}"

    def enter(self) -> None:
        """In the forked process: be limited from here on. Raises ``OSError``."""
        if self._cgroup:
            _write(f"{self._cgroup}/cgroup.procs", str(os.getpid()))
        elif self._memory_bytes:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            wanted = self._memory_bytes if hard == resource.RLIM_INFINITY else min(self._memory_bytes, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (wanted, wanted))

    def out_of_memory(self) -> bool:
        """Whether a program of the run was killed for want of memory since the last call."""
        if not self._cgroup:
            return False
        try:
            events = read_proc(f"{self._cgroup}/memory.events").split()
        except OSError:
            return False
        before, self._kills = self._kills, int(events[events.index(b"oom_kill") + 1])
        return self._kills > before

    def close(self) -> None:
        """Remove what was made for the run; nothing of it runs any more."""
        if self._cgroup:
            try:
                os.rmdir(self._cgroup)  # noqa: PTH106 - paths take memory
            except OSError:
                return  # the agent does when it starts

    def _make(self) -> None:
        with contextlib.suppress(FileExistsError):  # of an earlier keeper
            os.mkdir(self._cgroup)  # noqa: PTH102 - as above
        if self._memory_bytes:
            _write(f"{self._cgroup}/memory.max", str(self._memory_bytes))
            # One of several processes that is killed leaves a run that does not work, and does not end.
            _write(f"{self._cgroup}/memory.oom.group", "1")
        if self._cpus:
            _write(f"{self._cgroup}/cpu.max", f"{max(1000, int(self._cpus * _PERIOD_US))} {_PERIOD_US}")


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
