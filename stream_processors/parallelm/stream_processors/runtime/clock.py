"""Time for a shard, as the broker tells it: no record that had arrived by then is still to be handled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CLOCK_INTERVAL_S = 2.0
"""How often time alone may change something."""


@dataclass(slots=True)
class Clock:
    """Time as the broker tells it: what the acknowledgement of a transaction says, once all of before is handled."""

    time_ms: int | None = None
    ends: Mapping[str, int] | None = None
    last_asked: float = 0.0

    def wants_time(self, now: float) -> bool:
        """Whether a transaction is due, so that its acknowledgement says what time it is."""
        return self.time_ms is None and now - self.last_asked >= CLOCK_INTERVAL_S

    def set_time(self, arrived_ms: int, now: float) -> None:
        """A transaction was acknowledged at ``arrived_ms``."""
        if self.wants_time(now):
            self.time_ms, self.last_asked = arrived_ms, now

    def wants_ends(self) -> bool:
        """Whether the ends that make the time usable are to be asked for."""
        return self.time_ms is not None and self.ends is None

    def time_handled(self, handled: Mapping[str, int]) -> int | None:
        """The time, once: when the shard's topics are handled up to where they ended after it."""
        if self.time_ms is None or self.ends is None:
            return None
        if any(handled.get(topic, 0) < end for topic, end in self.ends.items()):
            return None
        at_ms, self.time_ms, self.ends = self.time_ms, None, None
        return at_ms
