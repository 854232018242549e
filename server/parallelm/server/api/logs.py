"""Lines that programs wrote while agents ran them: read from a place on, from the end, searched, and followed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import Depends, Query, Request
from fastapi.concurrency import run_in_threadpool

from parallelm.operations.run_logs import LogPart, LogPlace, read_log
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._readable import READ
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, Moment, Name, answers
from parallelm.server.api.mlapps import MLAppId
from parallelm.server.api.runs import RunId, found_run
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTER: Final = resource("logs")
_READS: Final = [Depends(require(READ))]
_POLL_S: Final = 1.0
_MOST_WAITING: Final = 30
_MOST_WAITING_OF_ONE: Final = 5
Place = Annotated[
    str, Query(pattern=r"^\d{1,9}\.\d{1,18}$", description="Attempt and line, as ``next_place`` says it.")
]
Search = Annotated[
    str,
    Query(min_length=1, max_length=500, description="Text in the lines, in whatever case."),
]


class LogWaiters:
    """Requests of this process that wait for lines, by who asks. Used on the event loop only.

    Each asks the warehouse again and again: more than some would leave nothing to everybody else.
    """

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    @contextlib.contextmanager
    def one_more(self, who: str) -> Iterator[None]:
        """While it waits; answers 429 or 503 where too many do."""
        if self._waiting[who] >= _MOST_WAITING_OF_ONE:
            raise _too_many(429, f"{_MOST_WAITING_OF_ONE} requests of yours wait for lines of logs already")
        if self._waiting.total() >= _MOST_WAITING:
            raise _too_many(503, f"{_MOST_WAITING} requests wait for lines of logs already")
        self._waiting[who] += 1
        try:
            yield
        finally:
            self._waiting[who] -= 1
            if not self._waiting[who]:
                del self._waiting[who]


class LogLine(Answer):
    """A line."""

    node_id: str
    agent_id: str
    run_id: str
    attempt: int
    step_id: str
    line: int
    """Its number in the log of the attempt, from 1."""
    event_time: Moment
    stream: str
    text: str
    dropped: int
    """Lines before it that were not sent, for they were too many."""


class LogLines(Answer):
    """Lines of a run, in their order."""

    lines: list[LogLine]
    next_place: str
    """Asks for what follows as ``after``, also before it is written."""
    is_complete: bool
    """Whether nothing follows: the run has ended some time ago."""


@ROUTER.get("/mlapps/{mlapp_id}/runs/{run_id}/logs", dependencies=_READS)
async def get_run_logs(
    request: Request,
    asking: Asking,
    mlapp_id: MLAppId,
    run_id: RunId,
    after: Place | None = None,
    before: Place | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    search: Search | None = None,
    attempt: Annotated[int | None, Query(ge=1, le=2**31)] = None,
    step_id: Annotated[Name | None, Query()] = None,
    stream: Annotated[Literal["stdout", "stderr", "keeper"] | None, Query()] = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
    wait_s: Annotated[float, Query(ge=0, le=30, description="Wait for lines after ``after`` so long.")] = 0,
) -> LogLines:
    """The first lines after a place; without one the last lines. To follow a run, ask again with ``next_place`` and ``wait_s``."""
    chosen: dict[str, Any] = {
        "search": search, "attempt": attempt, "step_id": step_id, "stream": stream, "start": from_, "end": to,
        "after": LogPlace.of(after), "before": LogPlace.of(before), "limit": limit,
    }  # fmt: skip
    settings = context_of(request).settings

    def read() -> LogPart:
        return read_log(settings, found_run(request, mlapp_id, run_id), **chosen)

    part = await run_in_threadpool(read)
    if wait_s and after is not None and not (part.lines or part.is_complete):
        # Not in a thread: those are few, and all other requests need them.
        deadline = time.monotonic() + wait_s
        waiters: LogWaiters = request.app.state.log_waiters
        with waiters.one_more(f"{asking.authenticated_by} {asking.name}"):
            while not (part.lines or part.is_complete) and (left_s := deadline - time.monotonic()) > 0:
                await asyncio.sleep(min(_POLL_S, left_s))
                part = await run_in_threadpool(read)
    return LogLines(
        lines=answers(LogLine, part.lines), next_place=str(part.next_place), is_complete=part.is_complete
    )


@ROUTER.get("/mlapps/{mlapp_id}/logs", dependencies=_READS)
def search_logs(
    request: Request,
    mlapp_id: MLAppId,
    search: Search,
    node_id: Annotated[Name | None, Query()] = None,
    agent_id: Annotated[Name | None, Query()] = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 200,
) -> list[LogLine]:
    """Lines of any run of an MLApp with a text in them, the latest first."""
    from parallelm.warehouse import queries

    found = queries.search_logs(
        context_of(request).settings,
        search,
        mlapp_id=mlapp_id,
        node_id=node_id,
        agent_id=agent_id,
        start=from_,
        end=to,
        limit=limit,
    )
    return answers(LogLine, found)


def _too_many(status: int, why: str) -> ApiProblemError:
    return ApiProblemError(
        status,
        "too-many-waiting",
        f"{why}: ask again later, or without wait_s",
        headers={"Retry-After": str(round(_POLL_S))},
    )
