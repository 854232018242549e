"""One page of a result: the rows after the last one that somebody has seen, so that new rows move nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyset:
    """A page of a result whose rows differ in their columns ``order``, none of which may be NULL."""

    order: tuple[str, ...]
    descending: bool = False
    after: tuple[Any, ...] | None = None
    """Values of these columns in the last row of the page before; None for the first page."""
    limit: int = 100

    @property
    def places(self) -> str:
        """Columns of its order that say where a record stood on Kafka, for the end of a SELECT that leaves them out."""
        return "".join(f", {column}" for column in self.order if column.startswith("_"))

    def of(self, query: str) -> tuple[str, dict[str, Any]]:
        """``query`` limited to the page, and the parameters for it."""
        parameters: dict[str, Any] = {"page_limit": self.limit}
        places = [self._place(number, value, parameters) for number, value in enumerate(self.after or ())]
        sign, direction = ("<", " DESC") if self.descending else (">", "")
        columns = ", ".join(self.order)
        where = f"WHERE ({columns}) {sign} ({', '.join(places)})" if places else ""
        by = ", ".join(f"{column}{direction}" for column in self.order)
        text = f"SELECT * FROM ({query}) {where} ORDER BY {by} LIMIT %(page_limit)s"  # noqa: S608 - our own names; values are parameters
        return text, parameters

    @staticmethod
    def _place(number: int, value: Any, parameters: dict[str, Any]) -> str:
        name = f"page_after_{number}"
        if isinstance(value, datetime):
            parameters[name] = round(value.timestamp() * 1000)
            return f"fromUnixTimestamp64Milli(toInt64(%({name})s), 'UTC')"
        parameters[name] = value
        return f"%({name})s"
