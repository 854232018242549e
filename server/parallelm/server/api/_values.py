"""Values in answers: times are UTC in ISO 8601, numbers that JSON cannot hold are texts, what is missing is null."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from parallelm.operations.json_values import is_missing, plain, read_json
from parallelm.schemas.times import TimeError, range_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

Model = TypeVar("Model", bound=BaseModel)
_NON_FINITE = ["NaN", "Infinity", "-Infinity"]


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


Number = Annotated[
    float,
    PlainSerializer(_number, return_type=float | str),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "enum": _NON_FINITE}]}),
]
"""A number; NaN and infinities as texts."""


def _moment(value: Any) -> Any:
    if isinstance(value, datetime):
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        return value.astimezone(UTC)
    return value


def _time_text(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    PlainSerializer(_time_text, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-06-01T08:00:00.000Z"]}),
]
"""A time with milliseconds, in UTC."""


def _moment_of_ms(value: Any) -> Any:
    return moment_of(value) if isinstance(value, int) else value


EventTime = Annotated[
    Moment,
    BeforeValidator(_moment_of_ms),
    Field(validation_alias=AliasChoices("event_time_ms", "event_time")),
]
"""The event time of a transition, which has it in milliseconds."""


def _is_time(text: str) -> str:
    try:
        range_ms(text, None)
    except TimeError as error:
        raise ValueError(str(error)) from None
    return text


AskedTime = Annotated[
    str,
    AfterValidator(_is_time),
    Field(
        description="A date or a time in ISO 8601; without a zone it is UTC.",
        examples=["2026-06-01", "2026-06-01T08:00:00Z"],
        max_length=64,
    ),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "A date or a time in ISO 8601; without a zone it is UTC.",
            "examples": ["2026-06-01T08:00:00Z"],
        }
    ),
]
"""A time in a question."""
Name = Annotated[str, Field(min_length=1, max_length=500)]
"""An id or a name in a question."""


class Answer(BaseModel):
    """Base of what is answered."""

    model_config = ConfigDict(
        from_attributes=True, json_schema_serialization_defaults_required=True, use_attribute_docstrings=True
    )


def rows(found: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as dicts, NULL as None."""
    return [
        {str(name): None if is_missing(value) else value for name, value in row.items()}
        for row in found.to_dict("records")
    ]


def answers(model: type[Model], found: Iterable[Any]) -> list[Model]:
    """Each as the model says."""
    return [model.model_validate(each) for each in found]


def from_json(text: str) -> Any:
    """A value that is stored as JSON; a text that is none stays one."""
    try:
        return read_json(text)
    except ValueError:
        return text


def of_payload(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose ``data`` is decoded as its content type says, with numbers that JSON cannot hold as texts."""
    data = row["data"]
    if "json" in row["content_type"] and isinstance(data, str):
        data = from_json(data)
    return {**row, "data": plain(data)}


def moment_of(at_ms: int | None) -> datetime | None:
    """Of milliseconds since 1970."""
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)
