"""Alerts that rules raise: from what the rules saw, and from what happens to models and rules, to transitions."""

from __future__ import annotations

import math
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations at run time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from parallelm.definitions.durations import format_duration
from parallelm.schemas.records import AlertState, AlertTransition, RecordPosition
from parallelm.schemas.topics import RULE_AGGREGATES, STATISTICS
from parallelm.schemas.well_known import FEATURE_LABEL
from parallelm.stream_processors.alerts import ids
from parallelm.stream_processors.alerts.lifecycle import Sample, Step, Timing, Verdict
from parallelm.stream_processors.alerts.rules import HEALTH, Rule, can_evaluate, rules_of
from parallelm.stream_processors.alerts.series import AlertSeries, Decision, absorb, settled

if TYPE_CHECKING:
    from parallelm.schemas.records import MLAppDefinition, RuleAggregate

FORGET_MS = STATISTICS.retention_ms + RULE_AGGREGATES.retention_ms
"""How long samples of a model may still come after its end, out of topics that were not read yet."""
_CLEAR_REASONS = (AlertState.RESOLVED, AlertState.INACTIVE)


@dataclass(frozen=True, slots=True)
class RuleAlert:
    """One rule's alert on one series, and everything needed to go on with it."""

    rule: Rule
    statistic: str
    node_id: str
    model_id: str
    labels: Mapping[str, str]
    series: AlertSeries
    forget_after_ms: int = 0
    """Worker's clock from which on no sample of an ended series can still arrive; 0 while it goes on."""

    @property
    def due_ms(self) -> float | None:
        """When it may be forgotten."""
        return self.forget_after_ms or None

    @property
    def fingerprint(self) -> str:
        """Id over all episodes."""
        return self.series.fingerprint

    @property
    def of_model(self) -> str:
        """Model whose end is the alert's end; empty when it outlives models."""
        return self.model_id if self.rule.type == HEALTH else ""


def alert_labels(rule: Rule, aggregate: RuleAggregate) -> dict[str, str]:
    """Labels that distinguish an alert from the rule's others.

    Those of the series and of its origin: two agents of one node are judged separately. A similarity score is about one
    model, so its alert is too; other statistics go on when the model changes.
    """
    labels = dict(aggregate.labels) | {"node": aggregate.origin.node_id, "agent": aggregate.origin.agent_id}
    return labels | {"model": aggregate.model_id} if rule.type == HEALTH else labels


def fingerprint_of(rule: Rule, aggregate: RuleAggregate) -> str:
    """Fingerprint of the alert that an aggregate belongs to."""
    return ids.fingerprint(rule.mlapp_id, rule.name, alert_labels(rule, aggregate))


def new_alert(rule: Rule, aggregate: RuleAggregate) -> RuleAlert:
    """The alert of a series seen for the first time."""
    return RuleAlert(
        rule=rule,
        statistic=aggregate.statistic,
        node_id=aggregate.origin.node_id,
        model_id=aggregate.model_id,
        labels=alert_labels(rule, aggregate),
        series=AlertSeries(fingerprint_of(rule, aggregate)),
    )


def on_aggregate(
    alert: RuleAlert, rule: Rule, aggregate: RuleAggregate, now_ms: int
) -> tuple[RuleAlert, list[AlertTransition]]:
    """Alert after the samples of one statistics record; ``rule`` is the rule as it is now."""
    samples = [
        Sample(at_ms, value, Verdict.BREACHED if rule.breached(value) else Verdict.OK)
        for at_ms, value in zip(aggregate.timestamps_ms, aggregate.values, strict=True)
        if can_evaluate(at_ms, value)
    ]
    before = alert.rule
    if (before.for_ms, before.keep_firing_for_ms) != (rule.for_ms, rule.keep_firing_for_ms):
        alert = replace(alert, series=settled(alert.series))
    alert = replace(alert, rule=rule, model_id=aggregate.model_id)
    return _absorbed(alert, samples, aggregate.cause, now_ms)


def on_superseded(
    alert: RuleAlert, at_ms: int, successor: str, cause: RecordPosition, now_ms: int
) -> tuple[RuleAlert, list[AlertTransition]]:
    """Alert after its model was superseded: an open one is resolved, and nothing more is judged."""
    reason = f"model {alert.model_id} was superseded by {successor}"
    alert = replace(alert, forget_after_ms=now_ms + FORGET_MS)
    return _absorbed(alert, [Sample.end(at_ms, reason)], cause, now_ms)


def on_definition(
    alert: RuleAlert, definition: MLAppDefinition | None, cause: RecordPosition, now_ms: int
) -> tuple[RuleAlert, list[AlertTransition]]:
    """Alert after a new definition, or after its removal.

    Where its rule is gone, or about other series now, an open alert is resolved and forgotten: nothing else would.
    """
    why = _why_gone(alert, definition)
    if not why:
        return alert, []
    forgotten = replace(alert, series=AlertSeries(alert.fingerprint))
    if not alert.series.alert.open:
        return forgotten, []
    at_ms = definition.event_time_ms if definition else now_ms
    before = alert.series.alert
    state = AlertState.RESOLVED if before.state is AlertState.FIRING else AlertState.INACTIVE
    step = Step(state, before.state, at_ms, before.started_ms, math.inf, why)
    decision = Decision(ids.transition_id(alert.fingerprint, step, alert.series.revision), step)
    return forgotten, [_transition(alert, decision, cause, now_ms)]


def _why_gone(alert: RuleAlert, definition: MLAppDefinition | None) -> str:
    """Why no rule of a definition is about an alert's series; empty when one is, or when its rules cannot be read."""
    if definition is None:
        return "the rule is gone since removal of the definition"
    since = f"since version {definition.version} of the definition"
    try:
        rule = next((rule for rule in rules_of(definition) if rule.name == alert.rule.name), None)
    except (ValueError, KeyError, TypeError):  # written by another version, or by hand: none is judged
        return ""
    if rule is None or rule.type != alert.rule.type:
        return f"the rule is gone {since}"
    covered = rule.still_watches(alert.statistic, alert.node_id, alert.labels)
    return "" if covered else f"the rule is about other series {since}"


def _absorbed(
    alert: RuleAlert, samples: list[Sample], cause: RecordPosition, now_ms: int
) -> tuple[RuleAlert, list[AlertTransition]]:
    timing = Timing(alert.rule.for_ms, alert.rule.keep_firing_for_ms)
    series, decisions = absorb(alert.series, samples, timing, alert.rule.grace_ms)
    after = replace(alert, series=series)
    return after, [_transition(after, decision, cause, now_ms) for decision in decisions]


def _transition(alert: RuleAlert, decision: Decision, cause: RecordPosition, now_ms: int) -> AlertTransition:
    rule, step = alert.rule, decision.step
    measured = math.isfinite(step.value) or not step.note
    return AlertTransition(
        event_time_ms=int(step.at_ms),
        decided_at_ms=now_ms,
        transition_id=decision.transition_id,
        mlapp_id=rule.mlapp_id,
        alert_id=ids.alert_id(alert.fingerprint, step.started_ms),
        fingerprint=alert.fingerprint,
        rule=rule.name,
        rule_type=rule.type,
        state=step.state,
        previous_state=step.previous_state,
        severity=rule.severity,
        started_at_ms=int(step.started_ms),
        value=step.value if measured else math.nan,
        threshold=rule.threshold,
        statistic=alert.statistic,
        node_id=alert.node_id,
        model_id=alert.model_id,
        labels=dict(rule.labels) | dict(alert.labels),
        annotations=dict(rule.annotations),
        reason=_reason(alert, decision),
        who="",
        supersedes=decision.supersedes,
        cause=cause,
    )


def _reason(alert: RuleAlert, decision: Decision) -> str:
    late = "" if decision.late_ms is None else f"a sample of {_instant(decision.late_ms)} came late"
    if decision.taken_back:
        return f"taken back: {late}"
    reason = decision.step.note or _condition(alert, decision.step)
    return f"{reason}; corrected: {late}" if decision.supersedes else reason


def _condition(alert: RuleAlert, step: Step) -> str:
    rule = alert.rule
    feature = alert.labels.get(FEATURE_LABEL)
    what = f"similarity of {feature}" if rule.type == HEALTH else alert.statistic
    limit = f"{rule.side} {rule.threshold:g}"
    if step.state in _CLEAR_REASONS:
        return f"{what} is {step.value:.4g}, no longer {limit}"
    if step.state is AlertState.PENDING:
        return f"{what} is {step.value:.4g}, {limit}; fires when this lasts {format_duration(rule.for_ms)}"
    lasted = step.at_ms - step.started_ms
    return f"{what} is {step.value:.4g}, {limit}" + (f" since {format_duration(lasted)}" if lasted else "")


def _instant(at_ms: float) -> str:
    """Readable time; beyond the years that a calendar knows, the number."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return f"{at_ms:.0f} ms"
