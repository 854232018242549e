"""What every mapping of an MLApp file shares: the base class of its form, and the types of its fields."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from parallelm.definitions.durations import format_duration, parse_duration
from parallelm.definitions.identifiers import IDENTIFIER, LONGEST_IDENTIFIER


def _check_file_name(value: str) -> str:
    if value in {".", ".."} or "/" in value or "\0" in value:
        raise ValueError(
            f"{value!r} names a file in the run's folder: it is not '.' or '..', and has no '/' in it"
        )
    return value


Name = Annotated[str, Field(min_length=1, max_length=200)]
Identifier = Annotated[str, Field(max_length=LONGEST_IDENTIFIER, pattern=IDENTIFIER)]
FileName = Annotated[Name, AfterValidator(_check_file_name)]
"""Of a file in a folder of its own."""
DurationMs = Annotated[
    int, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str, when_used="json")
]
"""Milliseconds; in JSON as in the file, so that a form is read back from its JSON."""
PositiveDurationMs = Annotated[DurationMs, Field(gt=0)]
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Form(BaseModel):
    """A mapping of the file: only declared keys, no conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
