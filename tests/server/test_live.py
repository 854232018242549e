"""Server-sent events: who may see an MLApp hears of it when its rows have arrived."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from parallelm.server.live import LiveChanges
from tests.server.seed import MLAPP
from tests.stream_processors.live import Cluster
from tests.waiting import Deadline

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


async def first_two(
    live: LiveChanges, mlapps: frozenset[str], found: frozenset[tuple[str, str]]
) -> list[str]:
    """What a viewer gets when he begins to look, and once ``found`` has arrived."""
    stream = live.stream(mlapps)
    said = [await anext(stream)]
    live.tell(found)
    said.append(await anext(stream))
    live.close()
    await stream.aclose()
    return said


def test_nobody_hears_of_an_mlapp_without_a_role_on_it(platform: Settings):
    found = frozenset({("alerts", MLAPP), ("alerts", "another")})
    said = asyncio.run(first_two(LiveChanges(platform), frozenset({"another"}), found))
    assert said[1] == 'event: alerts\ndata: ["another"]\n\n'
