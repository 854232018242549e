"""Agents: the hosts that run pipelines, and what runs on each."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Path, Request

from parallelm.server.access.dependencies import Asking
from parallelm.server.access.principal import Principal
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


class HostAgent(Answer):
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


@ROUTER.get("/agents")
def list_hosts(request: Request, asking: Asking) -> list[HostAgent]:
    """Agents by id: with a role on all MLApps all of them, else those that run pipelines of MLApps that one may read."""
    return [HostAgent.model_validate(each) for each in readable_agents(request, asking)]


@ROUTER.get("/agents/{agent_id}")
def get_host(request: Request, asking: Asking, agent_id: AgentId) -> HostAgent:
    """One agent."""
    found = readable_agents(request, asking, agent_id)
    if not found:
        raise unknown("agent", agent_id)
    return HostAgent.model_validate(found[0])


def readable_agents(request: Request, asking: Principal, agent_id: str | None = None) -> list[dict[str, Any]]:
    """Rows of ``agent_states`` that somebody may see, with the pipelines that they may."""
    from parallelm.warehouse.queries import agent_states
    from parallelm.warehouse.queries.pipelines import agents

    settings, allowed = context_of(request).settings, asking.mlapps(READ)
    found = agent_states(settings, agent_id=agent_id)
    if allowed is None:
        return found
    known = {each["agent_id"] for each in agents(settings, mlapp_id=allowed)}
    return [
        each | {"pipelines": [row for row in each["pipelines"] if row["mlapp_id"] in allowed]}
        for each in found
        if each["agent_id"] in known
    ]
