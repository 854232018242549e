"""Inserts that may or may not be in ClickHouse: they must be resolved before a migration changes the tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.schemas.consumer_groups import consumer_groups
from parallelm.schemas.errors import ClusterUnavailableError
from parallelm.sinks.errors import NotReadyError
from parallelm.sinks.intent import read_metadata
from parallelm.sinks.tables import STORED_TOPICS

if TYPE_CHECKING:
    from parallelm.connections import Settings
    from parallelm.sinks.intent import Intent

_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class PendingInsert:
    """A block whose insert a sink has announced and not yet confirmed."""

    group: str
    topic: str
    """Name with prefix."""
    intent: Intent


def pending_inserts(settings: Settings) -> list[PendingInsert]:
    """Those of every consumer group of this platform's topics.

    A broker that has just started and still loads its groups is asked again, for 15 s. Raises ``NotReadyError`` when it does
    not answer.
    """
    names = {topic.full_name(settings.kafka.topic_prefix) for topic in STORED_TOPICS}
    try:
        groups = consumer_groups(settings.kafka, _TIMEOUT_S, all_brokers=True)
    except ClusterUnavailableError as error:
        raise NotReadyError(
            f"whether a sink left an insert half done cannot be read from Kafka: {error}; see that the broker is up"
        ) from error
    return [
        PendingInsert(group.name, topic, intent)
        for group in groups
        for (topic, _), text in group.metadata.items()
        if topic in names and (intent := _intent(text)) is not None
    ]


def _intent(metadata: str) -> Intent | None:
    try:
        return read_metadata(metadata).intent
    except ValueError:  # committed by another kind of consumer
        return None
