"""Which of several notifiers sends: the member of the consumer group that has the first partition of the silences."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from parallelm.connections.kafka import client_config
from parallelm.schemas.topics import SILENCES
from parallelm.stream_processors.notifications.edge.errors import FencedInstanceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings


class Election:
    """A member of the group; reads nothing. Not thread-safe."""

    def __init__(
        self, settings: Settings, group: str, session_timeout_s: float, instance_id: str = ""
    ) -> None:
        from confluent_kafka import Consumer

        named = {"group_instance_id": instance_id} if instance_id else {}
        self._instance_id = instance_id

        self.is_elected = False
        self.has_joined = False
        """Whether the group has answered: with the partition, or without it."""
        self.before_release: Callable[[], None] = lambda: None
        """Called while this member is still the one, and is about to hand over."""
        self._is_paused = False
        self._consumer = Consumer(
            client_config(
                settings.kafka,
                group_id=group,
                enable_auto_commit=False,
                auto_offset_reset="latest",
                session_timeout_ms=int(session_timeout_s * 1000),
                heartbeat_interval_ms=max(100, int(session_timeout_s * 200)),
                # A member that joins takes nothing from the one that works.
                partition_assignment_strategy="cooperative-sticky",
                **named,
            )
        )
        topic = SILENCES.full_name(settings.kafka.topic_prefix)
        self._consumer.subscribe(
            [topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )

    def poll(self, timeout_s: float) -> bool:
        """Whether this member is the one; to be called at least once in a few seconds.

        Raises what ``before_release`` does, and ``FencedInstanceError`` when another one has joined under the same name.
        """
        from confluent_kafka import KafkaError

        fenced = {KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL}  # noqa: SLF001 - the client's public name for it
        message = self._consumer.poll(timeout_s)
        error = message.error() if message is not None else None
        if error is not None and (error.fatal() or error.code() in fenced):
            raise FencedInstanceError(f"another notifier runs with --instance-id {self._instance_id!r}")
        if self.is_elected and not self._is_paused:
            self._consumer.pause(self._consumer.assignment())
            self._is_paused = True
        return self.is_elected

    def report(self, offsets: list[Any]) -> None:
        """Tell those who watch the group's lag how far it is; nothing depends on whether that arrives."""
        from confluent_kafka import KafkaException

        with contextlib.suppress(KafkaException):
            self._consumer.commit(offsets=offsets, asynchronous=True)

    def close(self) -> None:
        """Leave, so that another member takes over at once."""
        self.before_release = lambda: None
        self._consumer.close()

    def _assigned(self, _consumer: Any, partitions: list[Any]) -> None:
        self.has_joined = True
        self.is_elected = self.is_elected or _has_first(partitions)

    def _revoked(self, _consumer: Any, partitions: list[Any]) -> None:
        if _has_first(partitions) and self.is_elected:
            self.before_release()
            self.is_elected = self._is_paused = False

    def _lost(self, _consumer: Any, _partitions: list[Any]) -> None:
        self.is_elected = self._is_paused = False


def _has_first(partitions: list[Any]) -> bool:
    return any(each.partition == 0 for each in partitions)
