"""How large a Parquet file becomes when it is read: a few bytes of one can stand for gigabytes.

A text that comes again and again is in the file once. Read with ``read_dictionary=packed_columns(…)`` it is so in memory, too,
and ``unpacked_bytes`` tells what it would become.
"""

from __future__ import annotations

from typing import Any, Final

_CELL_BYTES: Final = 8
_LONGEST_FIXED_BYTES: Final = 32
"""Of values of a fixed length, which cannot be read packed: decimal numbers and UUIDs are shorter."""


def packed_columns(file: Any) -> list[str]:
    """Columns of a ``ParquetFile`` that can be read packed; raises ``ValueError`` for one that could grow all the same."""
    found = []
    for number in range(len(file.schema)):
        column = file.schema.column(number)
        if column.physical_type == "BYTE_ARRAY":
            found.append(column.path)
        elif column.physical_type == "FIXED_LEN_BYTE_ARRAY" and column.length > _LONGEST_FIXED_BYTES:
            raise ValueError(f"column {column.path!r} has values of {column.length} bytes each")
    return found


def value_count(group: Any) -> int:
    """Values of a row group by the file's own word, those in lists and mappings one by one."""
    return sum(group.column(number).num_values for number in range(group.num_columns))


def unpacked_bytes(array: Any) -> int:
    """Memory of an Arrow array that has been read packed, once it is unpacked; about."""
    import pyarrow as pa
    from pyarrow import compute

    if pa.types.is_dictionary(array.type):
        lengths = compute.binary_length(array.dictionary).take(array.indices)
        return len(array) * _CELL_BYTES + int(compute.sum(lengths).as_py() or 0)
    if pa.types.is_struct(array.type):
        return sum(map(unpacked_bytes, array.flatten()))
    if pa.types.is_map(array.type):
        first, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        parts = (part.slice(first, end - first) for part in (array.keys, array.items))
        return len(array) * _CELL_BYTES + sum(map(unpacked_bytes, parts))
    if pa.types.is_nested(array.type):
        return len(array) * _CELL_BYTES + unpacked_bytes(array.flatten())
    return int(array.nbytes)
