"""KPI files: what is taken, and that every mistake is reported with its line and column."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.operations.errors import KpiFileError
from parallelm.operations.kpis import KpiFile, KpiFileFormat, alike, latest_ms, read_kpi_file
from parallelm.schemas.times import MAX_TIME_MS, MIN_TIME_MS

NOW_MS = 1_800_000_000_000


def read(text: str, **wanted: object) -> KpiFile:
    return read_kpi_file(text.encode(), KpiFileFormat(**({"latest_ms": NOW_MS} | wanted)))


@given(st.integers(MIN_TIME_MS, MAX_TIME_MS))
def test_an_iso_time_keeps_its_millisecond(time_ms: int):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)
    found = read(f"kpi,timestamp,value\nk,{moment.isoformat()},1\n", latest_ms=MAX_TIME_MS)
    assert [point.timestamp_ms for point in found.points] == [time_ms]


def test_other_columns_are_labels():
    found = read("kpi,carrier,timestamp,value,region\non-time rate,UA,2013-01-31,0.81,east\n")
    [point] = found.points
    assert (point.name, point.value, point.timestamp_ms) == ("on-time rate", 0.81, 1_359_590_400_000)
    assert dict(point.labels) == {"carrier": "UA", "region": "east"}
    assert not found.mistakes


def test_an_empty_label_is_not_a_label():
    assert read("kpi,carrier,timestamp,value\nk,,2013-01-31,1\n").points[0].labels == {}


@pytest.mark.parametrize(
    ("text", "rule", "expected_ms"),
    [
        ("2013-01-31", {}, 1_359_590_400_000),
        ("2013-01-31T12:00:00+02:00", {}, 1_359_626_400_000),
        ("2013-01-31 00:00:00.5", {}, 1_359_590_400_500),
        ("2013-01-31", {"timezone": ZoneInfo("Europe/Berlin")}, 1_359_586_800_000),
        ("2013-01-31T00:00:00Z", {"timezone": ZoneInfo("Europe/Berlin")}, 1_359_590_400_000),
        ("1359590400", {"unit": "s"}, 1_359_590_400_000),
        ("1359590400.123", {"unit": "s"}, 1_359_590_400_123),
        ("1359590400000", {"unit": "ms"}, 1_359_590_400_000),
        ("1359590400000000000", {"unit": "ns"}, 1_359_590_400_000),
        ("1359590400000999999", {"unit": "ns"}, 1_359_590_400_000),
        ("1950-01-01", {}, -631_152_000_000),
    ],
)
def test_timestamps(text: str, rule: dict[str, object], expected_ms: int):
    assert read(f"kpi,timestamp,value\nk,{text},1\n", **rule).points[0].timestamp_ms == expected_ms


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            "k,2013-13-01,1",
            "line 3, column timestamp: '2013-13-01' is not a date in the order year, month, day",
        ),
        ("k,yesterday,1", "line 3, column timestamp: 'yesterday' is not an ISO 8601 time"),
        ("k,1359590400,1", "line 3, column timestamp: '1359590400' is a number; give its unit"),
        ("k,,1", "line 3, column timestamp: is empty"),
        (
            "k,0001-01-01,1",
            "line 3, column timestamp: '0001-01-01 00:00:00' is outside the years 1900 to 2299",
        ),
        (
            "k,9999-12-31,1",
            "line 3, column timestamp: '9999-12-31 00:00:00' is outside the years 1900 to 2299",
        ),
        ("k,2103-01-01,1", "line 3, column timestamp: '2103-01-01' is in the future"),
        ("k,2013-01-01,", "line 3, column value: is empty"),
        ("k,2013-01-01,many", "line 3, column value: 'many' is not a number"),
        ("k,2013-01-01,nan", "line 3, column value: 'nan' is not a finite number"),
        ("k,2013-01-01,-inf", "line 3, column value: '-inf' is not a finite number"),
        ("k,2013-01-01,1e999", "line 3, column value: '1e999' is not a finite number"),
        ("k,2013-01-01,1_000", "line 3, column value: '1_000' is not a number"),
        ("k,2013-01-01,\u0661\u0662", "line 3, column value: '\u0661\u0662' is not a number"),
        (",2013-01-01,1", "line 3, column kpi: is empty"),
        ("k,2013-01-01,1,x", "line 3, column value: 4 fields, the header has 3"),
        ("k,2013-01-01", "line 3, column timestamp: 2 fields, the header has 3"),
    ],
)
def test_a_mistake_is_reported_with_line_and_column(row: str, expected: str):
    found = read(f"kpi,timestamp,value\ngood,2013-01-01,1\n{row}\nalso good,2013-01-01,1\n")
    assert [str(mistake)[: len(expected)] for mistake in found.mistakes] == [expected]
    assert found.bad_lines == 1
    assert [point.name for point in found.points] == ["good", "also good"]


def test_numbers_beyond_time_are_mistakes_in_every_unit():
    for text in ("1e30", "inf", "nan", "-1e18", "9" * 400, "-99999999999"):
        for unit in ("s", "ms", "us", "ns", "excel"):
            if (text, unit) != ("-99999999999", "ms") and unit not in {"us", "ns"}:
                assert read(f"kpi,timestamp,value\nk,{text},1\n", unit=unit).mistakes


@pytest.mark.parametrize(
    ("text", "unit", "likely"),
    [
        ("1359590400000", "s", "ms"),
        ("1359590400", "ms", "s"),
        ("1359590400", "ns", "s"),
        ("1359590400.25", "us", "s"),
        ("1359590400000000000", "ms", "ns"),
        ("41305", "s", "excel"),
        ("41305.5", "ms", "excel"),
    ],
)
def test_a_number_that_is_likely_of_another_unit_is_refused(text: str, unit: str, likely: str):
    [mistake] = read(f"kpi,timestamp,value\nk,{text},1\n", unit=unit).mistakes
    assert f"is one in {likely}; give --unit {likely}" in mistake.what


def test_lines_are_counted_through_quoted_newlines():
    found = read('kpi,timestamp,value\n"two\nlines",2013-01-01,1\nk,bad,1\n')
    assert [mistake.line for mistake in found.mistakes] == [4]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "the file is empty; its first line must name the columns"),
        ("name,timestamp,value\n", "lacks kpi and has: name"),
        ("kpi,timestamp,value,a,a\n", "'a' appears twice"),
        ("kpi,timestamp,value,Value\n", "columns 'value' and 'Value' may both be the value"),
        ("kpi,timestamp,value,\nk,2013-01-01,1,x\n", "column 4 has values and no name"),
        (",kpi,timestamp,value\n0,k,2013-01-01,1\n", "column 1 has values and no name"),
        ('kpi,timestamp,value\n"k,2013-01-01,1\nk,2013-01-01,1\n', "line 2 is not CSV"),
    ],
)
def test_a_file_that_is_not_a_kpi_file_is_refused(text: str, expected: str):
    with pytest.raises(KpiFileError, match=expected):
        read(text)


def test_a_file_without_a_column_of_names_is_not_asked_for_one():
    with pytest.raises(
        KpiFileError, match="the columns timestamp and value; it lacks timestamp and has: value, id;"
    ):
        read("value,id\n1,a\n", kpi="late")


def test_points_that_stand_twice_are_counted():
    assert read("kpi,timestamp,value\nk,2013-01-01,1\nk,2013-01-01T00:00Z,2\n").repeated == 1


def test_a_day_ahead_is_not_yet_the_future():
    assert latest_ms(NOW_MS, allow_future=False) == NOW_MS + 86_400_000
    assert read(
        "kpi,timestamp,value\nk,2103-01-01,1\n", latest_ms=latest_ms(NOW_MS, allow_future=True)
    ).points


@given(st.lists(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=8), max_size=4), max_size=6))
def test_any_rows_are_points_or_mistakes(rows: list[list[str]]):
    text = "kpi,timestamp,value\n" + "".join(",".join(row) + "\n" for row in rows)
    try:
        found = read(text)
    except KpiFileError:
        return
    assert {mistake.line for mistake in found.mistakes} <= set(
        range(2, text.count("\n") + text.count("\r") + 2)
    )
    assert len({mistake.line for mistake in found.mistakes}) == found.bad_lines
    assert all(-2_208_988_800_000 <= point.timestamp_ms <= NOW_MS for point in found.points)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes):
    with contextlib.suppress(KpiFileError):
        read_kpi_file(b"kpi,timestamp,value\n" + data, KpiFileFormat())


def test_of_very_many_mistakes_the_first_are_told_and_the_others_counted():
    lines = [f"k,2013-01-31,{'x' if number % 2 else number}" for number in range(4_000)]
    found = read("\n".join(["kpi,timestamp,value", *lines, "k,tomorrow,y"]))
    assert (found.bad_lines, found.mistake_count, len(found.points)) == (2_001, 2_002, 2_000)
    assert [each.line for each in found.mistakes] == list(range(3, 2_003, 2))


def test_the_order_of_day_and_month_is_shown_by_dates_with_and_without_leading_zeros():
    found = read("kpi,timestamp,value\nk,01-2-2013,1\nk,1-02-2013,2\nk,13-2-2013,3")
    assert [each.timestamp_ms // 86_400_000 for each in found.points] == [15_737, 15_737, 15_749]


def test_a_mistake_that_many_lines_have_is_told_once():
    rows = "".join(f"k,2013-01-{day:02},{day}x\n" for day in range(1, 21))
    found = read(f"kpi,timestamp,value\n{rows}k,soon,1\n")
    many, other = map(str, alike(found.mistakes))
    assert many.startswith("line 2, column value: '1x'")
    assert many.endswith("; and alike on 19 more lines: 3, 4, 5, 6, 7, …")
    assert other.startswith("line 22, column timestamp: 'soon'")
