"""Agents: the hosts that run pipelines, and what runs on each."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Path, Request

from parallelm.operations.agents import ask_agent
from parallelm.schemas.records import CommandKind
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.access.principal import Principal
from parallelm.server.api._decisions import CommentRequest
from parallelm.server.api._once import OnceKey
from parallelm.server.api._readable import READ, unknown
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, Moment
from parallelm.server.context import context_of

ROUTER: Final = resource("agents")
AgentId = Annotated[str, Path(description="Id of an agent.", min_length=1, max_length=500)]


class RunningPipeline(Answer):
    """A pipeline on an agent."""

    mlapp_id: str
    node_id: str
    pipeline_instance_id: str
    run_id: str
    attempt: int
    state: str
    pid: int
    since: Moment
    message: str


class Agent(Answer):
    """An agent, by its latest report."""

    agent_id: str
    hostname: str
    state: str
    """ready, draining, drained or ended."""
    version: str
    labels: dict[str, str]
    cpus: float
    memory_bytes: int
    runners: list[str]
    epoch: int
    address: str
    event_time: Moment
    """When it last reported a change."""
    heard_at: Moment
    """When anything last came from its host."""
    pipelines: list[RunningPipeline]
    """Of MLApps that the one who asks may read."""


class AgentCommandResult(Answer):
    """An agent of which something was asked."""

    agent_id: str
    is_alive: bool
    """False: it was not heard of for a while, and does it once it is back."""


@ROUTER.get("/agents")
def list_agents(request: Request, asking: Asking) -> list[Agent]:
    """Agents by id: with a role on all MLApps all of them, else those that run pipelines of MLApps that one may read."""
    return [Agent.model_validate(each) for each in readable_agents(request, asking)]


@ROUTER.get("/agents/{agent_id}")
def get_agent(request: Request, asking: Asking, agent_id: AgentId) -> Agent:
    """One agent."""
    found = readable_agents(request, asking, agent_id)
    if not found:
        raise unknown("agent", agent_id)
    return Agent.model_validate(found[0])


@ROUTER.post("/agents/{agent_id}/{command}", dependencies=[Depends(require("agents.write"))])
def command_agent(
    request: Request,
    agent_id: AgentId,
    command: Literal["drain", "resume", "remove"],
    said: CommentRequest,
    once: OnceKey,
) -> AgentCommandResult:
    """Let it take no more runs, or take them again; or stop what runs there, and the agent."""

    def act() -> AgentCommandResult:
        settings, kind = context_of(request).settings, CommandKind(command)
        asked = ask_agent(settings, agent_id, kind, who=once.author, comment=said.comment)
        return AgentCommandResult(agent_id=agent_id, is_alive=asked.is_alive)

    return once(AgentCommandResult, act)


def readable_agents(
    request: Request, asking: Principal, agent_id: str | None = None, **chosen: Any
) -> list[dict[str, Any]]:
    """Rows of ``agent_states`` that somebody may see, with the pipelines that they may; ``chosen`` as there."""
    from parallelm.warehouse.queries import agent_states
    from parallelm.warehouse.queries.pipelines import agents

    settings, allowed = context_of(request).settings, asking.mlapps(READ)
    if allowed is None:
        return agent_states(settings, agent_id=agent_id, **chosen)
    known = {each["agent_id"] for each in agents(settings, mlapp_id=allowed)}
    found = agent_states(settings, agent_id=known & {agent_id} if agent_id else known, **chosen)
    return [
        each | {"pipelines": [row for row in each["pipelines"] if row["mlapp_id"] in allowed]}
        for each in found
    ]
