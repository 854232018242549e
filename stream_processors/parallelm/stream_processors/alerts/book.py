"""The open alerts of MLApps: what is known of each, and the transitions that steps, persons and changes lead to.

A step comes from a rule that has judged something. Here it meets what the MLApp knows: whether the alert is open, whether a
person has closed it, whether its model is still in use.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations at run time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from parallelm.definitions.templates import render
from parallelm.schemas.records import AlertState
from parallelm.stream_processors.alerts import ids
from parallelm.stream_processors.alerts.lifecycle import Step
from parallelm.stream_processors.alerts.transitions import transition

if TYPE_CHECKING:
    from parallelm.schemas.records import AlertTransition
    from parallelm.stream_processors.alerts.rules import RuleCore
    from parallelm.stream_processors.alerts.transitions import Cause

_BEGINS = frozenset({AlertState.PENDING, AlertState.FIRING})
_ENDS = frozenset({AlertState.INACTIVE, AlertState.RESOLVED})


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """One episode of one alert that has not ended; times are event time, epoch milliseconds."""

    fingerprint: str
    mlapp_id: str
    rule: str
    rule_type: str
    form: str
    """Digest of the rule that raised it."""
    state: AlertState
    started_ms: int
    statistic: str
    node_id: str
    agent_id: str
    model_id: str
    of_model: str
    """Model whose end is the alert's end; empty when it outlives models."""
    severity: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float
    threshold: float
    acknowledged_by: str = ""
    changed_ms: int = 0
    """Event time of its last change of state."""
    is_over: bool = False
    """Something else has ended this episode while it was pending: it must not fire when its rule finds that it lasts."""

    @property
    def due_ms(self) -> float | None:
        """Time alone changes nothing: the rule's own memory knows when."""
        return None

    @property
    def alert_id(self) -> str:
        """Id of the episode."""
        return ids.alert_id(self.fingerprint, self.started_ms)


@dataclass(frozen=True, slots=True)
class Subject:
    """What an alert is about."""

    labels: Mapping[str, str]
    """Labels that tell it from the rule's others, ``node``, ``agent`` and ``pipeline`` among them."""
    statistic: str
    model_id: str


def fingerprint_of(rule: RuleCore, subject: Subject) -> str:
    """Id of an alert over its episodes."""
    labels = dict(subject.labels) | ({"model": subject.model_id} if rule.about_model else {})
    return ids.fingerprint(rule.settings.mlapp_id, rule.settings.name, labels)


def on_step(
    alert: OpenAlert | None, rule: RuleCore, subject: Subject, step: Step, cause: Cause, supersedes: str = ""
) -> tuple[OpenAlert | None, list[AlertTransition]]:
    """Alert after a rule's step. An end of an episode that is not known, or is closed already, changes nothing.

    ``supersedes`` is the id of the transition that a revision corrects: that of an episode that is over, too.
    """
    sent: list[AlertTransition] = []
    started_ms = int(step.started_ms)
    if supersedes:
        return _revised(alert, rule, subject, step, cause, supersedes)
    if step.state in _ENDS:
        if alert is None or alert.started_ms != started_ms:
            return alert, sent
        return None, [] if alert.is_over else [transition(alert, step, cause)]
    same = alert is not None and (alert.started_ms, alert.form) == (started_ms, rule.settings.form)
    if alert is not None and not same:
        sent = [] if alert.is_over else ended(alert, step.at_ms, "another episode has begun", cause)[1]
        alert = None
    if alert is not None and (alert.is_over or alert.state is step.state):
        return alert, sent
    previous = alert.state if alert is not None else AlertState.INACTIVE
    alert = _opened(alert, rule, subject, step)
    return alert, [*sent, transition(alert, step._replace(previous_state=previous), cause)]


def _revised(
    alert: OpenAlert | None, rule: RuleCore, subject: Subject, step: Step, cause: Cause, supersedes: str
) -> tuple[OpenAlert | None, list[AlertTransition]]:
    previous = alert.state if alert is not None and not alert.is_over else AlertState.INACTIVE
    about = _opened(alert, rule, subject, step)
    sent = transition(about, step._replace(previous_state=previous), cause, supersedes=supersedes)
    return (None if step.state in _ENDS else about), [sent]


def ended(
    alert: OpenAlert, at_ms: float, reason: str, cause: Cause, who: str = ""
) -> tuple[OpenAlert | None, list[AlertTransition]]:
    """An alert that something else than its rule ends: its rule, node or model is gone, or a person has closed it."""
    state = AlertState.RESOLVED if alert.state is AlertState.FIRING else AlertState.INACTIVE
    step = Step(
        state, alert.state, max(at_ms, alert.started_ms, alert.changed_ms), alert.started_ms, reason=reason
    )
    after = replace(alert, is_over=True) if alert.state is AlertState.PENDING else None
    return after, [transition(alert, step, cause, who=who)]


def acknowledged(
    alert: OpenAlert, at_ms: float, who: str, comment: str, cause: Cause
) -> tuple[OpenAlert, list[AlertTransition]]:
    """A firing alert that a person takes care of: it goes on, and is not repeated."""
    step = Step(
        AlertState.ACKNOWLEDGED, alert.state, at_ms, alert.started_ms, alert.value, alert.threshold, comment
    )
    return replace(alert, acknowledged_by=who), [transition(alert, step, cause, who=who)]


def _opened(before: OpenAlert | None, rule: RuleCore, subject: Subject, step: Step) -> OpenAlert:
    settings = rule.settings
    labels = _labels(rule, subject)
    alert = OpenAlert(
        fingerprint=fingerprint_of(rule, subject),
        mlapp_id=settings.mlapp_id,
        rule=settings.name,
        rule_type=settings.type,
        form=settings.form,
        state=step.state,
        started_ms=int(step.started_ms),
        changed_ms=int(step.at_ms),
        statistic=subject.statistic,
        node_id=subject.labels.get("node", settings.matching.node_id),
        agent_id=subject.labels.get("agent", ""),
        model_id=subject.model_id,
        of_model=subject.model_id if rule.about_model else "",
        severity=labels["severity"],
        labels=labels,
        annotations={},
        value=step.value,
        threshold=step.threshold,
        acknowledged_by=before.acknowledged_by if before is not None else "",
    )
    return replace(alert, annotations=_annotations(alert, settings.annotations, step))


def _labels(rule: RuleCore, subject: Subject) -> dict[str, str]:
    """Labels of the rule win over those of the series."""
    settings = rule.settings
    own = {"alertname": settings.name, "mlapp": settings.mlapp_id, "severity": settings.severity}
    model = {"model": subject.model_id} if rule.about_model else {}
    place = {"node": settings.matching.node_id, "agent": "", "pipeline": ""}
    return place | dict(subject.labels) | model | own | dict(settings.labels)


def _annotations(alert: OpenAlert, templates: Mapping[str, str], step: Step) -> dict[str, str]:
    values: dict[str, str | float] = {
        "value": step.value,
        "threshold": step.threshold,
        "statistic": alert.statistic,
        "reason": step.reason,
        "rule": alert.rule,
        "mlapp": alert.mlapp_id,
        "node": alert.node_id,
        "agent": alert.agent_id,
        "pipeline": alert.labels.get("pipeline", ""),
        "model": alert.model_id,
        "severity": alert.severity,
        **{f"labels.{key}": value for key, value in alert.labels.items()},
    }
    return {key: render(text, values) for key, text in templates.items()}
