"""Records that could not be handled: list them, and send them again when their cause is fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.operations.topic_records import find_topic
from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from parallelm.connections import Settings
    from parallelm.warehouse.queries import DeadLetterRecord

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Replayable:
    """Dead letters as records of the topics that they came from."""

    whole: list[DeadLetterRecord]
    cut: int
    """How many more there are that were too large to be stored in full, and cannot be sent again."""


def list_dead_letters(
    settings: Settings, *, topic: str | None = None, stage: str | None = None, limit: int | None = None
) -> pd.DataFrame:
    """Dead letters, the latest first; ``topic`` with or without prefix. Raises ``UnknownTopicError``."""
    from parallelm.warehouse.queries import dead_letters

    return dead_letters(settings, source_topic=_full_name(settings, topic), stage=stage, limit=limit)


def replayable_dead_letters(
    settings: Settings, *, topic: str | None = None, stage: str | None = None
) -> Replayable:
    """What ``replay`` can send; ``topic`` with or without prefix. Raises ``UnknownTopicError``."""
    from parallelm.warehouse.queries import dead_letter_records

    letters = dead_letter_records(settings, source_topic=_full_name(settings, topic), stage=stage)
    whole = [letter for letter in letters if not letter.is_cut]
    return Replayable(whole, len(letters) - len(whole))


def replay(settings: Settings, letters: Sequence[DeadLetterRecord]) -> int:
    """Send the records with their old keys, wait for the broker, and return how many there were.

    Raises ``UndeliveredError`` with the records that were not confirmed.
    """
    records = (OutgoingRecord(letter.source_topic, letter.key, letter.value) for letter in letters)
    return write_and_confirm(settings, records, timeout_s=_TIMEOUT_S)


def _full_name(settings: Settings, topic: str | None) -> str | None:
    prefix = settings.kafka.topic_prefix
    return None if topic is None else find_topic(topic, prefix).full_name(prefix)
