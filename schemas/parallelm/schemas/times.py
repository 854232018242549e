"""The times that records may carry: what the warehouse's ``DateTime64(3)`` holds."""

from parallelm.schemas.well_known import MAX_TIME_MS, MIN_TIME_MS

__all__ = ["MAX_TIME_MS", "MIN_TIME_MS", "is_time"]


def is_time(timestamp_ms: float) -> bool:
    """Whether it can be an event time; NaN cannot."""
    return MIN_TIME_MS <= timestamp_ms <= MAX_TIME_MS
