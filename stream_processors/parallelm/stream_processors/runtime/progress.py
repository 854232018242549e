"""Whether a worker gets on with its work: seconds without progress, of which those do not count in which no broker answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Progress:
    """What a worker's health is told from. Asked from other threads than the event loop's, which may hang."""

    def __init__(self) -> None:
        self._answers = True
        self._answers_since = time.monotonic()
        self._member_at = time.monotonic()
        self._beat_at = time.monotonic()

    def beat(self) -> None:
        """The event loop runs."""
        self._beat_at = time.monotonic()

    def broker_answers(self, *, answers: bool) -> None:
        """Whether the broker has just answered."""
        if answers and not self._answers:
            self._answers_since = time.monotonic()
        self._answers = answers

    def is_member(self) -> None:
        """The worker has its place in the group, and knows which partitions are its own; there may be none."""
        self._member_at = time.monotonic()

    def age_s(self, shards: Iterable[float]) -> float:
        """Seconds without progress, given when each shard has last made some."""
        now = time.monotonic()
        silent_s = now - self._beat_at
        if not self._answers:
            return silent_s
        return max(silent_s, now - max(min(shards, default=self._member_at), self._answers_since))
