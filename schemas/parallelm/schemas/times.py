"""The times that records may carry: what the warehouse's ``DateTime64(3)`` holds. Beyond, it wraps without a word."""

MIN_TIME_MS = -2_208_988_800_000
"""1900-01-01T00:00:00Z."""

MAX_TIME_MS = 10_413_791_999_999
"""2299-12-31T23:59:59.999Z."""


def is_time(timestamp_ms: float) -> bool:
    """Whether it can be an event time; NaN cannot."""
    return MIN_TIME_MS <= timestamp_ms <= MAX_TIME_MS
