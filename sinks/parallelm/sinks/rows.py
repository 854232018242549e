"""What a block's records become: columns for one insert, and the records that cannot become rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.sinks.blocks import ConsumedRecord
    from parallelm.sinks.native import NativeBlock


@dataclass(frozen=True, slots=True)
class Source:
    """Where a block's records come from: the lineage of its rows."""

    topic: str
    topic_id: str
    partition: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot become a row, and why."""

    record: ConsumedRecord
    stage: str
    """``decode`` or ``validate``."""
    error: Exception


@dataclass(slots=True, kw_only=True)
class Rows:
    """One insert, column by column, and what was left out of it."""

    table: str
    """Table in which they are found."""
    into: str = ""
    """Table to insert into when it is another one, behind which a view fills ``table``."""
    columns: Sequence[str]
    data: Sequence[Sequence[Any]] | NativeBlock
    """Columns as the driver takes them, or as the server does; nothing when there is no row."""
    stored_rows: int
    """Rows in ``table`` when all is well."""
    record_count: int
    """How many of the records these are, counted from the first; the others do not fit and come with the next block."""
    rejected: list[Rejected] = field(default_factory=list)
    replaceable: bool = False
    """True when ``table`` drops rows that a later record repeats."""


class RowMaker(Protocol):
    """Makes rows of the records of one topic."""

    def rows(self, records: Sequence[ConsumedRecord], source: Source) -> Rows:
        """Rows of a block: of all the records, or of as many as fit one insert. They depend on nothing but the arguments.

        Raises ``parallelm.schemas`` errors other than ``DecodeError`` when a schema is not available now.
        """
