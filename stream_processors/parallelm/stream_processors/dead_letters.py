"""Records that cannot be handled, on their way to ``mlops.dead-letters``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.schemas.records import DeadLetter
from parallelm.schemas.topics import DEAD_LETTERS
from parallelm.stream_processors import metrics
from parallelm.stream_processors.state import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.schemas.codec import Codec

MAX_RUN = 1_000
"""More dead letters in a row stop the worker: that is a bad deploy and no bad record."""

_MAX_VALUE_BYTES = 900_000
_MAX_TEXT = 5_000


class TooManyDeadLettersError(Exception):
    """Every record fails; going on would only empty the topics into the dead letters."""


@dataclass(slots=True)
class DeadLetters:
    """Makes dead letters, and watches that they stay the exception."""

    codec: Codec
    prefix: str
    consumer_group: str
    topic_ids: Mapping[str, str]
    run: int = 0

    def of(self, message: Any, stage: str, error: Exception, now_ms: int) -> Output:
        """Dead letter of a Faust message; raises ``TooManyDeadLettersError``."""
        self.run += 1
        if self.run > MAX_RUN:
            raise TooManyDeadLettersError(
                f"{MAX_RUN} records in a row failed, last {message.topic}/{message.partition}@{message.offset}: "
                f"{type(error).__name__}: {error}"
            )
        metrics.DEAD_LETTERS.labels(message.topic, stage).inc()
        value, told = message.value, str(error)[:_MAX_TEXT]
        if value is not None and len(value) > _MAX_VALUE_BYTES:
            told += f" (the first {_MAX_VALUE_BYTES} of {len(value)} bytes are kept)"
            value = value[:_MAX_VALUE_BYTES]
        letter = DeadLetter(
            failed_at_ms=now_ms,
            source_topic=message.topic,
            topic_id=self.topic_ids.get(message.topic, ""),
            source_partition=message.partition,
            source_offset=message.offset,
            stage=stage,
            error_type=type(error).__name__,
            error=told,
            consumer_group=self.consumer_group,
            key=message.key,
            value=value,
        )
        topic = DEAD_LETTERS.full_name(self.prefix)
        return Output(topic, message.topic.encode(), self.codec.encode(letter))

    def handled(self) -> None:
        """A record was handled: the run of dead letters is over."""
        self.run = 0
