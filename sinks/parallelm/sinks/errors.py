"""What ends or delays the sink. Each message says what was wrong, where, and what to do."""

from __future__ import annotations


class SinkError(Exception):
    """Base of this package's errors; raised out of ``run`` it ends the process with its message."""


class NotReadyError(SinkError):
    """Topics or tables are missing: the sink cannot start."""


class RetryLaterError(SinkError):
    """A service that the sink needs is unavailable: the same work may succeed later."""


class DatabaseUnavailableError(RetryLaterError):
    """ClickHouse is unavailable or refuses inserts for now."""


class FencedError(SinkError):
    """Another sink runs under the same instance id, or the Kafka client cannot continue for another reason."""


class TooManyDeadLettersError(SinkError):
    """So many records cannot be handled that the code must be wrong, not the records."""


class InsertStateUnknownError(SinkError):
    """Whether a block's rows are in the table cannot be decided without a person."""


class InvalidRecordError(Exception):
    """A record was decoded, but its values do not fit the table. It becomes a dead letter."""
