"""MLApp stage: every record keyed by MLApp goes through here, to the states that it concerns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from parallelm.schemas.errors import DecodeError
from parallelm.schemas.records import (
    AlertTransition,
    DeploymentState,
    DeploymentTransition,
    Event,
    MLAppDefinition,
    ModelAnnouncement,
    RecordPosition,
    RuleAggregate,
)
from parallelm.schemas.times import is_time
from parallelm.schemas.topics import ALERTS, CATALOGUE, DEPLOYMENTS, MLAPPS, RULE_AGGREGATES
from parallelm.schemas.well_known import MODEL_ACCEPTED, TIME_BOUNDS
from parallelm.stream_processors.alerts import component_alerts, rule_alerts
from parallelm.stream_processors.alerts.component_alerts import ComponentAlert
from parallelm.stream_processors.alerts.rule_alerts import RuleAlert
from parallelm.stream_processors.model_policy import decisions
from parallelm.stream_processors.model_policy.state import Accepted, Announced, MLAppDeployments
from parallelm.stream_processors.runtime.dead_letters import InvalidRecordError
from parallelm.stream_processors.runtime.partitioning import control_partition
from parallelm.stream_processors.runtime.stored_state import BodyKind, Key
from parallelm.stream_processors.runtime.transactions import Output

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from parallelm.schemas.codec import Codec
    from parallelm.stream_processors.alerts.rules import Rule
    from parallelm.stream_processors.current_rules import CurrentRules
    from parallelm.stream_processors.runtime.chunks import Incoming
    from parallelm.stream_processors.runtime.dead_letters import DeadLetters
    from parallelm.stream_processors.runtime.stored_state import StateStore

RULE_ALERT = "rule-alert"
COMPONENT_ALERT = "component-alert"
DEPLOYMENTS_OF = "deployments"
NO_RECORD = RecordPosition(topic="", partition=-1, offset=-1)
"""Cause of what time alone has caused."""

Transition = AlertTransition | DeploymentTransition
Transitions = Iterator[Transition]


class MLAppHandler:
    """Routes a record to the alerts and deployments that it concerns, and sends the transitions that follow."""

    kinds: Mapping[str, BodyKind] = {
        RULE_ALERT: BodyKind(RuleAlert),
        COMPONENT_ALERT: BodyKind(ComponentAlert),
        DEPLOYMENTS_OF: BodyKind(MLAppDeployments),
    }

    def __init__(self, codec: Codec, prefix: str, rules: CurrentRules, letters: DeadLetters) -> None:
        self._codec = codec
        self._expected = {topic.full_name(prefix): topic.record for topic in CATALOGUE}
        self._mlapps = MLAPPS.full_name(prefix)
        self._aggregates = RULE_AGGREGATES.full_name(prefix)
        self._topics = {
            AlertTransition: ALERTS.full_name(prefix),
            DeploymentTransition: DEPLOYMENTS.full_name(prefix),
        }
        self._rules = rules
        self._letters = letters

    async def prepare(self, records: Sequence[Incoming]) -> None:
        """Know every definition that was applied before the aggregates were judged."""
        if any(record.topic == self._aggregates for record in records):
            await self._rules.refresh()

    def handle(self, store: StateStore, record: Incoming) -> Iterator[Output]:
        """Transitions that follow from a record."""
        mlapp_id = (record.key or b"").decode()
        if control_partition(mlapp_id) != record.partition:
            raise InvalidRecordError(
                f"records of MLApp {mlapp_id!r} belong on partition {control_partition(mlapp_id)} (murmur2 of the key)"
            )
        decoded = self._decoded(record, mlapp_id)
        at = _Arrival(
            RecordPosition(topic=record.topic, partition=record.partition, offset=record.offset),
            record.arrived_ms,
            time.time_ns() // 1_000_000,
        )
        yield from self._outputs(self._route(store, mlapp_id, decoded, at))
        self._letters.handled()

    def on_time(self, store: StateStore, now_ms: int) -> Iterator[Output]:
        """Transitions that time alone leads to."""
        for key, body in store.due(now_ms):
            yield from self._outputs(_timed(store, key, body, now_ms))

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

    def _route(self, store: StateStore, mlapp_id: str, record: Any, at: _Arrival) -> Transitions:
        match record:
            case RuleAggregate():
                rule = self._rules.by_name(mlapp_id).get(record.rule)
                if rule is not None:  # else it was taken out after the statistics were judged
                    yield from _aggregate(store, record, rule, at)
            case Event() if record.is_alert:
                yield from _component_alert(store, record, at)
            case Event() if record.type == MODEL_ACCEPTED:
                yield from _decided(
                    store,
                    mlapp_id,
                    decisions.on_accepted(_known(store, mlapp_id), at.accepted(record), at.now_ms),
                )
            case ModelAnnouncement():
                yield from _decided(
                    store,
                    mlapp_id,
                    decisions.on_announcement(_known(store, mlapp_id), at.announced(record), at.now_ms),
                )
            case MLAppDefinition() | None:
                yield from _definition(store, mlapp_id, record, at)
            case DeploymentTransition() if record.state is DeploymentState.SUPERSEDED:
                yield from _superseded(store, record, at)

    def _outputs(self, transitions: Iterable[Transition]) -> Iterator[Output]:
        for transition in transitions:
            topic = self._topics[type(transition)]
            yield Output(topic, transition.mlapp_id.encode(), self._codec.encode(transition))


class _Arrival:
    """Where and when a record came in."""

    __slots__ = ("arrived_ms", "now_ms", "position")

    def __init__(self, position: RecordPosition, arrived_ms: int, now_ms: int) -> None:
        self.position = position
        self.arrived_ms = arrived_ms
        """The broker's clock."""
        self.now_ms = now_ms
        """The worker's clock: what ``decided_at`` says."""

    def accepted(self, event: Event) -> Accepted:
        return Accepted(
            model_id=event.model_id,
            node_id=event.origin.node_id,
            agent_id=event.origin.agent_id,
            event_time_ms=event.event_time_ms,
            cause=self.position,
        )

    def announced(self, model: ModelAnnouncement) -> Announced:
        return Announced(
            model_id=model.model_id,
            producer_node_id=model.origin.node_id,
            event_time_ms=model.event_time_ms,
            arrived_ms=self.arrived_ms,
            cause=self.position,
        )


def _known(store: StateStore, mlapp_id: str) -> MLAppDeployments:
    return store.get(Key(DEPLOYMENTS_OF, mlapp_id)) or MLAppDeployments(mlapp_id)


def _decided(store: StateStore, mlapp_id: str, outcome: decisions.Outcome) -> Transitions:
    known, sent = outcome
    store.put(Key(DEPLOYMENTS_OF, mlapp_id), known)
    yield from sent


def _aggregate(store: StateStore, aggregate: RuleAggregate, rule: Rule, at: _Arrival) -> Transitions:
    key = Key(RULE_ALERT, rule.mlapp_id, rule_alerts.fingerprint_of(rule, aggregate))
    alert = store.get(key)
    if alert is None:
        alert, sent = _new_rule_alert(store, aggregate, rule, at)
        yield from sent
    alert, sent = rule_alerts.on_aggregate(alert, rule, aggregate, at.now_ms)
    store.put(key, alert)
    yield from sent


def _new_rule_alert(
    store: StateStore, aggregate: RuleAggregate, rule: Rule, at: _Arrival
) -> tuple[RuleAlert, list[AlertTransition]]:
    """The alert of a series; one of a model that is superseded already begins at its end."""
    alert = rule_alerts.new_alert(rule, aggregate)
    deployment = _known(store, rule.mlapp_id).find(alert.node_id, alert.of_model) if alert.of_model else None
    if deployment is None or deployment.superseded_by is None:
        return alert, []
    return rule_alerts.on_superseded(
        alert, deployment.ended_ms, deployment.superseded_by, aggregate.cause, at.now_ms
    )


def _component_alert(store: StateStore, event: Event, at: _Arrival) -> Transitions:
    key = Key(COMPONENT_ALERT, event.origin.mlapp_id, component_alerts.fingerprint_of(event))
    alert = store.get(key) or component_alerts.new_alert(event)
    alert, sent = component_alerts.on_event(alert, event, at.arrived_ms, at.position, at.now_ms)
    store.put(key, alert)
    yield from sent


def _definition(
    store: StateStore, mlapp_id: str, definition: MLAppDefinition | None, at: _Arrival
) -> Transitions:
    yield from _decided(
        store, mlapp_id, decisions.on_definition(_known(store, mlapp_id), definition, at.position, at.now_ms)
    )
    for key, alert in list(store.keys_of(mlapp_id, RULE_ALERT)):
        after, sent = rule_alerts.on_definition(alert, definition, at.position, at.now_ms)
        if after != alert:
            store.put(key, after)
        yield from sent


def _superseded(store: StateStore, deployment: DeploymentTransition, at: _Arrival) -> Transitions:
    """The end of a model is the end of its health alerts."""
    at_ms, successor = deployment.event_time_ms, deployment.related_model_id
    for key, alert in list(store.keys_of(deployment.mlapp_id)):
        if key.kind == DEPLOYMENTS_OF or (alert.node_id, alert.of_model) != (
            deployment.node_id,
            deployment.model_id,
        ):
            continue
        core = rule_alerts if key.kind == RULE_ALERT else component_alerts
        after, sent = core.on_superseded(alert, at_ms, successor, at.position, at.now_ms)
        store.put(key, after)
        yield from sent


def _timed(store: StateStore, key: Key, body: Any, now_ms: int) -> Transitions:
    if key.kind == RULE_ALERT:
        store.put(key, None)
        return
    core = decisions if key.kind == DEPLOYMENTS_OF else component_alerts
    after, sent = core.on_tick(body, NO_RECORD, now_ms)
    store.put(key, after)
    yield from sent
