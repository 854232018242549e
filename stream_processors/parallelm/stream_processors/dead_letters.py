"""Records that cannot be handled, on their way to ``mlops.dead-letters``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.schemas.dead_letters import make_dead_letter
from parallelm.schemas.topics import DEAD_LETTERS
from parallelm.stream_processors import metrics
from parallelm.stream_processors.state import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.schemas.codec import Codec

MAX_RUN = 1_000
"""More dead letters in a row stop the worker: that is a bad deploy and no bad record."""


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

    def of(self, message: Any, stage: str, error: Exception) -> Output:
        """Dead letter of a Faust message; raises ``TooManyDeadLettersError``."""
        self.run += 1
        if self.run > MAX_RUN:
            raise TooManyDeadLettersError(
                f"{MAX_RUN} records in a row failed, last {message.topic}/{message.partition}@{message.offset}: "
                f"{type(error).__name__}: {error}"
            )
        metrics.DEAD_LETTERS.labels(message.topic, stage).inc()
        letter = make_dead_letter(
            error,
            stage,
            topic=message.topic,
            topic_id=self.topic_ids.get(message.topic, ""),
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            value=message.value,
            consumer_group=self.consumer_group,
        )
        topic = DEAD_LETTERS.full_name(self.prefix)
        return Output(topic, DEAD_LETTERS.key(letter), self.codec.encode(letter))

    def handled(self) -> None:
        """A record was handled: the run of dead letters is over."""
        self.run = 0
