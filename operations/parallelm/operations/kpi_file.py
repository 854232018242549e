"""KPI points from a CSV file: every mistake with its line and column, before anything is uploaded."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from parallelm.schemas.records import KpiPoint
from parallelm.schemas.times import MAX_TIME_MS, is_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

REQUIRED = ("kpi", "timestamp", "value")
UNITS_PER_MS = {"s": 0.001, "ms": 1.0, "us": 1_000.0, "ns": 1_000_000.0}

_DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class KpiFileError(Exception):
    """The file as a whole cannot be read as KPI points."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with one line."""

    line: int
    column: str
    what: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimestampRule:
    """How timestamps are written in the file."""

    timezone: tzinfo = UTC
    """Of ISO times that name none."""
    unit: str = ""
    """Of numbers: s, ms, us or ns since 1970; empty: numbers are a mistake."""
    latest_ms: int = MAX_TIME_MS
    """Later ones are a mistake."""


@dataclass(slots=True)
class KpiFile:
    """What a file holds."""

    points: list[KpiPoint] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    bad_lines: int = 0
    repeated: int = 0
    """Points that stand in the file again: the last one holds."""


def read_kpi_file(lines: Iterable[str], rule: TimestampRule) -> KpiFile:
    """Read CSV text with columns ``kpi``, ``timestamp``, ``value``; every other column is a label.

    Raises ``KpiFileError`` when the header is not that of a KPI file or the file is no CSV.
    """
    reader = csv.reader(lines, strict=True)
    try:
        header = _header(next(reader, []))
        found = KpiFile()
        seen: set[tuple[str, int, tuple[tuple[str, str], ...]]] = set()
        before = reader.line_num
        for row in reader:
            line, before = before + 1, reader.line_num
            if row:
                _take(row, line, header, rule, found, seen)
    except csv.Error as error:
        raise KpiFileError(f"line {reader.line_num} is no CSV: {error}") from error
    except UnicodeDecodeError as error:
        raise KpiFileError(f"the file is not UTF-8: {error}") from error
    return found


def _take(
    row: Sequence[str],
    line: int,
    header: Sequence[str],
    rule: TimestampRule,
    found: KpiFile,
    seen: set[tuple[str, int, tuple[tuple[str, str], ...]]],
) -> None:
    point = _point(row, line, header, rule)
    if isinstance(point, list):
        found.mistakes += point
        found.bad_lines += 1
        return
    identity = (point.name, point.timestamp_ms, tuple(point.labels.items()))
    found.repeated += identity in seen
    seen.add(identity)
    found.points.append(point)


def _header(row: Sequence[str]) -> list[str]:
    header = [name.strip().removeprefix("\ufeff") for name in row]
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise KpiFileError(
            f"the first line must name the columns kpi, timestamp, value and labels; it lacks {', '.join(missing)}"
            + (f" and has: {', '.join(header)}" if header else " and the file is empty")
            + ("; columns are separated by commas" if len(header) == 1 else "")
        )
    for number, name in enumerate(header):
        if not name:
            raise KpiFileError(f"column {number + 1} has no name in the first line")
        if name in header[:number]:
            raise KpiFileError(f"column {name!r} stands twice in the first line")
    return header


def _point(
    row: Sequence[str], line: int, header: Sequence[str], rule: TimestampRule
) -> KpiPoint | list[Mistake]:
    if len(row) != len(header):
        return [
            Mistake(
                line,
                header[min(len(row), len(header)) - 1],
                f"{len(row)} fields, the header has {len(header)}",
            )
        ]
    cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
    mistakes = []
    name = cells["kpi"]
    if not name:
        mistakes.append(Mistake(line, "kpi", "is empty"))
    timestamp_ms: int | None = None
    value: float | None = None
    try:
        timestamp_ms = _timestamp_ms(cells["timestamp"], rule)
    except ValueError as error:
        mistakes.append(Mistake(line, "timestamp", str(error)))
    try:
        value = _value(cells["value"])
    except ValueError as error:
        mistakes.append(Mistake(line, "value", str(error)))
    if mistakes or timestamp_ms is None or value is None:
        return mistakes
    labels = {key: cells[key] for key in sorted(header) if key not in REQUIRED and cells[key]}
    return KpiPoint(name=name, labels=labels, timestamp_ms=timestamp_ms, value=value, model_id="")


def _timestamp_ms(text: str, rule: TimestampRule) -> int:
    if not text:
        raise ValueError("is empty")
    try:
        number = float(text)
    except ValueError:
        found = _iso_ms(text, rule.timezone)
    else:
        if not rule.unit:
            raise ValueError(f"{text!r} is a number; say its unit with --unit s, ms, us or ns")
        if not math.isfinite(number):
            raise ValueError(f"{text!r} is no time")
        found = round(number / UNITS_PER_MS[rule.unit])
    if not is_time(found):
        raise ValueError(f"{text!r} is not between 1900 and 2299" + (f" in {rule.unit}" if rule.unit else ""))
    if found > rule.latest_ms:
        raise ValueError(f"{text!r} is in the future; --allow-future takes it all the same")
    return found


def _iso_ms(text: str, timezone: tzinfo) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no ISO 8601 time such as 2013-01-31 or 2013-01-31T12:00:00+01:00"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone)
    # Not by way of float seconds: those are a millisecond short now and then.
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _value(text: str) -> float:
    if not text:
        raise ValueError("is empty")
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None
    if not math.isfinite(value) or "_" in text:
        raise ValueError(f"{text!r} is no finite number")
    return value


def latest_ms(now_ms: int, *, allow_future: bool) -> int:
    """Latest timestamp that is taken: a day ahead, since clocks and time zones differ."""
    return MAX_TIME_MS if allow_future else now_ms + _DAY_MS
