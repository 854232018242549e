"""The packaged schemas: they say what each field means, and the typed records say the same."""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any

import pytest

from parallelm.schemas import packaged
from parallelm.schemas.topics import (
    AGENT,
    CATALOGUE,
    CONTROL_PARTITIONS,
    MLAPP,
    NOTIFICATION,
    ORIGIN,
    SILENCE,
    SOURCE_TOPIC,
    STATE,
    by_name,
)

RECORDS = list(dict.fromkeys(topic.record for topic in CATALOGUE))
PLAIN = {str: "string", bytes: "bytes", bool: "boolean", float: "double", int: "long"}


def named_types(schema: Any) -> dict[str, Any]:
    if isinstance(schema, list):
        return {name: found for branch in schema for name, found in named_types(branch).items()}
    if not isinstance(schema, dict):
        return {}
    found = {schema["name"]: schema} if "name" in schema else {}
    for inner in (schema.get("items"), schema.get("values"), *schema.get("fields", [])):
        found |= named_types(inner["type"] if isinstance(inner, dict) and "doc" in inner else inner)
    return found


def assert_same(hint: Any, schema: Any, types: dict[str, Any], path: str) -> None:
    """The annotation ``hint`` and the Avro ``schema`` mean the same values."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    schema = types.get(schema, schema) if isinstance(schema, str) else schema
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        assert schema["name"] == hint.__name__, path  # type: ignore[union-attr]
        assert schema["doc"] == hint.__doc__, path
        assert [field["name"] for field in schema["fields"]] == [field.name for field in fields(hint)], path
        for field in schema["fields"]:
            assert_same(hints[field["name"]], field["type"], types, f"{path}.{field['name']}")
    elif origin is Sequence:
        assert schema["type"] == "array", path
        assert_same(arguments[0], schema["items"], types, f"{path}[]")
    elif origin is Mapping:
        assert schema["type"] == "map", path
        assert_same(arguments[1], schema["values"], types, f"{path}{{}}")
    elif arguments:
        assert schema == ["null", PLAIN[arguments[0]]], path
    elif issubclass(hint, StrEnum):
        assert schema["symbols"] == [symbol.value for symbol in hint], path
        assert schema["default"] in schema["symbols"], path
        assert schema["name"] == hint.__name__, path
    else:
        kind = schema["type"] if isinstance(schema, dict) else schema
        assert kind in ({"int", "long"} if hint is int else {PLAIN[hint]}), path


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_the_typed_record_has_the_names_order_types_and_words_of_its_schema(record: type):
    schema = json.loads(packaged.current(record.__name__).text)
    assert_same(record, schema, named_types(schema), record.__name__)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_record_enum_and_field_is_documented(record: type):
    for name, schema in named_types(json.loads(packaged.current(record.__name__).text)).items():
        assert schema.get("doc", "").endswith("."), name
        for field in schema.get("fields", []):
            assert field.get("doc", "").strip(), f"{name}.{field['name']}"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_times_are_marked_as_milliseconds_for_outside_clients(record: type):
    for schema in named_types(json.loads(packaged.current(record.__name__).text)).values():
        for field in schema.get("fields", []):
            if field["name"].endswith(("time_ms", "_at_ms", "timestamp_ms", "now_ms", "since_ms")):
                assert field["type"] == {"type": "long", "logicalType": "timestamp-millis"}, field["name"]


def test_each_schema_file_belongs_to_a_topic():
    names = sorted(path.stem for path in (packaged._FOLDER).glob("*.avsc"))
    assert names == sorted(record.__name__ for record in RECORDS)


def test_ids_are_unique_and_outside_the_range_that_registries_use():
    ids = list(packaged.by_id())
    assert len(ids) == len(set(ids)) >= len(RECORDS)
    assert all(schema_id in packaged.RESERVED_IDS for schema_id in ids)
    assert (
        packaged.current("StatisticsBatch").schema_id - packaged.current("StatisticsBatch").version
        == 2_000_000_000
    )


def test_control_topics_share_one_partition_count():
    assert {topic.partitions for topic in CATALOGUE if topic.control} == {CONTROL_PARTITIONS}


def test_a_topic_is_found_with_and_without_prefix_and_an_unknown_one_tells_the_names():
    assert by_name("events") is by_name("x.events", "x.")
    with pytest.raises(KeyError, match=r"unknown topic 'nope'; there are: x\.statistics, "):
        by_name("nope", "x.")


def test_every_topic_says_the_key_of_its_records(examples: dict[str, Any]):
    keys = {topic.name: topic.key(examples[topic.record.__name__]).decode() for topic in CATALOGUE}
    origin = "mlapp_id →/node_id →/pipeline_instance_id →/agent_id →"
    expected = {
        ORIGIN: origin,
        MLAPP: "mlapp_id →",
        AGENT: "agent_id →",
        SOURCE_TOPIC: "source_topic →",
        SILENCE: "silence_id →",
        NOTIFICATION: "notification_id →",
        STATE: json.dumps(["kind →", "mlapp_id →", "name →"]),
    }
    assert keys == {topic.name: expected[topic.keyed_by] for topic in CATALOGUE}
    assert all(keys[topic.name] == "mlapp_id →" for topic in CATALOGUE if topic.control)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_what_is_marked_as_a_time_is_named_as_one(record: type):
    for schema in named_types(json.loads(packaged.current(record.__name__).text)).values():
        for field in schema.get("fields", []):
            if field["type"] == {"type": "long", "logicalType": "timestamp-millis"}:
                assert field["name"].endswith(("time_ms", "_at_ms", "timestamp_ms", "now_ms", "since_ms"))
