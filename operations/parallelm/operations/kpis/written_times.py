"""Timestamps as programs and spreadsheets write them: ISO 8601, dates in the order of a country, numbers."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from parallelm.operations.errors import KpiFileError
from parallelm.operations.kpis.format import DAY_NUMBERS
from parallelm.schemas.times import NANOSECONDS, TimeError, likely_units

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.operations.kpis.format import KpiFileFormat
    from parallelm.operations.kpis.numbers import NumberFormat

_UNIT_NAMES = {"s": "second", "ms": "millisecond", "us": "microsecond", "ns": "nanosecond"}

_SPACES = re.compile("[ \u00a0\u2007\u2008\u2009\u202f]+")
_NUMBER = re.compile(r"[+-]?[\d., ']*\d[\d., ']*\Z", re.ASCII)
_ROUNDED = re.compile(r"[+-]?\d+([.,]\d*)?[eE][+-]?\d+\Z", re.ASCII)
_ISO_DAY = re.compile(r"\d{4}-?(\d\d-?\d\d|W\d\d(-?\d)?)\Z", re.ASCII)
_DATE = re.compile(
    r"(?P<a>\d{1,4})(?P<sign>[./-])(?P<b>\d{1,2})(?P=sign)(?P<c>\d{1,4})(?:(?:,? |T)(?P<time>\d.*))?\Z",
    re.ASCII,
)
_TIME = re.compile(
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?\Z",
    re.ASCII,
)
_DAY_NUMBER_START = datetime(1899, 12, 30)  # noqa: DTZ001 - local, as the file's other times
_FIRST_TRUE_DAY_NUMBER = 61
"""1 March 1900; spreadsheets believe that 1900 had a 29 February."""
_LIKELY_DAY_NUMBERS = (20_000, 75_000)
"""1954 to 2105."""
_YEAR_DIRECTIVES = ("%Y", "%y", "%G", "%c", "%x")
_PARTS_OF_A_DAY = (1_440, 86_400, 86_400_000)
"""Minutes, seconds, milliseconds."""
_FLOAT_ERROR = Decimal("1e-11")
"""Of a day number as a double."""
_HALF_DAY_H = 12
_LONG_YEAR = 4
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class WrittenTime:
    """A timestamp as its text says it: with its offset from UTC, or local."""

    moment: datetime
    is_day: bool = False
    """A date without a time of day, which means its first moment."""


class TimestampReader:
    """Reads the timestamps of one file."""

    def __init__(
        self, wanted: KpiFileFormat, numbers: NumberFormat, texts: Iterable[tuple[int, str]]
    ) -> None:
        """Take all timestamps of the file with their lines, for the order of day and month."""
        if wanted.date_format:
            _check_form(wanted.date_format)
        self._wanted = wanted
        self._numbers = numbers
        self._orders = {} if wanted.date_format else _find_orders(texts)

    def read(self, text: str) -> WrittenTime | int:
        """A time, or milliseconds since 1970 (rounded down); raises ``ValueError`` with what is wrong."""
        if not text:
            raise ValueError("is empty (if this is a row of totals, remove it)")
        plain = text if text.isascii() and "  " not in text else _SPACES.sub(" ", text)
        if self._wanted.date_format:
            return self._by_format(plain)
        if _ROUNDED.match(plain):
            raise ValueError(
                f"{text!r} was rounded by a spreadsheet, so that different times look alike; format the column as a "
                "number without decimals, or as text, and export again"
            )
        if _NUMBER.match(plain) and not _DATE.match(plain):
            return self._number(text)
        try:
            moment = datetime.fromisoformat(plain)
        except ValueError:
            return self._ordered(text, plain)
        return WrittenTime(moment, is_day=_ISO_DAY.match(plain) is not None)

    def _by_format(self, text: str) -> WrittenTime:
        try:
            moment = datetime.strptime(text, self._wanted.date_format)  # noqa: DTZ007 - local unless it says otherwise
        except ValueError:
            raise ValueError(f"{text!r} is not of the form {self._wanted.date_format}") from None
        has_time = re.search(r"%[HIMSfpcXsT]", self._wanted.date_format) is not None
        return WrittenTime(moment, is_day=not has_time and moment.tzinfo is None)

    def _number(self, text: str) -> WrittenTime | int:
        unit = self._wanted.unit
        if not unit:
            raise ValueError(_without_unit(text))
        number = Decimal(self._numbers.canonical(text))
        if unit == DAY_NUMBERS:
            return _from_day_number(text, number)
        name = _UNIT_NAMES[unit]
        _check_unit(text, number, unit)
        return math.floor(number * NANOSECONDS[name] / 1_000_000)

    def _ordered(self, text: str, plain: str) -> WrittenTime:
        found = _DATE.match(plain)
        if not found:
            raise ValueError(
                f"{text!r} is not an ISO 8601 time such as 2013-01-31 or 2013-01-31T12:00:00+01:00; "
                "for another form give --date-format, for example %d.%m.%Y"
            )
        sign, parts = found["sign"], (found["a"], found["b"], found["c"])
        if len(parts[0]) == _LONG_YEAR:
            order = "ymd"
        elif len(parts[2]) == _LONG_YEAR:
            order = self._orders[sign]
        else:
            raise ValueError(
                f"{text!r} does not name its century; give --date-format, for example %d.%m.%y or %m/%d/%y"
            )
        by_part = dict(zip(order, (int(part) for part in parts), strict=True))
        try:
            day = datetime(by_part["y"], by_part["m"], by_part["d"])  # noqa: DTZ001 - local
        except ValueError:
            written = {"dmy": "day, month, year", "mdy": "month, day, year", "ymd": "year, month, day"}[order]
            raise ValueError(f"{text!r} is not a date in the order {written}") from None
        if found["time"] is None:
            return WrittenTime(day, is_day=True)
        return WrittenTime(datetime.combine(day, _time_of_day(text, found["time"])))


def _check_form(form: str) -> None:
    reason = _fault_of_form(form)
    if reason:
        raise KpiFileError(f"--date-format {form!r}: {reason}; write for example %d.%m.%Y or %m/%d/%Y %H:%M")


def _fault_of_form(form: str) -> str:
    if not any(part in form for part in _YEAR_DIRECTIVES):  # Python 3.13 warns of such a form when it is used
        return "it has no year"
    try:
        datetime.strptime("", form)  # noqa: DTZ007 - only the form is looked at
    except ValueError as error:
        return "" if "does not match" in str(error) else str(error)
    return ""


def _check_unit(text: str, number: Decimal, unit: str) -> None:
    """Refuse a number that reads as a usual time in another unit, and not in the one given."""
    try:
        name = likely_units(float(number), _UNIT_NAMES[unit])
    except (TimeError, OverflowError):
        raise ValueError(f"{text!r} is not a time in {unit}") from None
    if _LIKELY_DAY_NUMBERS[0] <= number <= _LIKELY_DAY_NUMBERS[1]:
        name = DAY_NUMBERS
    if name is None:
        return
    likely = next((short for short, long in _UNIT_NAMES.items() if long == name), DAY_NUMBERS)
    raise ValueError(
        f"{text!r} is not a usual time in {unit}, but it is one in {likely}; give --unit {likely}"
    )


def _find_orders(texts: Iterable[tuple[int, str]]) -> dict[str, str]:
    """For each sign between the parts of dates that end with the year, whether the day or the month comes first."""
    shown: dict[str, dict[str, tuple[int, str]]] = {}
    for line, text in texts:
        is_year_first = text[4:5] == "-" and text[:4].isdigit()
        found = None if is_year_first else _DATE.match(_SPACES.sub(" ", text))
        if not found or len(found["a"]) > 2 or len(found["c"]) != _LONG_YEAR:  # noqa: PLR2004 - digits of a day
            continue
        order = "dmy" if int(found["a"]) > _MONTHS else "mdy" if int(found["b"]) > _MONTHS else ""
        shown.setdefault(found["sign"], {}).setdefault(order, (line, text))
    orders: dict[str, str] = {}
    for sign, places in shown.items():
        examples = f"%d{sign}%m{sign}%Y or %m{sign}%d{sign}%Y"
        if "dmy" in places and "mdy" in places:
            (line, day_first), (other_line, month_first) = places["dmy"], places["mdy"]
            raise KpiFileError(
                f"{day_first!r} in line {line} has the day first and {month_first!r} in line {other_line} the month; "
                f"export the dates in one form, best as 2013-01-31, or give --date-format {examples}"
            )
        if places.keys() == {""}:
            line, text = places[""]
            raise KpiFileError(
                f"line {line}: no date such as {text!r} shows whether day or month comes first; "
                f"give --date-format {examples}, with the time of day if there is one"
            )
        orders[sign] = "dmy" if "dmy" in places else "mdy"
    return orders


def _time_of_day(text: str, written: str) -> time:
    found = _TIME.match(written)
    if found:
        hour = int(found["hour"])
        if found["half"] and 1 <= hour <= _HALF_DAY_H:
            hour = hour % _HALF_DAY_H + (_HALF_DAY_H if found["half"] in "pP" else 0)
        elif found["half"]:
            found = None
    try:
        if found:
            micro = int((found["fraction"] or "0").ljust(6, "0")[:6])
            return time(hour, int(found["minute"]), int(found["second"] or 0), micro)
    except ValueError:
        pass
    raise ValueError(f"{text!r} has no time of day such as 18:30 or 6:30 PM")


def _without_unit(text: str) -> str:
    said = f"{text!r} is a number; give its unit with --unit s, ms, us or ns"
    plain = text.partition(".")[0].partition(",")[0]
    if plain.isdecimal() and _LIKELY_DAY_NUMBERS[0] <= int(plain) <= _LIKELY_DAY_NUMBERS[1]:
        day = (_DAY_NUMBER_START + timedelta(days=int(plain))).date()
        return f"{said}, or with --unit excel if it is a spreadsheet's number of a day ({day})"
    if re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", text):
        return f"{said}, or --date-format %Y%m%d if it is a date"
    return said


def _from_day_number(text: str, number: Decimal) -> WrittenTime:
    """The roundest time of day that reads as the digits given: to the minute, else to the second or millisecond."""
    if not _FIRST_TRUE_DAY_NUMBER <= number < 1_000_000:  # noqa: PLR2004 - digits of a day number
        raise ValueError(f"{text!r} is not a spreadsheet's number of a day")
    exponent = number.as_tuple().exponent
    digits = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    day, fraction = divmod(number, 1)
    step = Decimal(1).scaleb(-digits)
    start = _DAY_NUMBER_START + timedelta(days=int(day))
    tolerance = max(step / 2, _FLOAT_ERROR)
    for parts in _PARTS_OF_A_DAY:
        count = int((fraction * parts).to_integral_value())
        off = abs(Decimal(count) / parts - fraction)
        exact = not off and parts == _PARTS_OF_A_DAY[0]
        fits = step <= Decimal(1) / parts and (off <= tolerance or parts == _PARTS_OF_A_DAY[-1])
        if exact or fits:
            return WrittenTime(start + timedelta(days=1) * count / parts, is_day=not fraction)
    raise ValueError(
        f"{text!r} has too few digits to name a time of day; export the column as 2013-01-31 12:00:00"
    )
