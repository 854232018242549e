"""Server-sent events: who may see an MLApp hears of it when its rows have arrived."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parallelm.server.live import LiveChanges
from parallelm.warehouse.queries import events
from parallelm.warehouse.queries.changes import Changes, latest_position
from tests.server.seed import MLAPP
from tests.stream_processors.live import Cluster
from tests.waiting import Deadline, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from parallelm.connections import Settings


def heard(lines: Iterator[str]) -> tuple[str, list[str]]:
    """The next event."""
    kind = ""
    for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        if line.startswith("data: "):
            return kind, json.loads(line.removeprefix("data: "))
    raise AssertionError("the stream has ended")


@dataclass(frozen=True)
class Told:
    """The first events of a stream, up to the first with an id."""

    kinds: list[str]
    last_id: str


def read_until(client: httpx.Client, asked: dict[str, Any], headers: dict[str, str]) -> Told:
    kinds: list[str] = []
    with client.stream("GET", "/live", params=asked, headers=headers, timeout=60) as stream:
        last_id = ""
        for line in stream.iter_lines():
            last_id = line.removeprefix("id: ") if line.startswith("id: ") else last_id
            if line.startswith("event: "):
                kinds.append(line.removeprefix("event: "))
            if line.startswith("data: ") and last_id:
                return Told(kinds, last_id)
    raise AssertionError("the stream has ended")


def context_position(client: httpx.Client) -> int:
    """As a page carries it."""
    page = client.get("/", headers={"Accept": "text/html"})
    found = re.search(r'data-position="(\d+)"', page.text)
    assert found
    assert f"since={found[1]}" in page.text
    return int(found[1])


def test_an_open_page_hears_of_what_has_arrived(client: httpx.Client, platform: Settings):
    cluster = Cluster(platform, mlapp=MLAPP)
    with client.stream("GET", f"/live?mlapp_id={MLAPP}", timeout=60) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines) == "retry: 3000"
        cluster.event(0, "GenericEvent")
        cluster.flush()
        deadline = Deadline()
        while heard(lines) != ("events", [MLAPP]):
            deadline.check("no event")
    cluster.close()


def test_what_came_between_the_page_and_its_stream_is_told(client: httpx.Client, platform: Settings):
    known = context_position(client)
    cluster = Cluster(platform, mlapp="late-listener")
    cluster.event(0, "GenericEvent")
    cluster.flush()
    cluster.close()
    wait_for(
        lambda: latest_position(platform) > known and not events(platform, mlapp_id="late-listener").empty
    )
    later = latest_position(platform)
    told = read_until(client, {"mlapp_id": "late-listener", "since": known}, {})
    assert told.kinds == ["events"]
    assert int(told.last_id) >= later
    again = read_until(client, {"mlapp_id": "late-listener", "since": 10**15}, {"Last-Event-ID": str(known)})
    assert again.kinds == ["events"], "the browser's own position counts when it connects anew"


def test_a_position_that_no_event_has_had_counts_as_none(client: httpx.Client):
    with client.stream("GET", "/live", headers={"Last-Event-ID": "9" * 5_000}, timeout=60) as stream:
        assert stream.status_code == 200
    assert client.get("/live", params={"since": 10**30}).status_code == 422


async def first_two(
    live: LiveChanges, mlapps: frozenset[str], found: frozenset[tuple[str, str]]
) -> list[str]:
    """What a viewer gets when he begins to look, and once ``found`` has arrived."""
    stream = live.stream(mlapps)
    said = [await anext(stream)]
    live.tell(Changes(7, found))
    said.append(await anext(stream))
    live.close()
    await stream.aclose()
    return said


def test_nobody_hears_of_an_mlapp_without_a_role_on_it(platform: Settings):
    found = frozenset({("alerts", MLAPP), ("alerts", "another")})
    said = asyncio.run(first_two(LiveChanges(platform), frozenset({"another"}), found))
    assert said[1] == 'id: 7\nevent: alerts\ndata: ["another"]\n\n'
