"""MLApp, policy, nodes and agents, as components see them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Policy:
    """When new models are used, and what counts as unhealthy."""

    health_threshold: float
    """Similarity score below which a feature is unhealthy, 0 to 1."""
    canary_threshold: float
    """RMSE above which a canary is unhealthy; -1 when unset."""
    model_policy: str
    """ALWAYS_UPDATE, MANUAL or CANARY."""

    def __str__(self) -> str:
        return (
            f"Policy:\nhealthThreshold: {self.health_threshold}\ncanaryThreshold: {self.canary_threshold}\n"
            f"modelPolicy: {self.model_policy}\n"
        )


@dataclass(slots=True)
class Agent:
    """A host that runs pipelines of the MLApp."""

    id: str = ""
    hostname: str = ""
    state: str = field(default="", compare=False)
    """ready, draining, drained or ended; empty for a host without an agent of the platform."""
    labels: dict[str, str] = field(default_factory=dict, compare=False)
    """By which nodes choose it."""


@dataclass(slots=True)
class MLAppNode:
    """One step of the MLApp."""

    name: str = ""
    id: str = ""
    pipeline_pattern_id: str = ""
    """Pipeline that runs in this node."""
    pipeline_agent_set: dict[str, str] = field(default_factory=dict)
    """Agent id → id of the pipeline instance that runs there, or of the pipeline if the instance is unknown."""
    ee_id: str = ""
    """Execution environment: the agent that runs ``pipeline_instance_id``; empty where none does."""
    pipeline_instance_id: str = ""
    """The same over all runs of the node."""
