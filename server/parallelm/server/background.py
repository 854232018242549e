"""Work that takes longer than a request: it goes on in a thread of this process, and any process tells how far it is."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import SQLAlchemyError

from parallelm.server.accounts import tasks
from parallelm.server.problems import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.server.accounts.database import Database
    from parallelm.server.accounts.tasks import Order

    Report = Callable[[float, str], None]
    """Told the share that is done, and what is done now."""

_LOG = logging.getLogger(__name__)
_BEAT_S: Final = 2.0


def begin(database: Database, order: Order, work: Callable[[Report], Mapping[str, Any]]) -> str:
    """Begin it, and return the task's id; what ``work`` returns is the task's result.

    Raises ``TaskGoesOnError``; ``work`` is not called then.
    """
    task_id = tasks.begin(database, order, _now_ms())
    running = _Running(database, task_id, work)
    threading.Thread(target=running.run, name=f"task-{order.kind}", daemon=True).start()
    return task_id


class _Running:
    def __init__(self, database: Database, task_id: str, work: Callable[[Report], Mapping[str, Any]]) -> None:
        self._database = database
        self._task_id = task_id
        self._work = work
        self._done = (0.0, "")
        self._ended = threading.Event()

    def run(self) -> None:
        """Work, and report meanwhile."""
        beating = threading.Thread(target=self._beat, name="task-beat", daemon=True)
        beating.start()
        try:
            ended: dict[str, Any] = {"result": self._work(self._report)}
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the task's end
            ended = {"reason": reason_of(error, f"task {self._task_id}")}
        self._ended.set()
        beating.join()
        self._keep(lambda: tasks.end(self._database, self._task_id, _now_ms(), **ended))

    def _report(self, share: float, step: str) -> None:
        self._done = (share, step)

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT_S):
            self._keep(lambda: tasks.report(self._database, self._task_id, *self._done, _now_ms()))

    def _keep(self, write: Callable[[], None]) -> None:
        try:
            write()
        except SQLAlchemyError as error:
            _LOG.warning("how task %s is cannot be kept: %s", self._task_id, error)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
