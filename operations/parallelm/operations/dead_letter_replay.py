"""Sends dead letters again to the topics that they came from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.connections import Settings
    from parallelm.warehouse.queries import DeadLetterRecord

_TIMEOUT_S = 30.0


def replay(settings: Settings, letters: Sequence[DeadLetterRecord]) -> int:
    """Send the records with their old keys, wait for the broker, and return how many there were.

    Raises ``UndeliveredError`` with the records that are not known to have arrived.
    """
    records = (OutgoingRecord(letter.source_topic, letter.key, letter.value) for letter in letters)
    return write_and_confirm(settings, records, timeout_s=_TIMEOUT_S)
