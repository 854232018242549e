"""Results of any size as columns, a block at a time: neither side holds all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clickhouse_driver.result import IterQueryResult

from parallelm.connections.clickhouse import clickhouse_client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.connections import Settings

BLOCK_ROWS = 32_768
_PATIENCE_S = 3600.0
"""A sort of many rows goes over the server's disk, and says nothing meanwhile."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a result."""

    names: Sequence[str]
    kinds: Sequence[str]
    """ClickHouse's types of the columns."""
    columns: Sequence[Sequence[Any]]

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.columns[0]) if self.columns else 0


class _Blocks(IterQueryResult):  # type: ignore[misc]  # clickhouse_driver has no types
    def __next__(self) -> list[Block]:
        block = getattr(next(self.packet_generator), "block", None)
        if block is None or not block.num_rows:
            return []
        names, kinds = zip(*block.columns_with_types, strict=True)
        return [Block(names, kinds, block.get_columns())]


def blocks(
    settings: Settings,
    query: str,
    parameters: Mapping[str, Any],
    *,
    as_bytes: bool = False,
    rows: int = BLOCK_ROWS,
) -> Iterator[Block]:
    """Blocks of at most so many rows; with ``as_bytes`` texts as they are stored. Raises the driver's errors."""
    client = clickhouse_client(
        settings.clickhouse,
        send_receive_timeout=_PATIENCE_S,
        settings={"max_block_size": rows, "strings_as_bytes": as_bytes},
    )
    client.iter_query_result_cls = _Blocks
    try:
        yield from client.execute_iter(query, parameters)
    finally:
        client.disconnect()
