"""The compacted topic ``mlops.mlapps`` as a table: the newest definition of each MLApp."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self

from parallelm.connections.kafka import client_config
from parallelm.schemas.codec import Codec
from parallelm.schemas.dead_letters import concerns
from parallelm.schemas.errors import ClusterUnavailableError, DecodeError, TopicsError
from parallelm.schemas.records import MLAppDefinition
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_admin import log_offsets
from parallelm.schemas.topic_reader import read_to_end, reader_config
from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm
from parallelm.schemas.topics import MLAPPS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from parallelm.connections import Settings

logger = logging.getLogger(__name__)


class DefinitionTopic:
    """Reads the whole topic, without a consumer group, and continues where it stopped. Not thread-safe.

    ``catch_up`` first asks where the topic ends: every definition that the broker had acknowledged before the call is
    in the answer. So a statistic can never be judged by rules older than itself.
    """

    def __init__(self, settings: Settings, *, timeout_s: float = 10.0) -> None:
        from confluent_kafka import Consumer
        from confluent_kafka.admin import AdminClient

        self._topic = MLAPPS.full_name(settings.kafka.topic_prefix)
        self._servers = settings.kafka.bootstrap_servers
        self._timeout_s = timeout_s
        self._codec = Codec(make_registry(settings.schema_registry, settings.kafka.topic_prefix))
        self._settings = settings
        self._newest: dict[str, MLAppDefinition] = {}
        self._next: dict[int, int] = {}
        # The history of a capture is sent in transactions; it is skipped, and not waited for.
        self._consumer = Consumer(
            reader_config(settings.kafka, "mcenter-definitions", isolation_level="read_uncommitted")
        )
        self._admin = AdminClient(client_config(settings.kafka))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the cluster."""
        self._consumer.close()

    def catch_up(self) -> Mapping[str, MLAppDefinition]:
        """Newest definition by MLApp id; the same mapping at each call. A tombstone removes its MLApp.

        Raises ``TopicsError`` when the topic does not exist, ``ClusterUnavailableError`` when the broker does not answer in time.
        """
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import OffsetSpec

        try:
            if not self._next:
                self._assign()
            places = [(self._topic, partition) for partition in self._next]
            ends = log_offsets(self._admin, places, OffsetSpec.latest(), self._timeout_s)
            unread = {place: end for place, end in ends.items() if self._next[place[1]] < end}
            for message in read_to_end(self._consumer, unread, self._timeout_s, on_end=self._reached):
                self._absorb(message)
        except (KafkaException, ClusterUnavailableError) as error:
            reason = error.args[0].str() if isinstance(error, KafkaException) else str(error)
            raise self._unavailable(reason) from error
        for (_, partition), end in ends.items():
            self._next[partition] = max(self._next[partition], end)
        return self._newest

    def apply(self, definition: MLAppDefinition, *before: OutgoingRecord) -> None:
        """Write a definition after other records, and wait until the broker has it; raises ``UndeliveredError``."""
        record = OutgoingRecord(self._topic, MLAPPS.key(definition), self._codec.encode(definition))
        write_and_confirm(self._settings, [*before, record], timeout_s=self._timeout_s)

    def _assign(self) -> None:
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        metadata = self._consumer.list_topics(self._topic, timeout=self._timeout_s).topics[self._topic]
        if metadata.error is not None or not metadata.partitions:
            raise TopicsError(f"there is no topic {self._topic!r}; create it with `mcenter topics create`")
        self._next = dict.fromkeys(metadata.partitions, 0)
        self._consumer.assign(
            [TopicPartition(self._topic, partition, OFFSET_BEGINNING) for partition in metadata.partitions]
        )

    def _reached(self, place: tuple[str, int], offset: int) -> None:
        """The last offsets before an end may have no record: markers of transactions."""
        self._next[place[1]] = max(self._next[place[1]], offset)

    def _absorb(self, message: Any) -> None:
        self._next[message.partition()] = message.offset() + 1
        if not concerns(message.headers(), ""):
            return  # history of a capture, for the sinks alone
        key = (message.key() or b"").decode(errors="replace")
        if message.value() is None:
            self._newest.pop(key, None)
            return
        try:
            definition = self._codec.decode(message.value(), MLAppDefinition)
        except DecodeError as error:
            # The processors' control stream sends the same record to the dead letters.
            logger.warning("%s/%d@%d: %s", self._topic, message.partition(), message.offset(), error)
            return
        self._newest[definition.mlapp_id] = definition

    def _unavailable(self, reason: str) -> ClusterUnavailableError:
        return ClusterUnavailableError(
            f"topic {self._topic!r} at {self._servers!r}: {reason}; is the broker up? See `mcenter status`"
        )
