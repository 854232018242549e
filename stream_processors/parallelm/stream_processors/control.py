"""Control records to state and transitions: every record of the topics keyed by MLApp goes through here.

Pure: state comes in as ``Changes``, time as arguments, and what is to be sent goes out as ``Output``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.schemas.records import (
    AlertTransition,
    DeploymentState,
    DeploymentTransition,
    Event,
    MLAppDefinition,
    ModelAnnouncement,
    RecordPosition,
    RuleAggregate,
    Tick,
)
from parallelm.schemas.topics import ALERTS, DEPLOYMENTS
from parallelm.schemas.well_known import MODEL_ACCEPTED
from parallelm.stream_processors import state
from parallelm.stream_processors.alerts import component_alerts, rule_alerts
from parallelm.stream_processors.alerts.component_alerts import ComponentAlert
from parallelm.stream_processors.alerts.rule_alerts import RuleAlert
from parallelm.stream_processors.model_policy import decisions
from parallelm.stream_processors.model_policy.state import Accepted, Announced, MLAppDeployments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from parallelm.schemas.codec import Codec
    from parallelm.stream_processors.alerts.rules import Rule
    from parallelm.stream_processors.state import Body, Changes, Key

    RulesByMLApp = Mapping[str, Mapping[str, Rule]]

Transition = AlertTransition | DeploymentTransition


@dataclass(frozen=True, slots=True)
class Arrival:
    """Where and when a record came in."""

    position: RecordPosition
    arrived_ms: int
    """Broker's clock."""
    now_ms: int
    """Worker's clock: what ``decided_at`` says."""


@dataclass(frozen=True, slots=True)
class Control:
    """Applies control records. ``partition_of`` returns the partition of an MLApp's records."""

    codec: Codec
    prefix: str
    partition_of: Callable[[str], int]

    def apply(
        self,
        changes: Changes,
        mlapp_id: str,
        record: object,
        arrival: Arrival,
        rules: RulesByMLApp,
    ) -> None:
        """Apply one record; ``mlapp_id`` is its key, ``rules`` the rules of each MLApp by name, as they are now.

        Raises ``TypeError`` for a record of no control topic.
        """
        match record:
            case RuleAggregate():
                self._aggregate(changes, record, arrival, rules)
            case Event() if record.is_alert:
                self._component_alert(changes, record, arrival)
            case Event():
                if record.type == MODEL_ACCEPTED:
                    self._accepted(changes, record, arrival)
            case ModelAnnouncement():
                self._announced(changes, record, arrival)
            case MLAppDefinition() | None:
                self._definition(changes, mlapp_id, record, arrival)
            case DeploymentTransition():
                self._deployment(changes, record, arrival)
            case Tick():
                self._tick(changes, record, arrival)
            case _:
                raise TypeError(f"{type(record).__name__} is not a record of a control topic")

    def _aggregate(
        self,
        changes: Changes,
        aggregate: RuleAggregate,
        arrival: Arrival,
        rules: RulesByMLApp,
    ) -> None:
        mlapp_id = aggregate.origin.mlapp_id
        rule = rules.get(mlapp_id, {}).get(aggregate.rule)
        if rule is None:  # the rule was taken out after the statistics were judged
            return
        key = state.Key(state.RULE_ALERT, mlapp_id, rule_alerts.fingerprint_of(rule, aggregate))
        # A rule aggregate may arrive twice at different offsets; its cause shows that it is the same.
        position = aggregate.cause
        kept = changes.get(key)
        if kept is not None and kept.has_absorbed(position):
            changes.send_again(kept)
            return
        alert, sent = self._known_or_new(changes, kept, rule, aggregate, arrival)
        after, more = rule_alerts.on_aggregate(alert, rule, aggregate, arrival.now_ms)
        self._put(changes, key, position, after, [*sent, *more])

    def _known_or_new(
        self,
        changes: Changes,
        kept: state.StoredState | None,
        rule: Rule,
        aggregate: RuleAggregate,
        arrival: Arrival,
    ) -> tuple[RuleAlert, list[AlertTransition]]:
        """The alert of a series; one of a model that is superseded already begins at its end."""
        if kept is not None and isinstance(kept.body, RuleAlert):
            return kept.body, []
        alert = rule_alerts.new_alert(rule, aggregate)
        if not alert.of_model:
            return alert, []
        deployments = self._deployments(changes, rule.mlapp_id)
        deployment = deployments.find(alert.node_id, alert.of_model)
        if deployment is None or deployment.superseded_by is None:
            return alert, []
        return rule_alerts.on_superseded(
            alert, deployment.ended_ms, deployment.superseded_by, aggregate.cause, arrival.now_ms
        )

    def _component_alert(self, changes: Changes, event: Event, arrival: Arrival) -> None:
        key = state.Key(state.COMPONENT_ALERT, event.origin.mlapp_id, component_alerts.fingerprint_of(event))
        kept = changes.get(key)
        if kept is not None and kept.has_absorbed(arrival.position):
            changes.send_again(kept)
            return
        body = kept.body if kept is not None else None
        alert = body if isinstance(body, ComponentAlert) else component_alerts.new_alert(event)
        after, sent = component_alerts.on_event(
            alert, event, arrival.arrived_ms, arrival.position, arrival.now_ms
        )
        self._put(changes, key, arrival.position, after, sent)

    def _accepted(self, changes: Changes, event: Event, arrival: Arrival) -> None:
        accepted = Accepted(
            model_id=event.model_id,
            node_id=event.origin.node_id,
            agent_id=event.origin.agent_id,
            event_time_ms=event.event_time_ms,
            cause=arrival.position,
        )
        mlapp_id = event.origin.mlapp_id
        if self._is_new(changes, mlapp_id, arrival):
            known = self._deployments(changes, mlapp_id)
            self._decided(changes, arrival, decisions.on_accepted(known, accepted, arrival.now_ms))

    def _announced(self, changes: Changes, model: ModelAnnouncement, arrival: Arrival) -> None:
        announced = Announced(
            model_id=model.model_id,
            producer_node_id=model.origin.node_id,
            event_time_ms=model.event_time_ms,
            arrived_ms=arrival.arrived_ms,
            cause=arrival.position,
        )
        mlapp_id = model.origin.mlapp_id
        if self._is_new(changes, mlapp_id, arrival):
            known = self._deployments(changes, mlapp_id)
            self._decided(changes, arrival, decisions.on_announcement(known, announced, arrival.now_ms))

    def _definition(
        self, changes: Changes, mlapp_id: str, definition: MLAppDefinition | None, arrival: Arrival
    ) -> None:
        if self._is_new(changes, mlapp_id, arrival):
            known = self._deployments(changes, mlapp_id)
            outcome = decisions.on_definition(known, definition, arrival.position, arrival.now_ms)
            self._decided(changes, arrival, outcome)
        for key, kept in list(changes.keys_of(mlapp_id)):
            if not isinstance(kept.body, RuleAlert):
                continue
            if kept.has_absorbed(arrival.position):
                changes.send_again(kept)
                continue
            after, sent = rule_alerts.on_definition(kept.body, definition, arrival.position, arrival.now_ms)
            if after != kept.body:
                self._put(changes, key, arrival.position, after, sent)

    def _deployment(self, changes: Changes, deployment: DeploymentTransition, arrival: Arrival) -> None:
        """The end of a model is the end of its health alerts."""
        if deployment.state is not DeploymentState.SUPERSEDED:
            return
        for key, kept in list(changes.keys_of(deployment.mlapp_id)):
            body = kept.body
            if isinstance(body, MLAppDeployments) or body.node_id != deployment.node_id:
                continue
            if kept.has_absorbed(arrival.position):
                changes.send_again(kept)
            elif body.of_model == deployment.model_id:
                self._superseded(changes, key, body, deployment, arrival)

    def _superseded(
        self,
        changes: Changes,
        key: Key,
        body: RuleAlert | ComponentAlert,
        deployment: DeploymentTransition,
        arrival: Arrival,
    ) -> None:
        at_ms, successor = deployment.event_time_ms, deployment.related_model_id
        after: Body
        if isinstance(body, RuleAlert):
            after, sent = rule_alerts.on_superseded(body, at_ms, successor, arrival.position, arrival.now_ms)
        else:
            after, sent = component_alerts.on_superseded(
                body, at_ms, successor, arrival.position, arrival.now_ms
            )
        self._put(changes, key, arrival.position, after, sent)

    def _tick(self, changes: Changes, tick: Tick, arrival: Arrival) -> None:
        for mlapp_id in changes.mlapps():
            if self.partition_of(mlapp_id) != tick.partition:
                continue
            for key, kept in list(changes.keys_of(mlapp_id)):
                if kept.has_absorbed(arrival.position):
                    changes.send_again(kept)
                    continue
                if isinstance(kept.body, RuleAlert) and 0 < kept.body.forget_after_ms <= tick.now_ms:
                    changes.delete(key)
                    continue
                after: Body = kept.body
                sent: Sequence[Transition] = []
                if isinstance(kept.body, MLAppDeployments):
                    after, sent = decisions.on_tick(kept.body, arrival.position, tick.now_ms)
                elif isinstance(kept.body, ComponentAlert):
                    after, sent = component_alerts.on_tick(kept.body, arrival.position, tick.now_ms)
                if after != kept.body:
                    self._put(changes, key, arrival.position, after, sent)

    def _is_new(self, changes: Changes, mlapp_id: str, arrival: Arrival) -> bool:
        """Whether the MLApp's deployments have not absorbed the record; if they have, their records go out again."""
        kept = changes.get(state.Key(state.DEPLOYMENTS, mlapp_id))
        if kept is None or not kept.has_absorbed(arrival.position):
            return True
        changes.send_again(kept)
        return False

    def _deployments(self, changes: Changes, mlapp_id: str) -> MLAppDeployments:
        kept = changes.get(state.Key(state.DEPLOYMENTS, mlapp_id))
        if kept is not None and isinstance(kept.body, MLAppDeployments):
            return kept.body
        return MLAppDeployments(mlapp_id)

    def _decided(self, changes: Changes, arrival: Arrival, outcome: decisions.Outcome) -> None:
        known, sent = outcome
        key = state.Key(state.DEPLOYMENTS, known.mlapp_id)
        self._put(changes, key, arrival.position, known, sent)

    def _put(
        self,
        changes: Changes,
        key: Key,
        position: RecordPosition,
        body: Body,
        sent: Sequence[Transition],
    ) -> None:
        changes.put(key, position, body, tuple(self._output(transition) for transition in sent))

    def _output(self, transition: Transition) -> state.Output:
        topic = ALERTS if isinstance(transition, AlertTransition) else DEPLOYMENTS
        name = topic.full_name(self.prefix)
        return state.Output(name, topic.key(transition), self.codec.encode(transition))
