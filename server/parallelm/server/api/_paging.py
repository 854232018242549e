"""Lists in pages. A cursor says what the last row was: rows that come meanwhile move nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel

from parallelm.operations.json_values import read_json
from parallelm.server.api._values import Answer, answers
from parallelm.server.problems import ApiProblemError
from parallelm.warehouse.queries import Keyset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item", bound=BaseModel)


class Page(Answer, Generic[Item]):
    """A page of a list."""

    items: list[Item]
    next_cursor: str | None
    """Asks for the next page as ``cursor``; null on the last one."""

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Such as ``AlertPage``."""
        return f"{params[0].__name__}Page"


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Which page is asked for."""

    request: Request
    response: Response
    limit: int
    cursor: str | None

    def keyset(self, *order: str, descending: bool = False) -> Keyset:
        """For the query; it asks for one row more than the page holds."""
        after = None if self.cursor is None else self._after(len(order))
        return Keyset(order=order, descending=descending, after=after, limit=self.limit + 1)

    def answer(
        self,
        model: type[Item],
        keyset: Keyset,
        found: Sequence[dict[str, Any]],
        make: Callable[..., Any] = dict,
    ) -> Page[Item]:
        """The page of these rows, and its ``Link`` header."""
        shown, cursor = found[: self.limit], None
        if len(found) > self.limit:
            cursor = _written(self._digest(), [shown[-1][name] for name in keyset.order])
            query = [pair for pair in self._query() if pair[0] != "cursor"]
            url = self.request.url.replace(query=urlencode([*query, ("cursor", cursor)]))
            self.response.headers["Link"] = f'<{url}>; rel="next"'
        # Not Page[model]: the route's response model says so.
        return Page[Any].model_construct(items=answers(model, map(make, shown)), next_cursor=cursor)

    def page_of(
        self,
        model: type[Item],
        found: Sequence[dict[str, Any]],
        *order: str,
        descending: bool = False,
    ) -> Page[Item]:
        """A page of rows that are all there, ordered as a query would be."""
        keyset = self.keyset(*order, descending=descending)

        def key(row: dict[str, Any]) -> tuple[Any, ...]:
            return tuple(row[name] for name in order)

        ordered = sorted(found, key=key, reverse=descending)
        if keyset.after is not None:
            seen = keyset.after
            ordered = [row for row in ordered if (key(row) < seen if descending else key(row) > seen)]
        return self.answer(model, keyset, ordered[: keyset.limit])

    def _query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.request.url.query, keep_blank_values=True)

    def _digest(self) -> str:
        """Of the list that is asked for: a cursor of another one has no meaning."""
        filters = sorted(pair for pair in self._query() if pair[0] not in {"cursor", "limit"})
        text = json.dumps([self.request.url.path, filters])
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def _after(self, length: int) -> tuple[Any, ...]:
        digest, values = _read(self.cursor or "")
        if len(values) != length:
            raise _invalid("it is none of this server's")
        if digest != self._digest():
            raise _invalid("it belongs to a list with other filters")
        return tuple(values)


def _page_query(
    request: Request,
    response: Response,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most items of a page.")] = 100,
    cursor: Annotated[
        str | None, Query(max_length=2000, description="`next_cursor` of the page before; opaque.")
    ] = None,
) -> PageQuery:
    return PageQuery(request, response, limit, cursor)


Paging = Annotated[PageQuery, Depends(_page_query)]
"""Parameter of a handler."""


def _written(digest: str, values: Sequence[Any]) -> str:
    plain = [
        {"ms": round(value.timestamp() * 1000)} if isinstance(value, datetime) else value for value in values
    ]
    return base64.urlsafe_b64encode(json.dumps([digest, *plain]).encode()).decode().rstrip("=")


def _read(cursor: str) -> tuple[str, list[Any]]:
    try:
        digest, *values = read_json(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return str(digest), [_value(each) for each in values]
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError) as error:
        raise _invalid("it is none of this server's") from error


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return datetime.fromtimestamp(int(value["ms"]) / 1000, UTC)
    if not isinstance(value, str | int):
        raise TypeError
    return value


def _invalid(why: str) -> ApiProblemError:
    return ApiProblemError(
        422,
        "invalid-cursor",
        f"the cursor cannot be used: {why}; begin without one, or use next_cursor as it was given",
    )
