"""What ``mcenter query`` shows is what the database holds, in each form."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from parallelm.connections import save_settings
from parallelm.mcenter.cells import csv_field, table_cell
from parallelm.mcenter.cli import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from parallelm.connections import Settings


@pytest.fixture
def query(tables: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``mcenter query`` on the real engine."""
    config = tmp_path / "mcenter.toml"
    save_settings(tables, config)
    monkeypatch.setenv("MCENTER_CONFIG", str(config))

    def run(*arguments: str, exit_code: int = 0) -> Result:
        result = CliRunner().invoke(cli, ["query", *arguments])
        assert result.exit_code == exit_code, result.output
        return result

    return run


INTEGERS = {
    "12345678": 12345678,
    "9007199254740993": 2**53 + 1,
    "toUInt64(18446744073709551615)": 2**64 - 1,
    "toInt256('-57896044618658097711785492504343953926634992332820282019728792003956564819968')": -(2**255),
    "toNullable(toUInt64(9007199254740993))": 2**53 + 1,
    "toInt8(-1)": -1,
}


def test_integers_are_whole_in_every_form(query: Callable[..., Result], tmp_path: Path):
    columns = ", ".join(f"{sql} AS c{number}" for number, sql in enumerate(INTEGERS))
    # A second row with NULLs: integers beside them stay integers.
    nulls = ", ".join(["NULL"] * len(INTEGERS))
    sql = f"SELECT * FROM (SELECT {columns} UNION ALL SELECT {nulls}) ORDER BY c0 NULLS LAST"
    expected = [str(number) for number in INTEGERS.values()]
    lines = query(sql).output.splitlines()
    assert lines[1].split() == expected
    assert lines[2].split() == ["NULL"] * len(expected)
    assert list(csv.reader(io.StringIO(query(sql, "--format", "csv").stdout)))[1:] == [
        expected,
        [""] * len(expected),
    ]
    rows = json.loads(query(sql, "--format", "json").stdout)
    assert [list(row.values()) for row in rows] == [list(INTEGERS.values()), [None] * len(expected)]
    file = tmp_path / "integers.parquet"
    query(sql, "--format", "parquet", "-o", str(file))
    read = pyarrow.parquet.read_table(file).to_pylist()
    assert [str(value) for value in read[0].values()] == expected
    assert set(read[1].values()) == {None}


def test_nan_infinities_and_null_are_four_things_in_every_form(query: Callable[..., Result], tmp_path: Path):
    sql = "SELECT arrayJoin([nan, inf, -inf, NULL, 1.5]) AS x"
    assert query(sql).output.split() == ["x", "NaN", "Infinity", "-Infinity", "NULL", "1.5"]
    assert query(sql, "--format", "csv").stdout == "x\nNaN\nInfinity\n-Infinity\n\n1.5\n"
    assert [row["x"] for row in json.loads(query(sql, "--format", "json").stdout)] == [
        "NaN",
        "Infinity",
        "-Infinity",
        None,
        1.5,
    ]
    file = tmp_path / "floats.parquet"
    query(sql, "--format", "parquet", "-o", str(file))
    column = pyarrow.parquet.read_table(file).column("x")
    assert column.null_count == 1
    assert [str(value) for value in column.to_pylist()] == ["nan", "inf", "-inf", "None", "1.5"]
    query("SELECT arrayJoin([nan, 1.5]) AS x", "--format", "parquet", "-o", str(file))
    assert pyarrow.parquet.read_table(file).column("x").null_count == 0


VALUES = {
    "toDate('2013-01-31')": ("2013-01-31", "2013-01-31", "2013-01-31"),
    "toDateTime64('2013-01-31 12:00:00.123456', 6, 'UTC')": (
        "2013-01-31 12:00:00.123456",
        "2013-01-31 12:00:00.123456",
        "2013-01-31T12:00:00.123456+00:00",
    ),
    "toDateTime('2013-01-31 12:00:00', 'Europe/Berlin')": (
        "2013-01-31 11:00:00",
        "2013-01-31 11:00:00",
        "2013-01-31T11:00:00+00:00",
    ),
    "toDateTime64('2299-12-31 23:59:59.999', 3, 'UTC')": (
        "2299-12-31 23:59:59.999",
        "2299-12-31 23:59:59.999",
        "2299-12-31T23:59:59.999000+00:00",
    ),
    "toDecimal128('12345678901234567890.25', 2)": ("12345678901234567890.25",) * 3,
    "toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')": ("61f0c404-5cb3-11e7-907b-a6006ad3dba0",) * 3,
    "CAST('b', 'Enum8(\\'a\\' = 1, \\'b\\' = 2)')": ("b", "b", "b"),
    "[1.5, nan]": ('[1.5, "NaN"]', '[1.5, "NaN"]', [1.5, "NaN"]),
    "map('k', toUInt64(18446744073709551615))": (
        "k=18446744073709551615",
        '{"k": 18446744073709551615}',
        {"k": 2**64 - 1},
    ),
    "tuple(1, 'a', NULL)": ('[1, "a", null]', '[1, "a", null]', [1, "a", None]),
    "unhex('FF00')": ("\\xff\\x00", '{"base64": "/wA="}', {"base64": "/wA="}),
    "toIPv4('10.0.0.1')": ("10.0.0.1", "10.0.0.1", "10.0.0.1"),
    "true": ("true", "true", True),
    "''": ("", "", ""),
    "'x,\"y\"'": ('x,"y"', 'x,"y"', 'x,"y"'),
}


@pytest.mark.parametrize(("sql", "expected"), VALUES.items(), ids=str)
def test_every_type_is_shown_as_it_is(
    query: Callable[..., Result], tmp_path: Path, sql: str, expected: tuple[object, ...]
):
    text = f"SELECT {sql} AS x"
    assert query(text).output.split("\n")[1].strip() == expected[0]
    [_, row] = csv.reader(io.StringIO(query(text, "--format", "csv").stdout))
    assert row == [expected[1]]
    assert json.loads(query(text, "--format", "json").stdout) == [{"x": expected[2]}]
    file = tmp_path / "value.parquet"
    query(text, "--format", "parquet", "-o", str(file))
    assert len(pd.read_parquet(file)) == 1


def test_labels_are_maps_in_parquet(query: Callable[..., Result], tmp_path: Path):
    columns = {
        "labels": "arrayJoin([map('line', 'worst', 'unit', 'ms'), map()])",
        "counts": "map('a', toNullable(3), 'b', NULL)",
        "nested": "map('a', map('b', 1.5))",
        "none": "CAST(map(), 'Map(String, String)')",
        "listed": "[map('a', 'b')]",
        "too_large": "map('k', toUInt64(18446744073709551615))",
        "text": "'{}'",
    }
    sql = "SELECT " + ", ".join(f"{expression} AS {name}" for name, expression in columns.items())
    file = tmp_path / "maps.parquet"
    query(sql, "--format", "parquet", "-o", str(file))
    read = pyarrow.parquet.read_table(file)
    text = pyarrow.string()
    assert {name: read.schema.field(name).type for name in columns} == {
        "labels": pyarrow.map_(text, text),
        "counts": pyarrow.map_(text, pyarrow.int64()),
        "nested": pyarrow.map_(text, pyarrow.map_(text, pyarrow.float64())),
        "none": pyarrow.map_(text, text),
        "listed": pyarrow.list_(pyarrow.map_(text, text)),
        "too_large": text,
        "text": text,
    }
    rows = read.to_pylist(maps_as_pydicts="strict")
    assert [row["labels"] for row in rows] == [{"line": "worst", "unit": "ms"}, {}]
    assert rows[0]["counts"] == {"a": 3, "b": None}
    assert rows[0]["listed"] == [{"a": "b"}]
    assert rows[0]["too_large"] == '{"k": 18446744073709551615}'


def test_a_type_that_the_client_cannot_read_is_named(query: Callable[..., Result]):
    said = query("SELECT toTime64('12:00:00.5', 3) AS x", exit_code=1).output
    assert "a column cannot be read here: Code: 50. Unknown type Time64(3)" in said
    assert "toString(" in said
    assert "12:00:00.500" in query("SELECT toString(toTime64('12:00:00.5', 3)) AS x").output


def test_null_and_empty_text_differ_in_csv(query: Callable[..., Result]):
    assert query("SELECT NULL AS a, '' AS b, 0 AS c", "--format", "csv").stdout == 'a,b,c\n,"",0\n'


def test_columns_of_one_name_keep_their_values(query: Callable[..., Result]):
    sql = "SELECT 1 AS a, t.a FROM (SELECT 2 AS a) AS t"
    names, values = (line.split() for line in query(sql).output.splitlines())
    if names == ["a", "a"]:
        assert values == ["1", "2"]
        assert "two columns are named 'a'" in query(sql, "--format", "json", exit_code=1).output


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (12345678.0, "12345678.0"),
        (2.0**53, "9007199254740992.0"),
        (0.1, "0.1"),
        (1 / 3, "0.333333…"),
        (2 / 3, "0.666666…"),
        (0.12345678, "0.12345678"),
        (123456.789012345, "123456.7…"),
        (1234567890.123, "1234567890.1…"),
        (0.000123456789, "0.000123456…"),
        (1.23456789e-7, "1.23456…e-07"),
        (1e300, "1e+300"),
        (-1 / 3, "-0.333333…"),
        (0.0, "0.0"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (None, "NULL"),
        (2**53 + 1, "9007199254740993"),
    ],
)
def test_a_float_is_whole_or_visibly_cut(value: object, shown: str):
    assert table_cell(value) == shown


@given(st.floats(allow_nan=False))
def test_a_float_without_a_cut_reads_as_itself_and_with_one_begins_as_it_does(value: float):
    shown = table_cell(value)
    if "…" in shown:
        assert repr(value).startswith(shown.partition("…")[0])
    else:
        assert float(shown) == value
    assert float(csv_field(value)) == value
