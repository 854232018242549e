"""What is kept of a record that a process gives up on. However large it was, its dead letter fits into a record."""

from __future__ import annotations

import time

from parallelm.schemas.records import DeadLetter

MAX_KEPT_BYTES = 900_000
"""Bytes of key and value that are kept together: with the rest of the letter they stay below what brokers take."""

_MAX_ERROR_CHARACTERS = 5_000


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
    """Dead letter of a record, failed now. What was cut is told at the end of its ``error``."""
    told = str(error)[:_MAX_ERROR_CHARACTERS]
    size = len(key or b"") + len(value or b"")
    if size > MAX_KEPT_BYTES:
        # `mcenter dead-letters replay` knows by these words that the record cannot be sent again.
        told += f" [only the first {MAX_KEPT_BYTES} of {size} bytes are kept here]"
        key = key[:MAX_KEPT_BYTES] if key is not None else None
        value = value[: MAX_KEPT_BYTES - len(key or b"")] if value is not None else None
    return DeadLetter(
        failed_at_ms=time.time_ns() // 1_000_000,
        source_topic=topic,
        topic_id=topic_id,
        source_partition=partition,
        source_offset=offset,
        stage=stage,
        error_type=type(error).__name__,
        error=told,
        consumer_group=consumer_group,
        key=key,
        value=value,
    )
