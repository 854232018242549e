"""Event time: what ``timestamp`` arguments mean, and the ``event_time`` block.

Times are nanoseconds of the Unix epoch inside the library; ``parallelm.schemas.times`` states how they are read.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from parallelm.mlops._reporting.samples import queued_time_s
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import is_text, printable, quoted, reason, type_name
from parallelm.schemas import times
from parallelm.schemas.well_known import TIME_BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterator

_given_ns: ContextVar[int | None] = ContextVar("mlops_event_time_ns", default=None)
_process_ns: int | None = None


def set_process_event_time(given_ns: int | None) -> None:
    """Set the event time of every report outside ``event_time`` blocks, in all threads; None means the clock's."""
    global _process_ns  # noqa: PLW0603 - one environment, one process
    _process_ns = given_ns


def now_ns() -> int:
    """Default event time of a report: that of the enclosing block, of the process, or of the clock."""
    given = _given_ns.get()
    if given is None:
        given = _process_ns
    return time.time_ns() if given is None else given


def now_s() -> float:
    """``now_ns`` in seconds, for the sample queue."""
    given = _given_ns.get()
    if given is None:
        given = _process_ns
    return time.time() if given is None else queued_time_s(given)


@contextmanager
def event_time_block(given_ns: int) -> Iterator[None]:
    """Give reports of this thread or task inside the block the event time ``given_ns``."""
    token = _given_ns.set(given_ns)
    try:
        yield
    finally:
        _given_ns.reset(token)


def parse_time_ns(
    timestamp: Any, units: str | None = None, *, default_units: str | None = "nanosecond"
) -> int:
    """``parallelm.schemas.times.time_ns`` of a caller's value; raises ``MLOpsException``."""
    check_units(units)
    with _refusing("the timestamp", timestamp):
        return times.time_ns(timestamp, units, default_units=default_units)


def parse_environment_ns(text: str) -> int:
    """Event time in MCENTER_EVENT_TIME; raises ``MLOpsException``."""
    try:
        return times.time_ns(text, default_units=None)
    except times.TimeError:
        raise MLOpsException(
            f"MCENTER_EVENT_TIME={text!r} must be a time in ISO 8601 between {TIME_BOUNDS}, such as 2026-03-01T12:00Z"
        ) from None


def parse_range_ms(start: Any, end: Any) -> tuple[int | None, int | None]:
    """``parallelm.schemas.times.range_ms`` of a caller's values; raises ``MLOpsException``."""
    with _refusing("the range of times", (start, end)):
        return times.range_ms(start, end)


def check_units(units: str | None) -> None:
    """Raise ``MLOpsException`` for unknown time units."""
    if units is not None and not is_text(units):
        raise MLOpsException(f"unknown time units {quoted(units)}: give a text such as 'second'")
    with _refusing("the units", units):
        times.check_units(units)


@contextmanager
def _refusing(what: str, value: object) -> Iterator[None]:
    """A time's conversions and comparisons are the caller's code: whatever they raise becomes ``MLOpsException``."""
    try:
        yield
    except times.TimeError as error:
        raise MLOpsException(printable(str(error))) from None
    except Exception as error:
        raise MLOpsException(f"{what} of type {type_name(value)} cannot be used: {reason(error)}") from error
