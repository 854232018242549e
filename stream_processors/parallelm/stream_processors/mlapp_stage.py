"""MLApp stage: every record keyed by MLApp goes through here, to the alerts and deployments that it concerns."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from parallelm.schemas.errors import DecodeError
from parallelm.schemas.records import (
    NO_RECORD,
    AgentCommand,
    AggregateKind,
    AlertTransition,
    DeploymentTransition,
    Event,
    KpiBatch,
    MLAppDefinition,
    ModelAnnouncement,
    RuleAggregate,
    RunReport,
    RunReportKind,
    RunTransition,
    UserAction,
)
from parallelm.schemas.times import is_time
from parallelm.schemas.topics import AGENT_COMMANDS, ALERTS, CATALOGUE, DEPLOYMENTS, MLAPPS, RUNS
from parallelm.schemas.well_known import FORGET_MLAPP, MODEL_ACCEPTED, RUN_ACTIONS, TIME_BOUNDS
from parallelm.stream_processors import alert_routes, deployment_routes, run_routes
from parallelm.stream_processors.alert_routes import ALERT_ACTIONS, AlertRoutes
from parallelm.stream_processors.arrival import Arrival
from parallelm.stream_processors.deployment_routes import DEPLOYMENTS_OF
from parallelm.stream_processors.model_policy.actions import HANDLED as MODEL_ACTIONS
from parallelm.stream_processors.model_policy.agents import has_ended_for
from parallelm.stream_processors.run_routes import NODE_RUNS_OF, NoAgents, RunRoutes
from parallelm.stream_processors.runtime.dead_letters import InvalidRecordError
from parallelm.stream_processors.runtime.partitioning import control_partition
from parallelm.stream_processors.runtime.patience import FATAL
from parallelm.stream_processors.runtime.transactions import Output, checked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from parallelm.schemas.codec import Codec
    from parallelm.stream_processors.current_rules import CurrentRules
    from parallelm.stream_processors.run_routes import AgentSource
    from parallelm.stream_processors.runtime.chunks import Incoming
    from parallelm.stream_processors.runtime.dead_letters import DeadLetters
    from parallelm.stream_processors.runtime.stored_state import BodyKind, Key, StateStore

    Sent = AlertTransition | DeploymentTransition | RunTransition | AgentCommand


logger = logging.getLogger(__name__)

_LOG_INTERVAL_S = 60.0


class MLAppHandler:
    """Routes a record to the alerts, deployments and runs that it concerns, and sends the transitions that follow."""

    kinds: Mapping[str, BodyKind] = {**alert_routes.KINDS, **deployment_routes.KINDS, **run_routes.KINDS}

    def __init__(
        self,
        codec: Codec,
        prefix: str,
        rules: CurrentRules,
        letters: DeadLetters,
        agents: AgentSource | None = None,
    ) -> None:
        self._codec = codec
        self._expected = {topic.full_name(prefix): topic.record for topic in CATALOGUE}
        self._mlapps = MLAPPS.full_name(prefix)
        self._prefix = prefix
        self._topics = {
            AlertTransition: ALERTS,
            DeploymentTransition: DEPLOYMENTS,
            RunTransition: RUNS,
            AgentCommand: AGENT_COMMANDS,
        }
        self._rules = rules
        self._alerts = AlertRoutes(rules, _has_ended)
        self._agents = agents or NoAgents()
        self._runs = RunRoutes(self._agents, self._definition_of)
        self._letters = letters
        self._knows_rules = False
        self._logged: dict[str, float] = {}
        """When it was last told of an MLApp that it cannot be judged."""

    def opened(self, store: StateStore) -> None:  # noqa: ARG002 - everything is in the store
        """Rules may have been changed since the state was written."""
        self._knows_rules = False
        self._runs.opened()

    async def prepare(self, records: Sequence[Incoming]) -> None:
        """Know every definition that was applied before these records. Time alone needs rules, too."""
        if records or not self._knows_rules:
            await self._rules.refresh()
            self._knows_rules = True
        await self._agents.ready()

    def handle(self, store: StateStore, record: Incoming) -> Iterator[Output]:
        """Transitions that follow from a record."""
        mlapp_id = (record.key or b"").decode()
        if control_partition(mlapp_id) != record.partition:
            raise InvalidRecordError(
                f"records of MLApp {mlapp_id!r} belong on partition {control_partition(mlapp_id)} (murmur2 of the key)"
            )
        decoded = self._decoded(record, mlapp_id)
        at = Arrival(
            record.position,
            record.arrived_ms,
            time.time_ns() // 1_000_000,
        )
        yield from self._outputs(self._followed(store, self._route(store, mlapp_id, decoded, at), at))
        self._letters.handled()

    def on_time(self, store: StateStore, now_ms: int) -> Iterator[Output]:
        """Transitions that time alone leads to."""
        at = Arrival(NO_RECORD, now_ms, time.time_ns() // 1_000_000)
        self._alerts.on_clock(now_ms)
        runs: list[Key] = []
        for key, body in store.due(now_ms):
            if key.kind == NODE_RUNS_OF:
                runs.append(key)
                continue
            if key.kind == DEPLOYMENTS_OF:
                sent: Iterator[Sent] = deployment_routes.on_time(store, key.mlapp_id, at)
            else:
                sent = self._alerts.on_time(store, key, body, now_ms, at)
            yield from self._if_possible(store, key.mlapp_id, self._followed(store, sent, at))
        for mlapp_id, node_ids in self._runs.to_judge(store, runs, at).items():
            yield from self._if_possible(store, mlapp_id, self._runs.on_time(store, mlapp_id, node_ids, at))

    def _if_possible(self, store: StateStore, mlapp_id: str, sent: Iterable[Sent]) -> list[Output]:
        """What time leads to for one MLApp, whole or not at all: whatever is wrong with it, the others go on."""
        store.begin_record()
        try:
            found = [checked(output) for output in self._outputs(sent)]
            for key in store.changed_in_record():
                store.encode(key)
        except FATAL:
            raise
        except Exception as error:
            store.undo_record()
            if time.monotonic() - self._logged.get(mlapp_id, float("-inf")) > _LOG_INTERVAL_S:
                self._logged[mlapp_id] = time.monotonic()
                logger.exception("MLApp %r is not judged by time: %s", mlapp_id, type(error).__name__)
            return []
        return found

    def finish(self, store: StateStore) -> Iterator[Output]:  # noqa: ARG002 - everything is in the store
        """Nothing is left over at the end of a batch."""
        return iter(())

    def _decoded(self, record: Incoming, mlapp_id: str) -> Any:
        if record.value is None:
            if record.topic == self._mlapps:
                return None
            raise DecodeError(f"a tombstone has no meaning on topic {record.topic}")
        decoded: Any = self._codec.decode(record.value, self._expected[record.topic])
        named = decoded.mlapp_id if hasattr(decoded, "mlapp_id") else decoded.origin.mlapp_id
        if named != mlapp_id:
            raise InvalidRecordError(f"the record is of MLApp {named!r}, its key says {mlapp_id!r}")
        time_ms = getattr(decoded, "event_time_ms", 0)
        if not is_time(
            time_ms
        ):  # state that took an impossible time would hold all later records for old ones
            raise InvalidRecordError(
                f"event_time is {time_ms}, which is outside the years {TIME_BOUNDS} in epoch milliseconds"
            )
        return decoded

    def _route(self, store: StateStore, mlapp_id: str, record: Any, at: Arrival) -> Iterator[Sent]:
        match record:
            case RuleAggregate() if record.kind in {AggregateKind.SAMPLES, AggregateKind.DISTRIBUTION}:
                yield from deployment_routes.on_measurement(store, mlapp_id, record, at)
            case RuleAggregate():
                yield from self._alerts.on_aggregate(store, record, at)
            case Event():
                yield from self._on_event(store, mlapp_id, record, at)
            case KpiBatch():
                yield from self._alerts.observe(store, mlapp_id, record, at)
            case UserAction():
                yield from self._on_action(store, mlapp_id, record, at)
            case RunReport():
                yield from self._on_report(store, mlapp_id, record, at)
            case ModelAnnouncement():
                self._runs.note_model(store, mlapp_id, record)
                yield from deployment_routes.on_announcement(store, mlapp_id, record, at)
                yield from self._runs.on_announcement(store, mlapp_id, record, at)
                yield from self._alerts.observe(store, mlapp_id, record, at)
            case MLAppDefinition() | None:
                yield from deployment_routes.on_definition(store, mlapp_id, record, at)
                yield from self._alerts.on_definition(store, mlapp_id, record, at)
                yield from self._runs.on_definition(store, mlapp_id, record, at)

    def _on_action(self, store: StateStore, mlapp_id: str, action: UserAction, at: Arrival) -> Iterator[Sent]:
        if action.action == FORGET_MLAPP:
            self._forget(store, mlapp_id)
        elif action.action in ALERT_ACTIONS:
            yield from self._alerts.on_action(store, action, at)
        elif action.action in MODEL_ACTIONS:
            yield from deployment_routes.on_action(store, mlapp_id, action, at)
        elif action.action in RUN_ACTIONS:
            yield from self._runs.on_action(store, mlapp_id, action, at)

    def _definition_of(self, mlapp_id: str) -> MLAppDefinition | None:
        known = self._rules.of(mlapp_id)
        return None if known is None else known.definition

    def _forget(self, store: StateStore, mlapp_id: str) -> None:
        """Of an MLApp that was erased nothing is remembered, unless it has been defined again since."""
        if self._rules.of(mlapp_id) is None:
            for key, _ in list(store.keys_of(mlapp_id)):
                store.put(key, None)

    def _on_event(self, store: StateStore, mlapp_id: str, event: Event, at: Arrival) -> Iterator[Sent]:
        if event.is_alert:
            yield from self._alerts.on_component_event(store, event, at)
        elif event.type == MODEL_ACCEPTED:
            yield from deployment_routes.on_accepted(store, mlapp_id, event, at)
        yield from self._alerts.observe(store, mlapp_id, event, at)
        if not event.is_alert:
            yield from self._runs.on_event(store, mlapp_id, event, at)

    def _on_report(self, store: StateStore, mlapp_id: str, report: RunReport, at: Arrival) -> Iterator[Sent]:
        yield from self._runs.on_report(store, mlapp_id, report, at)
        if report.kind is RunReportKind.MODEL_ACCEPTED:
            yield from deployment_routes.on_delivered(store, mlapp_id, report, at)
        elif report.kind is RunReportKind.MODEL_REFUSED and self._runs.may_refuse(store, mlapp_id, report):
            yield from deployment_routes.on_refused(store, mlapp_id, report, at)

    def _followed(self, store: StateStore, transitions: Iterable[Sent], at: Arrival) -> Iterator[Sent]:
        """With what follows at once: an alert may roll a model back, a model that was taken ends alerts."""
        for transition in transitions:
            yield transition
            if isinstance(transition, AlertTransition):
                rolled_back = deployment_routes.on_alert(store, transition.mlapp_id, transition, at)
                yield from self._followed(store, rolled_back, at)
            elif isinstance(transition, DeploymentTransition):
                yield from self._runs.on_deployment(store, transition, at)
                yield from self._on_taken(store, transition, at)

    def _on_taken(self, store: StateStore, moved: DeploymentTransition, at: Arrival) -> Iterator[Sent]:
        if moved.agent_id:
            yield from self._alerts.on_model_taken(
                store, moved.mlapp_id, moved.node_id, moved.agent_id, moved.model_id, moved.event_time_ms, at
            )

    def _outputs(self, transitions: Iterable[Sent]) -> Iterator[Output]:
        for transition in transitions:
            topic = self._topics[type(transition)]
            yield Output(topic.full_name(self._prefix), topic.key(transition), self._codec.encode(transition))


def _has_ended(store: StateStore, mlapp_id: str, node_id: str, agent_id: str, model_id: str) -> bool:
    known = deployment_routes.known_of(store, mlapp_id)
    return bool(model_id) and has_ended_for(known, node_id, agent_id, model_id)
