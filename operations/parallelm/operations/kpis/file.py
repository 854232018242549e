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
MOST_MISTAKES = 1_000
"""So many of a file are told with their places; the others are counted."""

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
    """By line, the first ``MOST_MISTAKES``."""
    mistake_count: int = 0
    """With those that are not among ``mistakes``."""
    bad_lines: int = 0
    repeated: int = 0
    """Lines that repeat a point of the file; the last one counts."""


class _Found:
    """Mistakes that are looked for in the order of lines."""

    def __init__(self) -> None:
        self.first: list[Mistake] = []
        self.count = 0

    def add(self, line: int, column: str, what: object) -> None:
        """Count one; ``what`` becomes a text if it is told."""
        self.count += 1
        if len(self.first) < MOST_MISTAKES:
            self.first.append(Mistake(line, column, str(what)))


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where in a row each cell stands."""

    header: Sequence[str]
    kpi: int
    timestamp: int
    value: int
    labels: Sequence[tuple[str, int]]
    """By name."""

    @classmethod
    def of(cls, header: Sequence[str]) -> _Columns:
        """Those of a sheet."""
        labels = sorted((name, place) for place, name in enumerate(header) if name not in REQUIRED)
        kpi, timestamp, value = map(header.index, REQUIRED)
        return cls(header, kpi, timestamp, value, labels)


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
    found, mistakes = KpiFile(), _Found()
    rows: list[_Row] = []
    bad: set[int] = set()
    columns = _Columns.of(sheet.header)
    for line, cells in sheet.rows:
        row = _row(line, cells, columns, times, None if wanted.values_are_names else numbers, mistakes)
        if row is None:
            bad.add(line)
        else:
            rows.append(row)
    ways = (mistakes, *_add_points(rows, wanted, found, bad))
    found.mistakes = sorted((each for way in ways for each in way.first), key=lambda mistake: mistake.line)
    del found.mistakes[MOST_MISTAKES:]
    found.mistake_count = sum(way.count for way in ways)
    found.bad_lines = len(bad)
    return found


def _column(sheet: Sheet, name: str) -> list[tuple[int, str]]:
    index = sheet.header.index(name)
    return [(line, cells[index]) for line, cells in sheet.rows if len(cells) == len(sheet.header)]


def _row(
    line: int,
    cells: Sequence[str],
    columns: _Columns,
    times: TimestampReader,
    numbers: NumberFormat | None,
    mistakes: _Found,
) -> _Row | None:
    header = columns.header
    if len(cells) != len(header):
        column = header[min(len(cells), len(header)) - 1]
        mistakes.add(line, column, f"{len(cells)} fields, the header has {len(header)}")
        return None
    kpi, timestamp, written = cells[columns.kpi], cells[columns.timestamp], cells[columns.value]
    if not kpi:
        mistakes.add(line, "kpi", "is empty")
    time: WrittenTime | int | None = None
    value: float | None = None
    try:
        time = times.read(timestamp)
    except ValueError as error:
        mistakes.add(line, "timestamp", error)
    try:
        value = parse_value(written, numbers) if numbers else _name(written)
    except ValueError as error:
        mistakes.add(line, "value", error)
    if not kpi or time is None or value is None:
        return None
    labels = tuple((name, cells[place]) for name, place in columns.labels if cells[place])
    return _Row(line, (kpi, labels), time, timestamp, written, value)


def _name(text: str) -> float:
    if not text:
        raise ValueError("is empty")
    return 0.0


def _add_points(
    rows: Sequence[_Row], wanted: KpiFileFormat, found: KpiFile, bad: set[int]
) -> tuple[_Found, _Found]:
    folds = _folds(rows, wanted) if wanted.ambiguous is AmbiguousTimes.BY_ORDER else {}
    by_identity: dict[tuple[Series, int], list[_Row]] = {}
    times: dict[int, int] = {}
    untimely, doubled = _Found(), _Found()
    for row in rows:
        try:
            times[row.line] = _timestamp_ms(row, wanted, folds.get(row.line))
        except ValueError as error:
            untimely.add(row.line, "timestamp", error)
            continue
        by_identity.setdefault((row.series, times[row.line]), []).append(row)
    collided = [
        (row, same)
        for same in by_identity.values()
        if len(same) > 1
        for row in same
        if _was_chosen(row, wanted)
    ]
    for row, same in sorted(collided, key=lambda each: each[0].line):
        other = next(each for each in same if each is not row)
        what = f"{row.text!r}, as the chosen option reads it, is the same moment as {other.text!r} in line {other.line}"
        doubled.add(row.line, "timestamp", what)
        del times[row.line]
    bad.update(row.line for row in rows if row.line not in times)
    good = [row for row in rows if row.line in times]
    found.points = [_point(row, times[row.line]) for row in good]
    found.written = [row.written for row in good]
    found.repeated = len(good) - len({(row.series, times[row.line]) for row in good})
    return untimely, doubled


def _was_chosen(row: _Row, wanted: KpiFileFormat) -> bool:
    """Whether the option for doubled and missing hours says which moment it is: it may fall onto that of another row."""
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
