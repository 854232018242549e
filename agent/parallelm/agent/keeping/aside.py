"""Work in a forked process that is gone afterwards, so that the memory it touches is not the keeper's for months.

Python counts references in the objects themselves: whatever code runs copies pages that the zygote and all keepers share.
"""

from __future__ import annotations

import marshal
import os
import time
from typing import TYPE_CHECKING, Any

from parallelm.agent.keeping.linux import die_with

if TYPE_CHECKING:
    from collections.abc import Callable

_PIPE = 65_536
_AGAIN_S = 1.0


class AsideError(Exception):
    """Work that was done aside ended with an error."""


def aside(work: Callable[[], Any]) -> Any:
    """Result of ``work``, made of plain values; again when its process was killed, as by a host without memory.

    Raises ``AsideError`` with the error that it ended with.
    """
    caller = os.getpid()
    while True:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            pid = os.fork()
        except OSError:
            os.close(reader)
            os.close(writer)
            return work()  # no process to be had: the work matters more than the memory
        if pid == 0:
            _work(work, writer, caller)
        os.close(writer)
        answer = b""
        while chunk := os.read(reader, _PIPE):
            answer += chunk
        os.close(reader)
        os.waitpid(pid, 0)
        if answer:
            result, error = marshal.loads(answer)  # noqa: S302 - our own
            if error:
                raise AsideError(error)
            return result
        time.sleep(_AGAIN_S)


def _work(work: Callable[[], Any], writer: int, caller: int) -> None:
    try:
        die_with(caller)  # nobody acts for a keeper that was killed
        try:
            answer = marshal.dumps((work(), ""))
        except Exception as error:  # noqa: BLE001 - answered
            answer = marshal.dumps((None, f"{type(error).__name__}: {error}"))
        while answer:
            answer = answer[os.write(writer, answer) :]
    finally:
        os._exit(0)
