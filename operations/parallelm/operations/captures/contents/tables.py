"""Every table of a capture as one Parquet file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from parallelm.operations.captures.contents.parquet import (
    TableWriter,
    arrow_batch,
    arrow_column,
    schema_of,
)
from parallelm.schemas.captures.names import table_member
from parallelm.warehouse.queries.captures import (
    SAMPLE_COLUMNS,
    capture_columns,
    capture_rows,
    capture_samples,
    capture_series,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parallelm.connections import Settings
    from parallelm.operations.captures.contents.tar_writer import CaptureWriter
    from parallelm.warehouse.queries._blocks import Block
    from parallelm.warehouse.queries.captures import CaptureRange, CaptureTable

STATISTICS = "statistics"
_SHARED = (
    "name",
    "node_id",
    "model_id",
    "labels",
    "agent_id",
    "pipeline_instance_id",
    "category",
    "graph_type",
)
"""What all samples of a series have in common."""


def write_table(
    settings: Settings,
    writer: CaptureWriter,
    table: CaptureTable,
    chosen: CaptureRange,
    on_rows: Callable[[int], None],
) -> int:
    """Write a table's rows; returns how many. ``on_rows`` is told of each block."""
    schema = schema_of(capture_columns(settings, table.name))
    with writer.member(table_member(table.name)) as member:
        out = TableWriter(member.file, schema)
        for block in capture_rows(settings, table, chosen):
            out.write(arrow_batch(block, schema))
            on_rows(block.rows)
        out.close()
        member.rows = out.rows
    return out.rows


def write_statistics(
    settings: Settings,
    writer: CaptureWriter,
    chosen: CaptureRange,
    series: Sequence[dict[str, Any]],
    on_rows: Callable[[int], None],
) -> int:
    """Write the samples; their texts come from ``series``, as ``capture_series`` returns them."""
    schema = schema_of(capture_columns(settings, STATISTICS))
    with writer.member(table_member(STATISTICS)) as member:
        out = TableWriter(member.file, schema)
        known = _Series(schema, series)
        for block in capture_samples(settings, chosen):
            if missing := known.missing(block):  # reported in between, of a time in between
                known = _Series(schema, [*known.rows, *capture_series(settings, chosen, missing)])
            out.write(known.batch(block, chosen.mlapp_id))
            on_rows(block.rows)
        out.close()
        member.rows = out.rows
    return out.rows


class _Series:
    """Texts and labels of the series, to be taken by number."""

    def __init__(self, schema: Any, rows: Sequence[dict[str, Any]]) -> None:
        self.rows = sorted(rows, key=lambda row: row["series"])
        self._schema = schema
        self._numbers = np.array([row["series"] for row in self.rows], dtype=np.uint64)
        self._shared = {
            name: arrow_column([row[name] for row in self.rows], schema.field(name).type) for name in _SHARED
        }

    def missing(self, block: Block) -> list[int]:
        """Numbers in a block that are not known."""
        wanted = np.unique(np.array(block.columns[0], dtype=np.uint64))
        return [int(number) for number in np.setdiff1d(wanted, self._numbers)]

    def batch(self, block: Block, mlapp_id: str) -> Any:
        """A block of samples as rows of the table."""
        values = dict(zip(SAMPLE_COLUMNS, block.columns, strict=True))
        places = pa.array(np.searchsorted(self._numbers, np.array(values["series"], dtype=np.uint64)))
        arrays = []
        for field in self._schema:
            if field.name == "mlapp_id":
                arrays.append(pa.repeat(pa.scalar(mlapp_id), block.rows))
            elif field.name in self._shared:
                arrays.append(self._shared[field.name].take(places))
            else:
                arrays.append(arrow_column(values[field.name], field.type))
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)
