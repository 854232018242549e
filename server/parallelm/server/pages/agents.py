"""Agents: the hosts that run pipelines, what runs on each, and how loaded they are."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import HTMLResponse, Response

from parallelm.operations.agents import ask_agent, what_follows
from parallelm.schemas.records import CommandKind
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._readable import unknown
from parallelm.server.api.agents import readable_agents
from parallelm.server.context import context_of
from parallelm.server.pages import Page
from parallelm.server.pages.rendering import render
from parallelm.server.pages.toasts import toast
from parallelm.warehouse.queries import run_rows

ROUTER: Final = APIRouter(dependencies=[Depends(require("mlapps.read", anywhere=True))])
# Not /agents: that is a call of the original's programs.
PAGE: Final = Page("Agents", "/hosts", "mlapps.read", place=50)


@ROUTER.get("/hosts")
def agents(request: Request, asking: Asking) -> HTMLResponse:
    """All that somebody may see, with the runs that have not ended."""
    found = readable_agents(request, asking)
    going_on: dict[str, list[dict[str, Any]]] = {}
    for row in run_rows(context_of(request).settings, mlapp_id=asking.mlapps("mlapps.read"), has_ended=False):
        going_on.setdefault(row["agent_id"], []).append(row)
    return render(request, "agents/list.html", {"agents": found, "going_on": going_on})


@ROUTER.get("/hosts/{agent_id}")
def agent(request: Request, asking: Asking, agent_id: str) -> HTMLResponse:
    """One."""
    found = readable_agents(request, asking, agent_id)
    if not found:
        raise unknown("agent", agent_id)
    settings, readable = context_of(request).settings, asking.mlapps("mlapps.read")
    runs = run_rows(settings, mlapp_id=readable, agent_id=agent_id)
    processes = {(each["run_id"], each["attempt"]): each for each in found[0]["pipelines"]}
    values = {
        "agent": found[0],
        "going_on": [row for row in runs if not row["has_ended"]],
        "past": [row for row in reversed(runs) if row["has_ended"]][:_PAST],
        "processes": processes,
    }
    return render(request, "agents/one.html", values)


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


_PAST: Final = 20
