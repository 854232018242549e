"""Where records meet the scheduler: one method an input, each from the store and back into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from parallelm.schemas.records import DeploymentState
from parallelm.stream_processors import deployment_routes
from parallelm.stream_processors.alerts.event_time import judged_at
from parallelm.stream_processors.model_policy.settings import policy_settings
from parallelm.stream_processors.model_policy.work import At, deployment_id_of
from parallelm.stream_processors.runtime.stored_state import BodyKind, Key
from parallelm.stream_processors.scheduling import actions, clock, cycles, definition, models, reports
from parallelm.stream_processors.scheduling.agents import Agents
from parallelm.stream_processors.scheduling.models import ModelFiles
from parallelm.stream_processors.scheduling.state import AppRuns, Life, NodeRuns
from parallelm.stream_processors.scheduling.work import Work, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from parallelm.definitions.run_spec import ModelSpec
    from parallelm.schemas.records import (
        AgentCommand,
        DeploymentTransition,
        Event,
        MLAppDefinition,
        ModelAnnouncement,
        RunReport,
        RunTransition,
        UserAction,
    )
    from parallelm.stream_processors.arrival import Arrival
    from parallelm.stream_processors.runtime.stored_state import StateStore

    Sent = RunTransition | AgentCommand

RUNS_OF = "runs"
NODE_RUNS_OF = "node-runs"
MODEL_FILES_OF = "model-files"
KINDS: Mapping[str, BodyKind] = {
    RUNS_OF: BodyKind(AppRuns),
    NODE_RUNS_OF: BodyKind(NodeRuns),
    MODEL_FILES_OF: BodyKind(ModelFiles),
}
_NO_FILES = ModelFiles()


class AgentSource(Protocol):
    """Who knows which agents there are."""

    async def ready(self) -> None:
        """Wait until it knows them; raises what passes while it cannot."""

    def view(self, now_ms: int) -> Agents:
        """Every agent, as of now by the broker's clock."""


class NoAgents:
    """There are none."""

    async def ready(self) -> None:
        """Nothing is to be known."""

    def view(self, now_ms: int) -> Agents:  # noqa: ARG002 - as ``AgentSource``
        """None at any time."""
        return Agents()


def _unknown(mlapp_id: str) -> MLAppDefinition | None:  # noqa: ARG001 - as ``definition_of``
    return None


class RunRoutes:
    """The scheduler's side of the MLApp stage."""

    def __init__(
        self, agents: AgentSource, definition_of: Callable[[str], MLAppDefinition | None] = _unknown
    ) -> None:
        """``definition_of``: of an MLApp, what was applied last before the records that are handled now."""
        self._agents = agents
        self._definition_of = definition_of
        self._seen = -1
        """Generation of the agents that every run was judged by."""

    def opened(self) -> None:
        """Nothing was judged yet."""
        self._seen = -1

    def on_definition(
        self, store: StateStore, mlapp_id: str, record: MLAppDefinition | None, at: Arrival
    ) -> Iterator[Sent]:
        """A definition, or the removal of an MLApp."""
        work = self._work(store, mlapp_id, at, at.arrived_ms if record is None else record.event_time_ms)
        if record is not None and record.version < work.app.version:
            return  # an action that came first was about a later one
        definition.on_definition(work, record)
        if record is None:
            store.put(Key(MODEL_FILES_OF, mlapp_id), None)
        yield from self._decided(store, work)

    def on_action(self, store: StateStore, mlapp_id: str, record: UserAction, at: Arrival) -> Iterator[Sent]:
        """A person has decided, about the MLApp as it was applied, though that may be still to come on its own topic."""
        work = self._work(store, mlapp_id, at, record.event_time_ms, who=record.who)
        applied = self._definition_of(mlapp_id)
        if applied is not None and applied.version > work.app.version:
            definition.on_definition(work, applied)
        actions.on_action(work, record)
        yield from self._decided(store, work)

    def note_model(self, store: StateStore, mlapp_id: str, record: ModelAnnouncement) -> None:
        """A model was published: from now on it can be delivered."""
        app: AppRuns | None = store.get(Key(RUNS_OF, mlapp_id))
        if app is None or not app.plans:
            return
        known: ModelFiles = store.get(Key(MODEL_FILES_OF, mlapp_id)) or _NO_FILES
        wanted = deployment_routes.known_of(store, mlapp_id)
        kept = {each.model_id for node in wanted.nodes for each in node.deployments}
        kept |= {plan.running.default_model for plan in app.plans if plan.running.default_model}
        store.put(Key(MODEL_FILES_OF, mlapp_id), known.with_announced(record, kept))

    def on_announcement(
        self, store: StateStore, mlapp_id: str, record: ModelAnnouncement, at: Arrival
    ) -> Iterator[Sent]:
        """Nodes may be due by a model. To be called after the model policy has decided on it."""
        work = self._work(store, mlapp_id, at, record.event_time_ms)
        cycles.on_model(work, record)
        yield from self._decided(store, work)

    def on_event(self, store: StateStore, mlapp_id: str, record: Event, at: Arrival) -> Iterator[Sent]:
        """An event that nodes may wait for."""
        work = self._work(store, mlapp_id, at, record.event_time_ms)
        cycles.on_event(work, record)
        yield from self._decided(store, work)

    def on_report(self, store: StateStore, mlapp_id: str, record: RunReport, at: Arrival) -> Iterator[Sent]:
        """An agent has said something of a run."""
        work = self._work(store, mlapp_id, at, record.event_time_ms)
        reports.on_report(work, record)
        yield from self._decided(store, work)

    def may_refuse(self, store: StateStore, mlapp_id: str, report: RunReport) -> bool:
        """Whether a run's refusal of a model says something of the model: it goes on there, and is not ending."""
        node: NodeRuns | None = store.get(Key(NODE_RUNS_OF, mlapp_id, report.node_id))
        run = node.run(report.run_id) if node is not None else None
        return not report.run_id or (run is not None and reports.goes_on(run, report))

    def on_deployment(self, store: StateStore, moved: DeploymentTransition, at: Arrival) -> Iterator[Sent]:
        """A model is to go to a node's runs, or another one back to those that had it on trial; nodes may be due by it."""
        if not (models.is_delivered(moved) or models.is_taken_away(moved)):
            return
        work = self._work(store, moved.mlapp_id, at, moved.event_time_ms)
        plan = work.plan(moved.node_id)
        if plan is not None:
            if models.is_delivered(moved):
                wanted = _spec(store, moved.mlapp_id, moved.node_id, moved.model_id, moved.deployment_id)
            else:
                wanted = work.world.model_of(moved.node_id, plan.running.default_model)
            models.on_deployment(work, moved, wanted)
        if moved.state is DeploymentState.REQUESTED:
            cycles.on_deployed(work, moved)
        yield from self._decided(store, work)

    def to_judge(self, store: StateStore, due: Iterable[Key], at: Arrival) -> Mapping[str, set[str]]:
        """Nodes by MLApp that time has reached; every run is judged when agents have come, gone or changed."""
        by_mlapp: dict[str, set[str]] = {}
        for key in due:
            by_mlapp.setdefault(key.mlapp_id, set()).add(key.name)
        generation = self._agents.view(at.arrived_ms).generation
        if generation != self._seen:
            self._seen = generation
            for key, body in store.all_of(NODE_RUNS_OF):
                if body.runs:
                    by_mlapp.setdefault(key.mlapp_id, set()).add(key.name)
        return by_mlapp

    def on_time(
        self, store: StateStore, mlapp_id: str, node_ids: Iterable[str], at: Arrival
    ) -> Iterator[Sent]:
        """Time passed, by the broker's clock."""
        work = self._work(store, mlapp_id, at, at.arrived_ms)
        clock.on_tick(work, sorted(node_ids))
        yield from self._decided(store, work)

    def _work(self, store: StateStore, mlapp_id: str, at: Arrival, event_ms: int, *, who: str = "") -> Work:
        app: AppRuns = store.get(Key(RUNS_OF, mlapp_id)) or AppRuns(mlapp_id)
        nodes = {key.name: body for key, body in store.keys_of(mlapp_id, NODE_RUNS_OF)}

        def model_of(node_id: str, default_model: str | None) -> ModelSpec | None:
            return _wanted(store, mlapp_id, node_id, default_model)

        when = At(int(judged_at(event_ms, at.arrived_ms)), at.arrived_ms, at.now_ms, at.position, who)
        return Work(app, nodes, when, World(self._agents.view(at.arrived_ms), model_of))

    @staticmethod
    def _decided(store: StateStore, work: Work) -> Iterator[Sent]:
        clock.settle(work)
        app, mlapp_id = work.app, work.app.mlapp_id
        for node in work.nodes.values():
            key = Key(NODE_RUNS_OF, mlapp_id, node.node_id)
            is_gone = work.plan(node.node_id) is None and not node.runs
            body = None if is_gone or node == NodeRuns(node.node_id) else node
            if store.get(key) != body:
                store.put(key, body)
        if app.life is Life.REMOVED and not any(node.runs for node in work.nodes.values()):
            app = AppRuns(mlapp_id)
        key = Key(RUNS_OF, mlapp_id)
        wanted = None if app == AppRuns(mlapp_id) else app
        if store.get(key) != wanted:
            store.put(key, wanted)
        yield from work.transitions
        yield from work.commands


def _wanted(store: StateStore, mlapp_id: str, node_id: str, default_model: str | None) -> ModelSpec | None:
    """The model that a node is to run: the one that was deployed last, or its default."""
    target = deployment_routes.known_of(store, mlapp_id).node(node_id).target
    if target is not None:
        deployment_id = deployment_id_of(mlapp_id, node_id, target.model_id, target.attempt)
        return _spec(store, mlapp_id, node_id, target.model_id, deployment_id)
    return _spec(store, mlapp_id, node_id, default_model) if default_model else None


def _spec(
    store: StateStore, mlapp_id: str, node_id: str, model_id: str, deployment_id: str = ""
) -> ModelSpec | None:
    """None for a model whose file is not known: the program asks for it itself.

    The policy has judged an announcement that may be another one than that of the file, when both were forgotten at different
    times: the agent checks the file that it is given by the same keys.
    """
    known: ModelFiles = store.get(Key(MODEL_FILES_OF, mlapp_id)) or _NO_FILES
    found = known.find(model_id)
    if found is None:
        return None
    consumer = deployment_routes.known_of(store, mlapp_id).consumer(node_id)
    keys = policy_settings(consumer.policy).signing_keys if consumer is not None else ()
    return found.spec(deployment_id, keys)
