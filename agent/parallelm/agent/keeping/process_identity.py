"""Which process a pid means: pids are used again, so a process is its pid, its start time and the boot that it ran in.

Start times are ticks since the boot, exact integers that no clock moves.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import NamedTuple

_STATE, _PARENT, _START = 0, 1, 19
"""Fields of ``/proc/PID/stat`` behind the name of the program."""


_CHUNK = 65_536


def read_proc(path: str) -> bytes:
    """A file of ``/proc``, without the memory that text files and paths take of a keeper."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    content = b""
    try:
        while chunk := os.read(descriptor, _CHUNK):
            content += chunk
    finally:
        os.close(descriptor)
    return content


def boot_id() -> str:
    """Id of the boot of this host."""
    return read_proc("/proc/sys/kernel/random/boot_id").decode().strip()


def stat_fields(pid: int) -> list[str] | None:
    """Fields of ``/proc/PID/stat`` from the state on, or None when there is no such process."""
    try:
        text = read_proc(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(b")")[2].decode().split()


def parent_of(pid: int) -> int | None:
    """Pid of the parent, or None when there is no such process."""
    fields = stat_fields(pid)
    return None if fields is None else int(fields[_PARENT])


class ProcessIdentity(NamedTuple):
    """One process, for good: no other has the same identity."""

    pid: int
    start_ticks: int
    """Ticks between the boot and its start, as field 22 of ``/proc/PID/stat``."""
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """The process that has this pid now. Raises ``ProcessLookupError``."""
        fields = stat_fields(pid)
        if fields is None:
            raise ProcessLookupError(f"there is no process {pid}")
        return cls(pid, int(fields[_START]), boot_id())

    @classmethod
    def own(cls) -> ProcessIdentity:
        """This process."""
        return cls.of(os.getpid())

    def is_alive(self) -> bool:
        """Whether it runs. One that has ended, and only waits for its parent to notice, does not."""
        fields = stat_fields(self.pid)
        if fields is None or fields[_STATE] in {"Z", "X"} or int(fields[_START]) != self.start_ticks:
            return False
        return self.boot == boot_id()

    def open(self) -> int | None:
        """A pidfd, readable from its end on, or None when it has ended. The caller closes it."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if self.is_alive():  # the descriptor holds whatever process this now says
            return descriptor
        os.close(descriptor)
        return None

    def send(self, signal_number: int) -> bool:
        """Send it a signal, never to another process that has its pid; returns whether it was there."""
        descriptor = self.open()
        if descriptor is None:
            return False
        try:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal_number)
                return True
            return False
        finally:
            os.close(descriptor)
