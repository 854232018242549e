"""The codec: what goes in comes out, whatever version wrote it, and bytes that are not a record are recognised."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.schemas import packaged
from parallelm.schemas.codec import Codec, parse
from parallelm.schemas.conversion import to_avro
from parallelm.schemas.errors import DecodeError, EncodeError, UnknownSchemaError
from parallelm.schemas.records import AlertState, AlertTransition, DeadLetter, Event, Heartbeat
from parallelm.schemas.registry import PackagedRegistry
from parallelm.schemas.topics import CATALOGUE

RECORDS = [topic.record for topic in CATALOGUE]
CODEC = Codec(PackagedRegistry())
LONGS = st.integers(-(2**31), 2**31 - 1)
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    bytes: st.binary(max_size=20),
    bool: st.booleans(),
    int: LONGS,
    float: st.floats(allow_nan=False),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of an annotation of the records."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return st.builds(hint, **{field.name: values(hints[field.name]) for field in fields(hint)})  # type: ignore[arg-type]
    if origin is Sequence:
        return st.lists(values(arguments[0]), max_size=3)
    if origin is Mapping:
        return st.dictionaries(PLAIN[str], values(arguments[1]), max_size=3)
    if arguments:
        return st.none() | values(arguments[0])
    if issubclass(hint, StrEnum):
        return st.sampled_from(list(hint))
    return PLAIN[hint]


ANY_RECORD = st.sampled_from(RECORDS).flatmap(values)


@given(ANY_RECORD)
def test_a_record_comes_back_as_it_was(record: Any):
    assert CODEC.decode(CODEC.encode(record), type(record)) == record


@given(ANY_RECORD, st.data())
def test_a_truncated_record_is_a_decode_error(record: Any, data: st.DataObject):
    encoded = CODEC.encode(record)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(DecodeError):
        CODEC.decode(encoded[:cut])


@given(ANY_RECORD, st.binary(min_size=1, max_size=9))
def test_bytes_after_a_record_are_a_decode_error(record: Any, more: bytes):
    with pytest.raises(DecodeError, match="bytes after the record are an error"):
        CODEC.decode(CODEC.encode(record) + more)


@given(st.sampled_from(RECORDS), st.binary(max_size=200))
def test_random_bytes_are_a_decode_error_or_a_record(record: type, body: bytes):
    assert_decodes_or_refuses(b"\0" + packaged.current(record.__name__).schema_id.to_bytes(4, "big") + body)


@given(ANY_RECORD, st.data())
def test_a_mutated_record_is_a_decode_error_or_a_record(record: Any, data: st.DataObject):
    encoded = bytearray(CODEC.encode(record))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(5, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    assert_decodes_or_refuses(bytes(encoded))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_record_or_poison_or_of_an_unknown_schema(data: bytes):
    assert_decodes_or_refuses(data)


def assert_decodes_or_refuses(data: bytes) -> None:
    try:
        record = CODEC.decode(data)
    except (DecodeError, UnknownSchemaError):
        return
    assert type(record) in RECORDS


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@pytest.mark.parametrize("count", [2**62, -(2**62), -(2**63), 2**63 - 1, -1], ids=str)
def test_absurd_counts_and_lengths_end_at_once(record: type, count: int):
    zigzag, body = (count << 1) ^ (count >> 63), bytearray()
    while zigzag > 0x7F:
        body.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    body.append(zigzag)
    header = b"\0" + packaged.current(record.__name__).schema_id.to_bytes(4, "big")
    for position in range(40):
        assert_decodes_or_refuses(header + b"\0" * position + bytes(body))


@pytest.mark.parametrize(
    ("data", "reported"),
    [
        (b"", "0 bytes"),
        (b"\0\0\0", "Confluent wire format"),
        (b'{"json": 1}', "Confluent wire format"),
        (b"\0\0\0\0\0", "schema id 0"),
        (b"\0\xff\xff\xff\xff", "schema id 4294967295"),
    ],
)
def test_bytes_in_no_wire_format_are_poison_and_say_why(codec: Codec, data: bytes, reported: str):
    with pytest.raises(DecodeError, match=reported):
        codec.decode(data)


def test_an_unknown_schema_id_is_no_poison_and_tells_what_to_do(codec: Codec):
    with pytest.raises(UnknownSchemaError, match="upgrade this consumer") as caught:
        codec.decode(b"\0" + (2_000_000_999).to_bytes(4, "big") + b"body")
    assert caught.value.schema_id == 2_000_000_999
    assert not isinstance(caught.value, DecodeError)


def test_another_record_than_expected_is_poison(codec: Codec):
    with pytest.raises(DecodeError, match="is a Heartbeat, not the expected Event"):
        codec.decode(codec.encode(Heartbeat(event_time_ms=1, agent_id="a", hostname="h", seq=2)), Event)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seq": "seven"},
        {"seq": 2**63},
        {"title": None},
        {"title": 3},
        {"title": "\ud800"},
        {"labels": [1]},
        {"data": "é"},
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_an_encode_error_with_the_record(
    codec: Codec, examples: dict[str, Any], wrong: dict[str, Any]
):
    with pytest.raises(EncodeError, match=r"Event does not fit its schema: .*the record: Event\("):
        codec.encode(replace(examples["Event"], **wrong))


def test_an_enum_symbol_that_does_not_exist_is_an_encode_error(codec: Codec, examples: dict[str, Any]):
    with pytest.raises(EncodeError, match="burning"):
        codec.encode(replace(examples["AlertTransition"], state="burning"))


def test_what_is_no_record_of_a_topic_is_an_encode_error(codec: Codec):
    with pytest.raises(
        EncodeError, match="dict is not a record of any topic; there are: Actuals, AgentCommand, AgentState"
    ):
        codec.encode({"a": 1})


def test_optional_bytes_may_be_absent(codec: Codec, examples: dict[str, Any]):
    record: DeadLetter = replace(examples["DeadLetter"], key=None, value=None)
    assert codec.decode(codec.encode(record), DeadLetter) == record


class OneSchemaRegistry(PackagedRegistry):
    """The packaged schemas, and one that some other version of the code wrote with."""

    def __init__(self, other: dict[str, Any]) -> None:
        self.other = json.dumps(other)

    def schema(self, schema_id: int) -> str:
        return self.other if schema_id == 77 else super().schema(schema_id)


def written_by(schema: dict[str, Any], datum: dict[str, Any]) -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    fastavro.schemaless_writer(buffer, parse(json.dumps(schema)), datum)
    return b"\0" + (77).to_bytes(4, "big") + buffer.getvalue()


def plain_datum(record: Any) -> Any:
    if is_dataclass(record):
        return {field.name: plain_datum(getattr(record, field.name)) for field in fields(record)}
    return record


def test_an_enum_symbol_of_a_newer_writer_is_read_as_the_default(examples: dict[str, Any]):
    newer = json.loads(packaged.current("AlertTransition").text)
    state = next(field for field in newer["fields"] if field["name"] == "state")
    state["type"]["symbols"].append("smouldering")
    datum = plain_datum(examples["AlertTransition"]) | {"state": "smouldering"}
    record = Codec(OneSchemaRegistry(newer)).decode(written_by(newer, datum), AlertTransition)
    assert record.state is AlertState.UNKNOWN
    assert record.previous_state is AlertState.SILENCED


def test_a_field_of_a_newer_writer_is_left_out(examples: dict[str, Any]):
    newer = json.loads(packaged.current("Heartbeat").text)
    newer["fields"].insert(1, {"name": "mood", "type": "string", "default": ""})
    data = written_by(newer, plain_datum(examples["Heartbeat"]) | {"mood": "fine"})
    assert Codec(OneSchemaRegistry(newer)).decode(data) == examples["Heartbeat"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "record", "name": "Elsewhere", "fields": []},
        {"type": "record", "name": "Heartbeat", "fields": [{"name": "now_ms", "type": "nonsense"}]},
        {"type": "record", "name": "Heartbeat", "fields": []},
        {"type": "enum", "name": "Heartbeat", "symbols": ["a"]},
        "string",
        ["null", "string"],
    ],
    ids=str,
)
def test_a_schema_that_is_no_version_of_ours_is_poison(schema: Any):
    with pytest.raises(DecodeError):
        Codec(OneSchemaRegistry(schema)).decode(b"\0" + (77).to_bytes(4, "big") + b"\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class _OneField:
    text: str


def test_a_record_may_have_one_field():
    assert to_avro(_OneField)(_OneField(text="a")) == {"text": "a"}
