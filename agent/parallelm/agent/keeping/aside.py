"""Work in a forked process that is gone afterwards, so that the memory it touches is not the keeper's for months.

Python counts references in the objects themselves: whatever code runs copies pages that the zygote and all keepers share.
"""

from __future__ import annotations

import marshal
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_PIPE = 65_536


def aside(work: Callable[[], Any]) -> tuple[Any, str]:
    """Result of ``work``, made of plain values, or None with the error that it ended with."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        return work(), ""  # no process to be had: the work matters more than the memory
    if pid == 0:
        _work(work, writer)
    os.close(writer)
    answer = b""
    while chunk := os.read(reader, _PIPE):
        answer += chunk
    os.close(reader)
    os.waitpid(pid, 0)
    result: tuple[Any, str] = marshal.loads(answer) if answer else (None, "it was killed")  # noqa: S302 - our own
    return result


def _work(work: Callable[[], Any], writer: int) -> None:
    try:
        try:
            answer = marshal.dumps((work(), ""))
        except Exception as error:  # noqa: BLE001 - answered
            answer = marshal.dumps((None, f"{type(error).__name__}: {error}"))
        while answer:
            answer = answer[os.write(writer, answer) :]
    finally:
        os._exit(0)
