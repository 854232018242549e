"""Whether the topics are still those whose records were read.

A topic that is deleted and created again is another topic, with an id of its own; a client may go on reading it where it
was in the old one. So ids are asked for after records were read, and looked at before their block is announced: an id
never comes back, hence records that were read before the question are of the topic that the answer names.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection

from parallelm.sinks.errors import RetryLaterError, SinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from confluent_kafka.admin import AdminClient

    from parallelm.sinks.partition import PartitionWork
    from parallelm.sinks.rows import Source

_TIMEOUT_S = 5.0
_LOOK_INTERVAL_S = 3.0


class TopicIdentity:
    """Asks for the ids of topics while other work goes on."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin
        self._asked: Mapping[str, Any] = {}
        self._looked_for: Mapping[str, Any] = {}
        self._look_due_s = 0.0
        self._seen: dict[str, str] = {}

    def seen(self, topic_ids: Mapping[str, str]) -> None:
        """Raise ``SinkError`` when one of the topics is another one than it was before in this process.

        Also where none of its partitions was read meanwhile: a client that knows the old topic may get nothing of the new one,
        for minutes.
        """
        for topic, topic_id in topic_ids.items():
            before = self._seen.setdefault(topic, topic_id)
            if before != topic_id:
                raise _created_again(topic, topic_id, before)

    def ask(self, topics: set[str]) -> None:
        """Ask for the ids of these topics as they are now; forgets what was asked before."""
        self._asked = self._describe(topics)

    def look(self, sources: Iterable[Source]) -> None:
        """Ask every few seconds, and look at the answers of before, without waiting: a client may find nothing to read then.

        Raises ``SinkError`` when one of the topics is another one by now.
        """
        if time.monotonic() < self._look_due_s:
            return
        self._look_due_s = time.monotonic() + _LOOK_INTERVAL_S
        by_topic = {source.topic: source for source in sources}
        for topic, source in by_topic.items():
            answer = self._looked_for.get(topic)
            if answer is not None and answer.done() and answer.exception() is None:
                _check(str(answer.result().topic_id), source)
        self._looked_for = self._describe(set(by_topic))

    def _describe(self, topics: set[str]) -> Mapping[str, Any]:
        if not topics:
            return {}
        found: Mapping[str, Any] = self._admin.describe_topics(
            TopicCollection(sorted(topics)), request_timeout=_TIMEOUT_S
        )
        return found

    def confirmed(
        self, works: Iterable[PartitionWork], try_later: Callable[[PartitionWork, RetryLaterError], None]
    ) -> list[PartitionWork]:
        """Those that have a block and whose topic is the one that its records were read from; ``ask`` was called for it.

        Others wait. Raises ``SinkError`` when a topic is another one by now.
        """
        found = []
        for work in works:
            if work.is_ours and work.block is not None:
                try:
                    if not work.block.is_confirmed:
                        self._confirm(work.source)
                    work.block.is_confirmed = True
                    found.append(work)
                except RetryLaterError as error:
                    try_later(work, error)
        return found

    def _confirm(self, source: Source) -> None:
        try:
            found = str(self._asked[source.topic].result(_TIMEOUT_S).topic_id)
        except KafkaException as error:
            is_gone = error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
            why = "it was deleted" if is_gone else error.args[0].str()
            raise RetryLaterError(f"{source.topic} [{source.partition}] cannot be written: {why}") from error
        except TimeoutError as error:
            raise RetryLaterError(
                f"no broker says within {_TIMEOUT_S:g} s which topic {source.topic!r} is"
            ) from error
        _check(found, source)


def _check(found: str, source: Source) -> None:
    if found != source.topic_id:
        raise _created_again(source.topic, found, source.topic_id)


def _created_again(topic: str, found: str, before: str) -> SinkError:
    return SinkError(
        f"topic {topic!r} was deleted and created again while it was read (topic id {found}, was "
        f"{before}): start the sink again, it reads the new topic from its beginning"
    )
