"""The process that keepers are forked from: it has imported what they need, and touches as little memory as can be.

Whatever it touches between two forks is memory of its own for each keeper. So it only accepts and forks: the keeper itself
hears what it is asked for. It outlives the agent, and ends when it has no keepers and nobody asks it for a while. A keeper
needs it no more: when it is killed, the agent starts another. It is the reaper of what a killed keeper leaves behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import marshal
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

from parallelm.agent.keeping import signals
from parallelm.agent.keeping.aside import aside
from parallelm.agent.keeping.keeper import Keeper
from parallelm.agent.keeping.linux import become_reaper
from parallelm.agent.keeping.process_identity import ProcessIdentity
from parallelm.agent.keeping.process_tree import children, signal_all
from parallelm.agent.keeping.program import start_program
from parallelm.agent.keeping.sharing import fill_holes, lie_together

if TYPE_CHECKING:
    import socket
    from pathlib import Path

LOG = "keepers.log"
IDLE_MS = 60_000
_WARM_RUNS = 9
"""Python rewrites code that was called eight times."""


def socket_name(code: str) -> str:
    """Name of the socket: each version of the code has a zygote of its own."""
    return f"keepers-{code}.sock"


def socket_address(folder: Path, code: str) -> tuple[int, str]:
    """Address of the socket through a descriptor of its folder, which the caller closes: addresses are short."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return descriptor, f"/proc/self/fd/{descriptor}/{socket_name(code)}"


class Zygote:
    """Forks keepers on demand."""

    def __init__(self, folder: Path, code: str, end_with: int | None) -> None:
        self._end_with = end_with
        self._keepers: set[int] = set()
        self._lock = os.open(folder / f"keepers-{code}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(0)  # another one is there
        _warm_up(folder)
        self._listener = _listen(folder, code)
        self._listening = self._listener.fileno()
        self._wake = signals.wake_descriptor()
        become_reaper()

    def look_names_up(self) -> None:
        """Have the names that a keeper asks for in Python's cache of attributes: what it would put there takes memory."""
        names = {name for function in _RUN_BY_KEEPERS for name in function.__code__.co_names}
        for owner in (self, Zygote, Keeper, type(select.poll()), os, signals, select, time, marshal):
            for name in names & vars(owner).keys():
                getattr(owner, name, None)

    def serve(self) -> None:
        """Answer until nobody needs it."""
        waiting, listener = select.poll(), self._listening
        for descriptor in (self._wake, listener, self._end_with):
            if descriptor is not None:
                waiting.register(descriptor, select.POLLIN)
        while True:
            ready = dict(waiting.poll(IDLE_MS))
            if len(ready) == 1 and listener in ready:
                self._fork()  # at once: what is touched between two forks is memory of each keeper
                continue
            if self._end_with in ready or signals.is_terminated() or (not ready and not self._keepers):
                return
            if self._wake in ready:
                self._reap()
            if listener in ready:
                self._fork()

    def _fork(self) -> None:
        """Give who has connected to a keeper."""
        connection, _ = self._listener._accept()  # type: ignore[attr-defined]  # noqa: SLF001 - accept() takes more memory
        try:
            pid = os.fork()
            if pid == 0:
                self._become_keeper(connection)
            self._keepers.add(pid)
        except OSError as error:
            sys.stderr.write(f"no keeper can be forked: {error}\n")
        finally:
            os.close(connection)

    def _become_keeper(self, connection: int) -> NoReturn:
        code = 1
        try:
            # Else what it forks wakes up the zygote, and that touches memory of each keeper.
            signals.close_wake_descriptor(self._wake)
            os.setsid()
            os.close(self._lock)
            os.close(self._listening)
            keeper = os.getpid()
            begun = aside(lambda: _begin(connection, keeper))
            os.close(connection)
            if begun is not None:
                Keeper(begun, self._end_with).keep()
            code = 0
        except BaseException as error:  # noqa: BLE001 - a forked process must end here, whatever happens
            sys.excepthook(type(error), error, error.__traceback__)
            sys.stderr.flush()
        finally:
            os._exit(code)

    def _reap(self) -> None:
        """See to children that have ended; kill what a killed keeper has left, which is a child of this process then."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                break
            self._keepers.discard(pid)
        signal_all([pid for pid in children(os.getpid()) if pid not in self._keepers], signal.SIGKILL)


def _begin(connection: int, keeper: int) -> tuple[Any, ...] | None:
    from parallelm.agent.keeping.beginning import begin

    return begin(connection, keeper)


def _warm_up(folder: Path) -> None:
    """Go once the way that keepers go: what Python sets up at first calls is theirs together then."""
    import shutil

    from parallelm.agent.keeping.beginning import begun
    from parallelm.agent.keeping.plan import Plan, StepPlan
    from parallelm.agent.keeping.run_folder import RunFolder

    place = folder / ".warm-up"
    with contextlib.suppress(OSError):  # a full disk: they take more memory, and that is all
        shutil.rmtree(place, ignore_errors=True)
        for number in range(_WARM_RUNS):
            run, _ = RunFolder.accept(place, f"run-{number}", 1, "{}")
            step = StepPlan(step_id="step", command=["/bin/sh", "-c", "echo"], folder="/")
            Keeper(begun(str(run.path), Plan(steps=[step], environ={}), {}, {}), None).run_to_end()
    shutil.rmtree(place, ignore_errors=True)


def _listen(folder: Path, code: str) -> socket.socket:
    import socket

    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    (folder / socket_name(code)).unlink(missing_ok=True)
    descriptor, address = socket_address(folder, code)
    os.umask(0o177)
    listener.bind(address)
    os.umask(0o077)
    os.close(descriptor)
    listener.listen(64)
    return listener


_RUN_BY_KEEPERS = (
    Zygote._fork,  # noqa: SLF001 - all that a keeper runs
    Zygote._become_keeper,  # noqa: SLF001 - all that a keeper runs
    signals.close_wake_descriptor,
    aside,
    Keeper.__init__,
    Keeper.keep,
    Keeper.run_to_end,
    become_reaper,
    signals.wake_descriptor,
    start_program,
    Keeper._wait,  # noqa: SLF001 - all that a keeper runs
    Keeper._reap,  # noqa: SLF001 - all that a keeper runs
    signals.has_noted,
)


def main() -> None:
    """``FOLDER CODE [PID START_TICKS BOOT]``: serve in the folder; all ends when that process does."""
    from pathlib import Path

    folder, code, end_with = Path(sys.argv[1]), sys.argv[2], None
    if len(sys.argv) > 3:  # noqa: PLR2004 - with a process to end with
        end_with = ProcessIdentity(int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]).open()
        if end_with is None:
            return
    signals.set_up()
    gc.disable()
    lie_together(_RUN_BY_KEEPERS)
    zygote = Zygote(folder, code, end_with)
    gc.collect()
    fill_holes()
    gc.freeze()
    zygote.look_names_up()
    zygote.serve()
    (folder / socket_name(code)).unlink(missing_ok=True)
