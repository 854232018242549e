"""Where the next page of a list begins, as its address says it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import pytest
from starlette.requests import Request

from parallelm.server.pages._cursor import ListOrder, number_of
from parallelm.server.pages._moments import moment_of
from parallelm.server.problems import ApiProblemError

ORDER = ListOrder({"at": moment_of, "rule": str, "offset": number_of}, shown=2)


def asked(query: str = "") -> Request:
    return Request(
        {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": query.encode()}
    )


def rows(*offsets: int, rule: str = "drift") -> list[dict[str, Any]]:
    at = datetime(2026, 6, 1, 8, 0, 0, 123000, tzinfo=UTC)
    return [{"at": at, "rule": rule, "offset": offset} for offset in offsets]


@pytest.mark.parametrize("rule", ["drift", "a|b", "100 %", "ä&after=x", ""])
def test_the_next_page_goes_on_after_the_last_row(rule: str):
    page, older = ORDER.page_of(asked("state=open&after=old&q=a%26b"), rows(3, 2, 1, rule=rule))
    assert [each["offset"] for each in page] == [3, 2]
    query = parse_qs(older.removeprefix("?"))
    assert (query["state"], query["q"]) == (["open"], ["a&b"])
    (after,) = query["after"]
    keyset = ORDER.keyset(after)
    assert (keyset.order, keyset.descending, keyset.limit) == (("at", "rule", "offset"), True, 3)
    assert keyset.after == tuple(page[-1].values())


def test_the_first_page_goes_on_after_nothing_and_the_last_names_no_other():
    assert ORDER.keyset("").after is None
    assert ORDER.page_of(asked(), rows(2, 1)) == (rows(2, 1), "")


@pytest.mark.parametrize(
    "after", ["x", "1|drift", "x|drift|1", "1|drift|x", "1|drift|-1", f"1|drift|{2**63}"]
)
def test_what_no_page_has_written_is_refused(after: str):
    with pytest.raises(ApiProblemError, match="which no page has written: leave it out") as refused:
        ORDER.keyset(after)
    assert refused.value.status_code == 422
