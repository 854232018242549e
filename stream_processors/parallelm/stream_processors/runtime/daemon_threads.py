"""Blocking calls in threads that do not keep the process from ending while their broker does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def in_a_daemon_thread(function: Callable[[], T]) -> asyncio.Future[T]:
    """Result of a blocking call. A future that is cancelled leaves the call to itself."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(set_result: Callable[[Any], None], result: Any) -> None:
        if not future.done():
            set_result(result)

    def run() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
            try:
                result = function()
            except Exception as error:  # noqa: BLE001 - raised where the result is taken
                loop.call_soon_threadsafe(settle, future.set_exception, error)
            else:
                loop.call_soon_threadsafe(settle, future.set_result, result)

    threading.Thread(target=run, daemon=True).start()
    return future
