"""Checks of the arguments of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    from parallelm.mlops.ion.ion import Agent


def agent_id_of(mlapp_node: str | None, agent: str | Agent | None, *, node_needed: bool = True) -> str | None:
    """Id of an agent, from an id or an ``Agent``; raises ``MLOpsException`` for anything else."""
    from parallelm.mlops.ion.ion import Agent

    if agent is None:
        return None
    if node_needed and mlapp_node is None:
        raise MLOpsException("an agent is given, but no node: with node None, agent must be None too")
    if isinstance(agent, Agent):
        return agent.id
    if not isinstance(agent, str):
        raise MLOpsException(f"an agent must be an Agent or its id, not {type(agent).__name__}")
    return agent


def check_times(start: Any, end: Any, *, may_be_open: bool = False) -> None:
    """Raise ``MLOpsException`` unless both times are given; with ``may_be_open``, None leaves a side open."""
    from parallelm.mlops._session.event_time import parse_range_ms

    if not may_be_open and (start is None or end is None):
        raise MLOpsException("a start and an end are needed: datetimes, dates or texts in ISO 8601")
    parse_range_ms(start, end)
