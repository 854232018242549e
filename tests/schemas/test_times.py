"""What a time means: read to the nanosecond, floored or rounded up to the millisecond, and refused when doubtful."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.schemas.times import (
    MAX_TIME_MS,
    MIN_TIME_MS,
    NANOSECONDS,
    TimeError,
    ceil_ms,
    floor_ms,
    likely_units,
    number_ns,
    range_ms,
    time_ns,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
JANUARY_NS = 1_356_998_400_000_000_000
"""2013-01-01."""
BERLIN = ZoneInfo("Europe/Berlin")
moments = st.datetimes(datetime(1900, 1, 2), datetime(2299, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
usual_moments = st.datetimes(datetime(1980, 1, 1), datetime(2099, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


def exact_ns(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1) * 1_000


@given(moments, st.integers(-12 * 60, 14 * 60), st.integers(0, 999))
def test_every_way_to_write_an_instant_reads_alike(moment: datetime, minutes: int, beyond_us: int) -> None:
    there = moment.astimezone(timezone(timedelta(minutes=minutes)))
    expected = exact_ns(moment)
    assert time_ns(moment) == time_ns(there) == expected
    assert time_ns(moment.replace(tzinfo=None)) == expected
    assert time_ns(moment.isoformat()) == time_ns(there.isoformat()) == expected
    assert time_ns(np.datetime64(moment.replace(tzinfo=None), "us")) == expected
    assert (
        time_ns(f"{moment.replace(tzinfo=None):%Y-%m-%dT%H:%M:%S.%f}{beyond_us:03}Z") == expected + beyond_us
    )


@given(st.integers(-2_000_000_000_000_000_000, 9_200_000_000_000_000_000))
def test_nanoseconds_of_pandas_and_numpy_are_kept(moment_ns: int) -> None:
    assert time_ns(pd.Timestamp(moment_ns)) == moment_ns
    assert time_ns(pd.Timestamp(moment_ns, tz="UTC").tz_convert("America/New_York")) == moment_ns
    assert time_ns(np.datetime64(moment_ns, "ns")) == moment_ns
    assert time_ns(np.array(np.datetime64(moment_ns, "ns"))) == moment_ns
    assert time_ns(str(np.datetime64(moment_ns, "ns"))) == moment_ns


@given(moments, st.sampled_from(["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "25s", "7D", "10us", "3M"]))
def test_numpy_times_of_every_unit(moment: datetime, unit: str) -> None:
    value = np.datetime64(moment.replace(tzinfo=None)).astype(f"datetime64[{unit}]")
    assert time_ns(value) == int(value.astype("datetime64[us]").astype("int64")) * 1_000


@pytest.mark.parametrize(("unit", "beyond"), [("ps", 1_000), ("fs", 1_000_000), ("as", 1_000_000_000)])
def test_numpy_times_finer_than_a_nanosecond_are_floored(unit: str, beyond: int) -> None:
    assert time_ns(np.datetime64(5 * beyond + beyond - 1, unit)) == 5
    assert time_ns(np.datetime64(-1, unit)) == -1


@given(st.dates(date(1900, 1, 1), date(2299, 12, 31)))
def test_a_date_is_its_midnight_as_its_text_is(day: date) -> None:
    expected = exact_ns(datetime(day.year, day.month, day.day, tzinfo=UTC))
    assert time_ns(day) == time_ns(day.isoformat()) == time_ns(f"{day:%Y%m%d}") == expected
    assert time_ns(np.datetime64(day)) == expected


@pytest.mark.parametrize("units", list(NANOSECONDS))
@given(moment=usual_moments)
def test_numbers_in_their_units_read_as_the_datetime_does(units: str, moment: datetime) -> None:
    expected = exact_ns(moment)
    whole, rest = divmod(expected, NANOSECONDS[units])
    assert time_ns(whole, units) == time_ns(np.int64(whole), units) == time_ns(str(whole), units)
    assert time_ns(whole, units) == expected - rest
    as_float = expected / NANOSECONDS[units]
    if moment.year < 2038:  # later, a double of seconds cannot tell one microsecond from the next
        assert time_ns(as_float, units) == time_ns(np.float64(as_float), units) == expected
        assert time_ns(repr(as_float), units) == expected


@given(st.integers(-9_000_000, 9_000_000), st.sampled_from(list(NANOSECONDS)))
def test_floats_near_1970_keep_their_nanoseconds(number_of_ns: int, units: str) -> None:
    assert time_ns(number_of_ns / NANOSECONDS[units], units) == number_of_ns


@given(st.integers(MIN_TIME_MS, MAX_TIME_MS))
def test_seconds_and_milliseconds_as_floats_keep_the_millisecond(moment_ms: int) -> None:
    for number, units in ((moment_ms / 1_000, "second"), (float(moment_ms), "millisecond")):
        if likely_units(number, units) is None:
            assert floor_ms(number_ns(number, units)) == moment_ms


@given(usual_moments, st.sampled_from([None, *NANOSECONDS]), st.sampled_from(list(NANOSECONDS)))
def test_a_number_of_other_units_is_refused_by_their_name(
    moment: datetime, given_as: str | None, meant: str
) -> None:
    number = exact_ns(moment) // NANOSECONDS[meant]
    for form in (number, float(number), str(number), np.int64(number)):
        if meant == (given_as or "nanosecond"):
            assert floor_ms(time_ns(form, given_as)) <= floor_ms(exact_ns(moment))
        else:
            with pytest.raises(TimeError, match=f"units='{meant}'"):
                time_ns(form, given_as)


@pytest.mark.parametrize("clock", [time.time, lambda: int(time.time()), lambda: time.time_ns() // 1_000])
def test_the_clock_without_its_units_is_refused(clock: Any) -> None:
    with pytest.raises(TimeError, match=r"units='(micro)?second'"):
        time_ns(clock())


@pytest.mark.parametrize(
    ("number", "units"),
    [
        (0, None), (0, "second"), (1, None), (1_000_000, None), (JANUARY_NS, None), (-JANUARY_NS, None),
        (1, "second"), (86_400, "second"), (86_400_000, "millisecond"), (10_000_000, "second"),
        (-2_208_988_800, "second"), (10_413_791_999, "second"),
    ],
)  # fmt: skip
def test_numbers_that_no_other_units_explain_are_taken(number: int, units: str | None) -> None:
    assert time_ns(number, units) == number * NANOSECONDS[units or "nanosecond"]


def test_assumed_nanoseconds_are_doubted_sooner_than_given_units() -> None:
    in_1975 = 157_766_400
    with pytest.raises(TimeError, match="1975-01-01 00:00:00 in seconds: give units='second'"):
        time_ns(in_1975)
    assert time_ns(in_1975, "nanosecond") == in_1975


@pytest.mark.parametrize(
    "text", ["1704061512000", "1904061512000", "2013010112", "+20130101", "20130101.5", "20131399"]
)
def test_digits_that_only_resemble_a_date_are_numbers(text: str) -> None:
    with pytest.raises(TimeError, match=r"units=|outside|give a date"):
        time_ns(text)


def test_a_date_written_as_a_number_is_refused() -> None:
    with pytest.raises(TimeError, match="give a date"):
        time_ns(20130101)


@pytest.mark.parametrize(
    "bad",
    [
        "yesterday", "", " ", "nan", "inf", "1e400", "1" * 5000, "1_000", "٢٠١٣", float("nan"), float("inf"), 10**30,
        pytest.param(10**6000, id="huge"), -(10**19), True, None, [1], b"2013-01-01", 1j, timedelta(1), pd.NaT, np.datetime64("NaT"),
        np.datetime64("NaT", "D"), np.datetime64(10**15, "Y"), np.datetime64(-(10**15), "D"), np.bool_(1),
        np.array([1]), np.timedelta64(1, "D"), datetime.min, datetime.max, date.min, "2300-01-01",  # noqa: DTZ901
    ],
)  # fmt: skip
def test_what_is_not_a_time_is_refused(bad: Any) -> None:
    with pytest.raises(TimeError):
        time_ns(bad)


class BrokenZone(tzinfo):
    """A zone of the caller's own that cannot say its offset."""

    def utcoffset(self, moment: datetime | None) -> timedelta:
        raise KeyError(moment)


anything = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"[0-9+.eE:TZ-]{0,40}"),
    st.floats(),
    st.integers(),
    st.binary(max_size=8),
    st.datetimes(timezones=st.one_of(st.none(), st.timezones()), allow_imaginary=True),
    st.datetimes(timezones=st.sampled_from([tzinfo(), BrokenZone()]), allow_imaginary=True),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(),
    st.complex_numbers(),
    st.builds(np.datetime64, st.integers(-(2**63), 2**63 - 1), st.sampled_from("YMWDhms")),
    st.builds(np.float32, st.floats(width=32)),
    st.builds(np.longdouble, st.floats()),
    st.builds(np.array, st.lists(st.floats(), max_size=2)),
)


@given(anything, st.sampled_from([None, *NANOSECONDS, "fortnight", 3]))
def test_anything_is_a_time_or_refused_as_one(value: Any, units: Any) -> None:
    with contextlib.suppress(TimeError):
        assert MIN_TIME_MS <= floor_ms(time_ns(value, units)) <= MAX_TIME_MS
    with contextlib.suppress(TimeError):
        first, last = range_ms(value, value)
        assert first is None or last is None or first <= last


def test_spans_and_broken_down_times_say_how_to_give_them() -> None:
    with pytest.raises(TimeError, match="start_time or its end_time"):
        time_ns(pd.Period("2026-03-01", "D"))
    with pytest.raises(TimeError, match=r"calendar\.timegm"):
        time_ns(time.gmtime())


def test_the_hour_that_happens_twice_is_told_apart_by_fold() -> None:
    first = datetime(2025, 10, 26, 2, 30, tzinfo=BERLIN)
    assert time_ns(first) == exact_ns(datetime(2025, 10, 26, 0, 30, tzinfo=UTC))
    assert time_ns(first.replace(fold=1)) == exact_ns(datetime(2025, 10, 26, 1, 30, tzinfo=UTC))
    again = pd.Timestamp("2025-10-26 02:30").tz_localize("Europe/Berlin", ambiguous=False)
    assert time_ns(again) == exact_ns(datetime(2025, 10, 26, 1, 30, tzinfo=UTC))


def test_an_hour_that_does_not_exist_is_read_as_pep_495_says() -> None:
    missing = datetime(2025, 3, 30, 2, 30, tzinfo=BERLIN)
    assert time_ns(missing) == exact_ns(datetime(2025, 3, 30, 1, 30, tzinfo=UTC))
    assert time_ns(missing.replace(fold=1)) == exact_ns(datetime(2025, 3, 30, 0, 30, tzinfo=UTC))


# ---- ranges ---------------------------------------------------------------------------------------------------------

DAY = pd.Period("2026-03-01", "D")
DAY_MS = exact_ns(datetime(2026, 3, 1, tzinfo=UTC)) // 1_000_000


def test_the_last_instant_of_a_day_ends_the_whole_day_and_lies_on_it() -> None:
    assert range_ms(DAY.start_time, DAY.end_time) == (DAY_MS, DAY_MS + 86_400_000)
    assert floor_ms(time_ns(DAY.end_time)) == DAY_MS + 86_400_000 - 1


@given(moments, moments)
def test_a_range_is_half_open(one: datetime, other: datetime) -> None:
    start, end = sorted((one, other))
    first, last = range_ms(start, end)
    assert (first, last) == (
        floor_ms(exact_ns(start)),
        max(ceil_ms(exact_ns(end)), floor_ms(exact_ns(start)) + 1),
    )


@pytest.mark.parametrize("beyond_us", [0, 1, 999])
def test_equal_start_and_end_ask_for_their_millisecond(beyond_us: int) -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(microseconds=beyond_us)
    assert range_ms(moment, moment) == (DAY_MS, DAY_MS + 1)


def test_the_sides_of_a_range_are_what_times_are() -> None:
    expected = (DAY_MS, DAY_MS + 86_400_000)
    for start, end in (
        (date(2026, 3, 1), date(2026, 3, 2)),
        ("2026-03-01", "20260302"),
        (np.datetime64("2026-03-01"), np.datetime64("2026-03-02T00:00:00.000000000")),
        (datetime(2026, 3, 1, 1, tzinfo=BERLIN), datetime(2026, 3, 2, 1, tzinfo=BERLIN)),
    ):
        assert range_ms(start, end) == expected
    assert range_ms(None, None) == (None, None)
    assert range_ms("2026-03-01", None) == (DAY_MS, None)


def test_all_of_time_is_a_range() -> None:
    assert range_ms(datetime.min, datetime.max) == (None, None)  # noqa: DTZ901
    assert range_ms(datetime.max, None) == (MIN_TIME_MS, MIN_TIME_MS)  # noqa: DTZ901
    assert range_ms(None, date(1800, 1, 1)) == (None, MIN_TIME_MS)
    assert range_ms(date(1900, 1, 1), "2300-01-01") == (None, None)
    assert range_ms(None, "2299-12-31T23:59:59.999") == (None, MAX_TIME_MS)


@pytest.mark.parametrize("bad", [3, 1_700_000_000.5, "1700000000", "x", pd.NaT, DAY, [1]])
def test_numbers_and_nonsense_are_not_sides_of_a_range(bad: Any) -> None:
    with pytest.raises(TimeError):
        range_ms(bad, None)
    with pytest.raises(TimeError):
        range_ms(None, bad)


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(TimeError, match="after the end"):
        range_ms(DAY.end_time, DAY.end_time - pd.Timedelta(1))
