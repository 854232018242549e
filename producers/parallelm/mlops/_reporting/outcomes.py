"""Predictions, and the outcomes that become known later: ``predictions`` and ``actuals`` check them and pass them on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from parallelm.mlops._outputs.output import ActualsReport, PredictionsReport
from parallelm.mlops._reporting.reporter import report_time_ns
from parallelm.mlops._session.event_time import parse_time_ns
from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException, SuppressException
from parallelm.mlops.stats._callers_values import quoted, refusing, type_name
from parallelm.mlops.stats._values import LARGEST_EXACT_INTEGER, items, nested, number, shown, string
from parallelm.schemas.well_known import (
    CLASS_PREDICTION,
    NUMBER_PREDICTION,
    PREDICTION_KINDS,
    SCORE_PREDICTION,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from parallelm.connections.settings import ComponentSettings
    from parallelm.mlops._session.session import Session

_ROWS_A_RECORD = 5_000
_BYTES_A_RECORD = 500_000
_MAX_CHARACTER_BYTES = 4
_LONGEST_ID = 1_000
_ROW_BYTES = 24
"""Time, number and lengths of the texts."""


@refusing
class Outcomes:
    """The calls about predictions and outcomes. They raise ``MLOpsException`` for wrong arguments."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @SuppressException([MLOpsConnectionException])
    def predictions(
        self,
        ids: Any,
        values: Any,
        features: Any,
        outcome: str,
        kind: str | None,
        model: Any,
        timestamp: Any,
        units: str | None,
    ) -> None:
        """``mlops.predictions``."""
        output = self._session.output()
        if output is None:
            return
        opened = self._session.opened()
        names = [_id(each) for each in items(ids, "ids")]
        given = _of_length(_one_column(values), "values", len(names))
        kind = _kind(kind, given)
        times_ns = _times_ns(timestamp, units, len(names))
        is_class = kind == CLASS_PREDICTION
        numbers = [] if is_class else [_number(value, kind) for value in given]
        classes = [_text(value, "a class") for value in given] if is_class else []
        columns = _features(features, len(names))
        settings = opened.settings.component if opened.settings else None
        share, columns = _as_configured(settings, columns)
        chosen = [index for index, name in enumerate(names) if is_sampled(name, share)]
        sizes = [
            _ROW_BYTES
            + _MAX_CHARACTER_BYTES
            * (len(names[index]) + sum(len(column[index]) for column in columns.values()))
            + (_MAX_CHARACTER_BYTES * len(classes[index]) if is_class else 0)
            for index in chosen
        ]
        in_use = opened.models.current if model is None else model
        for rows in _records(chosen, sizes):
            report = PredictionsReport(
                outcome=_outcome(outcome),
                kind=kind,
                model_id=_model_id(in_use),
                sampled_share=share,
                ids=[names[index] for index in rows],
                times_ns=[times_ns[index] for index in rows],
                values=[numbers[index] for index in rows] if numbers else [],
                classes=[classes[index] for index in rows] if classes else [],
                features={name: [column[index] for index in rows] for name, column in columns.items()},
            )
            output.predictions(report)

    @SuppressException([MLOpsConnectionException])
    def actuals(self, ids: Any, outcomes: Any, outcome: str, timestamp: Any, units: str | None) -> None:
        """``mlops.actuals``."""
        output = self._session.output()
        if output is None:
            return
        names = [_id(each) for each in items(ids, "ids")]
        values = [_text(value, "an outcome") for value in _of_length(outcomes, "outcomes", len(names))]
        times_ns = _times_ns(timestamp, units, len(names))
        sizes = [
            _ROW_BYTES + _MAX_CHARACTER_BYTES * (len(name) + len(value))
            for name, value in zip(names, values, strict=True)
        ]
        for rows in _records(range(len(names)), sizes):
            report = ActualsReport(
                outcome=_outcome(outcome),
                ids=[names[index] for index in rows],
                times_ns=[times_ns[index] for index in rows],
                values=[values[index] for index in rows],
            )
            output.actuals(report)


def is_sampled(prediction_id: str, share: float) -> bool:
    """Whether a prediction is among the ``share`` that is reported: by its id alone, the same in every process."""
    if share >= 1.0:
        return True
    from hashlib import blake2b  # importing it with the library costs programs that do not sample

    digest = blake2b(prediction_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest) < share * 2**64


def _records(rows: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    """The rows in parts that fit into one record each."""
    part: list[int] = []
    part_bytes = 0
    for row, size in zip(rows, sizes, strict=True):
        if part and (len(part) == _ROWS_A_RECORD or part_bytes + size > _BYTES_A_RECORD):
            yield part
            part, part_bytes = [], 0
        part.append(row)
        part_bytes += size
    if part:
        yield part


def _id(value: Any) -> str:
    """Ids in files and databases are texts or whole numbers, and must be found again exactly as they were reported."""
    if _is_missing(value):
        raise MLOpsException(f"an id is {quoted(value)}: an outcome could not be found again")
    if type_name(value) == "UUID":  # importing it costs programs that have none
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int.__int__(value))  # exactly, however large
    text = string(value, "an id") if isinstance(value, str) else _whole(value)
    if not text:
        raise MLOpsException("an id is empty: an outcome could not be found again")
    if len(text) > _LONGEST_ID:
        raise MLOpsException(f"an id has {len(text)} characters; it may have {_LONGEST_ID}: {quoted(text)}")
    return text


def _whole(value: Any) -> str:
    """A whole number of another type, such as a column of a frame has when other ids are missing."""
    if type_name(value) not in {"float", "float64", "float32"} and not hasattr(value, "dtype"):
        raise MLOpsException(
            f"an id is of type {type_name(value)}; ids are texts, whole numbers or UUIDs: give str(id)"
        )
    plain = number(value, "an id")
    if not float(plain).is_integer() or abs(plain) > LARGEST_EXACT_INTEGER:
        raise MLOpsException(
            f"an id is {plain!r}, which is no exact whole number; ids are texts, whole numbers or UUIDs"
        )
    return str(int(plain))


def _is_missing(value: Any) -> bool:
    """None, NaN, and pandas' NaT and NA, which the library does not import."""
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or type_name(value) in {"NaTType", "NAType"}
    )


def _text(value: Any, what: str) -> str:
    """A text as it is; of numbers the shortest form, so that 7 and 7.0 are the same class; true is 1."""
    if _is_missing(value):
        raise MLOpsException(f"{what} is {quoted(value)}; leave it out until it is known")
    if isinstance(value, str):
        text = string(value, what)
        if not text:
            raise MLOpsException(f"{what} is empty; leave it out until it is known")
        return text
    return _shortest(number(value, what))


def _shortest(plain: float) -> str:
    return str(int(plain)) if isinstance(plain, int) or plain.is_integer() else repr(plain)


def _one_column(values: Any) -> Any:
    """Values without the second dimension that a frame of one column and some libraries' predictions have."""
    shape = getattr(values, "shape", ())
    if not isinstance(shape, tuple) or len(shape) != 2:  # noqa: PLR2004 - rows and columns
        return values
    if shape[1] != 1:
        raise MLOpsException(
            f"values have {shape[1]} columns, and a prediction is one value: of the probabilities of two classes give "
            'the second column with kind="score", of more classes the names of the likeliest'
        )
    rows = values.to_numpy() if hasattr(values, "to_numpy") else values
    return [row[0] for row in nested(rows, "values")]


def _of_length(values: Any, what: str, count: int) -> list[Any]:
    found = items(values, what)
    if len(found) != count:
        raise MLOpsException(f"there are {count} ids and {len(found)} {what}")
    return found


def _kind(kind: str | None, values: Sequence[Any]) -> str:
    if kind is None:
        is_class = bool(values) and all(isinstance(value, (str, bool)) for value in values)
        return CLASS_PREDICTION if is_class else NUMBER_PREDICTION
    if not isinstance(kind, str) or kind not in PREDICTION_KINDS:
        raise MLOpsException(f"kind must be one of {', '.join(PREDICTION_KINDS)}, not {quoted(kind)}")
    return kind


def _number(value: Any, kind: str) -> float:
    found = float(number(value, "a predicted value"))
    if kind == SCORE_PREDICTION and not 0.0 <= found <= 1.0:
        raise MLOpsException(f"a score is {found}; it must be a probability from 0 to 1")
    return found


def _outcome(outcome: Any) -> str:
    found = string(outcome, "the name of the outcome")
    if not found:
        raise MLOpsException("the name of the outcome is empty")
    return found


def _model_id(model: Any) -> str:
    from parallelm.mlops.models.model import Model

    if model is None:
        return ""
    return model.get_id() if isinstance(model, Model) else string(model, "model, if it is no Model,")


def _times_ns(timestamp: Any, units: str | None, count: int) -> list[int]:
    """Event times: one for each, or one for all."""
    is_array = isinstance(timestamp, (list, tuple)) or getattr(timestamp, "shape", ()) != ()
    if not is_array:
        return [report_time_ns(timestamp, units)] * count
    values = list(timestamp) if not isinstance(timestamp, (list, tuple)) else timestamp
    if len(values) != count:
        raise MLOpsException(f"there are {count} ids and {len(values)} timestamps")
    return [parse_time_ns(each, units) for each in values]


def _features(features: Any, count: int) -> dict[str, list[str]]:
    """Columns of a frame, or of a dict of lists, as text."""
    if features is None:
        return {}
    if not hasattr(features, "items"):
        raise MLOpsException(f"features must be a frame or a dict of lists, not {type_name(features)}")
    found: dict[str, list[str]] = {}
    for name, column in features.items():
        text = shown(name, "a feature's name")
        if text in found:
            raise MLOpsException(f"the feature {quoted(text)} is given twice")
        found[text] = [
            _feature(each, text) for each in _of_length(column, f"values of {quoted(text)}", count)
        ]
    return found


def _feature(value: Any, name: str) -> str:
    if _is_missing(value):
        return ""
    if isinstance(value, (bool, int, float)):
        plain = number(value, f"feature {quoted(name)}")
        return repr(plain) if isinstance(plain, float) and not math.isfinite(plain) else _shortest(plain)
    return shown(value, f"feature {quoted(name)}")


def _as_configured(
    settings: ComponentSettings | None, columns: dict[str, list[str]]
) -> tuple[float, dict[str, list[str]]]:
    """Sampled share, and the columns without those to leave out, the ones to hash hashed."""
    if settings is None:
        return 1.0, columns
    left_out, hashed = _names(settings.predictions_leave_out), _names(settings.predictions_hash)
    key = settings.predictions_hash_key.encode()[:64]
    made = {
        name: [_hashed(value, key) for value in column] if name in hashed else column
        for name, column in columns.items()
        if name not in left_out
    }
    return settings.predictions_share, made


def _names(setting: str) -> set[str]:
    return {name.strip() for name in setting.split(",")} - {""}


def _hashed(value: str, key: bytes) -> str:
    from hashlib import blake2b  # as above

    return blake2b(value.encode(), digest_size=8, key=key).hexdigest() if value else ""
