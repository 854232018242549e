"""Walking over columns by the name of their type, and the blocks around them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.mcenter.engine.blocks import (
    LZ4,
    NONE,
    ZSTD,
    copy_block,
    frame,
    header,
    split_blocks,
    write_block,
)
from parallelm.mcenter.engine.types import arguments, insertable, skip_column
from parallelm.mcenter.engine.wire import ProtocolError, Reader, string, varint


def _reader(raw: bytes) -> Reader:
    pieces = [raw[at : at + 7] for at in range(0, len(raw), 7)]
    return Reader(lambda _wanted: pieces.pop(0) if pieces else b"")


def _copied(reader: Reader, *, compressed: bool) -> bytes:
    copy = bytearray()

    def write(data: bytes | memoryview) -> None:
        copy.extend(bytes(data))

    copy_block(reader, write, compressed=compressed)
    return bytes(copy)


VERSION = struct.pack("<Q", 1)
KEYS = struct.pack("<QQ", 0x600, 2) + string("ab") + string("")


@pytest.mark.parametrize(
    ("kind", "rows", "raw"),
    [
        ("UInt8", 3, bytes(3)),
        ("DateTime64(3, 'Europe/Berlin')", 2, bytes(16)),
        ("Decimal(38, 2)", 2, bytes(32)),
        ("Decimal(9, 2)", 2, bytes(8)),
        ("Enum8('a,(' = 1, 'b\\'' = 2)", 2, bytes(2)),
        ("FixedString(5)", 2, bytes(10)),
        ("String", 2, string("abc") + string("x" * 300)),
        ("Nullable(String)", 2, b"\0\1" + string("a") + string("")),
        ("Array(String)", 2, struct.pack("<QQ", 1, 3) + string("a") + string("b") + string("c")),
        ("Array(Array(UInt8))", 1, struct.pack("<Q", 2) + struct.pack("<QQ", 1, 3) + bytes(3)),
        ("Map(String, UInt16)", 1, struct.pack("<Q", 2) + string("a") + string("b") + bytes(4)),
        ("Tuple(a UInt8, `b c, d` String)", 1, b"\0" + string("x")),
        ("Nested(a UInt8, b Nullable(UInt8))", 1, struct.pack("<Q", 1) + b"\0" + b"\0\0"),
        ("SimpleAggregateFunction(sum, Float64)", 2, bytes(16)),
        ("IntervalDay", 1, bytes(8)),
        ("Polygon", 1, struct.pack("<QQ", 1, 2) + bytes(32)),
        ("Tuple()", 1, b""),
        ("LowCardinality(String)", 3, VERSION + KEYS + struct.pack("<Q", 3) + bytes(3)),
        ("LowCardinality(Nullable(String))", 1, VERSION + KEYS + struct.pack("<Q", 1) + bytes(1)),
        (
            "LowCardinality(UInt16)",
            2,
            VERSION + struct.pack("<QQ", 0x602, 1) + bytes(2) + struct.pack("<Q", 2) + bytes(8),
        ),
        ("LowCardinality(String)", 3, VERSION + 3 * (KEYS + struct.pack("<Q", 1) + bytes(1))),
        ("Array(LowCardinality(String))", 2, VERSION + bytes(16)),
        (
            "Map(LowCardinality(String), LowCardinality(String))",
            1,
            2 * VERSION + struct.pack("<Q", 1) + 2 * (KEYS + struct.pack("<Q", 1) + bytes(1)),
        ),
    ],
)
def test_a_column_is_as_long_as_its_type_says(kind: str, rows: int, raw: bytes):
    reader = _reader(raw + b"next")
    skip_column(reader, kind, rows)
    assert reader.raw(4) == b"next"


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("LowCardinality(Nullable(String))", "LowCardinality(Nullable(String))"),
        ("Map(LowCardinality(String), Array(JSON))", "Map(LowCardinality(String), Array(String))"),
        ("Tuple(a LowCardinality(String), `x y` JSON)", "Tuple(a LowCardinality(String), `x y` String)"),
        ("Enum8('LowCardinality(x)' = 1)", "Enum8('LowCardinality(x)' = 1)"),
        ("JSON(max_dynamic_paths=5)", "String"),
        ("DateTime64(3, 'UTC')", "DateTime64(3, 'UTC')"),
        ("Array(DateTime('UTC'))", "Array(DateTime('UTC'))"),
        (
            "AggregateFunction(quantiles(0.5, 0.9), Float64)",
            "AggregateFunction(quantiles(0.5, 0.9), Float64)",
        ),
        ("UInt8", "UInt8"),
    ],
)
def test_what_a_client_is_asked_to_send(kind: str, wanted: str):
    assert insertable(kind) == wanted


def test_arguments_are_split_at_their_own_commas_only():
    assert arguments("a Tuple(x, y), `b,(` 'it\\'s, ', c") == ["a Tuple(x, y)", "`b,(` 'it\\'s, '", "c"]


BODIES = st.lists(st.tuples(st.text(max_size=5), st.binary(max_size=40)), min_size=1, max_size=5).map(
    lambda columns: (
        varint(len(columns))
        + varint(1)
        + b"".join(string(name) + string("String") + string(value) for name, value in columns)
    )
)


@given(body=BODIES, method=st.sampled_from([None, LZ4, ZSTD, NONE]))
def test_a_block_arrives_as_it_was_sent(body: bytes, method: int | None):
    reader = _reader(write_block(body, method) + b"next")
    assert _copied(reader, compressed=method is not None) == body
    assert reader.raw(4) == b"next"


@given(body=BODIES, cuts=st.integers(1, 30), method=st.sampled_from([LZ4, ZSTD, NONE]))
def test_a_block_may_span_frames(body: bytes, cuts: int, method: int):
    plain = write_block(body, None)
    packed = b"".join(frame(plain[at : at + cuts], method) for at in range(0, len(plain), cuts))
    assert _copied(_reader(packed), compressed=True) == body


@given(bodies=st.lists(BODIES, max_size=4))
def test_an_answer_is_split_into_its_blocks(bodies: list[bytes]):
    assert [block.body for block in split_blocks(b"".join(bodies))] == bodies


@given(raw=st.binary(max_size=300), compressed=st.booleans())
def test_garbage_is_an_error_and_no_crash(raw: bytes, compressed: bool):
    try:
        _copied(_reader(raw), compressed=compressed)
    except (EOFError, ProtocolError):
        return


@given(body=BODIES, place=st.integers(0), flip=st.integers(1, 255))
def test_a_changed_byte_is_noticed(body: bytes, place: int, flip: int):
    packed = bytearray(write_block(body, LZ4))
    packed[place % len(packed)] ^= flip
    with pytest.raises((EOFError, ProtocolError)):
        _copied(_reader(bytes(packed)), compressed=True)


def test_a_header_tells_names_and_types():
    names = header([("n", "UInt64"), ("s", "LowCardinality(String)")])
    assert copy_block(_reader(write_block(names, None)), lambda _data: None, compressed=False) == (2, 0)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 200)), max_size=6),
    st.sampled_from([7, 1_000, 100_000]),
)
def test_strings_of_any_lengths_are_walked_over(runs: list[tuple[int, int]], piece: int):
    strings = [string(b"\x03" * size) for size, count in runs for _ in range(count)]
    raw = b"".join(strings) + b"next"
    pieces = [raw[at : at + piece] for at in range(0, len(raw), piece)]
    reader = Reader(lambda _wanted: pieces.pop(0) if pieces else b"")
    reader.skip_strings(len(strings))
    assert reader.raw(4) == b"next"


@given(st.integers(0, 2**63))
def test_numbers(number: int):
    assert _reader(varint(number)).varint() == number
