"""From records of an MLApp to its alerts: which ones a record concerns, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from parallelm.schemas.records import (
    AggregateKind,
    AlertState,
    AlertTransition,
    RuleAggregate,
)
from parallelm.schemas.well_known import ACKNOWLEDGE, CLOSE
from parallelm.stream_processors.alerts import book, component_alerts, ids, windowed
from parallelm.stream_processors.alerts.book import OpenAlert, Subject
from parallelm.stream_processors.alerts.component_alerts import ComponentAlert
from parallelm.stream_processors.alerts.event_time import judged_at
from parallelm.stream_processors.alerts.groups import MAX_SENT, RuleGroup, said
from parallelm.stream_processors.alerts.lifecycle import Step
from parallelm.stream_processors.alerts.rules import RULE_CORES, MLAppRule, Progress, SampleRule
from parallelm.stream_processors.alerts.transitions import closed_by
from parallelm.stream_processors.runtime.stored_state import BodyKind, Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from parallelm.schemas.records import Event, MLAppDefinition, UserAction
    from parallelm.stream_processors.alerts.rules import Observation, RuleCore
    from parallelm.stream_processors.alerts.transitions import Cause
    from parallelm.stream_processors.arrival import Arrival
    from parallelm.stream_processors.current_rules import CurrentRules, MLAppRules
    from parallelm.stream_processors.runtime.stored_state import StateStore

OPEN_ALERT = "alert"
COMPONENT_ALERT = "component-alert"
GROUP = "rule-group"
NODES = "nodes"
ALERT_ACTIONS = frozenset({ACKNOWLEDGE, CLOSE})
"""What people do to alerts: values of ``UserAction.action``."""
OUTAGE_MS = 30_000
"""When the clock has not been told for so long, the broker or all workers were away."""
SETTLE_MS = 10_000
"""Time for components to connect again after an outage, before anything counts as quiet."""


@dataclass(frozen=True, slots=True)
class KnownNodes:
    """Nodes of the definition as it was applied last."""

    nodes: list[str]

    @property
    def due_ms(self) -> float | None:
        """Time changes nothing here."""
        return None


KINDS: Mapping[str, BodyKind] = {
    OPEN_ALERT: BodyKind(OpenAlert),
    COMPONENT_ALERT: BodyKind(ComponentAlert),
    GROUP: BodyKind(RuleGroup),
    NODES: BodyKind(KnownNodes),
}


class AlertRoutes:
    """Alerts of the MLApps of one shard."""

    def __init__(
        self, rules: CurrentRules, has_ended: Callable[[StateStore, str, str, str, str], bool]
    ) -> None:
        """``has_ended`` says of MLApp, node, agent and model whether the agent has gone on to another model."""
        self._rules = rules
        self._has_ended = has_ended
        self._clock_ms = self._settled_ms = 0

    # ---- what rules see -----------------------------------------------------------------------------------------

    def on_aggregate(
        self, store: StateStore, aggregate: RuleAggregate, at: Arrival
    ) -> Iterator[AlertTransition]:
        """What the series stage says; a rule that has changed meanwhile is not judged by its old form."""
        rules = self._rules.of(aggregate.origin.mlapp_id)
        rule = rules.by_form.get(aggregate.rule_form) if rules is not None else None
        if rules is None or rule is None:
            return
        if aggregate.kind is AggregateKind.STEP:
            step = Step(
                aggregate.state,
                aggregate.previous_state,
                aggregate.event_time_ms,
                aggregate.started_at_ms,
                aggregate.value,
                aggregate.threshold,
                aggregate.reason,
            )
            subject = Subject(aggregate.labels, aggregate.statistic, aggregate.model_id)
            yield from self._step(store, rule, subject, step, at.cause(aggregate.cause))
        elif aggregate.kind is AggregateKind.PARTIAL and isinstance(rule, SampleRule):
            key = _group_key(rule, aggregate.labels)
            known: RuleGroup | None = store.get(key)
            progress = windowed.absorb_part(known.memory if known else None, rule, aggregate, at.arrived_ms)
            group = _group(rule, aggregate.labels, aggregate.statistic, aggregate.model_id)
            yield from self._progress(store, key, rule, group, progress, at.cause(aggregate.cause))
        elif aggregate.kind is AggregateKind.SEEN:
            yield from self.observe(store, aggregate.origin.mlapp_id, aggregate, at)

    def observe(
        self, store: StateStore, mlapp_id: str, record: Any, at: Arrival
    ) -> Iterator[AlertTransition]:
        """Let the MLApp's rules look at one of its records."""
        rules = self._rules.of(mlapp_id)
        if rules is None:
            return
        position = record.cause if isinstance(record, RuleAggregate) else at.position
        for rule in rules.about(record):
            if isinstance(record, RuleAggregate) and record.rule_form != rule.settings.form:
                continue
            for observation in rule.observe(record):
                yield from self._observation(store, rule, observation, at.arrived_ms, at.cause(position))

    def on_component_event(self, store: StateStore, event: Event, at: Arrival) -> Iterator[AlertTransition]:
        """An event of a component that is an alert."""
        key = Key(COMPONENT_ALERT, event.origin.mlapp_id, component_alerts.fingerprint_of(event))
        alert = store.get(key) or component_alerts.new_alert(event)
        alert, sent = component_alerts.on_event(alert, event, at.arrived_ms, at.cause(at.position))
        store.put(key, alert)
        yield from sent

    # ---- what happens to rules, models and nodes ----------------------------------------------------------------

    def on_definition(
        self, store: StateStore, mlapp_id: str, definition: MLAppDefinition | None, at: Arrival
    ) -> Iterator[AlertTransition]:
        """End what rules and nodes that are gone have raised, and begin to wait for what the new ones expect."""
        rules = self._rules.of(mlapp_id)
        if rules is not None and (definition is None or not _is_same(rules.definition, definition)):
            return  # a newer one is known, and its record comes
        forms: Mapping[str, RuleCore] = rules.by_form if rules is not None else {}
        version = (
            f"version {definition.version} of the definition" if definition else "the definition's removal"
        )
        at_ms = definition.event_time_ms if definition else at.arrived_ms
        gone = self._nodes_gone(store, mlapp_id, definition)
        for key, alert in list(store.keys_of(mlapp_id, OPEN_ALERT)):
            reason = _why_gone(alert, rules, forms, gone, version)
            if reason:
                yield from self._end(store, key, alert, at_ms, reason, at.cause(at.position))
        for key, group in list(store.keys_of(mlapp_id, GROUP)):
            if group.form not in forms or group.labels.get("node") in gone:
                store.put(key, None)
        for key, alert in list(store.keys_of(mlapp_id, COMPONENT_ALERT)):
            if definition is None or alert.node_id in gone:
                what = "the MLApp" if definition is None else f"node {alert.node_id!r}"
                reason = f"{what} is gone since {version}"
                store.put(key, None)
                yield from component_alerts.ended(alert, at_ms, reason, at.cause(at.position))
        if rules is not None and definition is not None:
            yield from self._expect(store, rules, definition, at)

    def on_model_taken(
        self,
        store: StateStore,
        mlapp_id: str,
        node_id: str,
        agent_id: str,
        model_id: str,
        at_ms: int,
        at: Arrival,
    ) -> Iterator[AlertTransition]:
        """An agent has another model: the health alerts of those that it had before end there."""
        for key, alert in list(store.keys_of(mlapp_id, OPEN_ALERT)):
            if self._is_of_former_model(store, alert, node_id, agent_id, model_id):
                reason = f"model {alert.of_model} was superseded by {model_id}"
                yield from self._end(store, key, alert, at_ms, reason, at.cause(at.position))
        for key, alert in list(store.keys_of(mlapp_id, COMPONENT_ALERT)):
            if self._is_of_former_model(store, alert, node_id, agent_id, model_id):
                after, sent = component_alerts.on_superseded(alert, at_ms, model_id, at.cause(at.position))
                store.put(key, after)
                yield from sent

    # ---- what people do -----------------------------------------------------------------------------------------

    def on_action(self, store: StateStore, action: UserAction, at: Arrival) -> Iterator[AlertTransition]:
        """Acknowledge or close an alert; ``target`` is its id or fingerprint. One that is not open changes nothing."""
        for key, alert in list(store.keys_of(action.mlapp_id)):
            if key.kind not in {OPEN_ALERT, COMPONENT_ALERT} or action.target not in {
                alert.alert_id,
                alert.fingerprint,
            }:
                continue
            if key.kind == OPEN_ALERT:
                yield from self._act(store, key, alert, action, at)
            else:
                at_ms = int(judged_at(action.event_time_ms, at.arrived_ms))
                after, sent = component_alerts.on_action(alert, action, at_ms, at.cause(at.position))
                store.put(key, after)
                yield from sent

    def _act(
        self, store: StateStore, key: Key, alert: OpenAlert, action: UserAction, at: Arrival
    ) -> Iterator[AlertTransition]:
        cause = at.cause(at.position)
        at_ms = judged_at(action.event_time_ms, at.arrived_ms)
        if action.action == ACKNOWLEDGE and alert.state is AlertState.FIRING:
            after, sent = book.acknowledged(alert, at_ms, action.who, action.comment, cause)
            store.put(key, after)
            yield from sent
        elif action.action == CLOSE:
            yield from self._end(store, key, alert, at_ms, closed_by(action), cause, action.who)

    # ---- time ---------------------------------------------------------------------------------------------------

    def on_clock(self, now_ms: int) -> None:
        """The broker's clock, before it is applied to keys. After an outage components need some seconds to report."""
        if now_ms - self._clock_ms > OUTAGE_MS:
            self._settled_ms = now_ms + SETTLE_MS
        self._clock_ms = now_ms

    def on_time(
        self, store: StateStore, key: Key, body: Any, now_ms: int, at: Arrival
    ) -> Iterator[AlertTransition]:
        """One key whose time has come."""
        if key.kind == COMPONENT_ALERT:
            after, sent = component_alerts.on_tick(body, at.cause(at.position), now_ms)
            store.put(key, after)
            yield from sent
            return
        rules = self._rules.of(key.mlapp_id)
        rule = rules.by_form.get(body.form) if rules is not None else None
        if rule is None:
            store.put(key, None)
        elif isinstance(rule, SampleRule):
            progress = windowed.on_time(body.memory, rule, now_ms)
            yield from self._progress(store, key, rule, body, progress, at.cause(at.position))
        elif isinstance(rule, MLAppRule) and not (rule.waits_for_life and now_ms < self._settled_ms):
            progress = rule.on_time(body.memory, now_ms)
            yield from self._progress(store, key, rule, body, progress, at.cause(at.position))

    # ---- within -------------------------------------------------------------------------------------------------

    def _observation(
        self, store: StateStore, rule: MLAppRule, observation: Observation, arrived_ms: int, cause: Cause
    ) -> Iterator[AlertTransition]:
        key = _group_key(rule, observation.labels)
        known: RuleGroup | None = store.get(key)
        progress = rule.absorb(known.memory if known else None, observation.payload, arrived_ms)
        group = _group(rule, observation.labels, observation.statistic, observation.model_id)
        yield from self._progress(store, key, rule, group, progress, cause)

    def _progress(
        self, store: StateStore, key: Key, rule: RuleCore, group: RuleGroup, progress: Progress, cause: Cause
    ) -> Iterator[AlertTransition]:
        subject = Subject(group.labels, group.statistic, group.model_id)
        known: RuleGroup | None = store.get(key)
        sent = dict(known.sent) if known is not None else {}
        for step in progress.steps:
            for transition in self._step(store, rule, subject, step, cause, sent):
                if rule.revises:
                    sent[said(step.state, step.at_ms, step.started_ms)] = transition.transition_id
                yield transition
        if progress.memory is None:
            store.put(key, None)
            return
        sent = dict(list(sent.items())[-MAX_SENT:])
        after = replace(group, memory=progress.memory, due_ms=progress.due_ms, sent=sent)
        if after != store.get(key):  # what is as it was needs no record
            store.put(key, after)

    def _step(
        self,
        store: StateStore,
        rule: RuleCore,
        subject: Subject,
        step: Step,
        cause: Cause,
        sent_before: Mapping[str, str] = MappingProxyType({}),
    ) -> Iterator[AlertTransition]:
        mlapp_id = rule.settings.mlapp_id
        begins = step.state in {AlertState.PENDING, AlertState.FIRING}
        if begins and rule.about_model:
            node_id, agent_id = subject.labels.get("node", ""), subject.labels.get("agent", "")
            if self._has_ended(store, mlapp_id, node_id, agent_id, subject.model_id):
                return
        name = book.fingerprint_of(rule, subject)
        key = Key(OPEN_ALERT, mlapp_id, ids.alert_id(name, step.started_ms) if rule.revises else name)
        alert: OpenAlert | None = store.get(key)
        if alert is not None and alert.form != rule.settings.form:
            yield from self._end(store, key, alert, step.at_ms, self._changed(mlapp_id), cause)
            alert = None
        supersedes = sent_before.get(said(*step.revises), "") if step.revises is not None else ""
        alert, sent = book.on_step(alert, rule, subject, step, cause, supersedes)
        store.put(key, alert)
        yield from sent

    def _changed(self, mlapp_id: str) -> str:
        rules = self._rules.of(mlapp_id)
        version = rules.definition.version if rules is not None else 0
        return f"the rule was changed by version {version} of the definition"

    def _is_of_former_model(
        self,
        store: StateStore,
        alert: OpenAlert | ComponentAlert,
        node_id: str,
        agent_id: str,
        model_id: str,
    ) -> bool:
        """Whether its model has ended for the agent: what is said of the next model may come before its acceptance."""
        if not alert.of_model or alert.of_model == model_id:
            return False
        core = RULE_CORES.get(alert.rule_type) if isinstance(alert, OpenAlert) else None
        from_elsewhere = core is not None and core.from_other_nodes
        return (from_elsewhere or (alert.node_id, alert.agent_id) == (node_id, agent_id)) and self._has_ended(
            store, alert.mlapp_id, node_id, agent_id, alert.of_model
        )

    def _end(
        self,
        store: StateStore,
        key: Key,
        alert: OpenAlert,
        at_ms: float,
        reason: str,
        cause: Cause,
        who: str = "",
    ) -> Iterator[AlertTransition]:
        """End an alert for a reason that its rule does not know. One that is over already is only forgotten with its rule."""
        rules = self._rules.of(key.mlapp_id)
        is_judged = rules is not None and alert.form in rules.by_form
        after, sent = (alert, []) if alert.is_over else book.ended(alert, at_ms, reason, cause, who)
        store.put(key, after if is_judged else None)
        yield from sent

    def _expect(
        self, store: StateStore, rules: MLAppRules, definition: MLAppDefinition, at: Arrival
    ) -> Iterator[AlertTransition]:
        for rule in rules.by_name.values():
            if isinstance(rule, MLAppRule):
                for observation in rule.expected(definition):
                    if store.get(_group_key(rule, observation.labels)) is None:
                        yield from self._observation(
                            store, rule, observation, at.arrived_ms, at.cause(at.position)
                        )

    def _nodes_gone(
        self, store: StateStore, mlapp_id: str, definition: MLAppDefinition | None
    ) -> frozenset[str]:
        """Nodes that the definition before had and this one has not."""
        key = Key(NODES, mlapp_id)
        known: KnownNodes | None = store.get(key)
        now = [node.node_id for node in definition.nodes] if definition is not None else []
        store.put(key, KnownNodes(now) if definition is not None else None)
        return frozenset(known.nodes if known else ()) - frozenset(now)


def _is_same(one: MLAppDefinition, other: MLAppDefinition) -> bool:
    """Versions begin anew when an MLApp was removed and is applied again."""
    return (one.version, one.event_time_ms) == (other.version, other.event_time_ms)


def _why_gone(
    alert: OpenAlert,
    rules: MLAppRules | None,
    forms: Mapping[str, RuleCore],
    nodes_gone: Iterable[str],
    version: str,
) -> str:
    if rules is None or alert.rule not in rules.by_name:
        return f"the rule is gone since {version}"
    if alert.form not in forms:
        return f"the rule was changed by {version}"
    if alert.node_id in nodes_gone:
        return f"node {alert.node_id!r} is gone since {version}"
    return ""


def _group_key(rule: RuleCore, labels: Mapping[str, str]) -> Key:
    return Key(
        GROUP, rule.settings.mlapp_id, ids.fingerprint(rule.settings.mlapp_id, rule.settings.form, labels)
    )


def _group(rule: RuleCore, labels: Mapping[str, str], statistic: str, model_id: str) -> RuleGroup:
    settings = rule.settings
    return RuleGroup(settings.name, settings.form, dict(labels), statistic, model_id, None)
