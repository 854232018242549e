"""Event time: what ``timestamp`` arguments mean, and the ``event_time`` block.

Times are nanoseconds of the Unix epoch inside the library. A datetime or text without a time zone is UTC, so that
a component's results do not depend on the zone of its host.
"""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    from collections.abc import Iterator

_NANOSECONDS = {"second": 1_000_000_000, "millisecond": 1_000_000, "nanosecond": 1}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_NS = -2_208_988_800_000_000_000
_LATEST_NS = 10_413_791_999_000_000_000
"""1900 to 2299: what the warehouse can hold."""

_given_ns: ContextVar[int | None] = ContextVar("mlops_event_time_ns", default=None)
_process_ns: int | None = None


def set_process_event_time(given_ns: int | None) -> None:
    """Event time of every report outside of blocks, in all threads; None: the clock's."""
    global _process_ns  # noqa: PLW0603 - one environment, one process
    _process_ns = given_ns


def now_ns() -> int:
    """Event time of a report that is given none: that of the block it stands in, of the process, or the clock's."""
    given = _given_ns.get()
    if given is None:
        given = _process_ns
    return time.time_ns() if given is None else given


def now_s() -> float:
    """``now_ns`` in seconds."""
    given = _given_ns.get()
    if given is None:
        given = _process_ns
    return time.time() if given is None else given / 1e9


@contextmanager
def event_time_block(given_ns: int) -> Iterator[None]:
    """Reports of this thread or task inside the block happen at ``given_ns``."""
    token = _given_ns.set(given_ns)
    try:
        yield
    finally:
        _given_ns.reset(token)


def parse_time_ns(
    timestamp: Any, units: str | None = None, *, default_units: str | None = "nanosecond"
) -> int:
    """Nanoseconds of a datetime, a text in ISO 8601, or a number of ``units`` since the epoch, as text too.

    Raises ``MLOpsException`` for anything else, unknown units, numbers without units when there is no default, and
    times outside the years 1900 to 2299.
    """
    check_units(units)
    value = timestamp.item() if type(timestamp).__module__ == "numpy" and _is_number(timestamp) else timestamp
    if isinstance(value, datetime):
        found = _of_datetime(value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        found = _of_number(value, units or default_units)
    elif isinstance(value, str) or type(value).__module__ == "numpy":
        found = _of_text(str(value), units, default_units)
    else:
        raise MLOpsException(
            f"a timestamp must be a datetime, a text in ISO 8601 or a number since the epoch, not {type(timestamp).__name__}"
        )
    if not _EARLIEST_NS <= found <= _LATEST_NS:
        raise MLOpsException(f"timestamp {timestamp!r} is outside the years 1900 to 2299; check its units")
    return found


def check_units(units: str | None) -> None:
    """Raise ``MLOpsException`` for time units that there are none of."""
    if units is not None and not (isinstance(units, str) and units in _NANOSECONDS):
        raise MLOpsException(f"unknown time units {units!r}; there are: {', '.join(_NANOSECONDS)}")


def _is_number(value: Any) -> bool:
    return getattr(value, "dtype", None) is not None and value.dtype.kind in "iuf" and value.shape == ()


def _of_datetime(value: datetime) -> int:
    try:
        delta = (value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH
        whole = int((delta.days * 86_400 + delta.seconds) * 1_000_000_000 + delta.microseconds * 1_000)
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise MLOpsException(f"timestamp {value!r} is no point in time: {error}") from None
    return whole


def _of_number(value: float, units: str | None) -> int:
    if units is None:
        raise MLOpsException(f"the number {value!r} is no time by itself: give units=, or a datetime")
    if not math.isfinite(value):
        raise MLOpsException(f"timestamp {value!r} is no point in time")
    factor = _NANOSECONDS[units]
    if isinstance(value, int):
        return value * factor
    whole = math.floor(value)
    return whole * factor + round((value - whole) * factor)


def _of_text(text: str, units: str | None, default_units: str | None) -> int:
    """A number, as a line of a file has it, where units are given or where it is no date as ``20130101`` is."""
    number = _number_in(text)
    if number is not None and units is not None:
        return _of_number(number, units)
    try:
        return _of_datetime(datetime.fromisoformat(text))
    except ValueError:
        if number is not None:
            return _of_number(number, default_units)
        raise MLOpsException(f"timestamp {text!r} is neither a time in ISO 8601 nor a number") from None


def _number_in(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None
