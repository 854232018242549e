"""Checks of the agents: is each one that holds runs heard of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parallelm.mcenter.doctor.check import Check, ok, problem

if TYPE_CHECKING:
    from parallelm.connections import Settings

_SHOWN = 10


def agents_check(settings: Settings, timeout_s: float) -> Check:
    """How agents are, as they tell on their topics."""
    from parallelm.operations.agents import SILENT, list_agents
    from parallelm.schemas.errors import SchemaError

    try:
        agents = list_agents(settings, timeout_s=timeout_s)
    except SchemaError as error:
        return problem("agents", "cannot be read", str(error))
    silent = [agent.state.agent_id for agent in agents if agent.condition == SILENT]
    if silent:
        return problem(
            "agents",
            f"not heard of: {', '.join(silent)}",
            "look at the host and start `mcenter agent` there with its data folder, or `mcenter agents remove` it",
        )
    if not agents:
        return ok("agents", "none has registered; `mcenter agent` on a host runs pipelines there")
    shown = ", ".join(f"{agent.state.agent_id} ({agent.condition})" for agent in agents[:_SHOWN])
    more = f" and {len(agents) - _SHOWN} more" if len(agents) > _SHOWN else ""
    return ok("agents", f"{shown}{more}")
