"""KPI files that went through a spreadsheet: read right, or refused in a sentence that says what to do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from parallelm.operations.errors import KpiFileError
from parallelm.operations.kpis import KpiFile, KpiFileFormat, read_kpi_file
from parallelm.schemas.times import MAX_TIME_MS

COMMAS = "kpi,timestamp,value\n"
EARLIEST, LATEST = datetime(1901, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001 - local
SEMICOLONS = "kpi;timestamp;value\n"
GERMAN = {"kpi": "Kennzahl", "timestamp": "Datum", "value": "Wert"}


def read(text: str | bytes, **wanted: object) -> KpiFile:
    data = text if isinstance(text, bytes) else text.encode()
    return read_kpi_file(data, KpiFileFormat(**wanted))


def values(text: str | bytes, **wanted: object) -> list[float]:
    found = read(text, **wanted)
    assert not found.mistakes
    return [point.value for point in found.points]


def times(text: str, **wanted: object) -> list[str]:
    found = read(text, **wanted)
    assert not found.mistakes
    return [
        f"{datetime.fromtimestamp(point.timestamp_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"
        for point in found.points
    ]


def refused(text: str | bytes, **wanted: object) -> str:
    with pytest.raises(KpiFileError) as error:
        read(text, **wanted)
    return str(error.value)


def mistakes(text: str | bytes, **wanted: object) -> list[str]:
    return [str(mistake) for mistake in read(text, **wanted).mistakes]


def test_rounded_numbers_are_never_times():
    rows = "".join(f"k,1.70407E+12,{hour}\n" for hour in range(24))
    found = read(COMMAS + rows, unit="ms")
    assert (len(found.points), found.bad_lines) == (0, 24)
    assert "was rounded by a spreadsheet" in found.mistakes[0].what
    assert mistakes("kpi;timestamp;value\nk;1,70407E+12;1,5\n", unit="ms")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_and_ends_of_lines_are_detected(delimiter: str, line_end: str):
    rows = [
        ["kpi", "timestamp", "value", "region"],
        ["k", "2013-01-31", "0.5", "a b"],
        ["k", "2013-02-01", "7", ""],
    ]
    text = line_end.join(delimiter.join(row) for row in rows)
    assert values(text) == [0.5, 7]
    assert values("\ufeff" + text + line_end + delimiter * 3 + line_end) == [0.5, 7]


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", "sep=;;;", "\ufeffsep=;", "\r\nsep=;"])
def test_a_sep_line_names_the_delimiter(first: str):
    found = read(f"{first}\r\n{SEMICOLONS}k;2013-01-31;1,5\r\nbad;2013;1\r\n")
    assert [point.value for point in found.points] == [1.5]
    assert found.mistakes[0].line == (5 if first.startswith("\r") else 4)
    assert values("sep=\t\nkpi\ttimestamp\tvalue\nk\t2013-01-31\t2\n") == [2]


def test_a_delimiter_can_be_named():
    assert values("kpi#timestamp#value\nk#2013-01-31#2\n", delimiter="#") == [2]
    assert "--delimiter" in refused("kpi#timestamp#value\nk#2013-01-31#2\n")


def test_blank_rows_and_columns_are_left_out():
    text = " , ,\nkpi,timestamp,value,,\n,,,,\nk,2013-01-31,1,,\n , ,\u00a0,,\nk,2013-02-01,2\n,,,\n"
    assert values(text) == [1, 2]


def test_columns_are_found_by_any_case_and_by_the_names_given():
    assert values('"KPI";"Timestamp";"VALUE"\nk;2013-01-31;3\n') == [3]
    text = "Datum;Kennzahl;Wert;Region\n31.01.2013;Umsatz;1.234,5;Nord\n"
    [point] = read(text, columns=GERMAN).points
    assert (point.name, point.value, point.labels) == ("Umsatz", 1234.5, {"Region": "Nord"})
    said = refused(text)
    assert "lacks kpi, timestamp, value and has: Datum, Kennzahl, Wert, Region" in said
    assert "--column timestamp=Date" in said
    assert "lacks Betrag" in refused(text, columns=GERMAN | {"value": "Betrag"})
    same = {"kpi": "Wert", "value": "Wert"}
    assert "column 'Wert' cannot be two of kpi, timestamp and value" in refused(
        "timestamp;Wert\n2013-01-31;1\n", columns=same
    )
    assert "'region'" in refused(text, columns={"region": "Region"})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,5", 1.5),
        ("1.234,5", 1234.5),
        ("1.234.567,5", 1234567.5),
        ("\u22121,5", -1.5),
        ("\u20131,5", -1.5),
        ("- 1,5", -1.5),
        ("1\u00a0234,5", 1234.5),
        ("1\u202f234,5", 1234.5),
        ("1 234,5", 1234.5),
        ("1\u2019234,5", 1234.5),
        ("\u00a01,5\u00a0", 1.5),
        ("1,5E+3", 1500.0),
        ("+1,5", 1.5),
        (",5", 0.5),
        ("1,2345", 1.2345),
    ],
)
def test_numbers_with_a_decimal_comma(text: str, value: float):
    assert values(f"{SEMICOLONS}k;2013-01-31;{text}\n") == [value]
    assert values(f'{COMMAS}k,2013-01-31,"{text}"\n') == [value]


@pytest.mark.parametrize(
    ("text", "value"), [("1,234.5", 1234.5), ("1,234,567", 1234567.0), ("1'234.5", 1234.5), ("0.125", 0.125)]
)
def test_numbers_with_a_decimal_point(text: str, value: float):
    assert values(f'{COMMAS}k,2013-01-31,"{text}"\n') == [value]


def test_a_decimal_sign_is_that_of_the_whole_file():
    rows = 'k,2013-01-31,1.234\nk,2013-02-01,"1,5"\n'
    found = read(COMMAS + rows)
    assert [point.value for point in found.points] == [1.5]
    assert (
        "the decimal sign of the file is the comma ('1,5' in line 3); give --thousands ."
        in found.mistakes[0].what
    )
    assert values(COMMAS + rows, thousands=".") == [1234, 1.5]
    assert values(f"{SEMICOLONS}k;2013-01-31;1.234\nk;2013-02-01;5.678,9\n") == [1234, 5678.9]


def test_rows_split_at_a_decimal_comma_spoil_the_whole_file():
    assert "the comma seems to be the decimal sign as well" in refused(
        f"{COMMAS}k,2013-01-31,1.234\nk,2013-02-01,1,5\nk,2013-02-02,3\n"
    )


def test_a_decimal_comma_is_not_taken_for_a_label():
    rows = "k,2013-01-31,1,5,\nk,2013-02-01,2,7,\n"
    assert "the comma seems to be the decimal sign as well" in refused(f"kpi,timestamp,value,region\n{rows}")
    assert values("kpi,timestamp,value,region,\nk,2013-01-31,1,5,\n") == [1]


def test_two_readings_are_asked_about():
    text = f"{SEMICOLONS}k;2013-01-31;1.234\nk;2013-02-01;2\n"
    assert "line 2: '1.234' has two readings, 1.234 and 1234; give --decimal . or --thousands ." in refused(
        text
    )
    assert values(text, decimal=".") == [1.234, 2]
    assert values(text, thousands=".") == [1234, 2]
    assert "has two readings" in refused(f'{COMMAS}k,2013-01-31,"1,234"\n')
    assert values(f"{COMMAS}k,2013-01-31,1.234\n") == [1.234]


def test_signs_that_contradict_each_other_are_asked_about():
    text = f"{SEMICOLONS}k;2013-01-31;0.5\nk;2013-02-01;0,5\n"
    assert "'0.5' in line 2 and '0,5' in line 3 have different decimal signs; give --decimal" in refused(text)
    assert mistakes(text, decimal=",") == [
        "line 2, column value: '0.5' has the point, and the decimal sign of the file is the comma (as asked)"
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("81,5%", "a percent sign"),
        ("81 \u2030", "a percent sign"),
        ("\u20ac 5", "a currency"),
        ("5 EUR", "a currency"),
        ("$5", "a currency"),
        ("(5)", "in parentheses"),
        ("#DIV/0!", "an error of the spreadsheet"),
        ("#N/A", "an error of the spreadsheet"),
        ("########", "an error of the spreadsheet"),
        ("12.34.56", "not grouped by three"),
        ("12 34", "not grouped by three"),
        ("1,5,5", "has the comma"),
        ("TRUE", "is not a number"),
        ("0x10", "is not a number"),
        ("n/a", "is not a number"),
        ("5-", "is not a number"),
    ],
)
def test_what_is_not_plainly_a_number_is_refused_with_its_reason(text: str, reason: str):
    [mistake] = mistakes(f"{SEMICOLONS}k;2013-01-31;{text}\n")
    assert reason in mistake


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["31.01.2013", "01.02.2013"], ["2013-01-31 00:00:00", "2013-02-01 00:00:00"]),
        (["31/1/2013 18:30", "1/2/2013 6:05"], ["2013-01-31 18:30:00", "2013-02-01 06:05:00"]),
        (["1/31/2013 6:30 PM", "1/2/2013 12:05:09 am"], ["2013-01-31 18:30:00", "2013-01-02 00:05:09"]),
        (["1/31/2013 6:30\u202fPM"], ["2013-01-31 18:30:00"]),
        (["2013/1/2", "2013-1-2 3:04"], ["2013-01-02 00:00:00", "2013-01-02 03:04:00"]),
    ],
)
def test_dates_of_a_country_are_read_where_a_day_shows_their_order(rows: list[str], expected: list[str]):
    assert times(SEMICOLONS + "".join(f"k;{row};{number}\n" for number, row in enumerate(rows))) == expected


def test_dates_that_show_no_order_are_asked_about():
    text = f"{COMMAS}k,1/2/2013,1\nk,3/4/2013,2\n"
    assert "line 2: no date such as '1/2/2013' shows" in refused(text)
    assert "--date-format %d/%m/%Y or %m/%d/%Y" in refused(text)
    assert times(text, date_format="%d/%m/%Y") == ["2013-02-01 00:00:00", "2013-04-03 00:00:00"]
    assert times(text, date_format="%m/%d/%Y") == ["2013-01-02 00:00:00", "2013-03-04 00:00:00"]
    assert "no date such as '1.2.2013'" in refused(f"{COMMAS}k,1.2.2013,1\n")
    assert "'31/1/2013' in line 2 has the day first and '1/31/2013' in line 3 the month" in refused(
        f"{COMMAS}k,31/1/2013,1\nk,1/31/2013,1\n"
    )


def test_other_dates_need_their_form():
    assert "--date-format" in mistakes(f"{COMMAS}k,31.01.13,1\n")[0]
    assert "--date-format" in mistakes(f"{COMMAS}k,31 Jan 2013,1\n")[0]
    assert "--date-format %Y%m%d" in mistakes(f"{COMMAS}k,20130131,1\n")[0]
    assert times(f"{COMMAS}k,20130131,1\n", date_format="%Y%m%d") == ["2013-01-31 00:00:00"]
    assert times(f"{COMMAS}k,31-Jan-13 18:30,1\n", date_format="%d-%b-%y %H:%M") == ["2013-01-31 18:30:00"]
    assert (
        "'31.2.2013' is not of the form %d.%m.%Y"
        in mistakes(f"{COMMAS}k,31.2.2013,1\n", date_format="%d.%m.%Y")[0]
    )
    assert "it has no year" in refused(COMMAS, date_format="%d.%m.")
    assert "bad directive" in refused(COMMAS, date_format="%Y %Q")


def test_day_numbers_of_spreadsheets_need_their_unit():
    assert (
        "--unit excel if it is a spreadsheet's number of a day (2013-01-31)"
        in mistakes(f"{COMMAS}k,41305,1\n")[0]
    )
    rows = ["41305", "41305.5", "41305.54167", "41305.541666666664", "41305.770844907"]
    assert times(COMMAS + "".join(f"k,{row},1\n" for row in rows), unit="excel") == [
        "2013-01-31 00:00:00",
        "2013-01-31 12:00:00",
        "2013-01-31 13:00:00",
        "2013-01-31 13:00:00",
        "2013-01-31 18:30:01",
    ]
    assert "too few digits to name a time of day" in mistakes(f"{COMMAS}k,41305.54,1\n", unit="excel")[0]
    assert mistakes(f"{COMMAS}k,59,1\nk,1359590400,1\n", unit="excel")


def test_a_row_of_totals_is_a_mistake():
    assert mistakes(f"{COMMAS}k,2013-01-31,1\nTotal,,1\n") == [
        "line 3, column timestamp: is empty (if this is a row of totals, remove it)"
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_obeyed(encoding: str):
    [point] = read(f"{SEMICOLONS}Zufriedenheit \u00fc;2013-01-31;1,5\n".encode(encoding)).points
    assert point.name == "Zufriedenheit \u00fc"
    big = b"\xfe\xff" + f"{SEMICOLONS}\u00fc;2013-01-31;1,5\n".encode("utf-16-be")
    assert read(big).points[0].name == "\u00fc"


def test_other_encodings_are_asked_about():
    data = f"{SEMICOLONS}a;2013-01-31;1\nM\u00fcnchen;2013-01-31;2\n".encode("windows-1252")
    said = refused(data)
    assert "line 3: the file is not UTF-8 (byte 0xfc)" in said
    assert "--encoding windows-1252, in which the line is 'M\u00fcnchen;2013-01-31;2'" in said
    assert [point.name for point in read(data, encoding="windows-1252").points] == ["a", "M\u00fcnchen"]
    for order in ("le", "be"):
        wide = f"{COMMAS}k,2013-01-31,5\n".encode(f"utf-16-{order}")
        assert f"give --encoding utf-16-{order}" in refused(wide)
        assert values(wide, encoding=f"utf-16-{order}") == [5]
    for name in ("klingon", "hex", "rot13"):
        assert f"unknown encoding '{name}'" in refused(data, encoding=name)
    assert "give its encoding with --encoding" in refused(data, encoding="undefined")
    for order in ("le", "be"):
        marked = "\ufeff".encode(f"utf-16-{order}") + f"{COMMAS}k,2013-01-31,5\n".encode(f"utf-16-{order}")
        assert values(marked) == values(marked, encoding="utf-16") == [5]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PK\x03\x04rest", "a workbook or a zip archive"),
        (b"\xd0\xcf\x11\xe0rest", "a workbook"),
        (b"\x1f\x8brest", "compressed with gzip"),
        (b"PAR1rest", "a Parquet file"),
        (b"kpi,timestamp,value\nk\0,2013-01-31,1\n", "line 2: there is a NUL character"),
    ],
)
def test_files_that_are_not_text_are_named(data: bytes, reason: str):
    assert reason in refused(data)


def test_texts_that_a_spreadsheet_keeps_by_a_formula_are_their_texts():
    [point] = read('kpi,timestamp,value,zip\nk,2013-01-31,1,"=""00501"""\n').points
    assert point.labels == {"zip": "00501"}


@given(
    st.lists(st.integers(-9_999_999, 9_999_999), min_size=1, max_size=6),
    st.integers(0, 4),
    st.sampled_from([",", "."]),
    st.sampled_from(["", ".", ",", "\u00a0", "\u2019"]),
    st.sampled_from([";", "\t"]),
)
def test_a_spreadsheets_numbers_are_read_right_or_refused(
    whole: list[int], digits: int, decimal: str, thousands: str, delimiter: str
):
    assume(decimal != thousands)
    expected = [number / 10**digits for number in whole]
    rows = []
    for number in expected:
        text = f"{number:,.{digits}f}".replace(",", "\0").replace(".", decimal).replace("\0", thousands)
        rows.append(f"k{delimiter}2013-01-31{delimiter}{text}\n")
    text = f"kpi{delimiter}timestamp{delimiter}value\n" + "".join(rows)
    try:
        found = read(text)
    except KpiFileError:
        assert "--decimal" in refused(text)
        return
    bad = {mistake.line for mistake in found.mistakes}
    good = [number for line, number in enumerate(expected, 2) if line not in bad]
    assert [point.value for point in found.points] == good


@given(
    st.lists(st.datetimes(EARLIEST, LATEST), min_size=1, max_size=6),
    st.sampled_from(["%d.%m.%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%d/%m/%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S"]),
)
def test_a_spreadsheets_dates_are_read_right_or_refused(moments: list[datetime], form: str):
    text = COMMAS + "".join(f"k,{moment.strftime(form)},{number}\n" for number, moment in enumerate(moments))
    expected = [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in moments]
    try:
        assert times(text, latest_ms=MAX_TIME_MS) == expected
    except KpiFileError:
        assert form[:8] in refused(text, latest_ms=MAX_TIME_MS)
    assert times(text, latest_ms=MAX_TIME_MS, date_format=form) == expected
