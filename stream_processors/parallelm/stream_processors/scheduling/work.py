"""The decisions that one input leads to: the state as it changes, transitions of runs, and commands to agents."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from parallelm.schemas.records import AgentCommand, CommandKind, RunState, RunTransition
from parallelm.stream_processors.alerts.ids import digest
from parallelm.stream_processors.scheduling.agents import Agents
from parallelm.stream_processors.scheduling.state import (
    MAX_ENDED,
    MAX_REASON,
    OPEN,
    AppRuns,
    Cycle,
    Life,
    NodeRuns,
    Outcome,
    Run,
    Service,
    instance_id_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.definitions.run_spec import ModelSpec
    from parallelm.stream_processors.model_policy.work import At
    from parallelm.stream_processors.scheduling.plans import NodePlan


def _no_model(node_id: str, default_model: str | None) -> ModelSpec | None:  # noqa: ARG001 - as ``ModelOf``
    return None


@dataclass(frozen=True, slots=True)
class World:
    """What the scheduler asks beside its own state."""

    agents: Agents = field(default_factory=Agents)
    model_of: Callable[[str, str | None], ModelSpec | None] = _no_model
    """Model that a node is to run, by node and its default model."""


_OUTCOMES = {
    RunState.SUCCEEDED: Outcome.SUCCEEDED,
    RunState.STOPPED: Outcome.STOPPED,
    RunState.MISSED: Outcome.MISSED,
}


class Work:
    """One input's work on an MLApp."""

    def __init__(self, app: AppRuns, nodes: Mapping[str, NodeRuns], at: At, world: World) -> None:
        self.app = app
        self.at = at
        self.world = world
        self.nodes = dict(nodes)
        self.transitions: list[RunTransition] = []
        self.commands: list[AgentCommand] = []
        self.ended: list[tuple[str, str]] = []
        """Cycles that ended on a node, and whose followers are still to be found."""

    @property
    def now_ms(self) -> int:
        """The broker's clock."""
        return self.at.broker_ms

    def plan(self, node_id: str) -> NodePlan | None:
        """A node that agents run."""
        return self.app.plan(node_id)

    def node(self, node_id: str) -> NodeRuns:
        """Runs of a node; of a new one, none."""
        return self.nodes.get(node_id) or NodeRuns(node_id)

    def put(self, node: NodeRuns) -> None:
        """Remember a node."""
        self.nodes[node.node_id] = node

    def put_service(self, node_id: str, service: Service) -> None:
        """Remember an instance of an online node."""
        node = self.node(node_id)
        known = {each.instance: each for each in node.services} | {service.instance: service}
        self.put(replace(node, services=tuple(known.values())))

    def change(self, node_id: str, run: Run, **changes: Any) -> Run:
        """Remember something of a run; no transition follows."""
        changed: Run = replace(run, **changes)
        node = self.node(node_id)
        if node.run(run.run_id) is None:
            runs = (*node.runs, changed)
        else:
            runs = tuple(changed if each.run_id == run.run_id else each for each in node.runs)
        self.put(replace(node, runs=runs))
        return changed

    def move(
        self, node_id: str, run: Run, state: RunState, reason: str, *, exit_code: int = 0, **changes: Any
    ) -> Run:
        """Bring a run into a state, and send the transition; what has ended is forgotten but for its cycle."""
        settled: dict[str, Any] = {
            "state": state,
            "steps": run.steps + 1,
            "since_ms": self.now_ms,
            "reason": reason[:MAX_REASON] if state is RunState.WAITING else "",
        }
        moved: Run = replace(run, **(settled | changes))
        if state in OPEN:
            self.change(node_id, moved)
        else:
            self._forget(node_id, moved)
        self.transitions.append(self._transition(node_id, moved, run, reason, exit_code))
        return moved

    def answer(self, state: RunState, reason: str, *, node_id: str = "", run_id: str = "") -> None:
        """Send what is about the MLApp or a node as a whole."""
        cause = self.at.cause
        place = (cause.topic, cause.partition, cause.offset)
        self.transitions.append(
            RunTransition(
                event_time_ms=self.at.event_ms,
                decided_at_ms=self.at.now_ms,
                transition_id=digest(self.app.mlapp_id, node_id, run_id, state.value, *place),
                mlapp_id=self.app.mlapp_id,
                node_id=node_id,
                pipeline_instance_id="",
                instance=0,
                run_id=run_id,
                attempt=0,
                state=state,
                previous_state=RunState.UNKNOWN,
                agent_id="",
                reason=reason,
                trigger="",
                trigger_id="",
                due_at_ms=self.at.event_ms,
                definition_version=self.app.version,
                model_id="",
                exit_code=0,
                starts=0,
                who=self.at.who,
                cause=cause,
            )
        )

    def command(
        self,
        kind: CommandKind,
        node_id: str,
        run_id: str,
        attempt: int,
        *,
        agent_id: str,
        epoch: int,
        reason: str,
        about: str = "",
        expires_ms: int = 0,
        spec_json: str = "{}",
    ) -> None:
        """Tell an agent what to do; ``about`` tells commands of one kind about one attempt apart."""
        self.commands.append(
            AgentCommand(
                event_time_ms=self.now_ms,
                command_id=digest(run_id, attempt, kind.value, agent_id, about),
                agent_id=agent_id,
                epoch=epoch,
                kind=kind,
                mlapp_id=self.app.mlapp_id,
                node_id=node_id,
                run_id=run_id,
                attempt=attempt,
                expires_at_ms=expires_ms,
                reason=reason,
                spec_json=spec_json,
            )
        )

    @property
    def begins_runs(self) -> bool:
        """Whether schedules, triggers and services of the MLApp are in force."""
        return self.app.life is Life.LAUNCHED

    def _forget(self, node_id: str, run: Run) -> None:
        node = self.node(node_id)
        runs = tuple(each for each in node.runs if each.run_id != run.run_id)
        cycles = node.cycles
        plan = self.plan(node_id)
        if plan is None or not plan.is_online:
            outcome = _OUTCOMES.get(run.state, Outcome.FAILED)
            known = node.end_of(run.cycle) or Cycle(run.cycle, outcome, self.now_ms)
            cycles = (
                *(each for each in cycles if each.cycle != run.cycle),
                known.joined(outcome, self.now_ms),
            )
            open_cycles = {each.cycle for each in runs}
            over = [each.cycle for each in cycles if each.cycle not in open_cycles]
            gone = set(over[: max(0, len(over) - MAX_ENDED)])
            cycles = tuple(each for each in cycles if each.cycle not in gone)
            if run.cycle not in open_cycles:
                self.ended.append((node_id, run.cycle))
        self.put(replace(node, runs=runs, cycles=cycles))

    def _transition(self, node_id: str, moved: Run, run: Run, reason: str, exit_code: int) -> RunTransition:
        return RunTransition(
            event_time_ms=self.at.event_ms,
            decided_at_ms=self.at.now_ms,
            transition_id=digest(run.run_id, moved.attempt, moved.state.value, moved.steps),
            mlapp_id=self.app.mlapp_id,
            node_id=node_id,
            pipeline_instance_id=instance_id_of(self.app.mlapp_id, node_id, run.instance),
            instance=run.instance,
            run_id=run.run_id,
            attempt=moved.attempt,
            state=moved.state,
            previous_state=run.state,
            agent_id=moved.agent_id,
            reason=reason,
            trigger=run.trigger,
            trigger_id=run.trigger_id,
            due_at_ms=run.due_ms,
            definition_version=moved.version,
            model_id=moved.model_id,
            exit_code=exit_code,
            starts=moved.starts,
            who=run.who,
            cause=self.at.cause,
        )
