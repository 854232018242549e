"""The sinks' log for analysts: one row a block, in the table ``ingested_blocks``.

It is inserted after the block's rows and before the end of the block is committed, under the same token: a block that is
written again has its row once, with the time of the first insert.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from parallelm.sinks.errors import DatabaseUnavailableError, InsertRefusedError
from parallelm.sinks.rows import Rows
from parallelm.sinks.statistics_rows import ARRAYS
from parallelm.sinks.tables import TABLES

if TYPE_CHECKING:
    from parallelm.sinks.partition import Block
    from parallelm.sinks.rows import Source
    from parallelm.sinks.writer import Writer

TABLE = "ingested_blocks"
WRITTEN: tuple[str, ...] = (*(table.counted_in for table in TABLES.values()), ARRAYS, TABLE)
"""All tables that sinks insert into."""


def log_block(writer: Writer, source: Source, block: Block) -> None:
    """Insert the row of a block whose rows were inserted just now.

    Raises ``DatabaseUnavailableError`` also when the server refuses it: the block's own rows are stored, so that it must be
    written again as it is, and never be divided.
    """
    try:
        writer.insert(_row(source, block), block.intent.token, block.intent.placement.shard)
    except InsertRefusedError as error:
        raise DatabaseUnavailableError(f"the log of blocks: {error}") from error


def _row(source: Source, block: Block) -> Rows:
    first_ms, last_ms = block.ingested_ms
    now_ms = time.time_ns() // 1_000_000
    row = {
        "table_name": block.rows.table,
        "_topic": source.topic,
        "_topic_id": source.topic_id,
        "_partition": source.partition,
        "first_offset": block.intent.first,
        "last_offset": block.intent.last,
        "records": block.record_count,
        "rows": block.rows.stored_rows,
        "dead_letters": len(block.rows.rejected),
        "first_ingested_at": first_ms,
        "last_ingested_at": last_ms,
        "inserted_at": now_ms,
        "delay_ms": now_ms - first_ms,
    }
    return Rows(
        table=TABLE,
        columns=tuple(row),
        data=[[value] for value in row.values()],
        stored_rows=1,
        record_count=0,
    )
