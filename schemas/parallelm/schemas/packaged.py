"""The schemas packaged with the code: ``avro/*.avsc`` and their earlier versions in ``avro/history``.

Each version of each record has a permanent id, made of the record's position in the topic catalogue and its version.
To change a schema, copy the ``.avsc`` to ``avro/history/<Record>.<version>.avsc`` first; the version after it is then
the current one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from parallelm.schemas.topics import CATALOGUE

RESERVED_IDS = range(2_000_000_001, 2_000_100_000)
"""Ids of packaged schemas. Registries count from 1, so the two never collide."""

_IDS_OF_ONE_RECORD = 1_000
_FOLDER = Path(__file__).parent / "avro"

_RECORDS = tuple(dict.fromkeys(topic.record.__name__ for topic in CATALOGUE))
"""The catalogue is append-only, because a record's ids depend on its position in it."""


@dataclass(frozen=True, slots=True)
class PackagedSchema:
    """One version of one record's schema."""

    record: str
    version: int
    """From 1."""
    text: str
    """The ``.avsc`` as it is, JSON."""

    @property
    def schema_id(self) -> int:
        """Id on the wire, the same in every release."""
        return RESERVED_IDS.start - 1 + _RECORDS.index(self.record) * _IDS_OF_ONE_RECORD + self.version


@cache
def versions(record: str) -> tuple[PackagedSchema, ...]:
    """All versions of a record's schema, oldest first; the last is the one that is written."""
    history = sorted(
        (int(path.name.split(".")[1]), path) for path in (_FOLDER / "history").glob(f"{record}.*.avsc")
    )
    numbered = [*history, (len(history) + 1, _FOLDER / f"{record}.avsc")]
    return tuple(
        PackagedSchema(record, version, path.read_text(encoding="utf-8")) for version, path in numbered
    )


def current(record: str) -> PackagedSchema:
    """The version that this code writes."""
    return versions(record)[-1]


@cache
def by_id() -> dict[int, PackagedSchema]:
    """Every packaged schema by its id."""
    return {schema.schema_id: schema for record in _RECORDS for schema in versions(record)}
