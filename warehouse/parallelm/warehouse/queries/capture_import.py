"""Which rows of a capture are in the tables already, and where their records are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.warehouse.queries._frames import fetch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parallelm.connections import Settings

Place = tuple[str, int, int]
"""Topic, partition and offset of a record."""


def stored_rows(
    settings: Settings,
    table: str,
    mlapp_id: str,
    identity: Sequence[str],
    wanted: Sequence[tuple[Any, ...]],
) -> Iterator[tuple[tuple[Any, ...], Place]]:
    """Identities of those ``wanted`` that are stored, with the place of the record of each. Times are epoch milliseconds."""
    first, *others = identity
    columns = ", ".join(_plain(name) for name in identity)
    values = tuple({each[0] for each in wanted})
    limits, parameters = _limits(others, [each[1:] for each in wanted])
    found, _ = fetch(
        settings,
        f"""
        SELECT DISTINCT {columns}, _topic, _partition, _offset FROM {table}
        WHERE mlapp_id = %(mlapp_id)s AND {first} IN %(first)s {limits}
        """,  # noqa: S608 - made of our own names; values are parameters
        {"mlapp_id": mlapp_id, "first": values} | parameters,
    )
    for row in zip(*found, strict=True):
        yield row[: len(identity)], row[len(identity) :]


def _limits(names: Sequence[str], values: Sequence[tuple[Any, ...]]) -> tuple[str, dict[str, int]]:
    """Conditions that leave out what cannot be wanted, so that less is read."""
    clauses: list[str] = []
    parameters: dict[str, int] = {}
    for number, name in enumerate(names):
        of_column = [each[number] for each in values]
        clauses.append(f"AND {_plain(name)} BETWEEN %({name}_least)s AND %({name}_most)s")
        parameters |= {f"{name}_least": min(of_column), f"{name}_most": max(of_column)}
    return " ".join(clauses), parameters


def _plain(name: str) -> str:
    return f"toUnixTimestamp64Milli({name})" if name == "event_time" else name
