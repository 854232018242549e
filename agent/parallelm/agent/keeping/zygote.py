"""The process that keepers are forked from: it has imported what they need, and touches as little memory as can be.

It outlives the agent, and ends when it has no keepers and nobody asks it for a while. A keeper needs it no more: when it
is killed, the agent starts another. It is the reaper of what a killed keeper leaves behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import hashlib
import json
import os
import select
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any, NoReturn

from parallelm.agent.keeping import signals
from parallelm.agent.keeping.files import reserve_space
from parallelm.agent.keeping.keeper import RESERVE, Hidden, Keeper
from parallelm.agent.keeping.linux import become_reaper
from parallelm.agent.keeping.process_identity import ProcessIdentity
from parallelm.agent.keeping.process_tree import children, signal_all
from parallelm.agent.keeping.run_folder import RunFolder
from parallelm.agent.keeping.timer import BootTimer

SOCKET = "keepers.sock"
LOG = "keepers.log"
_LOCK = "keepers.lock"
IDLE_MS = 60_000
_MAX_QUESTION = 4 << 20
_QUESTION_S = 10.0


def code_digest() -> str:
    """Digest of the code that keepers run, so that an upgraded agent starts keepers of its own version."""
    digest = hashlib.sha256(sys.version.encode())
    for file in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def socket_address(folder: Path) -> tuple[int, str]:
    """Address of the socket through a descriptor of its folder, which the caller closes: addresses are short."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return descriptor, f"/proc/self/fd/{descriptor}/{SOCKET}"


class Zygote:
    """Forks keepers on demand."""

    def __init__(self, folder: Path, end_with: int | None) -> None:
        self._folder = folder
        self._end_with = end_with
        self._code = code_digest()
        self._keepers: dict[int, str] = {}
        self._lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(0)  # another one is there
        self._listener: socket.socket | None = self._listen()
        self._wake = signals.wake_descriptor()
        become_reaper()

    def _listen(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        (self._folder / SOCKET).unlink(missing_ok=True)
        folder, address = socket_address(self._folder)
        os.umask(0o177)
        listener.bind(address)
        os.umask(0o077)
        os.close(folder)
        listener.listen(64)
        return listener

    def serve(self) -> None:
        """Answer until nobody needs it."""
        while self._listener is not None or children(os.getpid()):  # keepers, or what a killed one has left
            waiting = select.poll()
            waiting.register(self._wake, select.POLLIN)
            if self._listener is not None:
                waiting.register(self._listener, select.POLLIN)
            if self._end_with is not None:
                waiting.register(self._end_with, select.POLLIN)
            ready = [descriptor for descriptor, _ in waiting.poll(IDLE_MS)]
            if self._end_with in ready or signals.is_terminated() or (not ready and not self._keepers):
                return
            if self._wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake, 4096)
            self._reap()
            if self._listener is not None and self._listener.fileno() in ready:
                self._answer(self._listener)

    def _answer(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError, ValueError):
            connection.settimeout(_QUESTION_S)
            _, uid, _ = struct.unpack(
                "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            )
            if uid not in {os.getuid(), 0}:
                return
            with connection.makefile("rb") as lines:
                question = json.loads(lines.readline(_MAX_QUESTION))
            answer = self._start(question) if question["code"] in {None, self._code} else self._retire()
            connection.sendall(json.dumps(answer).encode() + b"\n")

    def _retire(self) -> dict[str, Any]:
        """Leave the socket to a zygote of other code."""
        (self._folder / SOCKET).unlink(missing_ok=True)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        return {"retired": True}

    def _start(self, question: dict[str, Any]) -> dict[str, Any]:
        """Fork a keeper and claim the run for it. What both need is made before, so that they share it."""
        run, timer = RunFolder(Path(question["run"])), BootTimer()
        go, going = os.pipe2(os.O_CLOEXEC)
        try:
            hidden = Hidden(*question["hidden"])
            keeper = Keeper(run, run.plan(), hidden, self._end_with, timer)
            reserve_space(run.path / RESERVE)
            pid = os.fork()
            if pid == 0:
                os.close(going)
                self._become_keeper(go, keeper)
            self._keepers[pid] = question["run"]
            # One that has ended, or that somebody else has claimed, is not begun; nor one whose claim the disk refuses.
            if run.ending() is None and run.claim(ProcessIdentity.of(pid)):
                os.write(going, b"!")
        except (OSError, ValueError, TypeError, LookupError) as error:
            return {"error": str(error)}
        finally:
            timer.close()
            os.close(go)
            os.close(going)
        return {"pid": pid}

    def _become_keeper(self, go: int, keeper: Keeper) -> NoReturn:
        code = 1
        try:
            os.setsid()
            for descriptor in (self._wake, self._lock):
                os.close(descriptor)
            if self._listener is not None:
                self._listener.close()
            if os.read(go, 1):
                os.close(go)
                keeper.keep()
            code = 0
        except BaseException as error:  # noqa: BLE001 - a forked process must end here, whatever happens
            sys.excepthook(type(error), error, error.__traceback__)
            sys.stderr.flush()
        finally:
            os._exit(code)

    def _reap(self) -> None:
        """See to children that have ended; kill what a killed keeper has left, which is a child of this process then."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                break
            self._keepers.pop(pid, None)
        signal_all([pid for pid in children(os.getpid()) if pid not in self._keepers], signal.SIGKILL)


def main() -> None:
    """``FOLDER [PID START_TICKS BOOT]``: serve in the folder; all ends when that process does."""
    folder, end_with = Path(sys.argv[1]), None
    if len(sys.argv) > 2:  # noqa: PLR2004 - with a process to end with
        end_with = ProcessIdentity(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]).open()
        if end_with is None:
            return
    signals.set_up()
    gc.disable()
    zygote = Zygote(folder, end_with)
    gc.collect()
    gc.freeze()
    zygote.serve()
