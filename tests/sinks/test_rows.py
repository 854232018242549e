"""Row makers: whatever the records, each is rows or rejected, and the rows say what the records said."""

from __future__ import annotations

import json
import math
from array import array
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from parallelm.schemas import records, topics
from parallelm.schemas.codec import Codec
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.times import MAX_TIME_MS, MIN_TIME_MS
from parallelm.sinks.blocks import ConsumedRecord
from parallelm.sinks.rows import Rows, Source
from parallelm.sinks.tables import TABLES, row_maker
from tests.sinks import samples

CODEC = Codec(PackagedRegistry())
SOURCE = Source("mlops.topic", "id", 3)

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
    st.lists(st.tuples(times, st.floats(allow_nan=False)), max_size=4),
)
statistics_bytes = st.one_of(
    st.lists(series, max_size=3).map(lambda many: CODEC.encode(samples.batch(*many))),
    st.binary(max_size=20).filter(lambda data: data[:1] != b"\0"),
    st.none(),
)


def consumed(values: list[bytes | None]) -> list[ConsumedRecord]:
    return [ConsumedRecord(10 + 2 * n, 1000 + n, b"key", value) for n, value in enumerate(values)]


def as_dicts(rows: Rows) -> list[dict[str, Any]]:
    return [dict(zip(rows.columns, row, strict=True)) for row in zip(*rows.data, strict=True)]


def fits(time_ms: float) -> bool:
    return MIN_TIME_MS <= time_ms <= MAX_TIME_MS


@given(st.lists(statistics_bytes, max_size=5))
def test_statistics_are_rows_or_rejected(values: list[bytes | None]):
    block = consumed(values)
    rows = row_maker(topics.STATISTICS, PackagedRegistry()).rows(block, SOURCE)
    expected = []
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
            (record.offset, number, each.name, dict(each.labels), list(each.timestamps_ms), list(each.values))
            for number, each in enumerate(batch.series)
        ]
    found = [
        (
            row["_offset"],
            row["_series"],
            row["name"].decode(),
            json.loads(row["labels_json"]),
            array("d", row["timestamps_ms"]).tolist(),
            array("d", row["sample_values"]).tolist(),
        )
        for row in as_dicts(rows)
    ]
    assert found == expected
    assert rows.stored_rows == sum(len(timestamps) for *_, timestamps, _ in expected)
    assert sorted((each.record.offset, each.stage) for each in rows.rejected) == sorted(rejected)


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
