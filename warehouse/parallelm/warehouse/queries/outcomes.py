"""What is known of given ids: their newest outcomes, and which of them were predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._frames import fetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from parallelm.connections import Settings

_BYTES_A_QUESTION = 100_000
"""Of the ids in one statement: servers take 256 KB, and an id may be written twice as long as it is."""


def newest_outcomes(
    settings: Settings, mlapp_id: str, outcome: str, ids: Iterable[str]
) -> dict[str, tuple[int, str]]:
    """Time (epoch milliseconds) and outcome, by id, of the newest revision of each id that has any."""
    query = """
        SELECT prediction_id, toUnixTimestamp64Milli(event_time), actual FROM actuals
        WHERE mlapp_id = %(mlapp_id)s AND outcome = %(outcome)s AND prediction_id IN %(ids)s
        ORDER BY ingested_at DESC, _partition DESC, _offset DESC, _index DESC
        LIMIT 1 BY prediction_id
    """
    return {
        name: (at_ms, actual)
        for columns in _asked(settings, query, mlapp_id, outcome, ids)
        for name, at_ms, actual in zip(*columns[:3], strict=True)
    }


def predicted_ids(settings: Settings, mlapp_id: str, outcome: str, ids: Iterable[str]) -> set[str]:
    """Those of the ids that have a prediction."""
    query = """
        SELECT DISTINCT prediction_id FROM predictions
        WHERE mlapp_id = %(mlapp_id)s AND outcome = %(outcome)s AND prediction_id IN %(ids)s
    """
    return {name for columns in _asked(settings, query, mlapp_id, outcome, ids) for name in columns[0]}


def _asked(
    settings: Settings, query: str, mlapp_id: str, outcome: str, ids: Iterable[str]
) -> Iterator[Sequence[Sequence[Any]]]:
    for part in _parts(ids):
        columns, _ = fetch(settings, query, {"mlapp_id": mlapp_id, "outcome": outcome, "ids": part})
        yield columns


def _parts(ids: Iterable[str]) -> Iterator[tuple[str, ...]]:
    part: list[str] = []
    size = 0
    for name in ids:
        length = len(name.encode()) + 4
        if part and size + length > _BYTES_A_QUESTION:
            yield tuple(part)
            part, size = [], 0
        part.append(name)
        size += length
    if part:
        yield tuple(part)
