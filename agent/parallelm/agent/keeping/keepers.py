"""The agent's side of keeping: starts keepers, asks things of them, and sees what has become of runs."""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from typing import TYPE_CHECKING, Literal

from parallelm.agent.keeping.orphans import end_orphans
from parallelm.agent.keeping.process_identity import boot_id
from parallelm.agent.keeping.records import Ending
from parallelm.agent.keeping.run_folder import RunFolder
from parallelm.agent.keeping.zygote_client import ZygoteClient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parallelm.agent.keeping.plan import Plan
    from parallelm.agent.keeping.process_identity import ProcessIdentity
    from parallelm.agent.keeping.records import Outcome

_LOG = logging.getLogger(__name__)
Phase = Literal["accepted", "kept", "ended"]
POLL_S = 0.2
"""How often files are looked at for changes that no descriptor tells of: starts and restarts of programs."""


class Keepers:
    """All runs of this host. Its calls may come from any thread; ``changed`` from one at a time.

    ``folder`` is the agent's own: runs are in ``folder/runs``, and only one agent uses it at a time. With ``end_with``
    all keepers and programs end as soon as that process is gone; without, they go on whatever ends.
    """

    def __init__(self, folder: Path, *, end_with: ProcessIdentity | None = None) -> None:
        self.root = folder / "runs"
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._zygote = ZygoteClient(folder, end_with)
        self._asking = threading.Lock()
        """Held from the reading of a request to its replacement."""
        self._watched: dict[str, int] = {}
        self._seen: dict[str, tuple[int, int]] = {}
        self._going_on: dict[str, RunFolder] | None = None
        """What ``changed`` looks at: runs that it has not seen ended. None before its first call."""
        self._unsaid: set[str] = set()

    def accept(self, run_id: str, attempt: int, spec_json: str) -> tuple[RunFolder, bool]:
        """Make the run's folder, and whether this call made it; as ``RunFolder.accept``."""
        run, is_new = RunFolder.accept(self.root, run_id, attempt, spec_json)
        if is_new and self._going_on is not None:
            self._going_on[run.path.name] = run
        return run, is_new

    def find(self, run_id: str, attempt: int) -> RunFolder | None:
        """A run that was accepted here, or None."""
        folder = RunFolder(self.root / f"{run_id}.{attempt}")
        return folder if folder.path.is_dir() else None

    def runs(self) -> list[RunFolder]:
        """All runs whose folders there are, from the disk."""
        return [RunFolder(path) for path in sorted(self.root.iterdir()) if not path.name.startswith(".")]

    def start(
        self,
        run: RunFolder,
        plan: Plan,
        *,
        inherited: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        lease_until_s: float | None = None,
    ) -> None:
        """Have a keeper begin the run; nothing happens when one has before.

        ``inherited`` and ``secrets`` are variables of its programs that no file holds, and that a restart gives them
        again: those of the plan win over ``inherited``, ``secrets`` over all. ``lease_until_s`` as in ``extend_lease``. Returns
        when the keeper is there; whether the program could be started stands in the run's folder afterwards. Raises
        ``OSError`` when the disk or the host refuses; call it again then.
        """
        if run.keeper() is not None or run.ending() is not None:
            return
        if lease_until_s is not None:
            run.save_lease(lease_until_s)
        run.save_plan(plan)
        self._zygote.start(run.path, inherited or {}, secrets or {})

    def stop(
        self, run: RunFolder, reason: str, *, outcome: Outcome = "stopped", grace_s: float | None = None
    ) -> None:
        """Ask for its end: SIGTERM, after the plan's grace (or ``grace_s``) SIGKILL; its end says ``outcome``.

        A run that was accepted and not begun ends without its program being started, once ``start`` is called.
        Asking again changes nothing, except that a shorter grace holds.
        """
        with self._asking:
            request = run.request()
            if request.stop is None:
                request.stop, request.outcome = reason, outcome
            elif grace_s is None:
                return
            request.grace_s = grace_s
            run.save_request(request)
        self._wake(run)

    def restart(self, run: RunFolder) -> None:
        """Stop its program with the plan's grace and start its steps again, with the variables of by then."""
        with self._asking:
            request = run.request()
            request.restarts += 1
            run.save_request(request)
        self._wake(run)

    def signal(self, run: RunFolder, name: str) -> None:
        """Send its program a signal, such as ``SIGHUP``."""
        with self._asking:
            request = run.request()
            request.signals, request.signal = request.signals + 1, signal.Signals[name].name
            run.save_request(request)
        self._wake(run)

    def extend_lease(self, run: RunFolder, until_s: float) -> None:
        """Let it run until ``until_s`` of ``time.clock_gettime(time.CLOCK_BOOTTIME)``, which counts suspended time.

        Its keeper sees to it that no program of it runs at that time, whatever has become of the agent.
        """
        run.save_lease(until_s)

    def phase(self, run: RunFolder) -> Phase:
        """``accepted``: not begun, ``start`` it (again); ``kept``: its keeper is there; ``ended``: see ``ending``.

        Of a run whose keeper is gone without a word, whatever is left of it is killed and its end recorded as ``lost``.
        """
        if run.ending() is not None:
            return "ended"
        keeper = run.keeper()
        if keeper is None:
            return "accepted"
        if keeper.is_alive():
            return "kept"
        if run.ending() is None:  # it may have written its last word in between
            try:
                self._record_loss(run, keeper)
            except OSError as error:  # a full disk: again when somebody asks again
                if run.path.name not in self._unsaid:
                    _LOG.warning("that run %s is lost cannot be written yet: %s", run.path.name, error)
                self._unsaid.add(run.path.name)
        return "ended"

    def changed(self, timeout_s: float) -> list[RunFolder]:
        """Runs that were accepted, begun, restarted or ended since the last call; waits until there is one.

        The first call returns every run there is.
        """
        until_s = time.monotonic() + timeout_s
        while not (found := self._changes()):
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                break
            waiting = select.poll()
            for descriptor in self._watched.values():
                waiting.register(descriptor, select.POLLIN)
            waiting.poll(min(POLL_S, left_s) * 1000)
        return found

    def close(self) -> None:
        """Close what is open; runs go on."""
        for descriptor in self._watched.values():
            os.close(descriptor)
        self._watched.clear()

    def _wake(self, run: RunFolder) -> None:
        keeper = run.keeper()
        if keeper is not None and keeper.pid != os.getpid():  # a run that could not begin is the agent's own
            keeper.send(signal.SIGUSR1)

    def _changes(self) -> list[RunFolder]:
        if self._going_on is None:
            self._going_on = {}  # from here on ``accept`` adds to it
            self._going_on |= {run.path.name: run for run in self.runs()}
        found = []
        for name, run in list(self._going_on.items()):
            if self._has_changed(name, run):
                found.append(run)
            if self._seen[name][1]:  # ended: nothing changes any more
                del self._going_on[name], self._seen[name]
        return found

    def _has_changed(self, name: str, run: RunFolder) -> bool:
        before = self._seen.get(name)
        now = _modified_ns(run.path / "progress.json"), _modified_ns(run.path / "end.json")
        if not now[1] and not self._is_watched(name, run) and self.phase(run) == "ended":
            now = now[0], _modified_ns(run.path / "end.json")
        if now[1]:
            self._unwatch(name)
        self._seen[name] = now
        return now != before

    def _is_watched(self, name: str, run: RunFolder) -> bool:
        """Whether its keeper is known to be there."""
        descriptor = self._watched.get(name)
        if descriptor is None:
            keeper = run.keeper()
            descriptor = None if keeper is None else keeper.open()
            if descriptor is None:
                return False
            self._watched[name] = descriptor
            return True
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        if not waiting.poll(0):
            return True
        self._unwatch(name)
        return False

    def _unwatch(self, name: str) -> None:
        descriptor = self._watched.pop(name, None)
        if descriptor is not None:
            os.close(descriptor)

    def _record_loss(self, run: RunFolder, keeper: ProcessIdentity) -> None:
        if keeper.boot != boot_id():
            message = "the host was restarted while it ran"
        else:
            ended = end_orphans(run.path)
            message = f"its keeper, process {keeper.pid}, was killed" + (
                f"; {ended} processes that it left were killed" if ended else ""
            )
        run.save_ending(
            Ending(
                outcome="lost",
                step_id=run.progress().step_id,
                starts=run.progress().starts,
                message=message,
                ended_at_ms=time.time_ns() // 1_000_000,
            )
        )


def _modified_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
