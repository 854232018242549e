"""What each agent of a node runs: alerts about an agent's model end when that agent has another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallelm.stream_processors.model_policy.state import MLAppDeployments


def accepted_model(known: MLAppDeployments, node_id: str, agent_id: str) -> str | None:
    """Model that an agent of a node accepted last; None when it is not known to have accepted any."""
    found = known.node(node_id).agent(agent_id)
    return found.model_id if found is not None else None


def has_ended_for(known: MLAppDeployments, node_id: str, agent_id: str, model_id: str) -> bool:
    """Whether a model's life is over for one agent of a node.

    It is when its deployment has ended and the agent has accepted another model since. An agent that has never said
    what it runs is taken to follow its node.
    """
    deployment = known.find(node_id, model_id)
    if deployment is None or deployment.open:
        return False
    accepted = accepted_model(known, node_id, agent_id)
    return accepted != model_id and (accepted is not None or deployment.was_active)
