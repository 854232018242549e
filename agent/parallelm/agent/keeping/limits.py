"""What a run may use of its host, as far as the host lets an agent limit it."""

from __future__ import annotations

import resource


class Limits:
    """Limits of one run, set in each of its programs before it begins."""

    def __init__(self, memory_bytes: int, cpus: float) -> None:
        self._memory_bytes = memory_bytes
        self.how = {
            "memory": "rlimit" if memory_bytes else "none",
            "cpus": "none",
        }
        """By what each is limited."""
        self._cpus = cpus

    def enter(self) -> None:
        """In the forked process: be limited from here on. Raises ``OSError``."""
        if self._memory_bytes:
            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            wanted = self._memory_bytes if hard == resource.RLIM_INFINITY else min(self._memory_bytes, hard)
            resource.setrlimit(resource.RLIMIT_DATA, (wanted, wanted))

    def out_of_memory(self) -> bool:
        """Whether a program of the run was killed for want of memory."""
        return False

    def close(self) -> None:
        """Remove what was made for the run."""
