"""The runs that an agent has given to Kubernetes: shared by the thread that asks for them and those that know the cluster."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from parallelm.agent.keeping.records import Ending

if TYPE_CHECKING:
    from parallelm.agent.keeping.records import Outcome
    from parallelm.agent.kubernetes.run import KubernetesRun
    from parallelm.agent.runners import RunKey


class KnownRuns:
    """Runs by key, and which of them have changed since somebody asked."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Held by who decides by what a run remembers, and changes that."""
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        """Readable when a run has changed."""
        self._runs: dict[RunKey, KubernetesRun] = {}
        self._changed: dict[RunKey, None] = {}

    def add(self, run: KubernetesRun) -> None:
        """Know this run too, unless it is known."""
        with self.lock:
            self._runs.setdefault(run.key, run)

    def forget(self, run: KubernetesRun) -> None:
        """Know it no longer."""
        with self.lock:
            self._runs.pop(run.key, None)

    def get(self, key: RunKey) -> KubernetesRun | None:
        """The run of this name."""
        return self._runs.get(key)

    def all(self) -> list[KubernetesRun]:
        """As they are now."""
        with self.lock:
            return list(self._runs.values())

    def changed(self) -> list[KubernetesRun]:
        """Those that have changed since this was called last."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.event_fd)
        with self.lock:
            keys, self._changed = list(self._changed), {}
            return [self._runs[key] for key in keys if key in self._runs]

    def change(self, run: KubernetesRun, **changes: Any) -> None:
        """Have a run remember what the cluster tells."""
        with self.lock:
            if any(getattr(run.remembered, name) != value for name, value in changes.items()):
                run.change(**changes)
                self._tell(run)

    def end(
        self, run: KubernetesRun, outcome: Outcome, message: str, *, exit_code: int = 0, at_ms: int = 0
    ) -> None:
        """A run is over."""
        ending = Ending(
            outcome=outcome,
            exit_code=exit_code,
            starts=run.remembered.starts,
            message=message,
            ended_at_ms=at_ms or time.time_ns() // 1_000_000,
        )
        with self.lock:
            run.folder.save_ending(ending)
            self._tell(run)

    def close(self) -> None:
        """Nobody waits for changes any more."""
        os.close(self.event_fd)

    def _tell(self, run: KubernetesRun) -> None:
        self._changed[run.key] = None
        os.eventfd_write(self.event_fd, 1)
