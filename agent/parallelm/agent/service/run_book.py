"""The runs of this host: their statuses, what was told of them, and the reports on their way."""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import TYPE_CHECKING

from parallelm.agent.errors import RunImpossibleError
from parallelm.agent.service.store import Report, StoreFullError
from parallelm.agent.service.told import REFUSED, Told, run_report, to_tell
from parallelm.schemas.records import RunReportKind
from parallelm.schemas.topics import RUN_REPORTS
from parallelm.schemas.well_known import FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.agent.errors import RunRefusedError
    from parallelm.agent.keeping.records import Outcome
    from parallelm.agent.runners import RunKey, Runner, RunStatus
    from parallelm.agent.service.outbox import Outbox
    from parallelm.agent.service.store import Store
    from parallelm.agent.service.told import Speaker
    from parallelm.definitions.run_spec import ModelSpec, RunSpec
    from parallelm.schemas.codec import Codec
    from parallelm.schemas.records import RunReport

_LOG = logging.getLogger(__name__)
_MESSAGE_LIMIT = 2_000
_AGAIN_S = 1.0
_KEEP_TOLD_MS = 14 * 86_400_000
"""Longer than a command stays on its topic: one that comes again meets what was told of its run."""


class RunBook:
    """Used by one thread. Reports are stored before they are sent; while they cannot be, nothing new is taken."""

    def __init__(self, runners: Mapping[str, Runner], store: Store, outbox: Outbox, codec: Codec) -> None:
        self._runners = runners
        self._store = store
        self._outbox = outbox
        self._codec = codec
        self.told: dict[RunKey, Told] = store.told()
        self.statuses: dict[RunKey, RunStatus] = {}
        """Runs that have not ended, and those whose end is not stored yet."""
        self._reports: list[Report] = []
        self._changes: dict[RunKey, Told] = {}
        self._values: dict[str, str] = {}
        self._settling: list[RunStatus] = []
        self._changed: set[RunKey] = set()
        self._again_at = 0.0
        self.problem = ""
        """Why nothing can be stored; empty when it can."""
        self.runner_problem = ""
        """Why a runner could not say or keep something in the last round; empty when it could."""
        self._failure = ""
        self._owed: list[Callable[[], None]] = []
        """What runners could not be asked for: as long, nothing is stored and no new command is taken."""
        outbox.add(store.reports())

    @property
    def is_blocked(self) -> bool:
        """Whether something waits to be stored."""
        return bool(self._reports or self._changes or self._values or self._owed)

    @property
    def running(self) -> list[RunStatus]:
        """Runs that have not ended."""
        return [status for status in self.statuses.values() if not status.is_over]

    def runner_of(self, status: RunStatus) -> Runner | None:
        """What runs it."""
        return self._runners.get(status.spec.running.runner)

    def is_known(self, key: RunKey) -> bool:
        """Whether a start of it was ever carried out or refused here."""
        return key in self.told or key in self.statuses

    def recover(self) -> None:
        """Find the runs of before this agent was started."""
        for runner in self._runners.values():
            for status in runner.recover():
                self._note(status)

    def start(self, spec: RunSpec, key: RunKey, lease_ends_s: float | None) -> None:
        """Start a run; raises ``RunRefusedError``."""
        from parallelm.agent.runners import RunStatus

        self._runners[spec.running.runner].start(spec, lease_ends_s)
        if key not in self.statuses:
            self._note(RunStatus(key=key, spec=spec))

    def stop(self, status: RunStatus, reason: str, outcome: Outcome = "stopped") -> None:
        """Ask a run to end."""
        if runner := self.runner_of(status):
            self._ask(lambda: runner.stop(status.key, reason, outcome))

    def deliver(self, status: RunStatus, model: ModelSpec) -> None:
        """Give a run another model."""
        if runner := self.runner_of(status):
            self._ask(lambda: runner.deliver(status.key, model))

    def renew(self, status: RunStatus, lease_ends_s: float) -> bool:
        """Let a run go on until then; False when that cannot be kept, and the next renewal is to say it."""
        try:
            if runner := self.runner_of(status):
                runner.renew(status.key, lease_ends_s)
        except OSError as error:
            self._note_failure(error)
            return False
        return True

    def look(self) -> None:
        """Take what has changed of runs."""
        self.runner_problem, self._failure = self._failure, ""
        for runner in self._runners.values():
            try:
                found = list(runner.changed())
            except OSError as error:
                self._note_failure(error)
                continue
            for status in found:
                if status.key in self.statuses or self.told.get(status.key, Told()).outcome != REFUSED:
                    self._note(status)

    def report(self, report: RunReport) -> None:
        """Have a report stored and sent."""
        numbered = dataclasses.replace(
            report, seq=self._store.take_seq(), message=report.message[:_MESSAGE_LIMIT]
        )
        self._reports.append(Report(numbered.seq, RUN_REPORTS.key(numbered), self._codec.encode(numbered)))

    def refuse(
        self, mlapp_id: str, node_id: str, key: RunKey, speaker: Speaker, error: RunRefusedError
    ) -> None:
        """Say that a run does not start here, now or later."""
        now_ms = time.time_ns() // 1_000_000
        made = run_report(mlapp_id, node_id, key, speaker, now_ms, RunReportKind.REFUSED)
        outcome = FAILED if isinstance(error, RunImpossibleError) else ""
        self.report(dataclasses.replace(made, outcome=outcome, message=str(error)))
        self._changes[key] = Told(outcome=REFUSED, message=str(error)[:_MESSAGE_LIMIT])

    def remember(self, **values: str) -> None:
        """Store values together with the reports of this round."""
        self._values |= values

    def tell_changes(self, speaker: Speaker) -> None:
        """Make reports of all that was not told yet."""
        now_ms = time.time_ns() // 1_000_000
        changed, self._changed = self._changed, set()
        for key in sorted(changed):
            status, before = self.statuses[key], self.told.get(key, Told())
            reports, after = to_tell(before, status, speaker, now_ms)
            if after != before:
                for report in reports:
                    self.report(report)
                self._changes[key] = after
                self._settling.append(status)
            elif status.is_over:
                self._settling.append(status)

    def commit(self) -> bool:
        """Store this round and send its reports; False when the store refuses, to be called again."""
        if self.is_blocked:
            if time.monotonic() < self._again_at:
                return False
            try:
                self._pay()
                self._store.commit(self._reports, self._changes, self._values, time.time_ns() // 1_000_000)
            except (StoreFullError, OSError) as error:
                self._wait(error)
                return False
            self.problem = ""
            self.told |= self._changes
            self._outbox.add(self._reports)
            self._reports, self._changes, self._values = [], {}, {}
        self._settle()
        return True

    def take_confirmations(self) -> int:
        """Forget reports that the broker has; returns how many."""
        seqs = self._outbox.take_confirmed()
        if not seqs:
            return 0
        try:
            self._store.confirmed(seqs)
        except StoreFullError:
            self._outbox.put_back(seqs)
            return 0
        return len(seqs)

    def prune(self) -> None:
        """Forget what was told of runs whose commands are long gone from the topic."""
        before_ms = time.time_ns() // 1_000_000 - _KEEP_TOLD_MS
        try:
            for key in self._store.forget_runs(before_ms, self.statuses):
                self.told.pop(key, None)
        except StoreFullError:
            return  # the next time

    def _note(self, status: RunStatus) -> None:
        self.statuses[status.key] = status
        self._changed.add(status.key)

    def _ask(self, call: Callable[[], None]) -> None:
        self._owed.append(call)
        try:
            self._pay()
        except OSError as error:
            self._wait(error)

    def _pay(self) -> None:
        while self._owed:
            self._owed[0]()
            del self._owed[0]

    def _wait(self, error: StoreFullError | OSError) -> None:
        if not self.problem:
            _LOG.error("%s; reports and commands wait until there is room", error)
        self.problem, self._again_at = str(error), time.monotonic() + _AGAIN_S

    def _note_failure(self, error: OSError) -> None:
        self._failure = f"a runner has failed: {error}"
        if not self.runner_problem:
            _LOG.warning("%s; it is asked again", self._failure)

    def _settle(self) -> None:
        left = []
        for status in self._settling:
            try:
                if runner := self.runner_of(status):
                    runner.settle(status)
            except OSError as error:
                self._note_failure(error)
                left.append(status)
                continue
            if status.is_over:
                self.statuses.pop(status.key, None)
        self._settling = left
