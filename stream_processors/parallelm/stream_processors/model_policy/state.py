"""What is remembered of one MLApp's deployments."""

from __future__ import annotations

from dataclasses import dataclass

from parallelm.schemas.records import DeploymentState, ModelPolicy, RecordPosition

MAX_WAITING = 100
"""Announcements kept for an MLApp that has no definition yet; the oldest goes first."""
MAX_EARLY = 100
"""Acceptances kept that came before their model's announcement; the oldest goes first."""
MAX_FINISHED = 200
"""Deployments remembered after their end, so that a repeated record finds its deployment."""
DEFINITION_WAIT_MS = 60_000
"""How long an announcement waits for its MLApp's definition before a record says that it is not deployed."""

LIVE_STATES = frozenset({DeploymentState.REQUESTED, DeploymentState.ACCEPTED, DeploymentState.ACTIVE})


@dataclass(frozen=True, slots=True)
class Announced:
    """A model that was announced."""

    model_id: str
    producer_node_id: str
    event_time_ms: int
    arrived_ms: int
    """Broker's clock."""
    cause: RecordPosition
    reported: bool = False
    """A record has said that it is not deployed for want of a definition."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A component has downloaded a model, and its checksum held."""

    model_id: str
    node_id: str
    agent_id: str
    event_time_ms: int
    cause: RecordPosition


@dataclass(frozen=True, slots=True)
class Consumer:
    """A node that takes models; ``consumes`` names its producers, empty: all."""

    node_id: str
    consumes: tuple[str, ...]

    def takes_from(self, producer_node_id: str) -> bool:
        """Whether models of this producer are for this node."""
        return not self.consumes or producer_node_id in self.consumes


@dataclass(frozen=True, slots=True)
class Deployment:
    """One model on one node."""

    node_id: str
    model_id: str
    state: DeploymentState
    requested_ms: int
    """Event time of the request."""
    arrived_ms: int
    """Broker's clock at the request: the acceptance time-out is measured on it."""
    superseded_by: str | None = None
    """Model that took its place."""
    ended_ms: int = 0
    """Event time at which it was superseded."""


@dataclass(frozen=True, slots=True)
class MLAppDeployments:
    """Deployments of one MLApp. ``version`` 0: no definition yet."""

    mlapp_id: str
    version: int = 0
    policy: ModelPolicy = ModelPolicy.ALWAYS_UPDATE
    accept_timeout_ms: int = 0
    consumers: tuple[Consumer, ...] = ()
    waiting: tuple[Announced, ...] = ()
    early: tuple[Accepted, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    latest: tuple[Announced, ...] = ()
    """Newest announcement of each producer, for nodes that the definition adds later."""

    @property
    def due_ms(self) -> float | None:
        """When a request times out, or a model has waited too long for a definition."""
        times: list[float] = []
        if self.accept_timeout_ms:
            times += [
                each.arrived_ms + self.accept_timeout_ms
                for each in self.deployments
                if each.state is DeploymentState.REQUESTED
            ]
        times += [each.arrived_ms + DEFINITION_WAIT_MS for each in self.waiting if not each.reported]
        return min(times, default=None)

    def find(self, node_id: str, model_id: str) -> Deployment | None:
        """Deployment of a model on a node."""
        for deployment in self.deployments:
            if deployment.node_id == node_id and deployment.model_id == model_id:
                return deployment
        return None

    def active(self, node_id: str) -> Deployment | None:
        """The deployment that is active on a node."""
        for deployment in self.deployments:
            if deployment.node_id == node_id and deployment.state is DeploymentState.ACTIVE:
                return deployment
        return None
