"""Where the next page of a list begins: the last row of the page before, in its address as ``after``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote, unquote, urlencode

from fastapi import Query

from parallelm.server.problems import ApiProblemError
from parallelm.warehouse.queries import Keyset

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST: Final = 2**63 - 1
After = Annotated[str, Query(max_length=2000)]
"""Parameter of a handler; empty on the first page."""


def number_of(text: str) -> int:
    """A whole number that a column can hold; raises ``ValueError``."""
    if not 0 <= (found := int(text)) <= _LARGEST:
        raise ValueError(text)
    return found


@dataclass(frozen=True, slots=True)
class ListOrder:
    """By which columns a list is ordered, the latest first, and how many rows a page has."""

    columns: Mapping[str, Callable[[str], Any]]
    """Names, and how a value is read from an address: ``moment_of``, ``str`` or ``number_of``."""
    shown: int

    def keyset(self, after: str) -> Keyset:
        """For the query, which asks for a row more than the page has; answers 422 for what no page has written."""
        place = self._place(after) if after else None
        return Keyset(order=tuple(self.columns), descending=True, after=place, limit=self.shown + 1)

    def page_of(self, request: Request, found: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
        """The rows of the page, and the address of the next one; empty when there is none."""
        page = list(found[: self.shown])
        if len(found) <= self.shown:
            return page, ""
        after = "|".join(_written(page[-1][name]) for name in self.columns)
        kept = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
        return page, "?" + urlencode([*kept, ("after", after)])

    def _place(self, after: str) -> tuple[Any, ...]:
        try:
            parts = zip(self.columns.values(), after.split("|"), strict=True)
            return tuple(read(unquote(part)) for read, part in parts)
        except ValueError:
            raise ApiProblemError(
                422,
                "invalid-request",
                f"the address goes on after {after!r}, which no page has written: leave it out",
            ) from None


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        value = (value - _EPOCH) // timedelta(milliseconds=1)
    return quote(str(value), safe="")
