"""The Kafka side of the sink: which partitions are owned, from where each is read, and commits that carry intents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from parallelm.connections.kafka import RefusedConnections, client_config
from parallelm.schemas.errors import SchemaError
from parallelm.schemas.topic_admin import find_topics, log_bounds
from parallelm.sinks.errors import FencedError, InsertStateUnknownError, NotReadyError, RetryLaterError
from parallelm.sinks.intent import Committed, read_metadata
from parallelm.sinks.topic_identity import TopicIdentity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from parallelm.connections import KafkaSettings
    from parallelm.sinks.intent import Intent
    from parallelm.sinks.rows import Source

_REQUEST_TIMEOUT_S = 15.0
_FETCH_BYTES = 1_500_000


_FENCED = frozenset({KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL})  # noqa: SLF001 - librdkafka's names for its own codes


def is_fenced(error: KafkaError) -> bool:
    """Whether another consumer has joined under the same instance id."""
    return error.fatal() or error.code() in _FENCED


def make_consumer(
    kafka: KafkaSettings, group: str, session_timeout_s: float, instance_id: str = ""
) -> Consumer:
    """A consumer that commits nothing by itself and never jumps over records silently.

    With an ``instance_id`` it is a static member of its group.
    """
    named = {"group_instance_id": instance_id} if instance_id else {}
    return Consumer(
        client_config(
            kafka,
            group_id=group,
            enable_auto_commit=False,
            enable_auto_offset_store=False,
            auto_offset_reset="error",
            enable_partition_eof=True,
            session_timeout_ms=int(session_timeout_s * 1000),
            heartbeat_interval_ms=int(session_timeout_s * 1000 / 4),
            partition_assignment_strategy="roundrobin",
            # Much of few partitions in an answer, not a little of each, so that their blocks are large. Unpacked it may be
            # ten times as much.
            fetch_max_bytes=_FETCH_BYTES,
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_wait_max_ms=100,
            queued_max_messages_kbytes=4_096,
            # When so much is queued, asking again is put off by a whole second otherwise.
            fetch_queue_backoff_ms=10,
            # A topic that is created again is found within this time.
            topic_metadata_refresh_interval_ms=10_000,
            **named,
        )
    )


class TopicAdmin:
    """Asks the cluster for what a consumer does not report: topic ids, and where logs start and end."""

    def __init__(self, kafka: KafkaSettings) -> None:
        # It must outlive the futures that it returns.
        self._refused = RefusedConnections()
        self._admin = AdminClient(client_config(kafka) | {"error_cb": self._refused.note})
        self._servers = kafka.bootstrap_servers
        self.identity = TopicIdentity(self._admin)

    def find(self, topics: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
        """Ids by topic name, and by name what is wrong with those that are missing.

        Raises ``NotReadyError`` when the broker does not answer.
        """
        try:
            ids, missing = find_topics(self._admin, topics, _REQUEST_TIMEOUT_S)
            return ids, {name: str(error) for name, error in missing.items()}
        except SchemaError as error:
            reason = self._refused.reason(self._admin)
            raise NotReadyError(f"topics at {self._servers!r} cannot be read: {error}{reason}") from error

    def log_bounds(self, partitions: Sequence[TopicPartition]) -> dict[tuple[str, int], tuple[int, int]]:
        """First offset and end of the log by (topic, partition); raises ``NotReadyError`` when the broker is away."""
        try:
            places = [(each.topic, each.partition) for each in partitions]
            return log_bounds(self._admin, places, _REQUEST_TIMEOUT_S)
        except SchemaError as error:
            raise NotReadyError(
                f"the bounds of the logs at {self._servers!r} cannot be read: {error}"
            ) from error


def committed_positions(
    consumer: Consumer, partitions: Sequence[TopicPartition]
) -> dict[tuple[str, int], tuple[int | None, Committed]]:
    """Committed offset (None when there is none) and what its metadata says, by (topic, partition)."""
    found = {}
    try:
        answers = consumer.committed(list(partitions), timeout=_REQUEST_TIMEOUT_S)
    except KafkaException as error:
        raise RetryLaterError(f"committed offsets cannot be read: {error.args[0]}") from error
    for each in answers:
        if each.error is not None:
            raise RetryLaterError(
                f"the offset of {each.topic} [{each.partition}] cannot be read: {each.error}"
            )
        try:
            committed = read_metadata(each.metadata)
        except ValueError as error:
            raise InsertStateUnknownError(
                f"{each.topic} [{each.partition}] was committed by a newer sink: {error}; upgrade this one"
            ) from error
        found[each.topic, each.partition] = (each.offset if each.offset >= 0 else None, committed)
    return found


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Where reading a partition starts."""

    offset: int
    intent: Intent | None = None
    """Block that a crashed owner may or may not have inserted; it began at ``offset``, or before it when retention cut it."""
    lost: tuple[int, str] | None = None
    """Lost records: how many, and why."""


def starting_point(
    offset: int | None, committed: Committed, source: Source, bounds: tuple[int, int]
) -> StartingPoint:
    """The committed offset; the beginning of a new or recreated topic, or of a log that lost its first records.

    Raises ``InsertStateUnknownError`` when the log ends before the committed offset.
    """
    low, high = bounds
    if offset is None:
        return StartingPoint(OFFSET_BEGINNING)
    if committed.topic_id and committed.topic_id != source.topic_id:
        why = (
            f"the topic was deleted and created again (topic id {source.topic_id}, was {committed.topic_id}): "
            "read from its start"
        )
        return StartingPoint(OFFSET_BEGINNING, lost=(0, why))
    if offset < low:
        why = f"offsets {offset} to {low - 1} were deleted by retention before they were read"
        cut = committed.intent if committed.intent and committed.intent.last >= low else None
        return StartingPoint(low, cut, lost=(low - offset, why))
    if offset > high:
        raise InsertStateUnknownError(
            f"{source.topic} [{source.partition}]: everything below offset {offset} was written to ClickHouse, but the "
            f"log ends at {high}: the broker has lost records. Offsets from {high} on will be used again, and may have "
            "been already: find the first record of the log that is younger than the rows of its offset, stop the sinks, move the "
            f"group's offset there with kafka-consumer-groups --reset-offsets (to {high} when there is none), and start "
            "the sinks again"
        )
    return StartingPoint(offset, committed.intent)


def commit(consumer: Consumer, positions: Sequence[tuple[str, int, int, str]]) -> None:
    """Commit (topic, partition, offset, metadata) and wait for the broker's answer.

    Raises ``RetryLaterError`` when it is not known to be committed; committing the same again is harmless. Raises
    ``FencedError`` when another consumer has taken this one's place.
    """
    if not positions:
        return
    try:
        answers: Any = consumer.commit(
            offsets=[TopicPartition(*position) for position in positions], asynchronous=False
        )
    except KafkaException as error:
        if is_fenced(error.args[0]):
            raise FencedError(f"offsets cannot be committed: {error.args[0]}") from error
        raise RetryLaterError(f"offsets cannot be committed: {error.args[0]}") from error
    for answer in answers:
        if answer.error is not None:
            if is_fenced(answer.error):
                raise FencedError(f"offsets cannot be committed: {answer.error}")
            raise RetryLaterError(
                f"the offset of {answer.topic} [{answer.partition}] was refused: {answer.error}"
            )
