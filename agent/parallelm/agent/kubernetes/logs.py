"""Logs of Pods, followed into the run's log on this host, from where they are shipped as those of any other run."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from parallelm.agent.keeping.log_reader import LogReader
from parallelm.agent.keeping.log_writer import LogWriter, OutputLines
from parallelm.agent.kubernetes.cluster import AwayError, RefusedError
from parallelm.agent.kubernetes.objects import MAIN
from parallelm.agent.kubernetes.observed import log_sources
from parallelm.agent.pipelines.planning import size_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.agent.kubernetes.cluster import Cluster
    from parallelm.agent.kubernetes.run import KubernetesRun
    from parallelm.agent.runners import RunKey

_SAVE_S: Final = 2.0
_FINISH_S: Final = 10.0
_SLACK_S: Final = 2


class LogFollower:
    """One thread for each container that writes."""

    def __init__(self, cluster: Cluster, is_over: threading.Event) -> None:
        self._cluster = cluster
        self._is_over = is_over
        self._logs: dict[RunKey, _RunLog] = {}

    def follow(self, run: KubernetesRun, pods: Iterable[dict[str, Any]]) -> None:
        """Have every container of these Pods read that has begun."""
        for pod in pods:
            for container in log_sources(pod):
                log = self._logs.get(run.key) or self._logs.setdefault(run.key, _RunLog(run))
                log.follow(self._cluster, self._is_over, pod["metadata"]["name"], container)

    def finish(self, run: KubernetesRun) -> None:
        """Wait, for some seconds at most, until what the containers wrote last is there."""
        log = self._logs.pop(run.key, None)
        if log is not None:
            log.finish()

    def close(self) -> None:
        """Let threads end."""
        for log in self._logs.values():
            log.finish(0.0)


class _RunLog:
    def __init__(self, run: KubernetesRun) -> None:
        self._run = run
        logs = run.spec.running.logs
        reader = LogReader(run.folder.logs)
        while reader.read(10_000):  # an earlier agent has written these
            pass
        reader.close()
        self._writer = LogWriter(
            str(run.folder.logs), size_bytes(logs.max_size), logs.keep / 1000, reader.next_line
        )
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._saved_s = 0.0

    def follow(self, cluster: Cluster, is_over: threading.Event, pod: str, container: str) -> None:
        """Read a container's log, unless it is being read."""
        source = f"{pod}/{container}"
        if source not in self._threads:
            thread = threading.Thread(
                target=self._read, args=(cluster, is_over, pod, container), name=source, daemon=True
            )
            self._threads[source] = thread
            thread.start()

    def finish(self, wait_s: float = _FINISH_S) -> None:
        """Wait for the threads, then close the file."""
        ends_s = time.monotonic() + wait_s
        for thread in self._threads.values():
            thread.join(max(0.0, ends_s - time.monotonic()))
        with self._lock:
            self._save_positions()
            self._writer.close()

    def _read(self, cluster: Cluster, is_over: threading.Event, pod: str, container: str) -> None:
        source = f"{pod}/{container}"
        step = "" if container == MAIN else container
        while not is_over.is_set():
            last = self._run.remembered.logs.get(source, "")
            try:
                for line in cluster.log(pod, container, _since_s(last)):
                    at, _, text = line.decode("utf-8", "replace").partition(" ")
                    if at > last:  # the cluster counts in whole seconds: some come again
                        self._write(source, step, at, text)
            except AwayError:
                is_over.wait(1.0)
            except RefusedError:  # the Pod is gone, and its log with it
                return
            else:
                return

    def _write(self, source: str, step: str, at: str, text: str) -> None:
        with self._lock:
            lines = OutputLines(self._writer, b"o", step)  # Kubernetes does not say which stream it was
            lines.feed(text.encode() + b"\n")
            self._run.read_up_to(source, at)
            if time.monotonic() - self._saved_s > _SAVE_S:
                self._saved_s = time.monotonic()
                self._save_positions()

    def _save_positions(self) -> None:
        with contextlib.suppress(
            OSError
        ):  # a full disk: an agent that is killed by then reads some lines again
            self._run.change()


def _since_s(last: str) -> int | None:
    if not last:
        return None
    passed_s = (datetime.now(UTC) - datetime.fromisoformat(last)).total_seconds()
    return max(1, int(passed_s) + _SLACK_S)
