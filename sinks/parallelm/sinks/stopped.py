"""Topics and partitions that wait for a person, while the others go on.

Nothing of them is committed beyond what is written. Too many dead letters stop a topic before the block that has them is
announced; when a person has answered its letters, the topic goes on. What only a person can decide stops its partition until
the sink is started again.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from parallelm.schemas import topics
from parallelm.sinks.errors import DatabaseUnavailableError, InsertRefusedError
from parallelm.sinks.tables import counted_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.sinks.dead_letters import DeadLetterCounter, DeadLetterProducer
    from parallelm.sinks.errors import InsertStateUnknownError
    from parallelm.sinks.partition import Block, PartitionWork
    from parallelm.sinks.rows import Source
    from parallelm.sinks.writer import Writer

_LOG = logging.getLogger(__name__)

_LOOK_INTERVAL_S = 5.0
STALLED_S = 30.0
"""Attempts that have failed for so long are reported as a stall. They go on."""


class StoppedTopics:
    """What of a sink's topics is stopped, and until when. For the polling thread; ``words`` also for another one."""

    def __init__(
        self,
        works: Mapping[tuple[str, int], PartitionWork],
        counters: Mapping[str, DeadLetterCounter],
        dead_letters: DeadLetterProducer,
        questions: Writer,
        group: str,
    ) -> None:
        self._works = works
        self._counters = counters
        self._dead_letters = dead_letters
        self._questions = questions
        self._group = group
        self._unanswered: dict[str, tuple[PartitionWork, Block]] = {}
        """By topic the block whose dead letters a person has to answer."""
        self._look_due_s = 0.0
        self.missing: dict[str, str] = {}
        """Topics that the cluster does not have, or does not show, and what it says."""
        self.unread: dict[tuple[str, int], str] = {}
        """Partitions that are ours and cannot be read before the next start, and why."""

    def has_too_many(self, work: PartitionWork, block: Block) -> bool:
        """Whether a block has more dead letters than may follow one another: then its topic is stopped.

        Raises ``RetryLaterError`` when its dead letters cannot be written.
        """
        topic, rejected = work.source.topic, block.rows.rejected
        if block.is_counted or not rejected:
            return False
        why = self._counters[topic].why_too_many(block.record_count, block.rejected_positions)
        if not why:
            return False
        # So that a person sees them, and can answer them.
        self._dead_letters.send(rejected, work.source)
        why = (
            f"{why}, the first at {work.source.partition}:{rejected[0].record.offset}: {str(rejected[0].error)[:200]}. This looks "
            f"like a bad deploy, so the topic is stopped there and nothing of it is lost. Correct what sends them; then give these "
            f"records up with `mcenter dead-letters drop --topic {topic} --comment …`, and it goes on, or start the sink again "
            "with a higher limit. If the sink is wrong, start a corrected one"
        )
        self._unanswered[topic] = (work, block)
        for each in self._of(topic):
            each.stopped = why
        _LOG.error("%s is stopped: %s", topic, why)
        return True

    def stop(self, work: PartitionWork, error: InsertStateUnknownError) -> None:
        """Stop one partition until the sink is started again."""
        work.stopped = str(error)
        _LOG.error("%s [%d] is stopped: %s", work.source.topic, work.source.partition, error)

    def leave(self, source: Source, error: InsertStateUnknownError | InsertRefusedError) -> None:
        """Leave one partition unread until the next start, since it cannot be told from where to read it."""
        again = ". Mend the table, and start the sink again" if isinstance(error, InsertRefusedError) else ""
        self.unread[source.topic, source.partition] = f"{error}{again}"
        _LOG.error("%s [%d] is stopped: %s%s", source.topic, source.partition, error, again)

    def look(self) -> None:
        """Every few seconds: let the topics go on whose dead letters were answered."""
        if not self._unanswered or time.monotonic() < self._look_due_s:
            return
        self._look_due_s = time.monotonic() + _LOOK_INTERVAL_S
        for topic, (work, block) in list(self._unanswered.items()):
            if not work.is_ours:
                del self._unanswered[topic]  # whoever has it now counts again
            elif self._is_answered(work, block):
                del self._unanswered[topic]
                self._counters[topic].reset()
                block.is_counted = True
                for each in self._of(topic):
                    each.stopped = ""
                _LOG.warning("%s goes on: the dead letters that stopped it were answered", topic)

    def words(self) -> dict[str, str]:
        """What is wrong by topic; nothing of those that are written."""
        now_s = time.monotonic()
        found = dict(self.missing)
        for (topic, partition), why in list(self.unread.items()):
            found.setdefault(topic, f"partition {partition} is stopped: {why}")
        for (topic, partition), work in list(self._works.items()):
            failing_s, why = work.backoff.failing(now_s)
            if work.stopped:
                found.setdefault(topic, f"partition {partition} is stopped: {work.stopped}")
            elif failing_s > STALLED_S:
                found.setdefault(topic, f"it cannot be written for {failing_s:.0f} s: {why}")
        return found

    def _of(self, topic: str) -> Iterator[PartitionWork]:
        return (work for work in self._works.values() if work.source.topic == topic)

    def _is_answered(self, work: PartitionWork, block: Block) -> bool:
        offsets = block.intent.offsets
        letters, actions = counted_in(topics.DEAD_LETTERS), counted_in(topics.ACTIONS)
        try:
            sent = self._questions.letters(letters, work.source.topic, offsets, self._group)
            return len(sent) >= len(block.rows.rejected) and sent <= self._questions.answered(actions)
        except (DatabaseUnavailableError, InsertRefusedError) as error:
            _LOG.warning(
                "whether dead letters of %s were answered is not known: %s", work.source.topic, error
            )
            return False
