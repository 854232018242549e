"""What is remembered of one MLApp's runs: one body for the MLApp, one for each node."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from parallelm.schemas.records import RunState
from parallelm.stream_processors.alerts.ids import digest
from parallelm.stream_processors.scheduling.plans import NodePlan  # noqa: TC001 - read at run time

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_OPEN_RUNS = 1_200
"""Runs of a node that have not ended: their state has to fit one record."""
MAX_REASON = 120
"""Characters of what a run waits for that are remembered: of each open run, so that all fit one record."""
MAX_QUEUED = 100
"""Cycles of a node that wait for earlier ones."""
MAX_ENDED = 20
"""Cycles of a node that are remembered after their end: what children ask for, and what comes again is of."""

OPEN = frozenset(
    {RunState.WAITING, RunState.ASSIGNED, RunState.RUNNING, RunState.UNREACHABLE, RunState.STOPPING}
)
ON_AGENT = OPEN - {RunState.WAITING}


class Life(StrEnum):
    """Of an MLApp."""

    DEFINED = "defined"
    LAUNCHED = "launched"
    PAUSED = "paused"
    STOPPED = "stopped"
    ARCHIVED = "archived"
    REMOVED = "removed"
    """Its definition was removed; runs are still ending."""


class EndsAs(StrEnum):
    """Why a run was told to stop, which decides what becomes of it."""

    NOTHING = ""
    STOPPED = "stopped"
    MOVED = "moved"
    """It goes on elsewhere."""
    TIMED_OUT = "timed_out"


class Outcome(StrEnum):
    """Of a cycle: the worst of its runs."""

    SUCCEEDED = "succeeded"
    STOPPED = "stopped"
    FAILED = "failed"
    MISSED = "missed"


_BAD = (Outcome.SUCCEEDED, Outcome.STOPPED, Outcome.FAILED, Outcome.MISSED)


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has not ended. Times are the broker's."""

    run_id: str
    instance: int
    cycle: str
    """What made it due; runs of other nodes that follow from it have the same."""
    trigger: str
    trigger_id: str
    due_ms: int
    version: int
    """Of the definition."""
    form: str
    """Of the node: a service with another one is started anew."""
    state: RunState = RunState.UNKNOWN
    attempt: int = 1
    steps: int = 0
    """Transitions so far."""
    since_ms: int = 0
    agent_id: str = ""
    epoch: int = 0
    accepted: bool = False
    """Its agent has said that it has it."""
    starts: int = 0
    failures: int = 0
    not_before_ms: int = 0
    """Of the next attempt; 0: now."""
    avoid: str = ""
    """Agent that another one is preferred to."""
    refusals: int = 0
    deadline_ms: int = 0
    """It is missed if it has not begun by then; 0: never."""
    expires_ms: int = 0
    """After this its start is void."""
    lease_ends_ms: int = 0
    """Movable: after this it does not run on its agent any more."""
    limit_ms: int = 0
    """It should have ended by then; 0: no limit."""
    model_id: str = ""
    who: str = ""
    reason: str = ""
    """What it waits for, as was told; the beginning of it."""
    ends_as: EndsAs = EndsAs.NOTHING

    @property
    def wakes_ms(self) -> Iterator[int]:
        """Times at which time alone may change it."""
        if self.state is RunState.WAITING:
            yield self.not_before_ms
            yield self.deadline_ms
        else:
            yield self.lease_ends_ms
            if not (self.accepted or self.lease_ends_ms):
                yield self.expires_ms
            if self.state is RunState.RUNNING:
                yield self.limit_ms


@dataclass(frozen=True, slots=True)
class Cycle:
    """Runs of a node for one cause, of which at least one has ended."""

    cycle: str
    outcome: Outcome
    at_ms: int

    def joined(self, outcome: Outcome, at_ms: int) -> Cycle:
        """With one more end."""
        return Cycle(self.cycle, max(self.outcome, outcome, key=_BAD.index), at_ms)


@dataclass(frozen=True, slots=True)
class Service:
    """One instance of an online node over all its runs."""

    instance: int
    starts: int = 0
    """Runs so far since the launch."""
    home: str = ""
    """Pinned: the agent that it stays with."""
    failures: int = 0
    """In a row."""
    not_before_ms: int = 0
    is_done: bool = False
    """It ended as it should: not started again before the next launch."""
    refused_form: str = ""
    """Form of the node that no agent can start: not tried again before the next launch, or another form."""


@dataclass(frozen=True, slots=True)
class NodeRuns:
    """Runs of one node."""

    node_id: str
    runs: tuple[Run, ...] = ()
    cycles: tuple[Cycle, ...] = ()
    services: tuple[Service, ...] = ()
    scheduled_ms: int = 0
    """Due times up to here were handled."""
    next_due_ms: int = 0
    """The next due time with its jitter; 0: none."""
    paused: bool = False
    succeeded_ms: int = 0
    """When a cycle succeeded last; 0: never."""

    @property
    def due_ms(self) -> float | None:
        """When time alone changes something."""
        times = [self.next_due_ms, *(at for run in self.runs for at in run.wakes_ms)]
        times += [each.not_before_ms for each in self.services]
        return min((at for at in times if at), default=None)

    def run(self, run_id: str) -> Run | None:
        """An open run."""
        return next((each for each in self.runs if each.run_id == run_id), None)

    def of_cycle(self, cycle: str) -> list[Run]:
        """Open runs of a cycle."""
        return [each for each in self.runs if each.cycle == cycle]

    def end_of(self, cycle: str) -> Cycle | None:
        """What has ended of a cycle."""
        return next((each for each in self.cycles if each.cycle == cycle), None)

    def knows(self, cycle: str) -> bool:
        """Whether a cycle has reached the node."""
        return bool(self.of_cycle(cycle)) or self.end_of(cycle) is not None

    def service(self, instance: int) -> Service:
        """An instance of an online node."""
        return next((each for each in self.services if each.instance == instance), Service(instance))


@dataclass(frozen=True, slots=True)
class AppRuns:
    """Of an MLApp as a whole. ``version`` 0: it has no definition."""

    mlapp_id: str
    version: int = 0
    name: str = ""
    life: Life = Life.DEFINED
    launch_id: str = ""
    """Action that has launched it last."""
    who: str = ""
    """Who did."""
    plans: tuple[NodePlan, ...] = ()
    """Nodes that agents run."""

    @property
    def due_ms(self) -> float | None:
        """Time changes nothing here."""
        return None

    def plan(self, node_id: str) -> NodePlan | None:
        """A node that agents run."""
        return next((each for each in self.plans if each.node_id == node_id), None)


def run_id_of(mlapp_id: str, node_id: str, instance: int, cycle: str) -> str:
    """Id of a run: the same cause always makes the same run."""
    return digest("run", mlapp_id, node_id, instance, cycle)


def instance_id_of(mlapp_id: str, node_id: str, instance: int) -> str:
    """Id of an instance of a node's pipeline, the same over all its runs."""
    return digest("instance", mlapp_id, node_id, instance)
