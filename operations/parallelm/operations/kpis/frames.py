"""KPI points from a DataFrame or a Parquet file: its cells become text, which is read as that of a CSV file is."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from parallelm.operations.errors import KpiFileError
from parallelm.operations.kpis.file import KpiFile, read_points
from parallelm.operations.kpis.rows import MOST_ROWS, make_sheet
from parallelm.operations.parquet_size import packed_columns, unpacked_bytes, value_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from parallelm.operations.kpis.format import KpiFileFormat
    from parallelm.operations.kpis.rows import Row

PARQUET_MAGIC = b"PAR1"
"""First bytes of a Parquet file."""
_MOST_BYTES = 1 << 30
_MOST_VALUES = 10 * MOST_ROWS
_AT_A_TIME = 65_536


def read_kpi_parquet(data: bytes, wanted: KpiFileFormat) -> KpiFile:
    """Read a Parquet file with the columns of a KPI file; raises ``KpiFileError`` when it is none."""
    return read_kpi_frame(_frame(data), wanted)


def parquet_columns(data: bytes) -> list[str]:
    """Names of the columns of a Parquet file, those of a column of mappings apart; raises ``KpiFileError``."""
    return list(_columns(_frame(data)))


def _frame(data: bytes) -> pd.DataFrame:
    import pandas as pd

    try:
        _require_readable(data)
        # Whole numbers with gaps stay whole: a label 7 is not 7.0.
        return pd.read_parquet(io.BytesIO(data), engine="pyarrow", dtype_backend="numpy_nullable")
    except KpiFileError:
        raise
    except Exception as error:  # pyarrow has an error for each of a Parquet file's parts
        raise KpiFileError(f"is not a Parquet file that can be read: {error}") from error


def _require_readable(data: bytes) -> None:
    """Raise ``KpiFileError`` for a file that is too large once unpacked, before it is; and the errors of pyarrow."""
    from pyarrow import parquet

    with parquet.ParquetFile(io.BytesIO(data)) as file:
        packed = packed_columns(file)
        _require_at_most(file.metadata.num_rows, MOST_ROWS, "rows")
        groups = map(file.metadata.row_group, range(file.num_row_groups))
        _require_at_most(sum(map(value_count, groups)), _MOST_VALUES, "values")
    size_bytes = 0
    with parquet.ParquetFile(io.BytesIO(data), read_dictionary=packed) as file:
        for batch in file.iter_batches(_AT_A_TIME, use_threads=False):
            size_bytes += sum(map(unpacked_bytes, batch.columns))
            _require_at_most(size_bytes, _MOST_BYTES, "bytes unpacked")


def _require_at_most(found: int, most: int, what: str) -> None:
    if found > most:
        raise KpiFileError(f"has more than {most} {what}: send it in parts")


def read_kpi_frame(frame: pd.DataFrame, wanted: KpiFileFormat) -> KpiFile:
    """Read a frame with columns ``kpi``, ``timestamp``, ``value``; every other column is a label.

    Times with a zone keep it, others are in ``wanted.timezone``. A column of mappings gives a label for each of its keys.
    Mistakes are counted by row, from 1. Raises ``KpiFileError`` as ``read_kpi_file`` does.
    """
    columns = _columns(frame)
    header = list(columns)
    body: list[Row] = [
        (number, [_text(cell) for cell in cells])
        for number, cells in enumerate(zip(*columns.values(), strict=True), 1)
    ]
    value = wanted.columns.get("value", "value")
    if not any(isinstance(cell, str) for cell in columns.get(value, ())):
        # Numbers are written as Python writes them.
        wanted = dataclasses.replace(wanted, decimal=".", thousands="")
    filled = [row for row in body if any(row[1])]
    found = read_points(make_sheet(1, header, filled, wanted, ","), wanted)
    found.mistakes = [dataclasses.replace(each, unit="row") for each in found.mistakes]
    return found


def _columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    for place, name in enumerate(frame.columns):
        cells = frame.iloc[:, place].tolist()
        if any(_pairs(cell) is not None for cell in cells):
            _add(columns, _unfolded(str(name), cells))
        else:
            _add(columns, {str(name): cells})
    return columns


def _add(columns: dict[str, list[Any]], more: Mapping[str, list[Any]]) -> None:
    for name, cells in more.items():
        if name in columns:
            raise KpiFileError(f"column {name!r} appears twice; rename one")
        columns[name] = cells


def _unfolded(name: str, cells: Sequence[Any]) -> dict[str, list[Any]]:
    """A column for each key of a column of mappings."""
    maps = [_pairs(cell) for cell in cells]
    for number, (cell, pairs) in enumerate(zip(cells, maps, strict=True), 1):
        if pairs is None and not _is_missing(cell):
            raise KpiFileError(f"row {number}, column {name!r}: {cell!r} is not a mapping as in other rows")
    keys = sorted({str(key) for pairs in maps if pairs for key in pairs})
    return {key: [(pairs or {}).get(key) for pairs in maps] for key in keys}


def _pairs(cell: Any) -> Mapping[Any, Any] | None:
    """A mapping, or the pairs as which Parquet returns one."""
    if isinstance(cell, Mapping):
        return cell
    if isinstance(cell, list) and all(isinstance(each, tuple) and len(each) == 2 for each in cell):  # noqa: PLR2004 - pairs
        return dict(cell)
    return None


def _is_missing(cell: Any) -> bool:
    import pandas as pd

    return cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and math.isnan(cell))


def _text(cell: Any) -> str:
    import pandas as pd

    if isinstance(cell, str):
        return cell.strip()
    if _is_missing(cell):
        return ""
    if isinstance(cell, pd.Timestamp):
        return cell.floor("us").to_pydatetime().isoformat()
    if isinstance(cell, (datetime, date)):
        return cell.isoformat()
    return repr(cell) if isinstance(cell, float) else str(cell)
