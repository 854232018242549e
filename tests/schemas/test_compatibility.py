"""What a schema's next version may change, on hand-made evolutions, and on all of ours."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.schemas import packaged
from parallelm.schemas.compatibility import check, check_history
from parallelm.schemas.topics import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Callable

BASE: dict[str, Any] = {
    "type": "record",
    "name": "R",
    "namespace": "n",
    "fields": [
        {"name": "a", "type": "int"},
        {"name": "d", "type": "string", "default": ""},
        {"name": "u", "type": ["null", "bytes"]},
        {"name": "m", "type": {"type": "map", "values": "double"}},
        {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["x", "y"], "default": "x"}},
        {"name": "e2", "type": "E"},
        {"name": "hard", "type": {"type": "enum", "name": "Hard", "symbols": ["x"]}},
        {"name": "f", "type": {"type": "fixed", "name": "F", "size": 4}},
        {"name": "t", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {
            "name": "s",
            "type": {
                "type": "array",
                "items": {"type": "record", "name": "S", "fields": [{"name": "v", "type": "double"}]},
            },
        },
    ],
}


def field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in schema["fields"] if entry["name"] == name)


def evolved(change: Callable[[dict[str, Any]], object]) -> str:
    schema = copy.deepcopy(BASE)
    change(schema)
    return json.dumps(schema)


def drop(schema: dict[str, Any], name: str) -> None:
    schema["fields"].remove(field(schema, name))


COMPATIBLE: dict[str, Callable[[dict[str, Any]], object]] = {
    "nothing": lambda _: None,
    "a new field with a default": lambda s: s["fields"].insert(0, {"name": "z", "type": "int", "default": 0}),
    "a field with a default goes": lambda s: drop(s, "d"),
    "other words": lambda s: s.update(doc="new words"),
    "another order of fields": lambda s: s["fields"].append(s["fields"].pop(0)),
    "a new symbol where there is a default": lambda s: field(s, "e")["type"]["symbols"].append("z"),
    "a field gets a default": lambda s: field(s, "a").update(default=0),
    "another field's name for a type defined earlier": lambda s: field(s, "e2").update(type="n.E"),
}
INCOMPATIBLE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a new field without a default": (
        lambda s: s["fields"].append({"name": "z", "type": "int"}),
        r"R\.z: the field is new and has no default",
    ),
    "a field without a default goes": (lambda s: drop(s, "a"), r"R\.a: the field is gone and had no default"),
    "a type is promoted": (
        lambda s: field(s, "a").update(type="long"),
        r"R\.a: its type was int and is long",
    ),
    "a union gets a branch": (
        lambda s: field(s, "u")["type"].append("string"),
        r"R\.u: the union had 2 branches and has 3",
    ),
    "a union loses a branch": (
        lambda s: field(s, "u").update(type=["null"]),
        r"R\.u: the union had 2 branches and has 1",
    ),
    "a union changes a branch": (
        lambda s: field(s, "u").update(type=["null", "string"]),
        r"R\.u: its type was bytes and is string",
    ),
    "a field becomes optional": (
        lambda s: field(s, "a").update(type=["null", "int"]),
        r"R\.a: its type was int and is union",
    ),
    "the values of a map change": (
        lambda s: field(s, "m")["type"].update(values="float"),
        r"R\.m\{\}: its type was double and is float",
    ),
    "a symbol goes": (
        lambda s: field(s, "e")["type"].update(symbols=["x"]),
        r"R\.e: the enum lost y; symbols must not be removed",
    ),
    "a new symbol where there is no default": (
        lambda s: field(s, "hard")["type"]["symbols"].append("z"),
        r"R\.hard: the enum has new symbols \(z\) and had no default",
    ),
    "the default of an enum changes": (
        lambda s: field(s, "e")["type"].update(default="y"),
        r"R\.e: the enum's default was x and is y",
    ),
    "another size": (lambda s: field(s, "f")["type"].update(size=8), r"R\.f: its size was 4 bytes and is 8"),
    "a logical type goes": (
        lambda s: field(s, "t").update(type="long"),
        r"R\.t: its logical type was timestamp-millis and is None",
    ),
    "a logical type changes": (
        lambda s: field(s, "t")["type"].update(logicalType="timestamp-micros"),
        "its logical type was timestamp-millis and is timestamp-micros",
    ),
    "a field deep inside": (
        lambda s: field(s, "s")["type"]["items"]["fields"].append({"name": "w", "type": "int"}),
        r"R\.s\[\]\.w: the field is new",
    ),
    "another name": (lambda s: s.update(name="Q"), r"R: the type was named n\.R and is named n\.Q"),
    "another namespace": (lambda s: s.update(namespace="o"), r"named n\.R and is named o\.R"),
    "a type used by name changes": (
        lambda s: field(s, "e2").update(type={"type": "fixed", "name": "G", "size": 1}),
        r"R\.e2: its type was enum and is fixed",
    ),
}


@pytest.mark.parametrize("change", COMPATIBLE.values(), ids=COMPATIBLE)
def test_a_compatible_change_is_allowed(change: Callable[[dict[str, Any]], object]):
    assert check(json.dumps(BASE), evolved(change)) == []


@pytest.mark.parametrize(("change", "reported"), INCOMPATIBLE.values(), ids=INCOMPATIBLE)
def test_an_incompatible_change_is_reported_with_its_place(
    change: Callable[[dict[str, Any]], object], reported: str
):
    import re

    found = check(json.dumps(BASE), evolved(change))
    assert any(re.search(reported, str(entry)) for entry in found), found


def test_a_version_is_held_against_all_before_it_and_not_only_the_last():
    """A default that comes in one version and lets the field go in the next still breaks the first."""
    versions = [
        json.dumps(BASE),
        evolved(lambda s: field(s, "a").update(default=0)),
        evolved(lambda s: drop(s, "a")),
    ]
    assert check(versions[0], versions[1]) == check(versions[1], versions[2]) == []
    (found,) = check_history(versions)
    assert str(found).startswith("version 3 against 1: R.a: the field is gone and had no default")


@pytest.mark.parametrize("topic", CATALOGUE, ids=lambda topic: topic.record.__name__)
def test_our_schemas_are_compatible_with_all_their_earlier_versions(topic: Any):
    assert check_history([schema.text for schema in packaged.versions(topic.record.__name__)]) == []


def test_earlier_versions_are_found_in_the_history(tmp_path: Any, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "history").mkdir()
    (tmp_path / "Heartbeat.avsc").write_text('"third"')
    (tmp_path / "history" / "Heartbeat.1.avsc").write_text('"first"')
    (tmp_path / "history" / "Heartbeat.2.avsc").write_text('"second"')
    monkeypatch.setattr(packaged, "_FOLDER", tmp_path)
    versions = packaged.versions.__wrapped__("Heartbeat")
    assert [(schema.version, schema.text) for schema in versions] == [
        (1, '"first"'),
        (2, '"second"'),
        (3, '"third"'),
    ]
    assert [schema.schema_id for schema in versions] == [2_000_010_001, 2_000_010_002, 2_000_010_003]
