"""Dead letters of records that cannot be processed, and the mark of those that are sent again.

Large keys and values are cut, so that each fits into one record. A record is sent again for the consumer group that gave
up on it: the others have handled it, and would do so twice.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from parallelm.schemas.records import DeadLetter

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_STORED_BYTES = 900_000
"""Largest size of key and value together: with its other fields, the dead letter stays below the broker's limit."""

_MAX_ERROR_CHARACTERS = 5_000
_SENT_AGAIN_FOR = "mcenter.sent-again-for"


def sent_again_for(consumer_group: str) -> dict[str, str | bytes | None]:
    """Headers of a record that only this group is to handle."""
    return {_SENT_AGAIN_FOR: consumer_group.encode()}


def concerns(headers: Iterable[tuple[str, bytes | None]] | None, consumer_group: str) -> bool:
    """Whether a group handles a record with these headers: each one, unless it was sent again for another group."""
    return not headers or all(
        name != _SENT_AGAIN_FOR or value == consumer_group.encode() for name, value in headers
    )


def make_dead_letter(
    error: Exception,
    stage: str,
    *,
    topic: str,
    topic_id: str,
    partition: int,
    offset: int,
    key: bytes | None,
    value: bytes | None,
    consumer_group: str,
) -> DeadLetter:
    """Make the dead letter of a record that failed just now."""
    size_bytes = len(key or b"") + len(value or b"")
    is_cut = size_bytes > MAX_STORED_BYTES
    if is_cut:
        key = key[:MAX_STORED_BYTES] if key is not None else None
        value = value[: MAX_STORED_BYTES - len(key or b"")] if value is not None else None
    return DeadLetter(
        failed_at_ms=time.time_ns() // 1_000_000,
        source_topic=topic,
        topic_id=topic_id,
        source_partition=partition,
        source_offset=offset,
        stage=stage,
        error_type=type(error).__name__,
        error=str(error)[:_MAX_ERROR_CHARACTERS],
        consumer_group=consumer_group,
        size_bytes=size_bytes,
        is_cut=is_cut,
        key=key,
        value=value,
    )
