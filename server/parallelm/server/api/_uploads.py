"""Files with points, as they are sent: how they are written, and their mistakes with their places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import Body, Depends, Query

from parallelm.operations.kpis import (
    KpiFile,
    KpiFileFormat,
    columns_of,
    format_of,
    read_points_of,
    refusal_of,
)
from parallelm.server.api._values import Answer
from parallelm.server.problems import ApiProblemError

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES: Final = 100_000_000
"""Of a file with points, which is read into memory."""
SHOWN_MISTAKES: Final = 100
PointsFile = Annotated[
    bytes,
    Body(
        media_type="text/csv",
        description="A CSV or Parquet file.",
        openapi_examples={"daily": {"value": "kpi,timestamp,value\nrevenue,2026-06-01,1000.5\n"}},
    ),
]


class FileMistake(Answer):
    """One thing wrong with one line."""

    line: int
    column: str
    what: str


@dataclass(frozen=True, slots=True)
class SentFormat:
    """What the one who sends it says of a file; what is not said is detected where only one reading is possible."""

    said: Mapping[str, Any]
    columns: Mapping[str, str]
    skip_bad: bool
    source: str
    """Name of the file, for the history."""
    dry_run: bool

    def of(self, **more: Any) -> KpiFileFormat:
        """The format; ``more`` are fields that only some files have."""
        return format_of(**self.said, **({"columns": dict(self.columns)} | more))


def _sent_format(
    column: Annotated[
        list[Annotated[str, Query(pattern=r"^[^=]+=.+", max_length=1000)]] | None,
        Query(
            max_length=20,
            description="Name of a column in the file: `value=revenue`; repeated.",
            examples=[["timestamp=day"]],
        ),
    ] = None,
    delimiter: Annotated[str, Query(max_length=10)] = "",
    decimal: Annotated[Literal[".", ","] | None, Query()] = None,
    thousands: Annotated[Literal[".", ",", "space", "apostrophe"] | None, Query()] = None,
    date_format: Annotated[str, Query(max_length=100, description="As Python's strptime.")] = "",
    unit: Annotated[
        Literal["s", "ms", "us", "ns", "excel"] | None, Query(description="Of times that are numbers.")
    ] = None,
    timezone: Annotated[str, Query(max_length=100, description="Of times that name none.")] = "UTC",
    ambiguous: Annotated[Literal["refuse", "earlier", "later", "by-order"], Query()] = "refuse",
    nonexistent: Annotated[Literal["refuse", "forward", "backward"], Query()] = "refuse",
    encoding: Annotated[str, Query(max_length=50)] = "",
    allow_future: Annotated[bool, Query(description="Accept times more than a day ahead.")] = False,
    skip_bad: Annotated[bool, Query(description="Take the good lines and leave out the bad ones.")] = False,
    source: Annotated[
        str, Query(max_length=500, description="Name of the file, for the history.")
    ] = "upload",
    dry_run: Annotated[
        bool, Query(description="Say what is in the file and what would be sent; send nothing.")
    ] = False,
) -> SentFormat:
    said = {
        "delimiter": delimiter,
        "decimal": decimal,
        "thousands": thousands,
        "date_format": date_format,
        "unit": unit,
        "timezone": timezone,
        "ambiguous": ambiguous,
        "nonexistent": nonexistent,
        "encoding": encoding,
        "allow_future": allow_future,
    }
    columns = dict(each.split("=", 1) for each in column or ())
    return SentFormat(said, columns, skip_bad, source, dry_run)


Sent = Annotated[SentFormat, Depends(_sent_format)]
"""Parameter of a handler."""


def read_sent(data: bytes, wanted: KpiFileFormat) -> tuple[list[str], KpiFile]:
    """Columns and points of a file."""
    return columns_of(data, wanted), read_points_of(data, wanted)


def refuse_bad_lines(found: KpiFile, *, skip_bad: bool) -> None:
    """422 with every mistake and its place."""
    if found.bad_lines and not skip_bad:
        raise ApiProblemError(
            422,
            "bad-lines",
            refusal_of(found, "skip_bad=true"),
            errors=[
                {"where": f"column {each.column}", "message": each.what, "line": each.line}
                for each in found.mistakes[:SHOWN_MISTAKES]
            ],
        )


def mistakes_of(found: KpiFile) -> list[FileMistake]:
    """The first ones."""
    return [FileMistake.model_validate(each) for each in found.mistakes[:SHOWN_MISTAKES]]
