"""What is stored of a record that a process gives up on. However large it was, its dead letter fits into a record."""

from __future__ import annotations

import time

from parallelm.schemas.records import DeadLetter

MAX_KEPT_BYTES = 900_000
"""Bytes of key and value that are stored together: with the rest of the letter they stay below what brokers take."""

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
    """Dead letter of a record, failed now."""
    size_bytes = len(key or b"") + len(value or b"")
    is_cut = size_bytes > MAX_KEPT_BYTES
    if is_cut:
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
        error=str(error)[:_MAX_ERROR_CHARACTERS],
        consumer_group=consumer_group,
        size_bytes=size_bytes,
        is_cut=is_cut,
        key=key,
        value=value,
    )
