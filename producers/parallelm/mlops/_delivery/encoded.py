"""An encoded record on its way from the sender thread to librdkafka, maybe by way of the spool."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class EncodedRecord(NamedTuple):
    """A record that librdkafka has not taken yet."""

    topic: str
    key: bytes
    value: bytes
    reports: int
    """How many samples, points or records of a caller it holds."""
    delivered: Callable[[], None] | None = None
    """Called in the sender thread when a broker has the record."""
    settled: Callable[[int | None, int], None] | None = None
    """Of a record in the spool: called in the sender thread with partition and offset, or None when it never will go."""
