"""KPI points from frames and Parquet files, and what was added to the reading of files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from parallelm.mcenter.results import write_result
from parallelm.operations.errors import KpiFileError
from parallelm.operations.kpis import KpiFile, KpiFileFormat, read_kpi_file, read_kpi_frame, read_kpi_parquet

if TYPE_CHECKING:
    from pathlib import Path

BERLIN = ZoneInfo("Europe/Berlin")
DAY_MS = 1_359_590_400_000
"""2013-01-31."""


def packed(**columns: pa.Array) -> bytes:
    """A Parquet file."""
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file)
    return file.getvalue()


def repeated(text: str, count: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), count), [text])


def mappings(text: str, count: int) -> pa.Array:
    return pa.MapArray.from_arrays(range(count + 1), repeated("shop", count), repeated(text, count))


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        ({"kpi": repeated("k" * 100_000, 20_000)}, "1073741824 bytes unpacked"),
        ({"labels": mappings("k" * 100_000, 20_000)}, "1073741824 bytes unpacked"),
        (
            {"x": pa.ListArray.from_arrays(range(20_001), repeated("k" * 100_000, 20_000))},
            "1073741824 bytes unpacked",
        ),
        ({"value": pa.repeat(1.0, 5_000_001)}, "5000000 rows"),
        (
            {f"x{number}": pa.nulls(4_600_000, pa.bool_()) for number in range(11)},
            "50000000 values",
        ),
        ({"x": pa.array([b"x" * 33], pa.binary(33))}, "column 'x' has values of 33 bytes each"),
    ],
    ids=[
        "a text again and again",
        "also in mappings",
        "also in lists",
        "rows",
        "values",
        "values of a fixed length",
    ],
)
def test_a_small_file_that_unpacks_to_a_huge_one_is_refused_before_it_does(
    columns: dict[str, pa.Array], what: str
):
    sent = packed(**columns)
    assert len(sent) < 1_000_000
    with pytest.raises(KpiFileError, match=what):
        read_kpi_parquet(sent, KpiFileFormat())


def read(frame: pd.DataFrame, **wanted: object) -> KpiFile:
    return read_kpi_frame(frame, KpiFileFormat(**wanted))  # type: ignore[arg-type]


def test_a_frame_is_read_as_a_file_with_its_cells_would_be():
    frame = pd.DataFrame(
        {
            "day": pd.to_datetime(["2013-01-31", "2013-02-01"]),
            "revenue": [1234.5, 1e-7],
            "shop": ["a", None],
            "floor": pd.array([7, None], dtype="Int64"),
        }
    )
    found = read(frame, columns={"timestamp": "day", "value": "revenue"}, kpi="revenue", timezone=BERLIN)
    assert not found.mistakes
    first, second = found.points
    assert (first.name, first.value, first.timestamp_ms) == ("revenue", 1234.5, DAY_MS - 3_600_000)
    assert (first.labels, second.labels, second.value) == ({"shop": "a", "floor": "7"}, {}, 1e-7)


def test_times_with_a_zone_keep_it_and_numbers_need_their_unit():
    aware = pd.DataFrame({"kpi": "k", "timestamp": pd.to_datetime(["2013-01-31"], utc=True), "value": [1]})
    assert read(aware, timezone=BERLIN).points[0].timestamp_ms == DAY_MS
    numbers = aware.assign(timestamp=[DAY_MS])
    assert read(numbers, unit="ms").points[0].timestamp_ms == DAY_MS
    assert "--unit" in str(read(numbers).mistakes[0])


def test_a_doubled_hour_of_a_frame_is_a_mistake_unless_chosen():
    frame = pd.DataFrame({"kpi": "k", "timestamp": pd.to_datetime(["2013-10-27 02:30"]), "value": [1.0]})
    assert "row 1, column timestamp: 2013-10-27 02:30:00 is shown twice" in str(
        read(frame, timezone=BERLIN).mistakes[0]
    )


def test_bad_rows_are_listed_with_their_numbers():
    frame = pd.DataFrame(
        {
            "kpi": ["k", "", "k", "k"],
            "timestamp": ["2013-01-31", "2013-01-31", "x", "2013-01-31"],
            "value": [1.0, 2.0, 3.0, float("nan")],
        }
    )
    found = read(frame)
    assert [(each.line, each.column) for each in found.mistakes] == [
        (2, "kpi"),
        (3, "timestamp"),
        (4, "value"),
    ]
    assert (found.bad_lines, len(found.points)) == (3, 1)


def test_a_parquet_file_with_a_map_of_labels_gives_a_label_for_each_key():
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = pa.array([[("carrier", "UA")], [], None], type=pa.map_(pa.string(), pa.string()))
    table = pa.table(
        {
            "kpi": ["k"] * 3,
            "timestamp": pa.array([DAY_MS, DAY_MS + 1, DAY_MS + 2], type=pa.timestamp("ms", "UTC")),
            "value": [1.0, 2.0, 3.0],
            "labels": labels,
        }
    )
    file = io.BytesIO()
    pq.write_table(table, file)
    found = read_kpi_parquet(file.getvalue(), KpiFileFormat())
    assert [(dict(point.labels), point.timestamp_ms) for point in found.points] == [
        ({"carrier": "UA"}, DAY_MS),
        ({}, DAY_MS + 1),
        ({}, DAY_MS + 2),
    ]
    with pytest.raises(KpiFileError, match="is not a Parquet file that can be read"):
        read_kpi_parquet(b"PAR1" + b"\0" * 50, KpiFileFormat())


def test_columns_may_be_ignored_and_the_name_of_the_kpi_given():
    text = b"day;revenue;note\n2013-01-31;1,5;x\n2013-02-01;2;y;z\n"
    wanted = {"columns": {"timestamp": "day", "value": "revenue"}, "kpi": "revenue"}
    found = read_kpi_file(text, KpiFileFormat(**wanted, ignore=("note",)))
    [point] = found.points
    assert (point.name, point.value, point.labels) == ("revenue", 1.5, {})
    assert found.mistakes[0].line == 3
    with pytest.raises(
        KpiFileError, match="there is no column 'notes' to ignore; there are: day, revenue, note"
    ):
        read_kpi_file(text, KpiFileFormat(**wanted, ignore=("notes",)))
    with pytest.raises(KpiFileError, match="has a column of KPI names, and --kpi 'revenue' is given"):
        read_kpi_file(b"kpi,timestamp,value\nk,2013-01-31,1\n", KpiFileFormat(kpi="revenue"))


def test_an_empty_frame_and_columns_of_one_name_are_refused():
    with pytest.raises(KpiFileError, match="lacks timestamp, value"):
        read(pd.DataFrame({"kpi": []}))
    twice = pd.DataFrame(
        [["k", "2013-01-31", 1.0, "a", "b"]], columns=["kpi", "timestamp", "value", "x", "x"]
    )
    with pytest.raises(KpiFileError, match="'x' appears twice"):
        read(twice)


def test_points_in_a_parquet_file_of_a_query_are_read_with_their_labels(tmp_path: Path):
    frame = pd.DataFrame(
        {
            "event_time": pd.to_datetime(["2013-01-01", "2013-01-02"], utc=True),
            "name": "rate",
            "labels": [{"carrier": "UA", "hub": "EWR"}, {}],
            "value": [1.0, 2.0],
        }
    )
    write_result(frame, "parquet", tmp_path / "points.parquet")
    wanted = KpiFileFormat(columns={"timestamp": "event_time", "kpi": "name"})
    found = read_kpi_parquet((tmp_path / "points.parquet").read_bytes(), wanted)
    assert [(point.labels, point.value) for point in found.points] == [
        ({"carrier": "UA", "hub": "EWR"}, 1.0),
        ({}, 2.0),
    ]
