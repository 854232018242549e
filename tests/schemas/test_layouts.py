"""Records read by position say the same as fastavro, whatever came before them and whatever changed in them."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.schemas import layouts
from parallelm.schemas.errors import DecodeError
from parallelm.schemas.layouts import CutRecord, LayoutReader
from parallelm.schemas.slicing import SlicedBatch
from tests.schemas.test_slicing import (
    BATCHES,
    DOUBLES,
    HEADER,
    REGISTRY,
    SCHEMA,
    as_slices,
    blocked_batches,
    by_fastavro,
)

SEQUENCES = st.integers(-(2**63), 2**63 - 1)


def encoded(batch: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, SCHEMA, batch)
    return HEADER + buffer.getvalue()


def as_batch(record: CutRecord) -> SlicedBatch:
    series = [
        one._replace(timestamps_ms=timestamps_ms, values=values)
        for one, timestamps_ms, values in zip(
            record.contents.series, record.timestamps_ms, record.values, strict=True
        )
    ]
    assert record.contents.counts == tuple(len(one.timestamps_ms) // 8 for one in series)
    assert record.contents.value_counts == tuple(len(one.values) // 8 for one in series)
    return SlicedBatch._make((*record.contents.head, record.seq, series))


NUMBERS = ("timestamps_ms", "values")


@st.composite
def numbers_like(draw: Any, numbers: list[float]) -> list[float]:
    """As many others, sometimes one more."""
    return [draw(DOUBLES) for _ in range(len(numbers) + draw(st.sampled_from([0, 0, 0, 1])))]


@st.composite
def alike(draw: Any) -> list[dict[str, Any]]:
    """Records of one component: the same series again and again, with other numbers, and sometimes more of them."""
    first = draw(BATCHES)
    found = [first]
    for _ in range(draw(st.integers(1, 5))):
        series = [
            one | {field: draw(numbers_like(one[field])) for field in NUMBERS} for one in first["series"]
        ]
        found.append(first | {"seq": draw(SEQUENCES), "series": series})
    return found


@given(st.lists(alike(), max_size=3), st.randoms())
def test_records_of_components_are_what_fastavro_reads(components: list[list[dict[str, Any]]], chance: Any):
    reader = LayoutReader(REGISTRY)
    records = [encoded(batch) for component in components for batch in component]
    chance.shuffle(records)
    for data in records:
        assert as_batch(reader.read(data, None)) == as_slices(by_fastavro(data))


@given(blocked_batches())
def test_any_blocking_is_read_again_and_again(case: tuple[dict[str, Any], bytes]):
    batch, data = case
    reader = LayoutReader(REGISTRY)
    for _ in range(4):
        assert as_batch(reader.read(data, b"key")) == as_slices(batch)


@given(BATCHES, st.data())
def test_a_record_with_one_byte_changed_is_read_as_the_slicing_decoder_reads_it(
    batch: dict[str, Any], draw: st.DataObject
):
    reader = LayoutReader(REGISTRY)
    data = encoded(batch)
    for _ in range(3):
        reader.read(data, b"key")
    changed = bytearray(data)
    changed[draw.draw(st.integers(5, len(data) - 1))] ^= draw.draw(st.integers(1, 255))
    fresh = LayoutReader(REGISTRY)
    try:
        expected = as_batch(fresh.read(bytes(changed), b"key"))
    except DecodeError:
        with pytest.raises(DecodeError):
            reader.read(bytes(changed), b"key")
    else:
        assert as_batch(reader.read(bytes(changed), b"key")) == expected


def test_records_of_one_layout_share_what_they_say_apart_from_numbers():
    reader = LayoutReader(REGISTRY)
    records = [encoded(batch_of(seq)) for seq in range(6)]
    contents = [reader.read(data, b"key").contents for data in records]
    assert len({id(each) for each in contents[2:]}) == 1


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(layouts, "MAX_REMEMBERED_BYTES", 5_000)
    monkeypatch.setattr(layouts, "_MAX_SIGHTINGS", 10)
    reader = LayoutReader(REGISTRY)
    for number in range(300):
        for seq in range(3):
            reader.read(encoded(batch_of(seq, f"origin {number}")), number)
    assert reader.remembered_bytes <= 5_000


def batch_of(seq: int, mlapp: str = "app") -> dict[str, Any]:
    texts = {"name": "n", "model_id": "", "category": "TIME_SERIES", "graph_type": "LINEGRAPH"}
    numbers = {"labels": {}, "timestamps_ms": [float(seq)], "values": [1.0]}
    origin = {"mlapp_id": mlapp, "node_id": "", "pipeline_instance_id": "", "agent_id": ""}
    return {"origin": origin, "producer_id": "p", "seq": seq, "series": [texts | numbers]}
