"""Row makers: whatever the records, each is rows or rejected, and the rows say what the records said."""

from __future__ import annotations

import dataclasses
import math
import re
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from clickhouse_driver.bufferedreader import CompressedBufferedReader
from clickhouse_driver.context import Context
from clickhouse_driver.streams.native import BlockInputStream
from hypothesis import given
from hypothesis import strategies as st

from parallelm.connections.clickhouse import clickhouse_client
from parallelm.schemas import records, topics
from parallelm.schemas.codec import Codec
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.times import MAX_TIME_MS, MIN_TIME_MS
from parallelm.sinks import sample_block, sample_columns
from parallelm.sinks.blocks import MAX_UNFOLDED_BYTES, ConsumedRecord
from parallelm.sinks.native import NativeBlock
from parallelm.sinks.rows import Rows, Source
from parallelm.sinks.sample_columns import ARRAYS_FROM_SAMPLES
from parallelm.sinks.statistics_rows import ARRAYS
from parallelm.sinks.tables import TABLES, row_maker
from tests.sinks import samples

if TYPE_CHECKING:
    from parallelm.connections import Settings

CODEC = Codec(PackagedRegistry())
ORIGIN_IDS = [field.name for field in dataclasses.fields(records.Origin)]
SOURCE = Source("mlops.topic", "id", 3)
TIMES = re.compile(r"DateTime64\([^)]*\)")

texts = st.text(st.characters(codec="utf-8"), max_size=6)
labels = st.dictionaries(texts, texts, max_size=3)
times = st.one_of(
    st.floats(MIN_TIME_MS, MAX_TIME_MS).map(math.floor).map(float),
    st.sampled_from([math.nan, math.inf, 1e20, -1e20]),
)
series = st.builds(
    lambda name, found, pairs: samples.series([t for t, _ in pairs], [v for _, v in pairs], name, found),
    texts,
    labels,
    st.lists(st.tuples(times, st.floats(allow_nan=False)), max_size=9),
)
statistics_bytes = st.one_of(
    st.lists(series, max_size=3).map(lambda many: CODEC.encode(samples.batch(*many))),
    st.binary(max_size=20).filter(lambda data: data[:1] != b"\0"),
    st.none(),
)


def consumed(values: list[bytes | None]) -> list[ConsumedRecord]:
    return [ConsumedRecord(10 + 2 * n, 1000 + n, b"key", value) for n, value in enumerate(values)]


def as_dicts(rows: Rows) -> list[dict[str, Any]]:
    data = driver_reads(rows.data) if isinstance(rows.data, NativeBlock) else rows.data
    found = [dict(zip(rows.columns, row, strict=True)) for row in zip(*data, strict=True)]
    return [sample for row in found for sample in unfolded(row)] if rows.into == ARRAYS else found


def unfolded(row: dict[str, Any]) -> list[dict[str, Any]]:
    """As the view behind the entrance for arrays does it."""
    pairs = zip(row.pop("event_times"), row.pop("values"), strict=True)
    return [row | {"event_time": at, "value": value, "_index": n} for n, (at, value) in enumerate(pairs)]


def driver_reads(block: NativeBlock) -> list[Any]:
    """Columns of a block as clickhouse-driver reads them; whole numbers for times."""
    context = Context()
    context.client_settings = {"strings_as_bytes": False, "strings_encoding": "utf-8", "use_numpy": False}
    context.server_info = SimpleNamespace(
        used_revision=0, get_timezone=lambda: "UTC", session_timezone=None, version_tuple=lambda: (26, 0, 0)
    )
    plain = [column._replace(kind=TIMES.sub("Int64", column.kind)) for column in block.columns]
    raw = b"".join(NativeBlock(block.row_count, plain, 0).parts(states_serialization=False))
    pieces = [raw]
    found = BlockInputStream(CompressedBufferedReader(pieces.pop, len(raw)), context).read()
    return list(found.get_columns())


def fits(time_ms: float) -> bool:
    return MIN_TIME_MS <= time_ms <= MAX_TIME_MS


@given(st.lists(statistics_bytes, max_size=5), st.booleans())
def test_statistics_are_rows_or_rejected(values: list[bytes | None], arrays: bool):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sample_columns, "ARRAYS_FROM_SAMPLES", 1 if arrays else ARRAYS_FROM_SAMPLES)
        assert_rows_or_rejected(consumed(values))


def assert_rows_or_rejected(block: list[ConsumedRecord]) -> None:
    rows = row_maker(topics.STATISTICS, PackagedRegistry()).rows(block, SOURCE)
    expected: list[dict[str, Any]] = []
    rejected = []
    for record in block:
        if record.value is None:
            continue
        if record.value[:1] != b"\0":
            rejected.append((record.offset, "decode"))
            continue
        batch = CODEC.decode(record.value, records.StatisticsBatch)
        if not all(fits(time_ms) for each in batch.series for time_ms in each.timestamps_ms):
            rejected.append((record.offset, "validate"))
            continue
        expected += [
            {
                **{name: getattr(batch.origin, name) for name in ORIGIN_IDS},
                **{name: getattr(each, name) for name in ("name", "model_id", "category", "graph_type")},
                "labels": dict(sorted(each.labels.items())),
                "event_time": math.floor(time_ms),
                "value": value,
                "producer_id": batch.producer_id,
                "seq": batch.seq,
                "ingested_at": record.ingested_at_ms,
                "_topic": SOURCE.topic,
                "_topic_id": SOURCE.topic_id,
                "_partition": SOURCE.partition,
                "_offset": record.offset,
                "_series": number,
                "_index": index,
            }
            for number, each in enumerate(batch.series)
            for index, (time_ms, value) in enumerate(zip(each.timestamps_ms, each.values, strict=True))
        ]
    found = as_dicts(rows)
    expected.sort(key=_in_record_order)
    ids = [row.pop("series_id") for row in found]
    assert sorted(found, key=_in_record_order) == expected
    in_key = [(row["name"].encode(), number) for row, number in zip(found, ids, strict=True)]
    assert in_key == sorted(in_key)
    assert rows.stored_rows == len(expected)
    assert rows.record_count == len(block)
    assert sorted((each.record.offset, each.stage) for each in rows.rejected) == sorted(rejected)


def _in_record_order(row: dict[str, Any]) -> tuple[int, int, int]:
    return row["_offset"], row["_series"], row["_index"]


@given(st.lists(st.lists(series, max_size=3), max_size=4), st.integers(1, 4))
def test_repeated_records_are_cut_by_position_to_the_same_rows(many: list[list[records.Series]], times_: int):
    """The second record of a layout goes another way than the first."""
    fitting = [each for each in many if all(fits(time_ms) for one in each for time_ms in one.timestamps_ms)]
    values: list[bytes | None] = [CODEC.encode(samples.batch(*each)) for each in fitting]
    once = as_dicts(row_maker(topics.STATISTICS, PackagedRegistry()).rows(consumed(values), SOURCE))
    again = as_dicts(row_maker(topics.STATISTICS, PackagedRegistry()).rows(consumed(values * times_), SOURCE))
    offsets = [record.offset for record in consumed(values * times_)]
    by_offset = {offset: [row for row in again if row["_offset"] == offset] for offset in offsets}
    for number, offset in enumerate(offsets):
        first = consumed(values)[number % len(values)].offset
        assert [row | {"_offset": 0, "ingested_at": 0} for row in by_offset[offset]] == [
            row | {"_offset": 0, "ingested_at": 0} for row in once if row["_offset"] == first
        ]


def test_a_record_that_unfolds_to_more_than_a_block_is_rejected_and_others_are_cut_into_blocks(
    monkeypatch: pytest.MonkeyPatch,
):
    huge = samples.series(
        [float(number) for number in range(25_000)], [1.0] * 25_000, labels={"l": "x" * 200_000}
    )
    large = samples.series([float(number) for number in range(100)], [1.0] * 100, labels={"l": "x" * 500_000})
    block = consumed([CODEC.encode(samples.batch(each)) for each in (large, huge, large, large)])
    maker = row_maker(topics.STATISTICS, PackagedRegistry())
    rows = maker.rows(block, SOURCE)
    assert (rows.record_count, rows.stored_rows) == (3, 200)
    assert [each.record.offset for each in rows.rejected] == [block[1].offset]
    assert str(MAX_UNFOLDED_BYTES) in str(rows.rejected[0].error)
    assert maker.rows(block[3:], SOURCE).stored_rows == 100
    monkeypatch.setattr(sample_block, "MAX_BLOCK_SAMPLES", 250)
    small = samples.series([float(number) for number in range(100)], [1.0] * 100)
    cut = maker.rows(consumed([CODEC.encode(samples.batch(small))] * 5), SOURCE)
    assert (cut.record_count, cut.stored_rows) == (2, 200)


@pytest.mark.usefixtures("tables")
def test_columns_are_those_of_the_table(settings: Settings):
    for count, table in ((1, "statistics"), (ARRAYS_FROM_SAMPLES, "statistics_arrays")):
        many = [float(number) for number in range(count)]
        data = CODEC.encode(samples.batch(samples.series(many, many, labels={"a": "b"})))
        rows = row_maker(topics.STATISTICS, PackagedRegistry()).rows(consumed([data]), SOURCE)
        with clickhouse_client(settings.clickhouse) as client:
            described = {row[0]: row[1] for row in client.execute(f"DESCRIBE TABLE {table}")}
        assert (rows.table, rows.into) == ("statistics", table)
        assert isinstance(rows.data, NativeBlock)
        assert {column.name: column.kind for column in rows.data.columns} == described


@pytest.mark.usefixtures("tables")
def test_the_id_of_a_series_is_the_one_that_the_table_gives_by_itself(settings: Settings):
    named = [("", {}), ("name of thirty-three characters é", {"": ""}), ("n" * 70, {"b": "x" * 40, "a": "ß"})]
    many = [samples.series([1.0], [2.0], name, found) for name, found in named]
    rows = row_maker(topics.STATISTICS, PackagedRegistry()).rows(
        consumed([CODEC.encode(samples.batch(*many))]), SOURCE
    )
    with clickhouse_client(settings.clickhouse) as client:
        for row in as_dicts(rows):
            told = {name: value for name, value in row.items() if name != "series_id"}
            told["ingested_at"] = time.time_ns() // 1_000_000  # else retention removes it at once
            client.execute(f"INSERT INTO statistics ({', '.join(told)}) VALUES", [told])
        given = client.execute("SELECT _series, series_id FROM statistics")
    assert sorted(given) == sorted((row["_series"], row["series_id"]) for row in as_dicts(rows))


points = st.tuples(texts, labels, st.integers(-(2**60), 2**60), st.floats(allow_nan=False))


@given(st.lists(st.lists(points, max_size=4), max_size=5))
def test_a_kpi_batch_is_a_row_a_point_or_rejected_whole(
    batches: list[list[tuple[str, dict[str, str], int, float]]],
):
    block = consumed([CODEC.encode(samples.kpis(*batch)) for batch in batches])
    rows = row_maker(topics.KPIS, PackagedRegistry()).rows(block, SOURCE)
    good = [
        (record, batch)
        for record, batch in zip(block, batches, strict=True)
        if all(fits(time_ms) for _, _, time_ms, _ in batch)
    ]
    found = [
        (row["_offset"], row["_index"], row["name"], row["event_time"], row["value"])
        for row in as_dicts(rows)
    ]
    assert found == [
        (record.offset, number, name, time_ms, value)
        for record, batch in good
        for number, (name, _, time_ms, value) in enumerate(batch)
    ]
    assert len(rows.rejected) == len(block) - len(good)
    assert all(list(row["labels"]) == sorted(row["labels"]) for row in as_dicts(rows))


@given(
    st.sampled_from(sorted(TABLES)),
    st.lists(st.binary(max_size=30).filter(lambda data: data[:1] != b"\0"), max_size=5),
)
def test_no_bytes_break_a_row_maker(name: str, values: list[bytes]):
    block = consumed([*values])
    rows = row_maker(topics.by_name(name), PackagedRegistry()).rows(block, SOURCE)
    assert [each.record for each in rows.rejected] == block
    assert rows.stored_rows == 0
