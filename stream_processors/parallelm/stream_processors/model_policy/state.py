"""What is remembered of one MLApp's deployments."""

from __future__ import annotations

from dataclasses import dataclass, field

from parallelm.schemas.records import DeploymentState, Policy, RecordPosition
from parallelm.stream_processors.model_policy.gates import (
    GateRun,  # noqa: TC001 - read at run time
)

MAX_WAITING = 100
"""Announcements kept for an MLApp that has no definition yet; the oldest goes first."""
MAX_EARLY = 100
"""Acceptances kept that came before their model's announcement; the oldest goes first."""
MAX_FINISHED = 20
"""Deployments of a node remembered after their end: what a roll-back may go to, and what repeated records are of."""
MAX_REVIEWS = 20
"""Reviews that are pending on a node at the same time; the oldest is superseded first."""
MAX_AGENTS = 500
"""Agents of a node of which is known what they run; the one that was not heard of for the longest goes first."""
MAX_BARRED = 50
"""Models of a node that only a person may deploy again; the oldest goes first."""
MAX_PRODUCERS = 100
MAX_FORMER_NODES = 100
"""Removed nodes whose count of deployments goes on when they come back."""
MAX_SKIPPED = 50
MAX_SIGNED = 200
"""Models of which is known who has signed them; the oldest without a deployment goes first."""
MAX_DELETED = 1_000
"""Deleted models that are remembered; the oldest goes first."""
DEFINITION_WAIT_MS = 60_000
"""How long an announcement waits for its MLApp's definition before a record says that it is not deployed."""

PENDING = frozenset({DeploymentState.HELD, DeploymentState.AWAITING_APPROVAL, DeploymentState.CANARY})
"""Decided upon, and not yet requested of the whole node."""
LIVE_STATES = frozenset({DeploymentState.REQUESTED, DeploymentState.ACCEPTED, DeploymentState.ACTIVE})
OPEN = PENDING | LIVE_STATES


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
    signed_by: str = ""
    """Id of the key whose signature fits; empty: none does."""
    unsigned_because: str = ""
    """Why none does."""

    @property
    def published(self) -> tuple[int, str]:
        """The order of publication, by which one model is newer than another."""
        return self.event_time_ms, self.model_id


@dataclass(frozen=True, slots=True)
class SignatureOf:
    """Who has signed a model, as its first announcement says."""

    model_id: str
    key_id: str
    """Empty: nobody."""
    problem: str
    """Why the model counts as signed by nobody."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A component has downloaded a model, and its checksum held."""

    model_id: str
    node_id: str
    agent_id: str
    event_time_ms: int
    cause: RecordPosition
    deployment_id: str = ""
    """The deployment that it answers, when the component said so."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A node that takes models; ``consumes`` names its producers, empty: all."""

    node_id: str
    consumes: tuple[str, ...]
    policy: Policy

    def takes_from(self, producer_node_id: str) -> bool:
        """Whether models of this producer are for this node."""
        return not self.consumes or producer_node_id in self.consumes


@dataclass(frozen=True, slots=True)
class Deployment:
    """One model on one node: one attempt to get it there."""

    model_id: str
    attempt: int
    published: tuple[int, str]
    """Event time of the model's announcement, and its id."""
    decided_ms: int
    """Broker's clock when it was decided upon."""
    state: DeploymentState = DeploymentState.UNKNOWN
    steps: int = 0
    """Transitions so far."""
    event_ms: int = 0
    """Event time at which it came into its state."""
    since_ms: int = 0
    """Broker's clock then: time limits are measured on it."""
    due_ms: int = 0
    """Broker's clock at which time alone changes something; 0: never."""
    agents: tuple[tuple[str, int], ...] = ()
    """Agents that have accepted it, each with the event time."""
    who: str = ""
    """Person who asked for it, or cleared it."""
    cleared: bool = False
    """A person, or its canary, has released it: no gate, review or canary any more."""
    forced: bool = False
    """A person's own choice, or a roll-back: neither windows nor cool-down hold it."""
    hold: str = ""
    """Why it is held."""
    runs: tuple[GateRun, ...] = ()
    """Measurements of the gates: those before while it is pending, those after while it is active."""
    canary_node: str = ""
    canary_agents: tuple[str, ...] = ()
    was_active: bool = False
    superseded_by: str | None = None
    """Model that took its place."""
    ended_ms: int = 0
    """Event time of its end."""

    @property
    def open(self) -> bool:
        """Whether it may still change."""
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class AgentModel:
    """The model that an agent of a node accepted last."""

    agent_id: str
    model_id: str
    offset: int
    """Of the acceptance: agents' own order, since event times of several processes need not have one."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A person has fixed a node to a model."""

    model_id: str
    who: str
    comment: str


@dataclass(frozen=True, slots=True)
class NodeDeployments:
    """Deployments of one node, in the order of their attempts."""

    node_id: str
    attempts: int = 0
    deployments: tuple[Deployment, ...] = ()
    agents: tuple[AgentModel, ...] = ()
    pinned: Pin | None = None
    barred: tuple[str, ...] = ()
    """Models that were rolled back or rejected: only a person deploys them again."""
    newest: tuple[int, str] = (-(2**62), "")
    """Publication of the newest model that was offered to the node."""
    former: int = 0
    """Attempts from before the node was removed and came back: it gets the newest model again."""
    changed_ms: int = 0
    """Broker's clock of the last request: the cool-down is measured from it."""

    def find(self, model_id: str) -> Deployment | None:
        """The latest deployment of a model."""
        return next((each for each in reversed(self.deployments) if each.model_id == model_id), None)

    def in_states(self, *states: DeploymentState) -> list[Deployment]:
        """Deployments in these states, the latest attempt last."""
        return [each for each in self.deployments if each.state in states]

    @property
    def active(self) -> Deployment | None:
        """The deployment that is active."""
        found = self.in_states(DeploymentState.ACTIVE)
        return found[-1] if found else None

    @property
    def pending(self) -> list[Deployment]:
        """Deployments that wait for something, in the order of publication."""
        return sorted(self.in_states(*PENDING), key=lambda each: (each.published, each.attempt))

    @property
    def target(self) -> Deployment | None:
        """The deployment that components are to run: the one requested last of those that are live."""
        found = self.in_states(*LIVE_STATES)
        return found[-1] if found else None

    def previous(self, current: Deployment) -> Deployment | None:
        """The deployment that a roll-back goes to: the latest that was live, of another model, and not rolled back."""
        return next(
            (
                each
                for each in reversed(self.deployments)
                if each.was_active
                and each.attempt < current.attempt
                and each.model_id != current.model_id
                and each.model_id not in self.barred
            ),
            None,
        )

    def agent(self, agent_id: str) -> AgentModel | None:
        """What an agent accepted last."""
        return next((each for each in self.agents if each.agent_id == agent_id), None)


@dataclass(frozen=True, slots=True)
class Reading:
    """A sample of a metric about a model that nothing is decided upon yet."""

    model_id: str
    metric: str
    labels: dict[str, str]
    at_ms: float
    value: float


@dataclass(frozen=True, slots=True)
class Compared:
    """Samples of one metric in both groups, the newest of each."""

    baseline: tuple[float, ...] = ()
    canary: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class CanaryData:
    """What a running canary has reported, and the live model beside it."""

    node_id: str
    attempt: int
    metrics: tuple[Compared, ...] = ()
    """In the order of the policy's metrics."""
    baseline_predictions: str = ""
    canary_predictions: str = ""
    first_ms: float = 0.0
    """Event time of the canary's first report; 0: none yet."""
    last_ms: float = 0.0
    reports: int = 0
    judged: int = 0
    """Reports at the last judgement: the next is made at twice as many."""


@dataclass(frozen=True, slots=True)
class Measurements:
    """Numbers that policies judge, remembered apart from the deployments: they change with every report."""

    early: tuple[Reading, ...] = ()
    canaries: tuple[CanaryData, ...] = ()

    @property
    def due_ms(self) -> float | None:
        """Time changes nothing here."""
        return None


NOTHING_MEASURED = Measurements()


@dataclass(frozen=True, slots=True)
class MLAppDeployments:
    """Deployments of one MLApp. ``version`` 0: no definition yet, or none any more."""

    mlapp_id: str
    version: int = 0
    consumers: tuple[Consumer, ...] = ()
    waiting: tuple[Announced, ...] = ()
    early: tuple[Accepted, ...] = ()
    latest: tuple[Announced, ...] = ()
    """Newest model of each producer by publication, for nodes that the definition adds later."""
    skipped: tuple[str, ...] = ()
    """Models that no node takes, as was reported."""
    deleted: tuple[str, ...] = ()
    """Models whose files a person has deleted: nothing deploys them any more."""
    signatures: tuple[SignatureOf, ...] = ()
    """In the order of announcement."""
    nodes: tuple[NodeDeployments, ...] = ()
    measured: Measurements = field(default=NOTHING_MEASURED, compare=False)
    """Stored under a key of its own."""

    @property
    def due_ms(self) -> float | None:
        """When time alone changes something: a limit, a window, a model that waits too long for a definition."""
        times: list[float] = [each.due_ms for node in self.nodes for each in node.deployments if each.due_ms]
        times += [each.arrived_ms + DEFINITION_WAIT_MS for each in self.waiting if not each.reported]
        return min(times, default=None)

    def node(self, node_id: str) -> NodeDeployments:
        """Deployments of a node; of a new one, none."""
        return next((each for each in self.nodes if each.node_id == node_id), NodeDeployments(node_id))

    def consumer(self, node_id: str) -> Consumer | None:
        """A consuming node of the definition."""
        return next((each for each in self.consumers if each.node_id == node_id), None)

    def find(self, node_id: str, model_id: str) -> Deployment | None:
        """The latest deployment of a model on a node."""
        return self.node(node_id).find(model_id)

    def active(self, node_id: str) -> Deployment | None:
        """The deployment that is active on a node."""
        return self.node(node_id).active
