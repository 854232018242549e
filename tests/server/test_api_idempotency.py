"""Actions under an Idempotency-Key happen once, whatever is repeated, wherever, and whoever ends in between."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from parallelm.operations.authors import Author
from parallelm.operations.silences import list_silences
from parallelm.schemas.errors import ClusterUnavailableError
from parallelm.server.accounts import answered_requests
from parallelm.server.accounts.database import Database
from parallelm.server.api import silences as resource
from parallelm.server.api._once import _digest
from parallelm.server.run import make_context
from tests.server.serving import served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings


@pytest.fixture(scope="module")
def second_url(server_settings: Settings, server_database: Database) -> Iterator[str]:
    """Another process's server on the same database, as far as the two can tell."""
    own = Database(str(server_database.url.render_as_string(hide_password=False)))
    with served(make_context(server_settings, own)) as url:
        # Routes are made at the first request, under filters of warnings that are not made for two threads.
        httpx.get(f"{url}/api/v1/openapi.json").raise_for_status()
        yield url
    own.close()


def body(comment: str = "moving") -> dict[str, Any]:
    return {"matchers": [{"label": "mlapp", "value": "churn"}], "ends_at": "2090-01-01", "comment": comment}


def silences_with(settings: Settings, comment: str) -> list[str]:
    return [each.silence_id for each in list_silences(settings) if each.comment == comment]


def test_concurrent_repeats_at_two_servers_act_once_and_get_one_answer(
    client: httpx.Client, second_url: str, platform: Settings
):
    key, comment = uuid.uuid4().hex, uuid.uuid4().hex
    client.get("/api/v1/openapi.json").raise_for_status()

    def ask(number: int) -> httpx.Response:
        url = second_url if number % 2 else str(client.base_url)
        return httpx.post(
            f"{url.rstrip('/')}/api/v1/silences",
            json=body(comment),
            headers={**client.headers, "Idempotency-Key": key},
            cookies=dict(client.cookies),
            timeout=60,
        )

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert {answer.status_code for answer in found} == {201}, [answer.text for answer in found]
    assert len({answer.text for answer in found}) == 1
    assert sorted("Idempotent-Replayed" in answer.headers for answer in found) == [False] + [True] * 7
    assert silences_with(platform, comment) == [found[0].json()["silence_id"]]


def test_a_key_with_another_body_is_refused(client: httpx.Client):
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    assert client.post("/api/v1/silences", json=body(), headers=headers).status_code == 201
    other = client.post("/api/v1/silences", json=body("other"), headers=headers)
    assert (other.status_code, other.json()["type"]) == (422, "urn:mcenter:problem:idempotency-key-reused")


def test_a_refused_request_may_be_corrected_under_its_key(client: httpx.Client):
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    past = client.post("/api/v1/silences", json=body() | {"ends_at": "2020-01-01"}, headers=headers)
    assert past.status_code == 422
    assert client.post("/api/v1/silences", json=body(), headers=headers).status_code == 201


def test_after_an_unclear_end_the_topic_says_whether_it_was_done(
    client: httpx.Client, platform: Settings, monkeypatch: pytest.MonkeyPatch
):
    add = resource.operations.add_silence
    headers, comment = {"Idempotency-Key": uuid.uuid4().hex}, uuid.uuid4().hex

    def send(**_: Any) -> httpx.Response:
        return client.post("/api/v1/silences", json=body(comment), headers=headers)

    def away_before(*_: Any, **__: Any) -> Any:
        raise ClusterUnavailableError("Kafka is away")

    def away_after(*arguments: Any, **named: Any) -> Any:
        add(*arguments, **named)
        raise ClusterUnavailableError("Kafka is away")

    for end, status in ((away_before, 503), (away_after, 503)):
        monkeypatch.setattr(resource.operations, "add_silence", end)
        assert send().status_code == status
    monkeypatch.undo()
    again = send()
    assert (again.status_code, again.json()["type"]) == (409, "urn:mcenter:problem:already-recorded")
    assert len(again.json()["action_ids"]) == 1
    assert len(silences_with(platform, comment)) == 1


def test_a_key_that_a_killed_process_held_is_taken_over_when_it_had_not_acted(
    client: httpx.Client, server_database: Database, platform: Settings
):
    key, comment = uuid.uuid4().hex, uuid.uuid4().hex
    headers = {"Idempotency-Key": key}
    made = client.post("/api/v1/silences", json=body(comment), headers=headers).json()
    digest = _digest(Author("ada", ""), key)  # type: ignore[arg-type]  # a principal has a name too
    asked = answered_requests.hold(server_database, digest, "", 0, 0).body_digest
    answered_requests.give_back(server_database, digest)
    now_ms = time.time_ns() // 1_000_000
    # It took the key long after the first action, so that the topic has nothing of it, and was killed.
    assert answered_requests.hold(server_database, digest, asked, now_ms + 3_600_000, -3_600_000).is_ours
    again = client.post("/api/v1/silences", json=body(comment), headers=headers)
    assert again.status_code == 201
    assert set(silences_with(platform, comment)) == {made["silence_id"], again.json()["silence_id"]}
