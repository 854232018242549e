"""KPI points from a CSV file: every mistake with its line and column, before anything is uploaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from parallelm.operations.kpis import local_times
from parallelm.operations.kpis.format import REQUIRED, AmbiguousTimes
from parallelm.operations.kpis.numbers import NumberFormat, find_format, parse_value
from parallelm.operations.kpis.rows import read_sheet
from parallelm.operations.kpis.text import decode
from parallelm.operations.kpis.written_times import TimestampReader, WrittenTime
from parallelm.schemas.records import KpiPoint
from parallelm.schemas.times import is_time
from parallelm.schemas.well_known import MAX_YEAR, MIN_YEAR, TIME_BOUNDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.operations.kpis.format import KpiFileFormat
    from parallelm.operations.kpis.rows import Sheet

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS = range(MIN_YEAR, MAX_YEAR + 1)

Series = tuple[str, tuple[tuple[str, str], ...]]
"""Name and labels of a KPI."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with one line."""

    line: int
    column: str
    what: str
    unit: str = "line"
    """What is counted: lines of a file, or rows of a frame."""

    def __str__(self) -> str:
        return f"{self.unit} {self.line}, column {self.column}: {self.what}"


@dataclass(slots=True)
class KpiFile:
    """What a file holds."""

    points: list[KpiPoint] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    """The value of each point as the file writes it."""
    mistakes: list[Mistake] = field(default_factory=list)
    bad_lines: int = 0
    repeated: int = 0
    """Lines that repeat a point of the file; the last one counts."""


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    series: Series
    time: WrittenTime | int
    text: str
    written: str
    value: float


def read_kpi_file(data: bytes, wanted: KpiFileFormat) -> KpiFile:
    """Read CSV text with columns ``kpi``, ``timestamp``, ``value``; every other column is a label.

    Raises ``KpiFileError`` when the file is not a KPI file, or can be read in more than one way.
    """
    return read_points(read_sheet(decode(data, wanted.encoding), wanted), wanted)


def read_points(sheet: Sheet, wanted: KpiFileFormat) -> KpiFile:
    """The points in rows of text, and every mistake with its place."""
    values = [] if wanted.values_are_names else _column(sheet, "value")
    numbers = find_format(values, wanted, sheet.delimiter)
    times = TimestampReader(wanted, numbers, _column(sheet, "timestamp"))
    found = KpiFile()
    rows: list[_Row] = []
    bad: set[int] = set()
    for line, cells in sheet.rows:
        row = _row(line, cells, sheet.header, times, None if wanted.values_are_names else numbers)
        if isinstance(row, _Row):
            rows.append(row)
        else:
            found.mistakes += row
            bad.add(line)
    _add_points(rows, wanted, found, bad)
    found.mistakes.sort(key=lambda mistake: mistake.line)
    found.bad_lines = len(bad)
    return found


def _column(sheet: Sheet, name: str) -> list[tuple[int, str]]:
    index = sheet.header.index(name)
    return [(line, cells[index]) for line, cells in sheet.rows if len(cells) == len(sheet.header)]


def _row(
    line: int,
    cells: Sequence[str],
    header: Sequence[str],
    times: TimestampReader,
    numbers: NumberFormat | None,
) -> _Row | list[Mistake]:
    if len(cells) != len(header):
        column = header[min(len(cells), len(header)) - 1]
        return [Mistake(line, column, f"{len(cells)} fields, the header has {len(header)}")]
    named = dict(zip(header, cells, strict=True))
    mistakes = [] if named["kpi"] else [Mistake(line, "kpi", "is empty")]
    time: WrittenTime | int | None = None
    value: float | None = None
    try:
        time = times.read(named["timestamp"])
    except ValueError as error:
        mistakes.append(Mistake(line, "timestamp", str(error)))
    try:
        value = parse_value(named["value"], numbers) if numbers else _name(named["value"])
    except ValueError as error:
        mistakes.append(Mistake(line, "value", str(error)))
    if mistakes or time is None or value is None:
        return mistakes
    labels = tuple((key, named[key]) for key in sorted(header) if key not in REQUIRED and named[key])
    return _Row(line, (named["kpi"], labels), time, named["timestamp"], named["value"], value)


def _name(text: str) -> float:
    if not text:
        raise ValueError("is empty")
    return 0.0


def _add_points(rows: Sequence[_Row], wanted: KpiFileFormat, found: KpiFile, bad: set[int]) -> None:
    folds = _folds(rows, wanted) if wanted.ambiguous is AmbiguousTimes.BY_ORDER else {}
    by_identity: dict[tuple[Series, int], list[_Row]] = {}
    times: dict[int, int] = {}
    for row in rows:
        try:
            times[row.line] = _timestamp_ms(row, wanted, folds.get(row.line))
        except ValueError as error:
            found.mistakes.append(Mistake(row.line, "timestamp", str(error)))
            continue
        by_identity.setdefault((row.series, times[row.line]), []).append(row)
    for same in by_identity.values():
        for row in _collided(same, wanted):
            other = next(each for each in same if each is not row)
            what = f"{row.text!r}, as the chosen option reads it, is the same moment as {other.text!r} in line {other.line}"
            found.mistakes.append(Mistake(row.line, "timestamp", what))
            del times[row.line]
    bad.update(row.line for row in rows if row.line not in times)
    good = [row for row in rows if row.line in times]
    found.points = [_point(row, times[row.line]) for row in good]
    found.written = [row.written for row in good]
    found.repeated = len(good) - len({(row.series, times[row.line]) for row in good})


def _collided(same: Sequence[_Row], wanted: KpiFileFormat) -> list[_Row]:
    """Rows that fell onto another one's moment only by the option chosen for doubled and missing hours."""
    return [row for row in same if _was_chosen(row, wanted)] if len(same) > 1 else []


def _was_chosen(row: _Row, wanted: KpiFileFormat) -> bool:
    moment = _local(row)
    return moment is not None and local_times.gap(moment, wanted.timezone) != timedelta(0)


def _point(row: _Row, timestamp_ms: int) -> KpiPoint:
    name, labels = row.series
    return KpiPoint(name=name, labels=dict(labels), timestamp_ms=timestamp_ms, value=row.value, model_id="")


def _folds(rows: Sequence[_Row], wanted: KpiFileFormat) -> dict[int, int | str]:
    """By line, which passage through a doubled hour a local time belongs to, or why that is not known."""
    by_series: dict[Series, list[tuple[int, datetime]]] = {}
    for row in rows:
        moment = _local(row)
        if moment is not None and moment.year in _YEARS:
            by_series.setdefault(row.series, []).append((row.line, moment))
    return {
        series[index][0]: fold
        for series in by_series.values()
        for index, fold in local_times.folds_by_order(
            [moment for _, moment in series], wanted.timezone
        ).items()
    }


def _local(row: _Row) -> datetime | None:
    """A time of day that names no offset from UTC."""
    time = row.time
    return None if isinstance(time, int) or time.is_day or time.moment.tzinfo is not None else time.moment


def _timestamp_ms(row: _Row, wanted: KpiFileFormat, fold: int | str | None) -> int:
    found = row.time if isinstance(row.time, int) else _written_ms(row.time, wanted, fold)
    if not is_time(found):
        raise ValueError(f"{row.text!r} is outside the years {TIME_BOUNDS}" + _in_unit(row, wanted))
    if found > wanted.latest_ms:
        raise ValueError(f"{row.text!r} is in the future{_in_unit(row, wanted)}; --allow-future accepts it")
    return found


def _in_unit(row: _Row, wanted: KpiFileFormat) -> str:
    return f" in {wanted.unit}" if isinstance(row.time, int) else ""


def _written_ms(time: WrittenTime, wanted: KpiFileFormat, fold: int | str | None) -> int:
    moment, zone = time.moment, wanted.timezone
    if moment.year not in _YEARS:
        raise ValueError(f"{moment.isoformat(sep=' ')!r} is outside the years {TIME_BOUNDS}")
    if moment.tzinfo is not None:
        utc = moment
    elif time.is_day:
        utc = local_times.start_of_day(moment, zone)
    elif isinstance(fold, int):
        utc = local_times.at_fold(moment, zone, fold)
    elif fold is not None:
        raise ValueError(
            f"{moment} is shown twice by the clocks of {zone}, and --ambiguous by-order cannot decide which it is: "
            f"{fold}; choose with --ambiguous earlier or later"
        )
    else:
        utc = local_times.resolve(moment, zone, wanted.ambiguous, wanted.nonexistent)
    # Not by way of float seconds: those are a millisecond short now and then.
    return (utc - _EPOCH) // timedelta(milliseconds=1)
