"""A runner whose programs are what the test says; its runs are files, as those of every runner, and outlive the agent."""

from __future__ import annotations

import dataclasses
import errno
import json
import time
from typing import TYPE_CHECKING

from parallelm.agent.errors import RunRefusedError
from parallelm.agent.runners import Delivery, RunKey, RunStatus
from parallelm.definitions.run_spec import ModelSpec, RunSpec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from parallelm.agent.keeping.records import Outcome
    from parallelm.agent.runners import RunnerContext


class ScriptedRunner:
    """Programs start at once and go on until they are stopped or the test ends them."""

    def __init__(self, context: RunnerContext) -> None:
        self.folder = context.folder
        self.started: list[RunKey] = []
        self.refuses = ""
        self.prints: tuple[str, ...] = ()
        """Lines of every program; with them it is over at once."""
        self.is_stubborn = False
        """Programs do not end when they are asked to."""
        self.disk_is_full = False
        self.leases: dict[RunKey, float] = {}
        self.runs: dict[RunKey, RunStatus] = {}
        self._changed: set[RunKey] = set()

    def recover(self) -> Iterable[RunStatus]:
        for path in sorted(self.folder.glob("*.json")):
            table = json.loads(path.read_text())
            spec = RunSpec.of_json(table.pop("spec"))
            key = RunKey(spec.run_id, spec.attempt)
            self.runs[key] = RunStatus(key=key, spec=spec, **table)
        return list(self.runs.values())

    def start(self, spec: RunSpec, lease_ends_s: float | None) -> None:
        if self.refuses:
            raise RunRefusedError(self.refuses)
        key = RunKey(spec.run_id, spec.attempt)
        if key in self.runs:
            return
        self.started.append(key)
        if lease_ends_s is not None:
            self.leases[key] = lease_ends_s
        self.change(RunStatus(key=key, spec=spec, pid=4711, starts=1, started_at_ms=_now_ms()))
        if self.prints:
            logs = self._logs(key)
            logs.mkdir()
            (logs / f"{1:012d}.log").write_text("".join(f"{_now_ms()} o s {line}\n" for line in self.prints))
            self.end(key, "succeeded")

    def stop(self, key: RunKey, reason: str, outcome: Outcome) -> None:
        self._write()
        if not self.is_stubborn:
            self.end(key, outcome, reason)

    def end(self, key: RunKey, outcome: str, message: str = "") -> None:
        if (status := self.runs.get(key)) and not status.is_over:
            self.change(dataclasses.replace(status, outcome=outcome, message=message, ended_at_ms=_now_ms()))

    def restart(self, key: RunKey) -> None:
        status = self.runs[key]
        self.change(dataclasses.replace(status, starts=status.starts + 1, started_at_ms=_now_ms()))

    def deliver(self, key: RunKey, model: ModelSpec) -> None:
        self._write()
        status = self.runs[key]
        made = Delivery(
            model_id=model.model_id,
            deployment_id=model.deployment_id,
            is_accepted=not model.name.startswith("bad"),
            reason="" if not model.name.startswith("bad") else "the smoke test failed",
            at_ms=_now_ms(),
        )
        self.change(dataclasses.replace(status, deliveries=(*status.deliveries, made)))

    def renew(self, key: RunKey, lease_ends_s: float) -> None:
        self._write()
        self.leases[key] = lease_ends_s

    def changed(self) -> Iterable[RunStatus]:
        changed, self._changed = self._changed, set()
        return [self.runs[key] for key in sorted(changed)]

    def settle(self, status: RunStatus) -> None:
        self._write()
        if status.is_over:
            self._path(status.key).unlink(missing_ok=True)

    def logs(self, key: RunKey) -> Path | None:
        return found if (found := self._logs(key)).is_dir() else None

    def pids(self, _: RunKey) -> Iterable[int]:
        return ()

    def wake_fd(self) -> int | None:
        return None

    def close(self) -> None:
        """Nothing is open."""

    def change(self, status: RunStatus) -> None:
        self.runs[status.key] = status
        table = {
            name: getattr(status, name)
            for name in (
                "pid",
                "starts",
                "started_at_ms",
                "ended_at_ms",
                "outcome",
                "exit_code",
                "message",
                "model_id",
            )
        }
        self._path(status.key).write_text(json.dumps(table | {"spec": status.spec.json()}))
        self._changed.add(status.key)

    def _write(self) -> None:
        if self.disk_is_full:
            raise OSError(errno.ENOSPC, "No space left on device", str(self.folder))

    def _logs(self, key: RunKey) -> Path:
        return self.folder / f"{key.run_id}.{key.attempt}.logs"

    def _path(self, key: RunKey) -> Path:
        return self.folder / f"{key.run_id}.{key.attempt}.json"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
