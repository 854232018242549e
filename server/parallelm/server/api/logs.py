"""Lines that programs wrote while agents ran them: read from a place on, from the end, searched, and followed."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Query, Request

from parallelm.operations.runs import log_is_complete
from parallelm.server.access.dependencies import require
from parallelm.server.api._readable import READ
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, Moment, Name, answers
from parallelm.server.api.mlapps import MLAppId
from parallelm.server.api.runs import RunId, found_run
from parallelm.server.context import context_of

ROUTER: Final = resource("logs")
_READS: Final = [Depends(require(READ))]
_POLL_S: Final = 0.5
Place = Annotated[
    str, Query(pattern=r"^\d{1,9}\.\d{1,18}$", description="Attempt and line, as ``next_place`` says it.")
]
Search = Annotated[
    str,
    Query(min_length=1, max_length=500, description="Text in the lines, in whatever case."),
]


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
def get_run_logs(
    request: Request,
    mlapp_id: MLAppId,
    run_id: RunId,
    after: Place | None = None,
    before: Place | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    search: Search | None = None,
    attempt: Annotated[int | None, Query(ge=1, le=2**31)] = None,
    step_id: Annotated[Name | None, Query()] = None,
    stream: Annotated[Literal["stdout", "stderr"] | None, Query()] = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
    wait_s: Annotated[float, Query(ge=0, le=30, description="Wait for lines after ``after`` so long.")] = 0,
) -> LogLines:
    """The first lines after a place; without one the last lines. To follow a run, ask again with ``next_place`` and ``wait_s``."""
    from parallelm.warehouse.queries import log_lines

    chosen: dict[str, Any] = {
        "search": search, "attempt": attempt, "step_id": step_id, "stream": stream, "start": from_, "end": to,
        "after": place_of(after), "before": place_of(before), "limit": limit,
    }  # fmt: skip
    settings = context_of(request).settings
    deadline = time.monotonic() + wait_s
    while True:
        # Asked first: lines come before the end of their run.
        run = found_run(request, mlapp_id, run_id)
        is_complete = log_is_complete(run)
        found = log_lines(settings, mlapp_id=mlapp_id, run_id=run["run_id"], **chosen)
        if found or after is None or is_complete or time.monotonic() >= deadline:
            break
        time.sleep(_POLL_S)
    place = f"{found[-1]['attempt']}.{found[-1]['line']}" if found else after or "0.0"
    return LogLines(lines=answers(LogLine, found), next_place=place, is_complete=is_complete)


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


def place_of(text: str | None) -> tuple[int, int] | None:
    """Attempt and line."""
    if text is None:
        return None
    attempt, line = text.split(".")
    return int(attempt), int(line)
