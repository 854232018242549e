"""Rows of a capture's tables as the records that they were: the inverse of what sinks do."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from parallelm.schemas import records
from parallelm.schemas.well_known import IMPORTED

_TIMES = ("time_ms", "_at_ms", "timestamp_ms", "since_ms")
"""Endings of fields that hold a time; other fields in milliseconds are durations."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_EMPTY: dict[Any, Any] = {str: "", int: 0, float: 0.0, bool: False, bytes: b""}

Row = Mapping[str, Any]


def record_of(kind: type, row: Row) -> Any:
    """A record of class ``kind`` from the columns of a row; what the tables do not store is empty."""
    return _maker(kind)(row)


def epoch_ms(moment: Any) -> int:
    """Epoch milliseconds of a time."""
    return int((moment - _EPOCH) // _MS) if isinstance(moment, datetime) else int(moment)


@cache
def _maker(kind: type) -> Callable[[Row], Any]:
    """What makes a record of a row: the annotations of its class are read once."""
    hints = typing.get_type_hints(kind)
    getters = [(field.name, _getter(field, hints[field.name])) for field in dataclasses.fields(kind)]
    return lambda row: kind(**{name: get(row) for name, get in getters})


def _getter(field: dataclasses.Field[Any], hint: Any) -> Callable[[Row], Any]:
    name = field.name
    if hint is records.RecordPosition:
        columns = [(each.name, f"{name}_{each.name}") for each in dataclasses.fields(hint)]
        return lambda row: hint(**{part: row[column] for part, column in columns})
    if dataclasses.is_dataclass(hint):
        return _maker(typing.cast("type", hint))
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Sequence and dataclasses.is_dataclass(arguments[0]):
        return lambda row: _nested(name, typing.cast("type", arguments[0]), row)
    is_time = name.endswith(_TIMES)
    column = name.removesuffix("_ms") if is_time else name
    convert = epoch_ms if is_time else _converter(hint)
    missing = _missing(field, hint)
    return lambda row: convert(row[column]) if column in row else missing()


def _converter(hint: Any) -> Callable[[Any], Any]:
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    return dict if typing.get_origin(hint) is Mapping else lambda value: value


def _missing(field: dataclasses.Field[Any], hint: Any) -> Callable[[], Any]:
    """What stands for a column that there is not."""
    if field.default is not dataclasses.MISSING:
        return lambda: field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory
    if typing.get_origin(hint) is Mapping:
        return dict
    empty = () if typing.get_origin(hint) is Sequence else _EMPTY.get(hint)
    return lambda: empty


def _nested(name: str, kind: type, row: Row) -> list[Any]:
    """Records of a Nested column: an array for each of their fields."""
    start = f"{name}."
    columns = {
        column.removeprefix(start): values for column, values in row.items() if column.startswith(start)
    }
    rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    return [record_of(kind, each) for each in rows]


def as_imported(action: records.UserAction, capture_id: str) -> records.UserAction:
    """An action that a capture tells of: who did it is what the file says, and nothing that this installation has checked."""
    said = {"authenticated_by": action.authenticated_by, **action.parameters}
    return dataclasses.replace(action, authenticated_by=IMPORTED, parameters=said, imported_from=capture_id)


def kpi_batch(rows: Sequence[Row]) -> records.KpiBatch:
    """The record whose points these rows are."""
    points = [record_of(records.KpiPoint, {**row, "timestamp": row["event_time"]}) for row in rows]
    batch: records.KpiBatch = record_of(records.KpiBatch, rows[0])
    return dataclasses.replace(batch, points=points)


def predictions(rows: Sequence[Row]) -> records.Predictions:
    """The record whose predictions these rows are; a feature that one of them does not have is missing there."""
    features = [dict(row["features"]) for row in rows]
    names = sorted({name for each in features for name in each})
    is_class = rows[0]["kind"] == "class"
    report: records.Predictions = record_of(records.Predictions, rows[0])
    return dataclasses.replace(
        report,
        ids=[row["prediction_id"] for row in rows],
        timestamps_ms=[epoch_ms(row["event_time"]) for row in rows],
        values=[] if is_class else [row["value"] for row in rows],
        classes=[row["predicted_class"] for row in rows] if is_class else [],
        features={name: [each.get(name, "") for each in features] for name in names},
    )


def actuals(rows: Sequence[Row]) -> records.Actuals:
    """The record whose outcomes these rows are."""
    report: records.Actuals = record_of(records.Actuals, rows[0])
    return dataclasses.replace(
        report,
        ids=[row["prediction_id"] for row in rows],
        timestamps_ms=[epoch_ms(row["event_time"]) for row in rows],
        values=[row["actual"] for row in rows],
    )


def statistics_batch(rows: Sequence[Row]) -> records.StatisticsBatch:
    """The record whose samples these rows are, series by series."""
    series: dict[int, list[Row]] = {}
    for row in rows:
        series.setdefault(row["_series"], []).append(row)
    batch: records.StatisticsBatch = record_of(records.StatisticsBatch, rows[0])
    return dataclasses.replace(batch, series=[_series(of_series) for of_series in series.values()])


def _series(rows: Sequence[Row]) -> records.Series:
    """There are as many as samples when each record has one of a series: so nothing is looked up here."""
    first = rows[0]
    return records.Series(
        name=first["name"],
        model_id=first["model_id"],
        category=first["category"],
        graph_type=first["graph_type"],
        labels=dict(first["labels"]),
        timestamps_ms=[float(epoch_ms(row["event_time"])) for row in rows],
        values=[row["value"] for row in rows],
    )
