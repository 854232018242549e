"""``python die_with_parent.py PARENT_PID COMMAND ...``: become a command that the kernel kills when its parent ends.

For programs that have threads, in which a ``preexec_fn`` may not run Python between fork and exec. It runs as a file of
its own with nothing but the standard library, some 20 ms before the command starts.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int, signal_number: int) -> None:
    """Have the kernel send this process the signal when the thread that started it ends.

    If the parent is gone already the signal would never come: end at once.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def killed_with_us(*command: str) -> list[str]:
    """The command so that its process, which keeps its pid, is killed when the thread that starts it ends."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


if __name__ == "__main__":
    die_with(int(sys.argv[1]), signal.SIGKILL)
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - the parent's own command
