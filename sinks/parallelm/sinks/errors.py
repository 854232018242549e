"""What ends or delays the sink. Each message says what was wrong, where, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallelm.sinks.server_errors import Kind


class SinkError(Exception):
    """Base of this package's errors; raised out of ``run`` it ends the process with its message."""


class NotReadyError(SinkError):
    """Topics or tables are missing: the sink cannot start."""


class RetryLaterError(SinkError):
    """A service that the sink needs is unavailable: the same work may succeed later."""


class DatabaseUnavailableError(RetryLaterError):
    """ClickHouse does not answer: nothing can be written for now."""


class InsertRefusedError(RetryLaterError):
    """ClickHouse has answered that it does not take this block, or not now."""

    def __init__(self, message: str, kind: Kind) -> None:
        super().__init__(message)
        self.kind = kind


class DatabaseRefusesError(SinkError):
    """ClickHouse takes nothing with these settings: a person has to change them."""


class FencedError(SinkError):
    """Another sink runs under the same instance id, or the Kafka client cannot continue for another reason."""


class InsertStateUnknownError(SinkError):
    """Whether a block's rows are in the table cannot be decided without a person: its partition is stopped."""


class InvalidRecordError(Exception):
    """A record was decoded, but its values do not fit the table. It becomes a dead letter."""
