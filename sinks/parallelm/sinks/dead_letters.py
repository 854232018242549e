"""Records that cannot be handled go to ``mlops.dead-letters`` with their bytes and the reason, within limits."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.schemas import topics
from parallelm.schemas.codec import Codec
from parallelm.schemas.dead_letters import make_dead_letter
from parallelm.schemas.errors import UndeliveredError
from parallelm.schemas.topic_writer import OutgoingRecord, TopicWriter
from parallelm.sinks.errors import RetryLaterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import Settings
    from parallelm.schemas.records import DeadLetter
    from parallelm.schemas.registry import Registry
    from parallelm.sinks.rows import Rejected, Source


@dataclass(frozen=True, slots=True)
class DeadLetterLimit:
    """When dead letters indicate a bad deploy instead of bad records (after arroyo's ``DlqLimit``)."""

    max_run: int = 1_000
    """Dead letters in a row."""
    max_ratio: float = 0.5
    """Largest share of the last ``window`` records, once there have been that many."""
    window: int = 2_000


class DeadLetterCounter:
    """Counts the outcomes of one topic against a limit."""

    def __init__(self, limit: DeadLetterLimit) -> None:
        self._limit = limit
        self._run = 0
        self._outcomes: deque[tuple[int, int]] = deque()
        self._records = 0
        self._bad = 0

    def add(self, records: int, bad: Sequence[int]) -> None:
        """Count one block with the positions of its bad records, ascending from 0."""
        _, self._run = self._runs(records, bad)
        self._outcomes.append((records, len(bad)))
        self._records += records
        self._bad += len(bad)
        while self._records - self._outcomes[0][0] >= self._limit.window:
            dropped_records, dropped_bad = self._outcomes.popleft()
            self._records -= dropped_records
            self._bad -= dropped_bad

    def reset(self) -> None:
        """Count from now on."""
        self._run = self._records = self._bad = 0
        self._outcomes.clear()

    def why_too_many(self, records: int, bad: Sequence[int]) -> str:
        """Why such a block may not follow those that were counted; empty when it may."""
        if not bad:
            return ""
        longest, _ = self._runs(records, bad)
        if longest > self._limit.max_run:
            return (
                f"{longest} records one after another could not be handled (--dead-letter-run "
                f"{self._limit.max_run})"
            )
        all_records, all_bad = self._records + records, self._bad + len(bad)
        if all_records >= self._limit.window and all_bad > self._limit.max_ratio * all_records:
            return (
                f"{all_bad} of the last {all_records} records could not be handled (--dead-letter-ratio "
                f"{self._limit.max_ratio:g})"
            )
        return ""

    def _runs(self, records: int, bad: Sequence[int]) -> tuple[int, int]:
        """Longest run of bad records that ends in this block, and the one at its end, which may continue in the next."""
        run, longest, next_position = self._run, 0, 0
        for position in bad:
            run = run + 1 if position == next_position else 1
            next_position = position + 1
            longest = max(longest, run)
        return longest, run if next_position == records else 0


class DeadLetterProducer:
    """Sends rejected records to the dead letters and waits until the broker has them."""

    def __init__(self, settings: Settings, registry: Registry, consumer_group: str, timeout_s: float) -> None:
        self._codec = Codec(registry)
        self._topic = topics.DEAD_LETTERS.full_name(settings.kafka.topic_prefix)
        self._group = consumer_group
        self._writer = TopicWriter(settings, timeout_s=timeout_s)

    def send(self, rejected: Sequence[Rejected], source: Source) -> None:
        """Send and wait; raises ``RetryLaterError`` when the broker does not confirm all of them in time.

        Sending again is harmless: the table holds one row a record and stage.
        """
        try:
            self._writer.write(
                OutgoingRecord(self._topic, topics.DEAD_LETTERS.key(letter), self._codec.encode(letter))
                for letter in (self._letter(each, source) for each in rejected)
            )
        except UndeliveredError as error:
            raise RetryLaterError(
                f"the dead letters of {source.topic!r} cannot be written: {error}"
            ) from error

    def _letter(self, rejected: Rejected, source: Source) -> DeadLetter:
        record = rejected.record
        return make_dead_letter(
            rejected.error,
            rejected.stage,
            topic=source.topic,
            topic_id=source.topic_id,
            partition=source.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            consumer_group=self._group,
        )
