"""Dataclasses to JSON and back, with the type of every value checked: what the control plane tells agents.

Agents are to take little memory, and pydantic and its forms take 12 MB of it. What people write is read by forms, once, before.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from typing import Any, Self

from parallelm.definitions.errors import SpecificationError

_IN_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
    list: "a list",
    dict: "a mapping",
}


class Specification:
    """Base of such a dataclass. Its fields are texts, numbers, true or false, literals, lists, mappings and others like it."""

    __slots__ = ()

    @classmethod
    def of(cls, table: Any) -> Self:
        """What ``table`` says, as JSON has it; raises ``SpecificationError``."""
        found: Self = _read(cls, table, "")
        return found

    @classmethod
    def of_json(cls, text: str | bytes) -> Self:
        """What a JSON text says; raises ``SpecificationError``."""
        try:
            table = json.loads(text)
        except ValueError as error:
            raise SpecificationError(f"it is no JSON: {error}") from error
        return cls.of(table)

    def table(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        return dataclasses.asdict(self)  # type: ignore[call-overload,no-any-return]

    def json(self) -> str:
        """What is not as by default, as JSON; ``of_json`` reads it."""
        return json.dumps(_told(self), separators=(",", ":"))


def _told(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_told(each) for each in value]
    if not dataclasses.is_dataclass(value):
        return value
    told = ((field, getattr(value, field.name)) for field in dataclasses.fields(value))
    return {field.name: _told(each) for field, each in told if each != _default_of(field)}


def _default_of(field: dataclasses.Field[Any]) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


_hints_of = functools.cache(typing.get_type_hints)


def _read(hint: Any, value: Any, place: str) -> Any:
    """``value`` as what ``hint`` says."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _made(typing.cast("type", hint), value, place)
    if origin in {types.UnionType, typing.Union}:
        return _read(_alternative(arguments, value), value, place)
    if origin is typing.Literal:
        if value not in arguments:
            raise _mistake(place, f"must be one of {', '.join(map(str, arguments))}", value)
        return value
    return _plain(origin or hint, arguments, value, place)


def _plain(kind: Any, of: tuple[Any, ...], value: Any, place: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise _mistake(place, f"must be {_IN_WORDS[kind]}", value)
    if kind is list:
        return [_read(of[0], each, f"{place}.{at}") for at, each in enumerate(value)]
    if kind is dict:
        return {key: _read(of[1], each, f"{place}.{key}") for key, each in value.items()}
    return value


def _alternative(hints: tuple[Any, ...], value: Any) -> Any:
    """Which of several types is meant: that of the value, else the first."""
    fitting = (hint for hint in hints if (typing.get_origin(hint) or hint) is type(value))
    return next(fitting, hints[0])


def _made(kind: type, value: Any, place: str) -> Any:
    if type(value) is not dict:
        raise _mistake(place, "must be a mapping", value)
    hints, before = _hints_of(kind), f"{place}." if place else ""
    if unknown := value.keys() - hints.keys():
        names = ", ".join(f"{before}{name}" for name in sorted(unknown))
        raise SpecificationError(f"{names}: unknown here; the control plane may be of a later version")
    given = {name: _read(hints[name], each, f"{before}{name}") for name, each in value.items()}
    try:
        return kind(**given)
    except TypeError as error:
        missing = [
            field.name for field in dataclasses.fields(kind) if field.name not in given and _is_needed(field)
        ]
        raise SpecificationError(f"{', '.join(f'{before}{name}' for name in missing)}: missing") from error


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _mistake(place: str, must: str, value: Any) -> SpecificationError:
    return SpecificationError(f"{place or 'it'} {must}, and is {json.dumps(value)[:200]}")
