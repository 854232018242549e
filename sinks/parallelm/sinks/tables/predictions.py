"""``mlops.predictions``: one row a prediction."""

from __future__ import annotations

from dataclasses import dataclass

from parallelm.schemas import records, topics
from parallelm.schemas.well_known import PREDICTION_KINDS
from parallelm.sinks.columns import columns_of
from parallelm.sinks.errors import InvalidRecordError
from parallelm.sinks.record_rows import TableSpec


@dataclass(frozen=True, slots=True)
class _Prediction:
    prediction_id: str
    event_time_ms: int
    value: float
    predicted_class: str
    features: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Row:
    report: records.Predictions
    prediction: _Prediction


def check(report: records.Predictions) -> None:
    """Raise ``InvalidRecordError`` when the arrays differ in length, or kind or share are none that exist."""
    count = len(report.ids)
    lengths = {"timestamps_ms": len(report.timestamps_ms)}
    lengths |= {f"feature {name!r}": len(values) for name, values in report.features.items()}
    lengths["classes" if report.kind == "class" else "values"] = len(_predicted(report))
    for what, length in lengths.items():
        if length != count:
            raise InvalidRecordError(f"there are {count} ids and {length} {what}")
    if report.kind not in PREDICTION_KINDS:
        raise InvalidRecordError(f"kind is {report.kind!r}; it must be one of {', '.join(PREDICTION_KINDS)}")
    if not 0.0 < report.sampled_share <= 1.0:
        raise InvalidRecordError(f"sampled_share is {report.sampled_share}; it must be above 0 and at most 1")


def _predicted(report: records.Predictions) -> list[float] | list[str]:
    return list(report.classes) if report.kind == "class" else list(report.values)


def _rows(report: records.Predictions) -> list[_Row]:
    count = len(report.ids)
    values = [float("nan")] * count if report.kind == "class" else report.values
    classes = report.classes if report.kind == "class" else [""] * count
    names = sorted(report.features)
    columns = [report.features[name] for name in names]
    # A missing value of a feature is no entry of the map.
    features: list[dict[str, str]] = [
        {name: value for name, value in zip(names, each, strict=True) if value}
        for each in (zip(*columns, strict=True) if columns else [()] * count)
    ]
    rows = zip(report.ids, report.timestamps_ms, values, classes, features, strict=True)
    return [_Row(report, _Prediction(*row)) for row in rows]


TABLE = TableSpec(
    topics.PREDICTIONS,
    table="predictions",
    columns=columns_of(
        records.Predictions,
        "report",
        leave_out=["ids", "timestamps_ms", "values", "classes", "features"],
    )
    | columns_of(_Prediction, "prediction"),
    sources=_rows,
    check=check,
    numbered=True,
)
