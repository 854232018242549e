"""Records that cannot be handled, on their way to ``mlops.dead-letters``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.schemas.dead_letters import make_dead_letter
from parallelm.schemas.errors import DecodeError
from parallelm.schemas.topics import DEAD_LETTERS
from parallelm.stream_processors.runtime import metrics
from parallelm.stream_processors.runtime.transactions import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.schemas.codec import Codec
    from parallelm.stream_processors.runtime.chunks import Incoming

MAX_RUN = 1_000
"""More dead letters in a row stop the worker: that is a bad deploy, not a bad record."""


class InvalidRecordError(Exception):
    """A record was decoded, but what it says is impossible. It becomes a dead letter."""


class TooManyDeadLettersError(Exception):
    """Every record fails; going on would only empty the topics into the dead letters."""


def stage_of(error: Exception, working: str) -> str:
    """Stage of the dead letter that ``error`` makes; ``working`` where neither decoding nor content is at fault."""
    if isinstance(error, InvalidRecordError):
        return "validate"
    return "decode" if isinstance(error, (DecodeError, UnicodeDecodeError)) else working


@dataclass(slots=True)
class DeadLetters:
    """Makes dead letters, and watches that they stay the exception."""

    codec: Codec
    prefix: str
    consumer_group: str
    topic_ids: Mapping[str, str]
    run: int = 0

    def of(self, record: Incoming, stage: str, error: Exception) -> Output:
        """Dead letter of a record; raises ``TooManyDeadLettersError``."""
        self.run += 1
        if self.run > MAX_RUN:
            raise TooManyDeadLettersError(
                f"{MAX_RUN} records in a row failed, last {record.topic}/{record.partition}@{record.offset}: "
                f"{type(error).__name__}: {error}"
            )
        metrics.DEAD_LETTERS.labels(record.topic, stage).inc()
        letter = make_dead_letter(
            error,
            stage,
            topic=record.topic,
            topic_id=self.topic_ids.get(record.topic, ""),
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            consumer_group=self.consumer_group,
        )
        topic = DEAD_LETTERS.full_name(self.prefix)
        return Output(topic, DEAD_LETTERS.key(letter), self.codec.encode(letter))

    def handled(self) -> None:
        """A record was handled: the run of dead letters is over."""
        self.run = 0
