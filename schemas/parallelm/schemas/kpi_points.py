"""How many KPI points fit into one record: their labels may have any length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.schemas.wire import MAX_RECORD_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from parallelm.schemas.records import KpiPoint

_POINT_BYTES = 128
"""Largest size of a point without its texts: time, value, lengths of the texts and of a few labels."""
_MAX_CHARACTER_BYTES = 4
"""Largest size of a character in UTF-8."""


def points_of_one_record(points: Iterable[KpiPoint]) -> Iterator[KpiPoint]:
    """The first of ``points`` that fit into one record, one at least."""
    size = 0
    for count, point in enumerate(points):
        labels = sum(len(key) + len(value) for key, value in point.labels.items())
        size += _POINT_BYTES + _MAX_CHARACTER_BYTES * (len(point.name) + len(point.model_id) + labels)
        if count and size > MAX_RECORD_BYTES:
            return
        yield point
