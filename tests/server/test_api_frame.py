"""What all resources of the API share: pages, entity tags, problems, and that nothing of other MLApps is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from parallelm.server.access.matrix import VIEWER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def stranger(client_with: Callable[[str, str], httpx.Client]) -> Iterator[httpx.Client]:
    """A client that may read another MLApp only."""
    known = client_with(VIEWER, "other")
    with httpx.Client(base_url=known.base_url.join("/api/v1"), cookies=known.cookies) as opened:
        yield opened


def everything(client: httpx.Client, path: str, **query: Any) -> list[dict[str, Any]]:
    """All items of a list, by its Link headers."""
    items: list[dict[str, Any]] = []
    answer = client.get(path, params=query)
    while True:
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        if "next" not in answer.links:
            assert answer.json()["next_cursor"] is None
            return items
        answer = client.get(answer.links["next"]["url"])


@pytest.mark.parametrize(
    ("path", "name"),
    [("/api/v1/alerts", "alert_id"), ("/api/v1/models", "model_id"), ("/api/v1/mlapps", "mlapp_id")],
)
def test_a_list_in_pages_has_what_it_has_in_one(client: httpx.Client, path: str, name: str):
    whole = [each[name] for each in client.get(path).json()["items"]]
    assert whole
    assert [each[name] for each in everything(client, path, limit=1)] == whole


def test_both_orders_of_a_list_in_pages_are_each_others_reverse(client: httpx.Client):
    late = everything(client, "/api/v1/alerts", limit=1, sort="-started_at")
    early = everything(client, "/api/v1/alerts", limit=1, sort="started_at")
    assert len(late) > 1
    assert late == early[::-1]


@pytest.mark.parametrize("cursor", ["x", "WzFd", "W10", "bm8", "WyJhIiwgeyJtcyI6IDFlOTl9LCAiYSJd", "é"])
def test_a_cursor_that_is_none_is_said_to_be_so(client: httpx.Client, cursor: str):
    answer = client.get("/api/v1/alerts", params={"cursor": cursor})
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:mcenter:problem:invalid-cursor"


def test_a_cursor_of_a_list_with_other_filters_is_refused(client: httpx.Client):
    cursor = client.get("/api/v1/alerts", params={"limit": 1}).json()["next_cursor"]
    answer = client.get("/api/v1/alerts", params={"limit": 1, "rule": "slow answers", "cursor": cursor})
    assert answer.status_code == 422
    assert "other filters" in answer.json()["detail"]


def test_what_is_read_again_and_has_not_changed_is_not_sent(client: httpx.Client):
    first = client.get("/api/v1/mlapps/churn")
    again = client.get("/api/v1/mlapps/churn", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    other = client.get("/api/v1/mlapps/churn", headers={"If-None-Match": '"other"'})
    assert other.json() == first.json()


def test_lists_leave_out_what_somebody_may_not_read(stranger: httpx.Client):
    for path in ("/alerts", "/models", "/mlapps"):
        assert stranger.get(path).json()["items"] == []


def test_an_mlapp_of_others_is_refused_in_the_words_of_one_that_is_not_there(
    stranger: httpx.Client, client: httpx.Client
):
    alert = client.get("/api/v1/alerts").json()["items"][0]["alert_id"]
    model = client.get("/api/v1/models").json()["items"][0]["model_id"]
    for path in (
        "",
        "/nodes",
        "/versions",
        f"/alerts/{alert}",
        f"/alerts/{alert}/explanation",
        f"/models/{model}",
    ):
        theirs, none = stranger.get(f"/mlapps/churn{path}"), stranger.get(f"/mlapps/none{path}")
        assert (theirs.status_code, none.status_code) == (403, 403)
        assert theirs.json()["detail"] == none.json()["detail"].replace("'none'", "'churn'")
    for name, path in (
        ("alert", f"/mlapps/other/alerts/{alert}"),
        ("model", f"/mlapps/other/models/{model}"),
    ):
        answer = stranger.get(path)
        assert answer.status_code == 404
        assert answer.json()["type"] == f"urn:mcenter:problem:unknown-{name}"
        assert "churn" not in answer.text
