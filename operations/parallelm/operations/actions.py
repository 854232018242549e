"""A person's action: written to ``mlops.actions``, and answered by the processors with transitions that name it."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

from parallelm.operations.authors import REQUEST
from parallelm.operations.errors import NoAnswerError, NoEffectError
from parallelm.operations.lag import group_lags
from parallelm.operations.topic_records import FieldFilter, read_records
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import ClusterUnavailableError
from parallelm.schemas.group_offsets import GroupOffsets
from parallelm.schemas.records import RecordPosition, UserAction
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_admin import connect, log_offsets
from parallelm.schemas.topic_reader import StartPoint, read_to_end, reader_config
from parallelm.schemas.topic_writer import OutgoingRecord, TopicWriter, write_and_confirm
from parallelm.schemas.topics import ACTIONS, DEPLOYMENTS
from parallelm.schemas.well_known import PROCESSORS_GROUP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.schemas.topics import Topic

ALL_MLAPPS = "*"
"""``mlapp_id`` of an action that concerns no single MLApp."""

ANSWER_TIMEOUT_S = 30.0
_POLL_S = 0.05
_ANSWER_S = 10.0
_CLUSTER_S = 15.0
"""For the brokers to take an action; how long processors may take to answer it is another matter."""


def new_action(
    action: str,
    mlapp_id: str,
    *,
    who: Author,
    comment: str = "",
    node_id: str = "",
    model_id: str = "",
    target: str = "",
    parameters: Mapping[str, str] | None = None,
    event_time_ms: int | None = None,
) -> UserAction:
    """An action of now, or of ``event_time_ms``."""
    return UserAction(
        event_time_ms=time.time_ns() // 1_000_000 if event_time_ms is None else event_time_ms,
        action_id=uuid.uuid4().hex,
        mlapp_id=mlapp_id,
        who=who.name,
        authenticated_by=who.authenticated_by,
        action=action,
        node_id=node_id,
        model_id=model_id,
        target=target,
        comment=comment,
        parameters={**(parameters or {}), **who.parameters},
    )


def action_to_send(settings: Settings, action: UserAction, codec: Codec) -> OutgoingRecord:
    """The record of an action. It goes before what it is about: a change without one would come from nobody."""
    return OutgoingRecord(
        ACTIONS.full_name(settings.kafka.topic_prefix), ACTIONS.key(action), codec.encode(action)
    )


def record_action(settings: Settings, action: UserAction) -> None:
    """Write an action that nobody answers to the audit log; raises as ``TopicWriter.write``."""
    codec = Codec(make_registry(settings.schema_registry, settings.kafka.topic_prefix))
    write_and_confirm(settings, [action_to_send(settings, action, codec)], timeout_s=_CLUSTER_S)


def recorded_actions(settings: Settings, request: str, since_ms: int) -> list[UserAction]:
    """Actions on the topic that this request (``Author.request``) has made since Kafka's clock said so; raises as ``read_records``."""
    start = StartPoint("time", since_ms)
    found = read_records(settings, ACTIONS, start, [FieldFilter(("parameters", REQUEST), request)])
    return [each.value for each in found]


def act(
    settings: Settings,
    action: UserAction,
    outcomes: Topic = DEPLOYMENTS,
    *,
    timeout_s: float = ANSWER_TIMEOUT_S,
) -> list[Any]:
    """Write an action and wait for the transitions on topic ``outcomes`` whose cause it is.

    They come in one transaction: all are there once one is. Raises ``NoEffectError`` when the processors have handled
    the action and nothing followed, ``NoAnswerError`` when they have not handled it in time, and as
    ``TopicWriter.write`` and ``connect`` when the cluster is away.
    """
    from confluent_kafka.admin import OffsetSpec

    prefix = settings.kafka.topic_prefix
    codec = Codec(make_registry(settings.schema_registry, prefix))
    record = action_to_send(settings, action, codec)
    topic, answered = record.topic, outcomes.full_name(prefix)
    admin, _ = connect(settings, _CLUSTER_S)
    # Control topics share their partitions: the answer comes on the action's own.
    places = [(answered, partition) for partition in range(outcomes.partitions)]
    ends = log_offsets(admin, places, OffsetSpec.latest(), _CLUSTER_S)
    partition, offset = TopicWriter(settings, timeout_s=_CLUSTER_S).write_one(record)
    position = RecordPosition(topic=topic, partition=partition, offset=offset)
    answer = _Answer(settings, codec, admin, position, answered, ends[answered, partition])
    try:
        found = answer.wait(timeout_s)
    finally:
        answer.close()
    if not found:
        raise NoAnswerError(
            f"no processor has answered within {timeout_s:g} s; the action is recorded ({topic}/{partition}@{offset}) "
            f"and is carried out when they get to it: {_whats_wrong(settings, topic)}"
        )
    return found


class _Answer:
    """Waits for what processors answer to the action at ``position``."""

    def __init__(
        self, settings: Settings, codec: Codec, admin: Any, position: RecordPosition, topic: str, begin: int
    ) -> None:
        """Answers come on the action's partition of ``topic``, at or after offset ``begin``."""
        self._settings = settings
        self._codec = codec
        self._admin = admin
        self._position = position
        self._place = (topic, position.partition)
        self._begin = begin
        self._handled = GroupOffsets(settings.kafka, f"{settings.kafka.topic_prefix}{PROCESSORS_GROUP}")

    def close(self) -> None:
        """Leave the cluster."""
        self._handled.close()

    def wait(self, timeout_s: float) -> list[Any]:
        """The answers; empty when there are none in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._is_handled():
                # Its offset is committed together with the answers: those that there are lie before the end of now.
                end = self._end(committed=False)
                while self._end(committed=True) < end and time.monotonic() < deadline:
                    time.sleep(_POLL_S)
                found = self._read(end)
                if not found:
                    raise NoEffectError("the processors have handled the action, and it changed nothing")
                return found
            time.sleep(_POLL_S)
        return []

    def _is_handled(self) -> bool:
        place = self._position.topic, self._position.partition
        try:
            return self._handled.of([place], _ANSWER_S)[place] > self._position.offset
        except ClusterUnavailableError:  # its coordinator has just started or moves
            return False

    def _end(self, *, committed: bool) -> int:
        from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
        from confluent_kafka.admin import OffsetSpec

        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        asked = {TopicPartition(*self._place): OffsetSpec.latest()}
        (future,) = self._admin.list_offsets(asked, isolation_level=level).values()
        try:
            end: int = future.result(_ANSWER_S).offset
        except (KafkaException, TimeoutError) as error:
            raise ClusterUnavailableError(
                f"topic {self._place[0]!r} cannot report its end: {error}"
            ) from error
        return end

    def _read(self, end: int) -> list[Any]:
        """Records of the partition up to ``end`` whose cause the action is."""
        from confluent_kafka import Consumer, TopicPartition

        if end <= self._begin:
            return []
        consumer = Consumer(reader_config(self._settings.kafka, "mcenter-action"))
        try:
            consumer.assign([TopicPartition(*self._place, self._begin)])
            messages = read_to_end(consumer, {self._place: end}, _ANSWER_S)
            records = [self._codec.decode(message.value()) for message in messages]
        finally:
            consumer.close()
        return [record for record in records if record.cause == self._position]


def _whats_wrong(settings: Settings, topic: str) -> str:
    """Why processors may not have answered."""
    group = f"{settings.kafka.topic_prefix}{PROCESSORS_GROUP}"
    lag = next((lag for lag in group_lags(settings) if lag.group == group), None)
    if lag is None or lag.members == 0:
        return "none is running; start one with `mcenter processors`"
    behind = lag.by_topic.get(topic, 0)
    return f"{lag.members} members of group {group!r} run, {behind} records behind on {topic}; see `mcenter status`"
