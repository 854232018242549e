"""How one sink process works, and what asks it to stop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from parallelm.sinks.dead_letters import DeadLetterLimit
from parallelm.sinks.tables import STORED_TOPICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.schemas.topics import Topic


class Stop(Protocol):
    """Asks the sink to stop: a ``threading.Event``, or an equivalent that signals set."""

    def is_set(self) -> bool:
        """Whether it is to stop."""

    def wait(self, timeout: float, /) -> bool:
        """Wait until it is, for ``timeout`` seconds at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkOptions:
    """How one sink process works."""

    topics: Sequence[Topic] = STORED_TOPICS
    group: str = ""
    """Consumer group; empty: the topic prefix and ``sink``."""
    flush_interval_s: float = 0.2
    instance_id: str = ""
    """Name that stays the same over restarts: started again within the session time-out, it gets its partitions back at once."""
    inserts_at_once: int = 2
    """Inserts that run side by side, of different partitions."""
    inserts_a_second: float = 60.0
    """Insert budget of one table."""
    session_timeout_s: float = 10.0
    """Kafka reassigns the partitions of a process that sends no heartbeat for this long."""
    retry_limit_s: float = 600.0
    """How long ClickHouse or Kafka may be unavailable before the sink ends with an error."""
    dead_letter_limit: DeadLetterLimit = field(default_factory=DeadLetterLimit)
