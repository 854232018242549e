"""Agents: the hosts that run pipelines, what runs on each, and how loaded they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import HTMLResponse, Response

from parallelm.operations.agents import ask_agent, what_follows
from parallelm.schemas.records import CommandKind
from parallelm.schemas.well_known import (
    HOST_CPU,
    HOST_DISK,
    HOST_LOAD,
    HOST_MEMORY,
    HOST_NODE,
    HOST_RECEIVED,
    HOST_RUNS,
    HOST_SENT,
    HOSTS_MLAPP,
)
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._readable import unknown
from parallelm.server.api.agents import readable_agents
from parallelm.server.context import context_of
from parallelm.server.pages import Page
from parallelm.server.pages._rows import rows
from parallelm.server.pages._window import address
from parallelm.server.pages.rendering import render
from parallelm.server.pages.toasts import toast
from parallelm.warehouse.queries import Keyset, run_rows, runs

ROUTER: Final = APIRouter(dependencies=[Depends(require("mlapps.read", anywhere=True))])
# Not /agents: that is a call of the original's programs.
PAGE: Final = Page("Agents", "/hosts", "mlapps.read", place=50)
CONDITIONS: Final = ("ready", "draining", "drained", "silent", "ended")
LOADS: Final = (
    (HOST_CPU, "CPU, %"),
    (HOST_LOAD, "Load of a minute"),
    (HOST_MEMORY, "Memory, %"),
    (HOST_DISK, "Disk, %"),
    (HOST_RECEIVED, "Network, received, bytes/s"),
    (HOST_SENT, "Network, sent, bytes/s"),
    (HOST_RUNS, "Runs"),
)
"""Statistics that an agent reports of its host, and what a chart of each is called."""
SINCE: Final = {"-1h": "hour", "-1d": "day", "-7d": "7 days", "-30d": "30 days"}
_SHOWN: Final = 100
_RUNS_SHOWN: Final = 100
_PAST: Final = 20


@dataclass(frozen=True, slots=True)
class AgentFilter:
    """What the list is limited to."""

    search: str = ""
    condition: str = ""
    after: str = ""


def _filter(
    search: Annotated[str, Query(alias="q", max_length=500)] = "",
    condition: Annotated[str, Query(alias="state", max_length=50)] = "",
    after: Annotated[str, Query(max_length=500)] = "",
) -> AgentFilter:
    return AgentFilter(search, condition, after)


@ROUTER.get("/hosts")
def agents(
    request: Request, asking: Asking, wanted: Annotated[AgentFilter, Depends(_filter)]
) -> HTMLResponse:
    """All that somebody may see, with the runs that have not ended."""
    found = readable_agents(
        request,
        asking,
        condition=wanted.condition or None,
        search=wanted.search or None,
        after=wanted.after or None,
        limit=_SHOWN + 1,
    )
    page, left = found[:_SHOWN], found[_SHOWN:]
    going_on: dict[str, list[dict[str, Any]]] = {}
    names = [each["agent_id"] for each in page]
    settings, readable = context_of(request).settings, asking.mlapps("mlapps.read")
    for row in run_rows(settings, mlapp_id=readable, agent_id=names, has_ended=False) if names else ():
        going_on.setdefault(row["agent_id"], []).append(row)
    kept = {"q": wanted.search, "state": wanted.condition, "after": page[-1]["agent_id"] if left else ""}
    values = {
        "agents": page,
        "going_on": going_on,
        "wanted": wanted,
        "conditions": CONDITIONS,
        "more": "?" + urlencode({name: each for name, each in kept.items() if each}) if left else "",
    }
    part = request.headers.get("hx-target") == "found"
    return render(request, "agents/_found.html" if part else "agents/list.html", values)


@ROUTER.get("/hosts/{agent_id}")
def agent(
    request: Request,
    asking: Asking,
    agent_id: str,
    since: Annotated[str, Query(alias="from", pattern=f"^({'|'.join(SINCE)}|)$")] = "-1h",
) -> Response:
    """One: what runs there, what ran there last, and its load."""
    found, is_part = readable_agents(request, asking, agent_id), request.headers.get("hx-target") == "agent"
    of_agent: dict[str, Any] = {"mlapp_id": asking.mlapps("mlapps.read"), "agent_id": agent_id}
    settings = context_of(request).settings
    going_on = rows(runs(settings, **of_agent, has_ended=False, page=_latest(_RUNS_SHOWN + 1)))
    past = rows(runs(settings, **of_agent, has_ended=True, page=_latest(_PAST)))
    if not found and not going_on and not past:
        raise unknown("agent", agent_id)
    if not found and is_part:
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    if not found:
        return render(request, "agents/removed.html", {"agent_id": agent_id, "runs": [*going_on, *past]})
    values = {
        "agent": found[0],
        "going_on": going_on[:_RUNS_SHOWN],
        "more_run": len(going_on) > _RUNS_SHOWN,
        "past": past,
        "processes": {(each["run_id"], each["attempt"]): each for each in found[0]["pipelines"]},
        "since": since,
        "times": SINCE,
        "charts": _charts(request, agent_id, since) if asking.may("mlapps.read", HOSTS_MLAPP) else [],
    }
    return render(request, "agents/_agent.html" if is_part else "agents/one.html", values)


@ROUTER.post("/hosts/{agent_id}/{command}", dependencies=[Depends(require("agents.write"))])
def command(
    request: Request,
    asking: Asking,
    agent_id: str,
    command: Literal["drain", "resume", "remove"],
    comment: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Ask it of the agent; how it is then comes with its next report."""
    settings, kind = context_of(request).settings, CommandKind(command)
    asked = ask_agent(settings, agent_id, kind, who=asking.author, comment=comment)
    return toast(what_follows(agent_id, kind, is_alive=asked.is_alive))


def _latest(limit: int) -> Keyset:
    return Keyset(order=("due_at", "run_id"), descending=True, limit=limit)


def _charts(request: Request, agent_id: str, since: str) -> list[tuple[str, str]]:
    """Titles and addresses."""
    asked = {"node": HOST_NODE, "agent": agent_id, "from": since}
    return [
        (title, address(request, "charts", HOSTS_MLAPP, "numbers.json", name=name, **asked))
        for name, title in LOADS
    ]
