"""The scheduler with its state, without Kafka: what goes in is played step by step, what comes out is listed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from parallelm.definitions.running import RunningForm
from parallelm.schemas.records import (
    NO_RECORD,
    AgentCommand,
    CommandKind,
    DeploymentTransition,
    Event,
    MLAppDefinition,
    ModelAnnouncement,
    ModelPolicy,
    Node,
    Origin,
    Policy,
    RecordPosition,
    RunReport,
    RunReportKind,
    RunState,
    RunTransition,
    UserAction,
)
from parallelm.stream_processors.arrival import Arrival
from parallelm.stream_processors.run_routes import KINDS, NODE_RUNS_OF, RunRoutes
from parallelm.stream_processors.runtime.stored_state import Key, StateStore
from parallelm.stream_processors.scheduling.agents import Agents, AgentView
from parallelm.stream_processors.scheduling.state import OPEN, NodeRuns

if TYPE_CHECKING:
    from collections.abc import Iterable

START_MS = 1_767_225_600_000
"""Thursday, 2026-01-01T00:00Z."""
MINUTE = 60_000
HOUR = 60 * MINUTE
APP = "app"


def node(node_id: str, *, mode: str = "offline", parents: tuple[str, ...] = (), kind: str = "auxiliary", **running: Any) -> Node:  # fmt: skip
    """A node that agents run; ``running`` as in the file."""
    form = RunningForm.model_validate({"steps": [{"command": "true"}], **running})
    return Node(
        node_id=node_id, name=node_id, type=kind, mode=mode, schedule="", parents=parents, pipeline="", consumes=(),
        running_json=form.model_dump_json(exclude_defaults=True),
    )  # fmt: skip


def cron(expression: str, **more: Any) -> dict[str, Any]:
    return {"cron": expression, **more}


def definition(nodes: Iterable[Node], version: int, at_ms: int = START_MS) -> MLAppDefinition:
    """An MLApp of these nodes."""
    policy = Policy(model_policy=ModelPolicy.ALWAYS_UPDATE, health_threshold=0.5, canary_threshold=0.5, accept_timeout_ms=0)  # fmt: skip
    return MLAppDefinition(
        event_time_ms=at_ms, mlapp_id=APP, name="An app", description="", version=version, applied_by="me",
        nodes=tuple(nodes), policy=policy, rules=(), source_yaml="",
    )  # fmt: skip


@dataclass
class Scheduler:
    """One MLApp's scheduling, and the agents there are."""

    now_ms: int = START_MS
    transitions: list[RunTransition] = field(default_factory=list)
    commands: list[AgentCommand] = field(default_factory=list)
    agents: dict[str, AgentView] = field(default_factory=dict)
    version: int = 0
    applied: MLAppDefinition | None = None
    """What stands on the topic of definitions, if actions are to know it before it comes."""
    _offset: int = 0
    _generation: int = 0
    _seen: dict[str, AgentView] = field(default_factory=dict)
    _placed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.store = StateStore(KINDS)
        self.routes = self._routes()

    def _routes(self) -> RunRoutes:
        return RunRoutes(self, lambda _: self.applied)

    async def ready(self) -> None:
        """Agents are known."""

    def view(self, now_ms: int) -> Agents:  # noqa: ARG002 - as ``AgentSource``
        if self._seen != self.agents:
            self._seen, self._generation = dict(self.agents), self._generation + 1
        return Agents(self.agents, self._placed, self._generation)

    # ---- what goes in -------------------------------------------------------------------------------------------

    def agent(self, name: str = "a", **changes: Any) -> None:
        """An agent comes, or changes."""
        self.agents[name] = replace(self.agents.get(name, AgentView(name)), **changes)

    def apply(self, *nodes: Node, record: MLAppDefinition | None = None) -> list[RunTransition]:
        """The next version, of these nodes, or this very record."""
        self.version = self.version + 1 if record is None else record.version
        return self._sent(self.routes.on_definition, record or definition(nodes, self.version, self.now_ms))

    def remove(self) -> list[RunTransition]:
        return self._sent(self.routes.on_definition, None)

    def act(self, action: str, node_id: str = "", **more: Any) -> list[RunTransition]:
        """A person's action; each has its own id."""
        record = UserAction(
            event_time_ms=self.now_ms, action_id=f"action-{self._offset}", mlapp_id=APP, who="ann", authenticated_by="",
            action=action, node_id=node_id, model_id="", target=more.pop("target", ""), comment="",
            parameters=more,
        )  # fmt: skip
        return self._sent(self.routes.on_action, record)

    def report(self, kind: RunReportKind, command: AgentCommand, **more: Any) -> list[RunTransition]:
        """What the agent that got a start says of it."""
        record = RunReport(
            event_time_ms=self.now_ms, mlapp_id=APP, node_id=command.node_id, run_id=command.run_id,
            attempt=command.attempt, agent_id=command.agent_id, epoch=command.epoch, seq=self._offset, kind=kind,
        )  # fmt: skip
        return self._sent(self.routes.on_report, replace(record, **more))

    def deployment(self, moved: DeploymentTransition) -> list[RunTransition]:
        """The model policy has decided."""
        return self._taken(
            self.routes.on_deployment(self.store, moved, Arrival(NO_RECORD, self.now_ms, self.now_ms))
        )

    def may_refuse(self, command: AgentCommand) -> bool:
        """Whether it counts when the run of a start refuses a model."""
        refusal = RunReport(
            event_time_ms=self.now_ms, mlapp_id=APP, node_id=command.node_id, run_id=command.run_id,
            attempt=command.attempt, agent_id=command.agent_id, epoch=command.epoch, seq=0,
            kind=RunReportKind.MODEL_REFUSED,
        )  # fmt: skip
        return self.routes.may_refuse(self.store, APP, refusal)

    def started(self, command: AgentCommand) -> list[RunTransition]:
        self.report(RunReportKind.ACCEPTED, command)
        return self.report(RunReportKind.STARTED, command, starts=1, pid=7)

    def ended(self, command: AgentCommand, outcome: str = "succeeded", **more: Any) -> list[RunTransition]:
        return self.report(RunReportKind.ENDED, command, outcome=outcome, **more)

    def event(self, kind: str, event_id: str) -> list[RunTransition]:
        event = Event(
            origin=_origin(""), producer_id="p", seq=0, event_time_ms=self.now_ms, event_id=event_id, type=kind, title="",
            description="", is_alert=False, model_id="", labels={}, content_type="", data=b"",
        )  # fmt: skip
        return self._sent(self.routes.on_event, event)

    def model(self, node_id: str, model_id: str) -> list[RunTransition]:
        announced = ModelAnnouncement(
            origin=_origin(node_id), producer_id="p", seq=0, event_time_ms=self.now_ms, model_id=model_id, name="m",
            format="Text", description="", artifact_url=f"file:///models/{model_id}", file_name="m", is_directory=False,
            size_bytes=3, sha256="ab", annotations={}, owner="", train_version="", model_version="",
        )  # fmt: skip
        self.routes.note_model(self.store, APP, announced)
        return self._sent(self.routes.on_announcement, announced)

    def tick(self, later_ms: int = 2_000) -> list[RunTransition]:
        """Time passes at once, and is then handled."""
        self.now_ms += later_ms
        at = Arrival(NO_RECORD, self.now_ms, self.now_ms)
        due = [key for key, _ in self.store.due(self.now_ms) if key.kind == NODE_RUNS_OF]
        judged = self.routes.to_judge(self.store, due, at).items()
        return self._taken(
            sent for mlapp, nodes in judged for sent in self.routes.on_time(self.store, mlapp, nodes, at)
        )

    def pass_time(self, until_ms: int, step_ms: int = 2_000) -> list[RunTransition]:
        """Time passes in ticks, relative to the start."""
        found: list[RunTransition] = []
        while self.now_ms < START_MS + until_ms:
            found += self.tick(min(step_ms, START_MS + until_ms - self.now_ms))
        return found

    def restart(self) -> None:
        """Another process goes on from the changelog."""
        self._commit()
        store = StateStore(KINDS)
        for kind in KINDS:
            for key, _ in self.store.all_of(kind):
                store.load(key.to_bytes(), self.store.encode(key))
        self.store, self.routes = store, self._routes()

    # ---- what is to be seen -------------------------------------------------------------------------------------

    def runs(self, node_id: str) -> NodeRuns:
        found: NodeRuns = self.store.get(Key(NODE_RUNS_OF, APP, node_id)) or NodeRuns(node_id)
        return found

    def starts(self, node_id: str | None = None) -> list[AgentCommand]:
        """Start commands so far."""
        return [
            each
            for each in self.commands
            if each.kind is CommandKind.START and node_id in {None, each.node_id}
        ]

    def of(self, kind: CommandKind) -> list[AgentCommand]:
        return [each for each in self.commands if each.kind is kind]

    def told(self, state: RunState, node_id: str | None = None) -> list[RunTransition]:
        return [each for each in self.transitions if each.state is state and node_id in {None, each.node_id}]

    def open_runs(self) -> set[str]:
        """As the transitions tell it."""
        last = {each.run_id: each.state for each in self.transitions if each.run_id}
        return {run_id for run_id, state in last.items() if state in OPEN}

    def _sent(self, route: Any, record: Any) -> list[RunTransition]:
        self._offset += 1
        position = RecordPosition(topic="t", partition=0, offset=self._offset)
        return self._taken(route(self.store, APP, record, Arrival(position, self.now_ms, self.now_ms)))

    def _taken(self, sent: Iterable[Any]) -> list[RunTransition]:
        new = list(sent)
        transitions = [each for each in new if isinstance(each, RunTransition)]
        self.transitions += transitions
        self.commands += [each for each in new if isinstance(each, AgentCommand)]
        self._commit()
        return transitions

    def _commit(self) -> None:
        self.store.commit()


def _origin(node_id: str) -> Origin:
    return Origin(mlapp_id=APP, node_id=node_id, pipeline_instance_id="", agent_id="")
