"""MLApp stage: every record keyed by MLApp goes through here, to the alerts and deployments that it concerns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from parallelm.schemas.errors import DecodeError
from parallelm.schemas.records import (
    AlertTransition,
    DeploymentState,
    DeploymentTransition,
    Event,
    KpiBatch,
    MLAppDefinition,
    ModelAnnouncement,
    RecordPosition,
    RuleAggregate,
    UserAction,
)
from parallelm.schemas.times import is_time
from parallelm.schemas.topics import ALERTS, CATALOGUE, DEPLOYMENTS, MLAPPS
from parallelm.schemas.well_known import MODEL_ACCEPTED, TIME_BOUNDS
from parallelm.stream_processors import alert_routes
from parallelm.stream_processors.alert_routes import ALERT_ACTIONS, NO_RECORD, AlertRoutes
from parallelm.stream_processors.arrival import Arrival
from parallelm.stream_processors.model_policy import decisions
from parallelm.stream_processors.model_policy.state import Accepted, Announced, MLAppDeployments
from parallelm.stream_processors.runtime.dead_letters import InvalidRecordError
from parallelm.stream_processors.runtime.partitioning import control_partition
from parallelm.stream_processors.runtime.stored_state import BodyKind, Key
from parallelm.stream_processors.runtime.transactions import Output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from parallelm.schemas.codec import Codec
    from parallelm.stream_processors.current_rules import CurrentRules
    from parallelm.stream_processors.runtime.chunks import Incoming
    from parallelm.stream_processors.runtime.dead_letters import DeadLetters
    from parallelm.stream_processors.runtime.stored_state import StateStore

    Transition = AlertTransition | DeploymentTransition

DEPLOYMENTS_OF = "deployments"


class MLAppHandler:
    """Routes a record to the alerts and deployments that it concerns, and sends the transitions that follow."""

    kinds: Mapping[str, BodyKind] = {**alert_routes.KINDS, DEPLOYMENTS_OF: BodyKind(MLAppDeployments)}

    def __init__(self, codec: Codec, prefix: str, rules: CurrentRules, letters: DeadLetters) -> None:
        self._codec = codec
        self._expected = {topic.full_name(prefix): topic.record for topic in CATALOGUE}
        self._mlapps = MLAPPS.full_name(prefix)
        self._topics = {
            AlertTransition: ALERTS.full_name(prefix),
            DeploymentTransition: DEPLOYMENTS.full_name(prefix),
        }
        self._rules = rules
        self._alerts = AlertRoutes(rules, _has_ended)
        self._letters = letters
        self._knows_rules = False

    def opened(self, store: StateStore) -> None:  # noqa: ARG002 - everything is in the store
        """Rules may have been changed since the state was written."""
        self._knows_rules = False

    async def prepare(self, records: Sequence[Incoming]) -> None:
        """Know every definition that was applied before these records. Time alone needs rules, too."""
        if records or not self._knows_rules:
            await self._rules.refresh()
            self._knows_rules = True

    def handle(self, store: StateStore, record: Incoming) -> Iterator[Output]:
        """Transitions that follow from a record."""
        mlapp_id = (record.key or b"").decode()
        if control_partition(mlapp_id) != record.partition:
            raise InvalidRecordError(
                f"records of MLApp {mlapp_id!r} belong on partition {control_partition(mlapp_id)} (murmur2 of the key)"
            )
        decoded = self._decoded(record, mlapp_id)
        at = Arrival(
            RecordPosition(topic=record.topic, partition=record.partition, offset=record.offset),
            record.arrived_ms,
            time.time_ns() // 1_000_000,
        )
        yield from self._outputs(self._route(store, mlapp_id, decoded, at))
        self._letters.handled()

    def on_time(self, store: StateStore, now_ms: int) -> Iterator[Output]:
        """Transitions that time alone leads to."""
        at = Arrival(NO_RECORD, now_ms, time.time_ns() // 1_000_000)
        self._alerts.on_clock(now_ms)
        for key, body in store.due(now_ms):
            if key.kind == DEPLOYMENTS_OF:
                outcome = decisions.on_tick(body, NO_RECORD, now_ms)
                yield from self._outputs(self._decided(store, key.mlapp_id, outcome, at))
            else:
                yield from self._outputs(self._alerts.on_time(store, key, body, now_ms, at))

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

    def _route(self, store: StateStore, mlapp_id: str, record: Any, at: Arrival) -> Iterator[Transition]:
        match record:
            case RuleAggregate():
                yield from self._alerts.on_aggregate(store, record, at)
            case Event():
                yield from self._on_event(store, mlapp_id, record, at)
            case KpiBatch():
                yield from self._alerts.observe(store, mlapp_id, record, at)
            case UserAction() if record.action in ALERT_ACTIONS:
                yield from self._alerts.on_action(store, record, at)
            case ModelAnnouncement():
                outcome = decisions.on_announcement(
                    _known(store, mlapp_id), _announced(record, at), at.now_ms
                )
                yield from self._decided(store, mlapp_id, outcome, at)
                yield from self._alerts.observe(store, mlapp_id, record, at)
            case MLAppDefinition() | None:
                outcome = decisions.on_definition(_known(store, mlapp_id), record, at.position, at.now_ms)
                yield from self._decided(store, mlapp_id, outcome, at)
                yield from self._alerts.on_definition(store, mlapp_id, record, at)

    def _on_event(self, store: StateStore, mlapp_id: str, event: Event, at: Arrival) -> Iterator[Transition]:
        if event.is_alert:
            yield from self._alerts.on_component_event(store, event, at)
        elif event.type == MODEL_ACCEPTED:
            outcome = decisions.on_accepted(_known(store, mlapp_id), _accepted(event, at), at.now_ms)
            yield from self._decided(store, mlapp_id, outcome, at)
        yield from self._alerts.observe(store, mlapp_id, event, at)

    def _decided(
        self, store: StateStore, mlapp_id: str, outcome: decisions.Outcome, at: Arrival
    ) -> Iterator[Transition]:
        known, sent = outcome
        store.put(Key(DEPLOYMENTS_OF, mlapp_id), known)
        for transition in sent:
            yield transition
            if transition.state is DeploymentState.ACTIVE:
                yield from self._alerts.on_model_taken(
                    store,
                    mlapp_id,
                    transition.node_id,
                    transition.agent_id,
                    transition.model_id,
                    transition.event_time_ms,
                    at,
                )

    def _outputs(self, transitions: Iterable[Transition]) -> Iterator[Output]:
        for transition in transitions:
            topic = self._topics[type(transition)]
            yield Output(topic, transition.mlapp_id.encode(), self._codec.encode(transition))


def _accepted(event: Event, at: Arrival) -> Accepted:
    return Accepted(
        model_id=event.model_id,
        node_id=event.origin.node_id,
        agent_id=event.origin.agent_id,
        event_time_ms=event.event_time_ms,
        cause=at.position,
    )


def _announced(model: ModelAnnouncement, at: Arrival) -> Announced:
    return Announced(
        model_id=model.model_id,
        producer_node_id=model.origin.node_id,
        event_time_ms=model.event_time_ms,
        arrived_ms=at.arrived_ms,
        cause=at.position,
    )


def _known(store: StateStore, mlapp_id: str) -> MLAppDeployments:
    return store.get(Key(DEPLOYMENTS_OF, mlapp_id)) or MLAppDeployments(mlapp_id)


def _has_ended(store: StateStore, mlapp_id: str, node_id: str, agent_id: str, model_id: str) -> bool:  # noqa: ARG001 - until agents are known
    deployment = _known(store, mlapp_id).find(node_id, model_id) if model_id else None
    return deployment is not None and deployment.superseded_by is not None
