"""Records that could not be handled: list them, look at them, send them again when their cause is fixed, or give them up.

A record is sent again for the consumer that gave up on it, in one transaction with the action that says so: a second
replay finds it answered, and no other consumer handles it twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from parallelm.operations.actions import ALL_MLAPPS, action_to_send, new_action
from parallelm.operations.errors import ReplayError, UnknownDeadLetterError
from parallelm.operations.stored import wait_until_stored
from parallelm.operations.topic_records import decoded, find_topic
from parallelm.schemas.codec import Codec
from parallelm.schemas.dead_letters import sent_again_for
from parallelm.schemas.registry import make_registry
from parallelm.schemas.topic_reader import RawRecord
from parallelm.schemas.topics import ACTIONS, CATALOGUE, DEAD_LETTERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.operations.topic_records import DecodedRecord
    from parallelm.schemas.times import Time
    from parallelm.warehouse.queries import DeadLetterRecord, Keyset

Answer = Literal["replay_dead_letter", "drop_dead_letter"]

_TIMEOUT_S = 30.0
_LETTERS_A_TRANSACTION = 50
"""A letter takes 900 KB at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which dead letters; what is None selects all."""

    letter_id: str | None = None
    """Beginning of an id."""
    topic: str | None = None
    """Where they came from, with or without prefix."""
    stage: str | None = None
    start: Time | None = None
    end: Time | None = None
    limit: int | None = None
    """At most so many, the latest."""


def list_dead_letters(
    settings: Settings, selection: Selection, *, open_only: bool = True, page: Keyset | None = None
) -> pd.DataFrame:
    """Dead letters, the latest first; columns as of the query of that name. Raises ``UnknownTopicError``."""
    from parallelm.warehouse.queries import dead_letters

    prefix = settings.kafka.topic_prefix
    topic = None if selection.topic is None else find_topic(selection.topic, prefix).full_name(prefix)
    return dead_letters(
        settings,
        letter_id=selection.letter_id,
        source_topic=topic,
        stage=selection.stage,
        start=selection.start,
        end=selection.end,
        open_only=open_only,
        limit=selection.limit,
        page=page,
    )


def find_dead_letter(settings: Settings, beginning: str) -> tuple[dict[str, Any], DecodedRecord]:
    """One dead letter by the beginning of its id, and the record, decoded if possible. Raises ``UnknownDeadLetterError``."""
    from parallelm.warehouse.queries import dead_letter_records

    found = list_dead_letters(settings, Selection(letter_id=beginning), open_only=False)
    if len(found) != 1:
        raise UnknownDeadLetterError(
            f"{len(found) or 'no'} dead letters have an id that begins with {beginning!r}; "
            "`mcenter dead-letters list --all` shows them"
        )
    [record] = dead_letter_records(settings, [found["letter_id"][0]])
    fields = {str(name): value for name, value in found.iloc[0].items()}
    failed_at_ms = int(fields["failed_at"].timestamp() * 1000)
    raw = RawRecord(
        int(fields["source_partition"]), int(fields["source_offset"]), failed_at_ms, record.key, record.value
    )
    codec = Codec(make_registry(settings.schema_registry, settings.kafka.topic_prefix))
    return fields, decoded(raw, codec)


@dataclass(frozen=True, slots=True)
class Replayable:
    """Which of some dead letters can be sent again."""

    letter_ids: Sequence[str]
    """In the order in which they failed."""
    left_out: Sequence[str]
    """Why others cannot be, a line a reason."""


def replayable(settings: Settings, letters: pd.DataFrame) -> Replayable:
    """Which of the listed dead letters can be sent again."""
    prefix = settings.kafka.topic_prefix
    compacted = letters["source_topic"].isin({t.full_name(prefix) for t in CATALOGUE if t.compacted})
    gone, cut = letters["stage"] == "retention", letters["is_cut"].astype(bool)
    why = {
        "they were too large to be stored in full": cut,
        "retention had deleted them before they were read": gone & ~cut,
        "on their topics the newest record of a key counts: apply it again instead": compacted & ~gone & ~cut,
    }
    left_out = [
        f"{int(which.sum())} of them are left out: {reason}" for reason, which in why.items() if which.any()
    ]
    can = letters[~(cut | gone | compacted)]
    return Replayable(list(can["letter_id"])[::-1], left_out)


class Answers:
    """Answers dead letters while no other process does: the transactions of an earlier one are refused from here on."""

    def __init__(self, settings: Settings, *, timeout_s: float = _TIMEOUT_S) -> None:
        """Raises ``ReplayError`` when Kafka is away or the sink has not stored what was answered before."""
        from confluent_kafka import KafkaException, Producer

        from parallelm.connections.kafka import client_config

        prefix = settings.kafka.topic_prefix
        self._settings = settings
        self._timeout_s = timeout_s
        self._codec = Codec(make_registry(settings.schema_registry, prefix))
        self._producer = Producer(
            client_config(
                settings.kafka,
                transactional_id=f"{prefix}dead-letters",
                compression_type="lz4",
                partitioner="murmur2_random",
            )
        )
        try:
            self._producer.init_transactions(timeout_s)
        except KafkaException as error:
            raise ReplayError(
                f"Kafka at {settings.kafka.bootstrap_servers!r}: {error.args[0].str()}"
            ) from error
        self._wait_for_the_sink()

    def give(self, answer: Answer, letter_ids: Sequence[str], *, who: Author, comment: str) -> int:
        """Send records again or drop them; returns how many. Those that were answered meanwhile are left alone.

        Raises ``ReplayError``: what was answered before it stays so, the rest stays open.
        """
        from parallelm.warehouse.queries import dead_letter_records, dead_letters

        still_open = set(dead_letters(self._settings)["letter_id"])
        wanted = [letter_id for letter_id in letter_ids if letter_id in still_open]
        for begin in range(0, len(wanted), _LETTERS_A_TRANSACTION):
            page = dead_letter_records(self._settings, wanted[begin : begin + _LETTERS_A_TRANSACTION])
            self._in_one_transaction(answer, page, who=who, comment=comment, before=begin)
        return len(wanted)

    def _in_one_transaction(
        self, answer: Answer, page: Sequence[DeadLetterRecord], *, who: Author, comment: str, before: int
    ) -> None:
        from confluent_kafka import KafkaException

        try:
            self._producer.begin_transaction()
            for letter in page:
                if answer == "replay_dead_letter":
                    self._producer.produce(
                        letter.source_topic,
                        letter.value,
                        letter.key,
                        headers=sent_again_for(letter.consumer_group),
                    )
                action = new_action(answer, ALL_MLAPPS, who=who, target=letter.letter_id, comment=comment)
                record = action_to_send(self._settings, action, self._codec)
                self._producer.produce(record.topic, record.value, record.key)
            self._producer.commit_transaction(self._timeout_s)
        except KafkaException as error:
            reason = error.args[0]
            raise ReplayError(
                f"{before} were answered, the others were not: {reason.str()}"
                + ("; another process answers dead letters" if reason.fatal() else "")
                + ". `mcenter dead-letters list` shows what is open"
            ) from error

    def _wait_for_the_sink(self) -> None:
        """What an earlier process has answered must be in the tables that say what is open."""
        behind = wait_until_stored(self._settings, (DEAD_LETTERS, ACTIONS), self._timeout_s)
        if behind:
            raise ReplayError(
                f"the sink is {behind} records behind on {DEAD_LETTERS.name} and {ACTIONS.name}, so it is not known "
                "which dead letters are open: start it (`mcenter sink`) or wait for it. Nothing was sent"
            )
