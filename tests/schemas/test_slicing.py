"""The hot path says the same as fastavro, for every blocking that Avro allows and for bytes that are not a record."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from array import array
from typing import Any, get_type_hints

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.schemas import packaged
from parallelm.schemas.codec import Codec, parse
from parallelm.schemas.errors import DecodeError, EncodeError, UnknownSchemaError
from parallelm.schemas.records import Origin, Series, StatisticsBatch
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.series_key import SeriesKey
from parallelm.schemas.slicing import SlicedBatch, SlicedSeries, StatisticsDecoder
from parallelm.schemas.statistics_encoder import StatisticsEncoder, series_header
from parallelm.schemas.wire import encode_long, encode_string

REGISTRY = PackagedRegistry()
SCHEMA = parse(packaged.current("StatisticsBatch").text)
HEADER = b"\0" + REGISTRY.schema_id(StatisticsBatch).to_bytes(4, "big")
DECODER = StatisticsDecoder(REGISTRY)

TEXTS = st.text(max_size=12) | st.text("aé→", min_size=60, max_size=80) | st.just("x" * 2_000)
DOUBLES = st.floats(width=64)
SERIES_TEXTS = tuple(name for name, kind in get_type_hints(Series).items() if kind is str)
SERIES = st.fixed_dictionaries(
    dict.fromkeys(SERIES_TEXTS, TEXTS)
    | {
        "category": st.sampled_from(["TIME_SERIES", "CONFIG"]),
        "graph_type": st.sampled_from(["LINEGRAPH", "MULTILINEGRAPH"]),
        "labels": st.dictionaries(TEXTS, TEXTS, max_size=3),
        "timestamps_ms": st.lists(DOUBLES, max_size=9),
        "values": st.lists(DOUBLES, max_size=9),
    }
)
ORIGIN_IDS = tuple(get_type_hints(Origin))
BATCH_TEXTS = tuple(name for name, kind in get_type_hints(StatisticsBatch).items() if kind is str)
ORIGINS = st.fixed_dictionaries(dict.fromkeys(ORIGIN_IDS, TEXTS))
BEFORE_SEQ = len(ORIGIN_IDS) + len(BATCH_TEXTS)
BATCHES = st.fixed_dictionaries(
    dict.fromkeys(BATCH_TEXTS, TEXTS)
    | {
        "origin": ORIGINS,
        "seq": st.integers(-(2**63), 2**63 - 1),
        "series": st.lists(SERIES, max_size=4),
    }
)


def by_fastavro(data: bytes) -> dict[str, Any]:
    """The batch as fastavro reads it; raises when bytes are left."""
    body = io.BytesIO(data)
    body.seek(5)
    batch: dict[str, Any] = fastavro.schemaless_reader(body, SCHEMA, None)
    assert body.tell() == len(data)
    return batch


def as_slices(batch: dict[str, Any]) -> SlicedBatch:
    """What the slicing decoder must make of a batch."""
    return SlicedBatch(
        *(batch["origin"][name].encode() for name in ORIGIN_IDS),
        *(batch[name].encode() for name in BATCH_TEXTS),
        batch["seq"],
        [
            (
                *(series[name].encode() for name in SERIES_TEXTS),
                {key.encode(): value.encode() for key, value in series["labels"].items()},
                array("d", series["timestamps_ms"]).tobytes(),
                array("d", series["values"]).tobytes(),
            )
            for series in batch["series"]
        ],
    )


def blocks(draw: Any, items: list[bytes]) -> bytes:
    """Items as an Avro array or map in any blocking: cut anywhere, each block with or without its size in bytes."""
    encoded = b""
    while items:
        count = draw(st.integers(1, len(items)))
        block = b"".join(items[:count])
        if draw(st.booleans()):
            encoded += encode_long(-count) + encode_long(len(block))
        else:
            encoded += encode_long(count)
        encoded += block
        items = items[count:]
    return encoded + b"\0"


def doubles(numbers: list[float]) -> list[bytes]:
    return [array("d", [number]).tobytes() for number in numbers]


@st.composite
def blocked_batches(draw: Any) -> tuple[dict[str, Any], bytes]:
    """A batch and its bytes in some blocking."""
    batch = draw(BATCHES)
    series = [
        b"".join(encode_string(one[name]) for name in SERIES_TEXTS)
        + blocks(draw, [encode_string(key) + encode_string(value) for key, value in one["labels"].items()])
        + blocks(draw, doubles(one["timestamps_ms"]))
        + blocks(draw, doubles(one["values"]))
        for one in batch["series"]
    ]
    origin = [batch["origin"][name] for name in ORIGIN_IDS]
    texts = b"".join(map(encode_string, [*origin, *(batch[name] for name in BATCH_TEXTS)]))
    return batch, HEADER + texts + encode_long(batch["seq"]) + blocks(draw, series)


def test_slices_have_the_fields_of_the_records_in_their_order():
    origin, *own = get_type_hints(StatisticsBatch)
    assert origin == "origin"
    assert SlicedBatch._fields == (*ORIGIN_IDS, *own)
    assert SlicedSeries._fields == tuple(get_type_hints(Series))
    assert (*SeriesKey._fields, "timestamps_ms", "values") == SlicedSeries._fields


@given(blocked_batches())
def test_any_blocking_is_sliced_to_what_fastavro_reads(case: tuple[dict[str, Any], bytes]):
    batch, data = case
    assert DECODER.decode(data) == as_slices(by_fastavro(data)) == as_slices(batch)


@given(blocked_batches(), st.data())
def test_a_truncated_batch_is_a_decode_error(case: tuple[dict[str, Any], bytes], draw: st.DataObject):
    data = case[1]
    with pytest.raises(DecodeError):
        DECODER.decode(data[: draw.draw(st.integers(0, len(data) - 1))])


@given(blocked_batches(), st.binary(min_size=1, max_size=9))
def test_bytes_after_a_batch_are_a_decode_error(case: tuple[dict[str, Any], bytes], more: bytes):
    with pytest.raises(DecodeError, match="bytes after the record are an error"):
        DECODER.decode(case[1] + more)


@given(blocked_batches(), st.data())
def test_a_mutated_batch_is_refused_or_read_as_fastavro_reads_it(
    case: tuple[dict[str, Any], bytes], draw: st.DataObject
):
    data = bytearray(case[1])
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(5, len(data) - 1))] = draw.draw(st.integers(0, 255))
    assert_refused_or_equal(bytes(data))


@given(blocked_batches(), blocked_batches(), st.data())
def test_what_was_read_before_never_shows(
    first: tuple[dict[str, Any], bytes], second: tuple[dict[str, Any], bytes], draw: st.DataObject
):
    """The decoder remembers headers: a cut record before, and others between, change nothing."""
    decoder = StatisticsDecoder(REGISTRY)
    with pytest.raises(DecodeError):
        decoder.decode(first[1][: draw.draw(st.integers(0, len(first[1]) - 1))])
    for batch, data in (first, second, first, first, second):
        assert decoder.decode(data) == as_slices(batch)


@given(st.binary(max_size=120))
def test_random_bytes_are_refused_or_read_as_fastavro_reads_them(body: bytes):
    assert_refused_or_equal(HEADER + body)


def assert_refused_or_equal(data: bytes) -> None:
    try:
        batch = DECODER.decode(data)
    except DecodeError:
        return
    assert batch == as_slices(by_fastavro(data))


@pytest.mark.parametrize("count", [2**62, -(2**62), -(2**63), 2**63 - 1, -1], ids=str)
def test_absurd_counts_and_lengths_end_at_once(count: int):
    for position in range(24):
        with pytest.raises(DecodeError):
            DECODER.decode(HEADER + b"\0" * position + encode_long(count) + b"\0\0\0\1")


@pytest.mark.parametrize("body", [b"\xff" * 9 + b"\x7f", b"\xff" * 40, b"\x80" * 10 + b"\x01"], ids=bytes.hex)
def test_a_number_of_more_than_64_bits_is_a_decode_error(body: bytes):
    with pytest.raises(DecodeError, match="more than 64 bits"):
        DECODER.decode(HEADER + b"\0" * 5 + body + b"\0")


@pytest.mark.parametrize("place", range(BEFORE_SEQ + len(SERIES_TEXTS) + 2))
def test_a_text_that_is_no_utf8_is_a_decode_error(place: int):
    before_label = BEFORE_SEQ + len(SERIES_TEXTS)
    texts = [b"a"] * (before_label + 2)
    texts[place] = b"\xff\xfe"
    strings = [encode_long(len(text)) + text for text in texts]
    label = encode_long(1) + b"".join(strings[before_label:]) + b"\0"
    data = HEADER + b"".join(
        [*strings[:BEFORE_SEQ], b"\0\2", *strings[BEFORE_SEQ:before_label], label, b"\0\0\0"]
    )
    with pytest.raises(DecodeError, match="not UTF-8"):
        DECODER.decode(data)


def test_an_unknown_schema_id_is_no_poison():
    with pytest.raises(UnknownSchemaError):
        DECODER.decode(b"\0" + (2_000_000_999).to_bytes(4, "big") + b"\0" * 7)


def test_another_record_than_a_batch_is_poison(codec: Codec, examples: dict[str, Any]):
    with pytest.raises(DecodeError, match="is a Heartbeat, not the expected StatisticsBatch"):
        DECODER.decode(codec.encode(examples["Heartbeat"]))


class NewerRegistry(PackagedRegistry):
    """A registry that also knows a newer version, with a field more."""

    def __init__(self) -> None:
        self.newer = json.loads(packaged.current("StatisticsBatch").text)
        self.newer["fields"].insert(3, {"name": "later", "type": "string", "default": ""})

    def schema(self, schema_id: int) -> str:
        return json.dumps(self.newer) if schema_id == 77 else super().schema(schema_id)


@given(BATCHES)
def test_a_batch_of_another_version_gives_the_same_slices(batch: dict[str, Any]):
    registry = NewerRegistry()
    body = io.BytesIO()
    fastavro.schemaless_writer(body, parse(registry.schema(77)), batch | {"later": "ms"})
    data = b"\0" + (77).to_bytes(4, "big") + body.getvalue()
    assert StatisticsDecoder(registry).decode(data) == as_slices(batch)


@given(BATCHES, st.booleans())
def test_fastavro_reads_what_the_encoder_writes(batch: dict[str, Any], as_bytes: bool):
    encoder = StatisticsEncoder(REGISTRY, Origin(**batch["origin"]), *(batch[name] for name in BATCH_TEXTS))
    for series in batch["series"]:
        count = min(len(series["timestamps_ms"]), len(series["values"]))
        series["timestamps_ms"], series["values"] = series["timestamps_ms"][:count], series["values"][:count]
        texts = {name: series[name] for name in SERIES_TEXTS}
        header = series_header(SeriesKey(**texts, labels=tuple(series["labels"].items())))
        samples = [array("d", series["timestamps_ms"]), array("d", series["values"])]
        encoder.add(header, *(samples if not as_bytes else [column.tobytes() for column in samples]))
    size_bytes = encoder.size_bytes
    assert encoder.series_count == len(batch["series"])
    data = encoder.take(batch["seq"])
    assert as_slices(by_fastavro(data)) == as_slices(batch)
    assert len(data) <= size_bytes <= len(data) + 30 + 22 * len(batch["series"])


def test_the_encoder_is_empty_after_a_record():
    encoder = StatisticsEncoder(
        REGISTRY, Origin(mlapp_id="a", node_id="n", pipeline_instance_id="", agent_id="h"), "p"
    )
    encoder.add(series_header(SeriesKey("s")), array("d", [1.0]), array("d", [2.0]))
    assert len(DECODER.decode(encoder.take(0)).series) == 1
    empty = DECODER.decode(encoder.take(1))
    assert (empty.mlapp_id, empty.agent_id, empty.producer_id) == (b"a", b"h", b"p")
    assert (empty.seq, empty.series) == (1, [])


def test_unequal_numbers_of_timestamps_and_values_are_an_encode_error_and_add_nothing():
    encoder = StatisticsEncoder(
        REGISTRY, Origin(mlapp_id="a", node_id="n", pipeline_instance_id="", agent_id="h"), "p"
    )
    with pytest.raises(EncodeError, match="2 timestamps and 1 values"):
        encoder.add(b"", array("d", [1.0, 2.0]), array("d", [1.0]))
    assert DECODER.decode(encoder.take(0)).series == []


def test_what_is_no_text_or_no_float64_is_an_encode_error():
    with pytest.raises(EncodeError, match="not valid Unicode"):
        series_header(SeriesKey("\ud800"))
    encoder = StatisticsEncoder(
        REGISTRY, Origin(mlapp_id="a", node_id="n", pipeline_instance_id="", agent_id="h"), "p"
    )
    with pytest.raises(EncodeError, match="9 bytes are not a whole number of float64"):
        encoder.add(b"", b"123456789", b"123456789")


def test_the_component_librarys_part_imports_nothing_but_the_standard_library():
    code = (
        "import sys; before = set(sys.modules); "
        "import parallelm.schemas.slicing, parallelm.schemas.statistics_encoder, parallelm.schemas.http_registry; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["parallelm"]
