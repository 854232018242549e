"""Columns of a table, from the fields of the record whose rows it holds.

A field becomes the column of its name. Times lose their ``_ms``, enums are stored as their values, the fields of a
record within a record are columns like its own, those of a position get its name in front (``cause_offset``), and
a list of records becomes a Nested column (``nodes.node_id``). So a new field of a record needs a column in a
migration, and nothing in the sink.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from operator import attrgetter
from typing import Any

from parallelm.schemas.records import RecordPosition

Getter = Callable[[Any], Any]

_TIMES = ("time_ms", "_at_ms", "timestamp_ms", "since_ms")
"""Endings of fields that hold a time; other fields in milliseconds are durations."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of a table, by name."""

    getters: Mapping[str, Getter]
    """What a column takes from a row source."""
    times: tuple[str, ...] = ()
    """Columns that hold times, in epoch milliseconds, one or an array."""

    def __or__(self, other: Columns) -> Columns:
        """All columns of both; those of ``other`` take precedence."""
        times = dict.fromkeys((*self.times, *other.times))
        return Columns(dict(self.getters) | dict(other.getters), tuple(times))


def columns_of(
    record: type, at: str = "", *, leave_out: Sequence[str] = (), names: Mapping[str, str] | None = None
) -> Columns:
    """Columns for the fields of ``record``, which a row source has as its attribute ``at`` (empty: it is the record).

    ``leave_out`` names columns that the table does not have (of a Nested one also all at once), ``names`` maps fields to columns of another name.
    """
    made = _columns(record, at, names or {})
    left_out = {name for name in made.getters if name in leave_out or name.partition(".")[0] in leave_out}
    unknown = set(leave_out) - left_out - {name.partition(".")[0] for name in left_out}
    if unknown:
        raise ValueError(f"{record.__name__} has no columns {', '.join(sorted(unknown))} to leave out")
    stored = {name: getter for name, getter in made.getters.items() if name not in left_out}
    return Columns(stored, tuple(name for name in made.times if name in stored))


def _columns(record: type, at: str, names: Mapping[str, str]) -> Columns:
    hints = typing.get_type_hints(record)
    found = Columns({})
    for field in fields(record):
        path = f"{at}.{field.name}" if at else field.name
        found |= _of_field(hints[field.name], field.name, path, names)
    return found


def _of_field(hint: Any, field: str, path: str, names: Mapping[str, str]) -> Columns:
    if hint is RecordPosition:
        return Columns({f"{field}_{each.name}": attrgetter(f"{path}.{each.name}") for each in fields(hint)})
    if is_dataclass(hint):
        return _columns(typing.cast("type", hint), path, names)
    if typing.get_origin(hint) is Sequence and is_dataclass(item := typing.get_args(hint)[0]):
        return _nested(field, path, _columns(typing.cast("type", item), "", names))
    is_time = field.endswith(_TIMES)
    column = names.get(field) or (field.removesuffix("_ms") if is_time else field)
    is_enum = isinstance(hint, type) and issubclass(hint, StrEnum)
    getter = attrgetter(f"{path}.value" if is_enum else path)
    return Columns({column: getter}, (column,) if is_time else ())


def _nested(field: str, path: str, items: Columns) -> Columns:
    def each(take: Getter) -> Getter:
        take_items = attrgetter(path)
        return lambda source: [take(item) for item in take_items(source)]

    return Columns(
        {f"{field}.{name}": each(take) for name, take in items.getters.items()},
        tuple(f"{field}.{name}" for name in items.times),
    )
