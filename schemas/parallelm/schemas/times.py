"""What a time and a range of times mean, in every room.

- A time is a point in nanoseconds of the Unix epoch. Records carry it floored to the millisecond.
- A range is half-open: its start is floored to the millisecond, its end rounded up, and the end does not belong to it.
  So ``pandas.Period("2026-03-01", "D").end_time`` as an end covers the whole day. Where start and end are the same
  instant, the range is the millisecond that holds it.
- A datetime or text without a time zone is UTC. A local time is read as PEP 495 says: ``fold`` chooses in the hour that
  happens twice, and an hour that does not exist is read with the offset before the gap (``fold=1``: after it).
- A float is read as the digits that Python prints for it, rounded to the microsecond where its precision ends (as for
  seconds since the epoch).
- A number that is close to 1970 in its units, and a usual time in others, is refused as a mistake.

Imports only the bounds: the component library reads it in stand-alone mode, and the warehouse may import it.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final

from parallelm.schemas.well_known import MAX_TIME_MS, MIN_TIME_MS, TIME_BOUNDS

__all__ = [
    "MAX_TIME_MS",
    "MIN_TIME_MS",
    "NANOSECONDS",
    "TIME_BOUNDS",
    "Time",
    "TimeError",
    "UnlikelyUnitsError",
    "ceil_ms",
    "check_units",
    "floor_ms",
    "is_time",
    "likely_units",
    "number_ns",
    "range_ms",
    "time_ns",
]

NANOSECONDS: Final = {
    "second": 1_000_000_000,
    "millisecond": 1_000_000,
    "microsecond": 1_000,
    "nanosecond": 1,
}
"""Units that a number may have, with their length in nanoseconds."""

Time = datetime | date | str
"""A side of a range: one without a zone is UTC, a date is its midnight, a text is in ISO 8601."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_NS = 365 * 86_400 * 1_000_000_000
_NEAR_EPOCH_NS = MAX_TIME_MS * 1_000
"""121 days: a time up to 2299 that is read in units a thousand times too fine, or more, is this close to 1970."""
_USUAL_END_NS = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
_COARSE_NS = 100
"""Floats whose neighbours are further away are rounded to the microsecond: their last digits are noise."""
_FIRST_DAY, _LAST_DAY = 19_000_101, 22_991_231
"""Dates written as one number."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BEYOND_MICROSECONDS = re.compile(r"[.,][0-9]{6}([0-9]{1,3})")
_DATETIME64 = re.compile(r".M8\[([0-9]*)([A-Za-z]+)\]")
_ATTOSECONDS = {
    "W": 604_800 * 10**18,
    "D": 86_400 * 10**18,
    "h": 3_600 * 10**18,
    "m": 60 * 10**18,
    "s": 10**18,
    "ms": 10**15,
    "us": 10**12,
    "ns": 10**9,
    "ps": 10**6,
    "fs": 10**3,
    "as": 1,
}
_MONTHS = {"M": 1, "Y": 12}


class TimeError(ValueError):
    """What was given is not a time that can be stored; the message says how to give it."""


class UnlikelyUnitsError(TimeError):
    """A number that probably has other units."""

    def __init__(self, what: str, likely: str, advice: str) -> None:
        super().__init__(f"{what}: {advice}")
        self.what = what
        """How the number reads in its units and in the likely ones."""
        self.likely = likely


class _UnitsMissingError(TimeError):
    """A number without units, where there is no default."""


def is_time(timestamp_ms: float) -> bool:
    """Whether it can be an event time; NaN cannot."""
    return MIN_TIME_MS <= timestamp_ms <= MAX_TIME_MS


def floor_ms(moment_ns: int) -> int:
    """Epoch milliseconds of an event time, or of the start of a range."""
    return moment_ns // 1_000_000


def ceil_ms(moment_ns: int) -> int:
    """Epoch milliseconds of the end of a range."""
    return -(-moment_ns // 1_000_000)


def range_ms(start: Any, end: Any) -> tuple[int | None, int | None]:
    """First epoch millisecond of a range, and the one after its last; None where a side is open.

    Each side is a datetime, a date (its midnight) or a text in ISO 8601. Of a range that reaches beyond the years that
    can be stored, the part within them is returned, so that ``datetime.min`` to ``datetime.max`` asks for all. Raises ``TimeError`` for anything else, and for a start after the end.
    """
    first = None if start is None else _side_ns(start)
    last = None if end is None else _side_ns(end)
    if first is not None and last is not None and first > last:
        raise TimeError(f"the start {start} is after the end {end}")
    first_ms = None if first is None else floor_ms(first)
    last_ms = None if last is None else ceil_ms(last)
    if last_ms is not None and last_ms == first_ms:
        last_ms += 1
    return _stored_range(first_ms, last_ms)


def time_ns(
    moment: Any,
    units: str | None = None,
    *,
    default_units: str | None = "nanosecond",
    timezone: tzinfo = UTC,
) -> int:
    """Epoch nanoseconds of a datetime, a date (its midnight), a text in ISO 8601, or a number of ``units`` (also as text).

    ``timezone`` is that of datetimes, dates and texts that name none. A text of eight digits is a date unless units are
    given. Raises ``TimeError`` for anything else, unknown units, a number without units when there is no default, a
    number that is likely one of other units, and times outside the years 1900 to 2299.
    """
    found = _any_time_ns(moment, units, default_units, timezone)
    if not is_time(floor_ms(found)):
        raise TimeError(f"timestamp {shown(moment)} is outside the years {TIME_BOUNDS}")
    return found


def number_ns(number: float, units: str, *, assumed: bool = False) -> int:
    """Epoch nanoseconds of a number; ``assumed`` units are checked more strictly than given ones.

    Raises ``TimeError`` for what is not a point in time that can be stored, and for what is likely a number of other
    units.
    """
    found = _scaled_ns(number, units)
    if _is_certain(found):
        return found
    if assumed and _FIRST_DAY <= number <= _LAST_DAY:
        raise TimeError(
            f"timestamp {shown(number)} is the number of a date: give a date, or its text '2013-01-31'"
        )
    likely = likely_units(number, units, assumed=assumed)
    is_stored = is_time(floor_ms(found))
    if likely is not None:
        as_given = f"is {_iso(found)}" if is_stored else f"lies outside the years {TIME_BOUNDS}"
        raise UnlikelyUnitsError(
            f"timestamp {shown(number)} {as_given} in {units}s, but {_iso(_scaled_ns(number, likely))} in {likely}s",
            likely,
            f"give units={likely!r}" + (", or a datetime if 1970 is meant" if is_stored else ""),
        )
    if not is_stored:
        raise TimeError(
            f"timestamp {shown(number)} is outside the years {TIME_BOUNDS} in {units}s; check its units"
        )
    return found


def likely_units(number: float, units: str, *, assumed: bool = False) -> str | None:
    """Units that ``number`` more likely has than ``units``; None when these may be right.

    They are doubted when the number lies outside the years 1900 to 2299 or within 121 days of 1970 in them. Others are
    likelier when it reads as a usual time in them: before 2100, and at least ten years away from 1970 (one year, when
    ``units`` were only assumed).
    """
    found = _scaled_ns(number, units)
    if _is_certain(found):
        return None
    margin_ns = _YEAR_NS if assumed else 10 * _YEAR_NS
    for other in NANOSECONDS:
        reading = _scaled_ns(number, other)
        if (
            other != units
            and margin_ns <= abs(reading)
            and MIN_TIME_MS * 1_000_000 <= reading < _USUAL_END_NS
        ):
            return other
    return None


def _is_certain(found_ns: int) -> bool:
    """Whether the units of this time are beyond doubt."""
    return abs(found_ns) > _NEAR_EPOCH_NS and is_time(floor_ms(found_ns))


def check_units(units: str | None) -> None:
    """Raise ``TimeError`` for unknown units."""
    if units is not None and not (isinstance(units, str) and units in NANOSECONDS):
        raise TimeError(f"unknown time units {shown(units)}; there are: {', '.join(NANOSECONDS)}")


def shown(value: Any) -> str:
    """``value`` as messages show it: an object may fail to print, as integers of thousands of digits do."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - the caller's object
        return f"of {value.bit_length()} bits" if isinstance(value, int) else type(value).__name__
    return text if len(text) <= 100 else f"{text[:97]}..."  # noqa: PLR2004 - a line of a message


def _side_ns(moment: Any) -> int:
    try:
        return _any_time_ns(moment, None, None, UTC)
    except _UnitsMissingError:
        raise TimeError(
            f"the number {shown(moment)} is not a side of a range of times: give a datetime, a date or a text in ISO 8601"
        ) from None


def _stored_range(first_ms: int | None, last_ms: int | None) -> tuple[int | None, int | None]:
    """The range in bounds that do not wrap in a query."""
    if first_ms is not None and first_ms > MAX_TIME_MS:
        return MIN_TIME_MS, MIN_TIME_MS  # holds nothing
    if first_ms is not None and first_ms <= MIN_TIME_MS:
        first_ms = None
    if last_ms is not None:
        last_ms = None if last_ms > MAX_TIME_MS else max(last_ms, MIN_TIME_MS)
    return first_ms, last_ms


def _any_time_ns(moment: Any, units: str | None, default_units: str | None, timezone: tzinfo) -> int:
    """As ``time_ns``, of any year where it is not a number."""
    check_units(units)
    value = _without_numpy(moment)
    if isinstance(value, datetime):
        return _datetime_ns(value, timezone)
    if isinstance(value, date):
        return _datetime_ns(datetime(value.year, value.month, value.day), timezone)  # noqa: DTZ001 - it gets one
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _number_ns(value, units, default_units)
    if isinstance(value, str):
        return _text_ns(value.strip(), units, default_units, timezone)
    if (
        type(value).__module__ == "numpy"
        and getattr(value, "dtype", None) is not None
        and value.dtype.kind == "M"
    ):
        return _datetime64_ns(value)
    raise TimeError(
        f"a timestamp must be a datetime, a date, a text in ISO 8601 or a number since the epoch, "
        f"not {type(moment).__name__}{_HINTS.get(type(moment).__name__, '')}"
    )


_HINTS = {
    "Period": ": give its start_time or its end_time",
    "struct_time": ": for UTC give calendar.timegm(it) and units='second'",
}


def _without_numpy(moment: Any) -> Any:
    """Numbers of numpy as those of Python, zero-dimensional arrays as what they hold; anything else as it is."""
    if type(moment).__module__ != "numpy" or getattr(moment, "shape", None) != ():
        return moment
    scalar = moment[()]
    kind = scalar.dtype.kind
    if kind in "iu":
        return int(scalar)
    return float(scalar) if kind == "f" else scalar


def _datetime_ns(value: datetime, timezone: tzinfo) -> int:
    try:
        # A pandas Timestamp; its arithmetic is bounded by its own unit.
        beyond_us = int(getattr(value, "nanosecond", 0))
        plain = value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
        delta = (plain if plain.tzinfo else plain.replace(tzinfo=timezone)) - _EPOCH
        return delta // timedelta(microseconds=1) * 1_000 + beyond_us
    except Exception as error:  # noqa: BLE001 - a zone is the caller's code, which may raise anything
        raise TimeError(
            f"timestamp of type {type(value).__name__} is not a point in time: {type(error).__name__}: {error}"
        ) from None


def _datetime64_ns(value: Any) -> int:
    text = str(value)
    unit = _DATETIME64.fullmatch(value.dtype.str)
    if text == "NaT" or unit is None:
        raise TimeError(f"timestamp {text} is not a point in time")
    count = int(unit[1] or 1) * int(value.astype("int64"))
    if unit[2] in _MONTHS:
        years, month = divmod(count * _MONTHS[unit[2]], 12)
        year = min(max(1970 + years, 1), 9999)
        return (date(year, month + 1, 1) - _EPOCH.date()).days * 86_400 * 1_000_000_000
    return count * _ATTOSECONDS[unit[2]] // _ATTOSECONDS["ns"]


def _text_ns(text: str, units: str | None, default_units: str | None, timezone: tzinfo) -> int:
    if _NUMBER.fullmatch(text) and (units is not None or not _is_basic_date(text)):
        try:
            number = int(text) if text.lstrip("+-").isdigit() else float(text)
        except ValueError:
            raise TimeError(f"timestamp {shown(text)} is not a point in time") from None
        return _number_ns(number, units, default_units)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TimeError(f"timestamp {shown(text)} is neither a time in ISO 8601 nor a number") from None
    beyond_us = _BEYOND_MICROSECONDS.search(text)
    return _datetime_ns(moment, timezone) + (int(beyond_us[1].ljust(3, "0")) if beyond_us else 0)


def _is_basic_date(text: str) -> bool:
    if len(text) != len("20130101") or not text.isdigit():
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _number_ns(number: float, units: str | None, default_units: str | None) -> int:
    if units is not None:
        return number_ns(number, units)
    if default_units is None:
        raise _UnitsMissingError(
            f"the number {shown(number)} is not a time by itself: give units=, or a datetime"
        )
    return number_ns(number, default_units, assumed=True)


def _scaled_ns(number: float, units: str) -> int:
    """Nanoseconds of a number: of a float, those of the digits that Python prints for it."""
    if isinstance(number, int):
        return number * NANOSECONDS[units]
    if not math.isfinite(number):
        raise TimeError(f"timestamp {number!r} is not a point in time")
    from decimal import Decimal

    numerator, denominator = Decimal(repr(float(number))).as_integer_ratio()
    numerator *= NANOSECONDS[units]
    if math.ulp(number) * NANOSECONDS[units] < _COARSE_NS:
        return numerator // denominator
    return (2 * numerator + 1_000 * denominator) // (2_000 * denominator) * 1_000


def _iso(moment_ns: int) -> str:
    return f"{_EPOCH.replace(tzinfo=None) + timedelta(milliseconds=floor_ms(moment_ns))}"
