"""A file of KPI points or outcomes as a person hands it in: CSV or Parquet, and the words that say how it is written."""

from __future__ import annotations

import time
import zoneinfo
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.operations.errors import KpiFileError
from parallelm.operations.kpis.file import read_kpi_file
from parallelm.operations.kpis.format import AmbiguousTimes, KpiFileFormat, NonexistentTimes, latest_ms
from parallelm.operations.kpis.frames import PARQUET_MAGIC, parquet_columns, read_kpi_parquet
from parallelm.operations.kpis.rows import csv_columns
from parallelm.operations.kpis.text import decode
from parallelm.operations.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.operations.kpis.file import KpiFile

_DELIMITERS = {"tab": "\t", "\\t": "\t", "space": " "}
_NO_DELIMITERS = frozenset({"\r", "\n", '"'})


def format_of(
    *,
    timezone: str = "UTC",
    allow_future: bool = False,
    delimiter: str = "",
    ambiguous: str = AmbiguousTimes.REFUSE.value,
    nonexistent: str = NonexistentTimes.REFUSE.value,
    **written: Any,
) -> KpiFileFormat:
    """The format that these words say; ``written`` are other fields of it, None as if not given. Raises ``KpiFileError``."""
    delimiter = _DELIMITERS.get(delimiter, delimiter)
    if len(delimiter) > 1 or delimiter in _NO_DELIMITERS:
        raise KpiFileError(f"the delimiter is {delimiter!r}; it must be one character, or tab")
    try:
        zone = zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise KpiFileError(f"unknown time zone {timezone!r}; give one such as Europe/Berlin") from None
    try:
        choices: dict[str, Any] = {
            "ambiguous": AmbiguousTimes(ambiguous),
            "nonexistent": NonexistentTimes(nonexistent),
        }
    except ValueError as error:
        raise KpiFileError(f"local times that clocks show twice or skip: {error}") from None
    return KpiFileFormat(
        delimiter=delimiter,
        timezone=zone,
        latest_ms=latest_ms(time.time_ns() // 1_000_000, allow_future=allow_future),
        **choices,
        **{name: value for name, value in written.items() if value is not None},
    )


@dataclass(frozen=True, slots=True)
class PointsFile:
    """A file that somebody hands in, and what is in it."""

    name: str
    data: bytes
    said: Mapping[str, Any]
    """How it is written, in the words of ``format_of``."""
    skip_bad: bool
    found: KpiFile


def read_points_of(data: bytes, wanted: KpiFileFormat) -> KpiFile:
    """The points in a file, and every mistake with its place. Raises ``KpiFileError`` when it cannot be read as a whole."""
    return (read_kpi_parquet if data.startswith(PARQUET_MAGIC) else read_kpi_file)(data, wanted)


def refusal_of(found: KpiFile, way_out: str) -> str:
    """Why a file with bad lines was not taken; ``way_out`` is what its sender says to have the good ones taken."""
    good = len(found.points)
    hint = f" ({way_out} uploads the {'good one' if good == 1 else f'{good} good ones'})" if good else ""
    return f"{counted(found.bad_lines, 'bad line')}: nothing was uploaded{hint}"


def columns_of(data: bytes, wanted: KpiFileFormat) -> list[str]:
    """Names of a file's columns as they stand there; raises ``KpiFileError``."""
    if data.startswith(PARQUET_MAGIC):
        return parquet_columns(data)
    return csv_columns(decode(data, wanted.encoding), wanted)
