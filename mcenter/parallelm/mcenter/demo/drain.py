"""Wait until the platform has worked off everything that was reported."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from parallelm.mcenter.demo.errors import DemoError
from parallelm.operations.lag import group_lags
from parallelm.schemas.topics import HEARTBEATS
from parallelm.warehouse.queries import query_frame

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.mcenter.demo.receiver import Receiver

DEADLINE_S = 120.0
POLL_S = 0.25
SETTLED_POLLS = 3
"""A processor commits what it read after it has sent what it decided; polls in a row without lag cover the way between."""

_UNDELIVERED = "SELECT notification_id FROM notifications GROUP BY notification_id HAVING countIf(state != 'pending') = 0"


def wait_until_told(settings: Settings, receiver: Receiver) -> list[str]:
    """Titles of all notifications, once none is on its way; raises ``DemoError`` at the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not query_frame(settings, _UNDELIVERED).empty:
        if time.monotonic() > deadline:
            raise DemoError(
                f"after {DEADLINE_S:.0f} s some notifications were not sent; see the notifier's log"
            )
        time.sleep(POLL_S)
    return receiver.titles


def wait_until_drained(settings: Settings) -> None:
    """Return when no consumer group has records left to read; raises ``DemoError`` at the deadline."""
    heartbeats = HEARTBEATS.full_name(settings.kafka.topic_prefix)
    deadline, quiet = time.monotonic() + DEADLINE_S, 0
    while quiet < SETTLED_POLLS:
        left = {
            f"{group.group}: {topic}": records
            for group in group_lags(settings)
            for topic, records in group.by_topic.items()
            if topic != heartbeats
        }
        quiet = 0 if left else quiet + 1
        if time.monotonic() > deadline:
            raise DemoError(f"after {DEADLINE_S:.0f} s there were still records to read: {left}")
        time.sleep(POLL_S)
