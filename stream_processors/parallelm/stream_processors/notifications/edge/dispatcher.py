"""Threads that send: one for each target, so that a receiver that is away holds up no other one."""

from __future__ import annotations

import logging
import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.stream_processors.notifications.deliveries import Outcome
from parallelm.stream_processors.notifications.edge import metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.stream_processors.notifications.edge.senders import Message
    from parallelm.stream_processors.notifications.edge.targets import Target

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A message to send, while this process may."""

    target: str
    message: Message
    until: float
    """Monotonic seconds: later another process may have taken over, so that it is not sent."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """How an attempt ended."""

    notification_id: str
    outcome: Outcome
    error: str


class Dispatcher:
    """Outlives sessions with the broker: what was sent in one is recorded in the next, and not sent again."""

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self._targets = targets
        self._queues: dict[str, queue.SimpleQueue[Attempt]] = {}
        self._ended: queue.SimpleQueue[Attempted] = queue.SimpleQueue()
        self._under_way: set[str] = set()
        self._unrecorded: dict[str, Attempted] = {}

    def start(self, attempt: Attempt) -> None:
        """Begin to send; the outcome is among ``ended`` later."""
        self._under_way.add(attempt.message.notification_id)
        if attempt.target not in self._queues:
            waiting = self._queues[attempt.target] = queue.SimpleQueue()
            thread = threading.Thread(
                target=self._work, args=(attempt.target, waiting), name=f"send {attempt.target}", daemon=True
            )
            thread.start()
        self._queues[attempt.target].put(attempt)

    def is_under_way(self, notification_id: str) -> bool:
        """Whether an attempt has begun and not ended."""
        return notification_id in self._under_way

    def ended(self) -> list[Attempted]:
        """Attempts that ended and were not ``recorded`` yet."""
        while not self._ended.empty():
            attempted = self._ended.get()
            self._under_way.discard(attempted.notification_id)
            self._unrecorded[attempted.notification_id] = attempted
        return list(self._unrecorded.values())

    def recorded(self, attempted: list[Attempted]) -> None:
        """Their outcome is stored."""
        for each in attempted:
            self._unrecorded.pop(each.notification_id, None)

    def wait_for_attempts(self, timeout_s: float) -> None:
        """Let what is being sent end, so that its outcome can be recorded."""
        deadline = time.monotonic() + timeout_s
        while self._under_way and time.monotonic() < deadline:
            self.ended()
            time.sleep(0.02)

    def _work(self, target_id: str, waiting: queue.SimpleQueue[Attempt]) -> None:
        while True:
            attempt = waiting.get()
            self._ended.put(self._attempted(self._targets[target_id], attempt))

    def _attempted(self, target: Target, attempt: Attempt) -> Attempted:
        notification_id = attempt.message.notification_id
        if time.monotonic() > attempt.until:
            return Attempted(notification_id, Outcome.NOT_TRIED, "")
        begun = time.monotonic()
        outcome, error = target.send(attempt.message)
        metrics.SEND_SECONDS.labels(target.target_id).observe(time.monotonic() - begun)
        metrics.ATTEMPTS.labels(target.target_id, outcome.value).inc()
        if outcome is not Outcome.SENT:
            logger.warning("%s: notification %s was not sent: %s", target.target_id, notification_id, error)
        elif error:
            logger.warning(
                "%s: notification %s was sent in part: %s", target.target_id, notification_id, error
            )
        return Attempted(notification_id, outcome, error)
