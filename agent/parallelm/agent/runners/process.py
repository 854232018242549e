"""Runs pipelines as process trees on this host, each under its keeper."""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.agent.errors import RunRefusedError
from parallelm.agent.keeping.keepers import Keepers
from parallelm.agent.keeping.process_identity import ProcessIdentity, boot_id
from parallelm.agent.pipelines import delivery_book
from parallelm.agent.pipelines.deliveries import Deliveries
from parallelm.agent.pipelines.disk_space import SETTLED, DiskSpace, copies, free
from parallelm.agent.pipelines.left_reports import LeftReports
from parallelm.agent.pipelines.pipelines import Pipelines
from parallelm.agent.pipelines.variables import MODEL_ID, SPOOL_FOLDER, of_host
from parallelm.agent.runners import RunKey, RunStatus, register
from parallelm.connections.outbox_folder import outbox_folder
from parallelm.definitions.run_spec import RunSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from parallelm.agent.keeping.records import Outcome
    from parallelm.agent.keeping.run_folder import RunFolder
    from parallelm.agent.runners import RunnerContext
    from parallelm.definitions.run_spec import ModelSpec

_AGAIN_S = 1.0
_LOG = logging.getLogger(__name__)


class ProcessRunner:
    """``Runner`` over keepers."""

    def __init__(self, context: RunnerContext) -> None:
        context.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        supervisor = context.supervisor_pid
        self._keepers = Keepers(
            context.folder, end_with=None if supervisor is None else ProcessIdentity.of(supervisor)
        )
        self._disk = DiskSpace(self._keepers, context.folder)
        component = context.settings.component
        host = of_host(os.environ, component.spool_folder or str(context.folder / "spool"))
        self._pipelines = Pipelines(
            self._keepers, self._disk, context.folder, context.settings, context.agent_id, host
        )
        spool = [Path(folder)] if (folder := host[SPOOL_FOLDER]) else []  # empty: they are to have none
        self._left_reports = LeftReports([*spool, outbox_folder(component)], host)
        self._deliveries = Deliveries(self._keepers, self._pipelines, self._disk, context.settings)
        self._working: dict[Future[None], RunFolder] = {}
        self._queues: dict[RunKey, list[Callable[[], None]]] = {}
        self._specs: dict[RunKey, RunSpec] = {}
        self._unwritten: dict[tuple[str, RunKey], Callable[[], None]] = {}
        self._refused: set[RunKey] = set()

    def recover(self) -> Iterable[RunStatus]:
        """Every run that was not settled; what was being done for them when the agent ended goes on."""
        found = [run for run in self._keepers.runs() if not (run.path / SETTLED).exists()]
        self._keepers.changed(0)
        for run in found:
            if self._keepers.phase(run) == "accepted":
                self._begin(run)
            for model in delivery_book.open_deliveries(run):
                self._deliver(run, model)
        return [self._status(run) for run in found]

    def start(self, spec: RunSpec, lease_ends_s: float | None) -> None:
        """Accept the run on disk; all that takes time happens in a thread."""
        try:
            spec_json = spec.json()
            run, is_new = self._disk.with_room(
                lambda: self._keepers.accept(spec.run_id, spec.attempt, spec_json)
            )
            if not is_new:
                return
            if lease_ends_s is not None:
                run.save_lease(lease_ends_s)
        except (OSError, ValueError) as error:
            raise RunRefusedError(f"the run cannot be kept on this host: {error}") from error
        self._begin(run)

    def stop(self, key: RunKey, reason: str, outcome: Outcome = "stopped") -> None:
        """Ask its keeper; one that has not begun ends when it would begin."""

        def write() -> None:
            run = self._going_on(key)
            if run is not None:
                self._keepers.stop(run, reason, outcome=outcome)

        if ("stop", key) not in self._unwritten:  # the first reason stays
            self._write("stop", key, write)

    def deliver(self, key: RunKey, model: ModelSpec) -> None:
        """Note the delivery on disk, and make it in a thread."""

        def write() -> None:
            run = self._going_on(key)
            if run is not None and delivery_book.open_delivery(run, model):
                self._deliver(run, model)

        self._write(f"delivery of {model.model_id!r} by {model.deployment_id!r}", key, write)

    def renew(self, key: RunKey, lease_ends_s: float) -> None:
        """Its keeper reads it when it would end the run."""

        def write() -> None:
            run = self._going_on(key)
            if run is not None:
                self._keepers.extend_lease(run, lease_ends_s)

        self._write("lease", key, write)

    def changed(self) -> Iterable[RunStatus]:
        """From the files of runs, and from what threads have done."""
        # First what may fail, with a disk that does: what has changed is said once.
        self._disk.look()
        self._left_reports.look()
        runs = {run.path.name: run for run in self._keepers.changed(0)}
        for (what, key), write in list(self._unwritten.items()):
            self._write(what, key, write)
        for done in [future for future in self._working if future.done()]:
            run = self._working.pop(done)
            if self._is_done(run, done.exception()):
                runs[run.path.name] = run
                self._next(_key(run))
        found = []
        for run in runs.values():
            if not (run.path / SETTLED).exists():
                found.append(status := self._status(run))
                if status.is_over and any(copy.exists() for copy in copies(run, status.spec)):
                    _in_thread(partial(free, run, status.spec))
        return found

    def settle(self, status: RunStatus) -> None:
        """An ended run is not told of again."""

        def write() -> None:
            run = self._keepers.find(status.key.run_id, status.key.attempt)
            if run is not None:
                (run.path / SETTLED).touch()

        if status.is_over:
            self._write("end", status.key, write)
            self._specs.pop(status.key, None)

    def logs(self, key: RunKey) -> Path | None:
        """Its segments; ``keeping.log_reader`` reads them."""
        run = self._keepers.find(key.run_id, key.attempt)
        return None if run is None else run.logs

    def pids(self, key: RunKey) -> Iterable[int]:
        """Its program, while one runs."""
        run = self._going_on(key)
        if run is None:
            return []
        progress = run.progress()
        process = ProcessIdentity(progress.pid, progress.start_ticks, boot_id())
        return [progress.pid] if progress.pid and process.is_alive() else []

    def wake_fd(self) -> int | None:
        """None: ``changed`` looks at files."""
        return None

    def close(self) -> None:
        """Runs go on; what threads are about is begun again by ``recover``."""
        self._left_reports.close()
        self._keepers.close()

    def _write(self, what: str, key: RunKey, write: Callable[[], None]) -> None:
        """Have the files of a run say something; what a full disk refuses is written by a later ``changed``."""
        try:
            self._disk.with_room(write)
        except OSError as error:
            if not self._unwritten:
                _LOG.warning("%s of run %s cannot be written yet: %s", what, key.run_id, error)
            self._unwritten[what, key] = write
        else:
            self._unwritten.pop((what, key), None)

    def _is_done(self, run: RunFolder, error: BaseException | None) -> bool:
        """Whether a thread has done what there was to do first for the run; what a full disk refused is done again."""
        key = _key(run)
        if isinstance(error, OSError):
            if key not in self._refused:
                _LOG.warning("how it went with run %s cannot be written yet: %s", run.path.name, error)
            self._refused.add(key)
            again = self._queues[key][0]
            self._working[_in_thread(lambda: _later(again))] = run
            return False
        self._refused.discard(key)
        if error is not None:
            _LOG.error("what was to be done for run %s failed", run.path.name, exc_info=error)
        return True

    def _begin(self, run: RunFolder) -> None:
        self._enqueue(run, lambda: self._pipelines.begin(run))

    def _deliver(self, run: RunFolder, model: ModelSpec) -> None:
        self._enqueue(run, lambda: self._deliveries.deliver(run, model))

    def _enqueue(self, run: RunFolder, work: Callable[[], None]) -> None:
        """Do the work in a thread, after what else there is to do for the run."""
        queue = self._queues.setdefault(_key(run), [])
        queue.append(work)
        if len(queue) == 1:
            self._working[_in_thread(work)] = run

    def _next(self, key: RunKey) -> None:
        queue = self._queues[key]
        queue.pop(0)
        if not queue:
            del self._queues[key]
            return
        run = self._keepers.find(key.run_id, key.attempt)
        if run is not None:
            self._working[_in_thread(queue[0])] = run

    def _going_on(self, key: RunKey) -> RunFolder | None:
        run = self._keepers.find(key.run_id, key.attempt)
        return None if run is None or run.ending() is not None else run

    def _status(self, run: RunFolder) -> RunStatus:
        key, ending, progress = _key(run), run.ending(), run.progress()
        if key not in self._specs:
            self._specs[key] = RunSpec.of_json(run.spec_json())
        keeper = run.keeper()
        deliveries = delivery_book.ended_deliveries(run)
        if ending is None:
            return RunStatus(
                key=key,
                spec=self._specs[key],
                pid=progress.pid or (keeper.pid if keeper else 0),
                starts=progress.starts,
                started_at_ms=progress.started_at_ms,
                model_id=run.variables().get(MODEL_ID, ""),
                deliveries=deliveries,
            )
        return RunStatus(
            key=key,
            spec=self._specs[key],
            starts=ending.starts,
            started_at_ms=progress.started_at_ms,
            ended_at_ms=ending.ended_at_ms,
            outcome=ending.outcome,
            exit_code=ending.exit_code,
            message=ending.message,
            model_id=run.variables().get(MODEL_ID, ""),
            deliveries=deliveries,
        )


def _in_thread(work: Callable[[], None]) -> Future[None]:
    """Do it in a thread of its own: what one run waits for (uv, a download, a file) keeps no other, nor the agent's end."""
    done: Future[None] = Future()

    def do() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - who asks for the result has it
            done.set_exception(error)
        else:
            done.set_result(None)

    try:
        threading.Thread(target=do, name="run", daemon=True).start()
    except RuntimeError as error:
        done.set_exception(OSError(f"no thread for a run: {error}"))
    return done


def _later(work: Callable[[], None]) -> None:
    time.sleep(_AGAIN_S)
    work()


def _key(run: RunFolder) -> RunKey:
    return RunKey(run.run_id, run.attempt)


register("process", ProcessRunner)
