"""Records as dataclasses to the plain dicts and lists that fastavro takes, and back.

A converter is built once for each class from its annotations; a field that is the same on both sides costs nothing.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from operator import attrgetter
from typing import Any

Convert = Callable[[Any], Any]


@cache
def to_avro(kind: type) -> Convert:
    """Function from a record of class ``kind`` to the dict that fastavro writes."""
    names = [field.name for field in fields(kind)]
    first, *others = names
    # Of one name alone attrgetter returns the value, of several a tuple.
    read = attrgetter(*names) if others else lambda record: (getattr(record, first),)
    inner = _field_converters(kind, _value_to_avro)

    def convert(record: Any) -> dict[str, Any]:
        datum = dict(zip(names, read(record), strict=True))
        for name, convert_field in inner:
            datum[name] = convert_field(datum[name])
        return datum

    return convert


@cache
def from_avro(kind: type) -> Convert:
    """Function from the dict that fastavro reads to a record of class ``kind``."""
    inner = _field_converters(kind, _value_from_avro)

    def convert(datum: dict[str, Any]) -> Any:
        for name, convert_field in inner:
            datum[name] = convert_field(datum[name])
        return kind(**datum)

    return convert


def _field_converters(kind: type, make: Callable[[Any], Convert | None]) -> list[tuple[str, Convert]]:
    hints = typing.get_type_hints(kind)
    made = [(field.name, make(hints[field.name])) for field in fields(kind)]
    return [(name, convert) for name, convert in made if convert is not None]


def _value_to_avro(hint: Any) -> Convert | None:
    if is_dataclass(hint):
        return to_avro(typing.cast("type", hint))
    return _container(hint, _value_to_avro)


def _value_from_avro(hint: Any) -> Convert | None:
    if is_dataclass(hint):
        return from_avro(typing.cast("type", hint))
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    return _container(hint, _value_from_avro)


def _container(hint: Any, make: Callable[[Any], Convert | None]) -> Convert | None:
    """Converter of the items of a sequence, a map or an optional value; None when they stay as they are."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin not in {Sequence, Mapping, types.UnionType}:
        return None
    convert = make(arguments[1] if origin is Mapping else arguments[0])
    if convert is None:
        return None
    if origin is Sequence:
        return lambda items: [convert(item) for item in items]
    if origin is Mapping:
        return lambda items: {key: convert(item) for key, item in items.items()}
    return lambda item: None if item is None else convert(item)
