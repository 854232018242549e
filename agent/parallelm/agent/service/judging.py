"""Whether a command is for this agent, and whether a start may be carried out. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parallelm.agent.errors import RunRefusedError
from parallelm.definitions.errors import SpecificationError
from parallelm.definitions.run_spec import ModelSpec, RunSpec

if TYPE_CHECKING:
    from collections.abc import Collection

    from parallelm.schemas.records import AgentCommand

READY, DRAINING, DRAINED, ENDED, REMOVED = "ready", "draining", "drained", "ended", "removed"
"""``AgentState.state``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What decides about commands: who the agent is, and how it stands."""

    agent_id: str
    epoch: int
    state: str = READY
    runners: Collection[str] = field(default_factory=tuple)


def is_for(command: AgentCommand, standing: Standing) -> bool:
    """Whether the command is meant for this installation. Those to earlier ones are void, and answered by nobody."""
    return command.agent_id == standing.agent_id and command.epoch in {0, standing.epoch}


def spec_to_start(command: AgentCommand, standing: Standing, latest_ms: int) -> RunSpec:
    """What a start command asks for; raises ``RunRefusedError``.

    ``latest_ms`` is the latest that the brokers' clock may show: a start that may have expired has.
    """
    if command.expires_at_ms and latest_ms >= command.expires_at_ms:
        raise RunRefusedError(
            f"the start was valid until {command.expires_at_ms} ms and came to the agent at {latest_ms} ms of the "
            "brokers' clock"
        )
    if standing.state != READY:
        raise RunRefusedError(f"agent {standing.agent_id!r} is {standing.state}: it takes no runs")
    try:
        spec = RunSpec.of_json(command.spec_json)
    except SpecificationError as error:
        raise RunRefusedError(f"the specification of the run is not valid: {error}") from error
    said = (spec.mlapp_id, spec.node_id, spec.run_id, spec.attempt)
    asked = (command.mlapp_id, command.node_id, command.run_id, command.attempt)
    if said != asked:
        raise RunRefusedError(f"the command is for run {asked} and its specification for {said}")
    if spec.running.runner not in standing.runners:
        raise RunRefusedError(
            f"agent {standing.agent_id!r} has no runner {spec.running.runner!r}; it has: "
            f"{', '.join(sorted(standing.runners)) or 'none'}"
        )
    return spec


def model_to_deliver(command: AgentCommand) -> ModelSpec:
    """What a delivery brings; raises ``RunRefusedError``."""
    try:
        return ModelSpec.of_json(command.spec_json)
    except SpecificationError as error:
        raise RunRefusedError(f"the model's specification is not valid: {error}") from error
