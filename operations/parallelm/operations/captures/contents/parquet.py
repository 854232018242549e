"""Rows of the warehouse as Parquet, a block at a time."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import parquet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.warehouse.queries._blocks import Block

ROWS_A_GROUP = 65_536
_BYTES_A_GROUP = 16 << 20
_WRAPPED = re.compile(r"(LowCardinality|Nullable|Array|SimpleAggregateFunction)\((.*)\)$", re.DOTALL)
_MAP = re.compile(r"Map\((.*), (.*)\)$")
_SIMPLE = {
    "String": pa.string(),
    "Bool": pa.bool_(),
    "Float64": pa.float64(),
    "Int32": pa.int32(),
    "Int64": pa.int64(),
    "UInt8": pa.uint8(),
    "UInt32": pa.uint32(),
    "UInt64": pa.uint64(),
}
TIME = pa.timestamp("ms", tz="UTC")
BINARY = "data"
"""Column of payloads, which need not be text."""


def arrow_type(name: str, kind: str) -> Any:
    """Type of a column of ClickHouse's type ``kind`` in Parquet."""
    if name == BINARY:
        return pa.binary()
    if kind.startswith("DateTime64"):
        return TIME
    if found := _WRAPPED.match(kind):
        inner = arrow_type("", found[2])
        return pa.list_(inner) if found[1] == "Array" else inner
    if found := _MAP.match(kind):
        return pa.map_(arrow_type("", found[1]), arrow_type("", found[2]))
    return _SIMPLE[kind]


def schema_of(columns: Sequence[tuple[str, str]]) -> Any:
    """Arrow schema of columns, given as name and ClickHouse's type."""
    return pa.schema([(name, arrow_type(name, kind)) for name, kind in columns])


def arrow_column(values: Sequence[Any], kind: Any) -> Any:
    """Values of the driver as an Arrow array: times are epoch milliseconds, maps are dicts, payloads text or bytes."""
    if pa.types.is_map(kind):
        return pa.array([list(value.items()) for value in values], kind)
    if pa.types.is_binary(kind):
        return pa.array([value.encode() if isinstance(value, str) else value for value in values], kind)
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    if pa.types.is_list(kind) and pa.types.is_timestamp(kind.value_type):
        return pa.array(values, pa.list_(pa.int64())).cast(kind)
    return pa.array(values, kind)


def arrow_batch(block: Block, schema: Any) -> Any:
    """A block as an Arrow batch."""
    arrays = [arrow_column(values, field.type) for values, field in zip(block.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


class TableWriter:
    """Writes a Parquet file in row groups of bounded size."""

    def __init__(self, file: IO[bytes], schema: Any) -> None:
        self._writer = parquet.ParquetWriter(file, schema, compression="zstd", write_statistics=True)
        self._schema = schema
        self._waiting: list[Any] = []
        self.rows = 0

    def write(self, batch: Any) -> None:
        """Write rows; they wait until there are enough for a group."""
        self._waiting.append(batch)
        self.rows += batch.num_rows
        if (
            sum(each.num_rows for each in self._waiting) >= ROWS_A_GROUP
            or sum(each.nbytes for each in self._waiting) >= _BYTES_A_GROUP
        ):
            self._flush()

    def close(self) -> None:
        """Write what waits, and the end of the file."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
            self._waiting.clear()
