"""Rows of a capture's Parquet files, record by record."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import parquet

from parallelm.operations.errors import CaptureError
from parallelm.operations.parquet_size import packed_columns, unpacked_bytes, value_count
from parallelm.schemas.captures.names import table_member

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from parallelm.operations.captures.importing.records import Row
    from parallelm.schemas.captures import CaptureManifest

_ROWS_A_BATCH = 8_192
_MOST_ROWS_A_GROUP = 4_000_000
_MOST_BYTES_A_GROUP = 2 << 30
_MOST_VALUES_A_GROUP = 200_000_000
_MOST_BYTES_A_BATCH = 512 << 20
_PLACE = ("_topic", "_partition", "_offset")


def row_count(manifest: CaptureManifest, table: str) -> int:
    """Rows of a table as the manifest has them; 0 when there is no such table."""
    member = manifest.member(table_member(table))
    return member.rows if member is not None else 0


def rows_by_record(folder: Path, manifest: CaptureManifest, table: str) -> Iterator[list[Row]]:
    """Rows of a table, those that came with one record together, in their order.

    Raises ``CaptureError`` naming the member when it is not the table that the manifest says.
    """
    name = table_member(table)
    if manifest.member(name) is None:
        return
    try:
        with parquet.ParquetFile(folder / name) as file:
            _check(file.metadata, row_count(manifest, table))
            packed, schema = packed_columns(file), file.schema_arrow
        with parquet.ParquetFile(folder / name, read_dictionary=packed) as file:
            for _, rows in groupby(
                _rows(file, schema), key=lambda row: tuple(row[column] for column in _PLACE)
            ):
                yield list(rows)
    except (pa.ArrowException, OSError, KeyError, ValueError, OverflowError) as error:
        raise CaptureError(f"member {name!r} cannot be read: {type(error).__name__}: {error}") from error


def not_a_row(table: str, error: Exception) -> CaptureError:
    """What to raise when a row has not what rows of this table have."""
    reason = f"no column {error}" if isinstance(error, KeyError) else str(error)
    return CaptureError(f"member {table_member(table)!r} has a row that cannot be a record: {reason}")


def _check(metadata: Any, rows: int) -> None:
    if metadata.num_rows != rows:
        raise ValueError(f"it has {metadata.num_rows} rows, the manifest says {rows}")
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        values = value_count(group)
        if (
            group.num_rows > _MOST_ROWS_A_GROUP
            or values > _MOST_VALUES_A_GROUP
            or group.total_byte_size > _MOST_BYTES_A_GROUP
        ):
            raise ValueError(
                f"row group {number} has {group.num_rows} rows, {values} values and {group.total_byte_size} bytes unpacked, "
                "which is too much"
            )


def _rows(file: Any, schema: Any) -> Iterator[Row]:
    for batch in file.iter_batches(batch_size=_ROWS_A_BATCH):
        unpacked = sum(map(unpacked_bytes, batch.columns))
        if unpacked > _MOST_BYTES_A_BATCH:
            raise ValueError(
                f"{batch.num_rows} of its rows have {unpacked} bytes unpacked, which is too much"
            )
        names: Sequence[str] = batch.schema.names
        # Values of packed columns would be read fifty times as slowly.
        columns = [
            _values(column.cast(kind)) for column, kind in zip(batch.columns, schema.types, strict=True)
        ]
        for values in zip(*columns, strict=True):
            yield dict(zip(names, values, strict=True))


def _values(column: Any) -> list[Any]:
    """Values of a column; times as epoch milliseconds, which costs less than datetimes."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    found: list[Any] = column.to_pylist()
    return found
