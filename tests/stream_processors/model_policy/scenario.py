"""Plays what happens to an MLApp in a few words: ``publish m1; accept m1 by a; wait 2h; approve m1``.

The same words stand in the outcome table of the documentation. Every step takes a second, unless it says ``wait``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parallelm.definitions import parse_definition, to_record
from parallelm.definitions.durations import parse_duration
from parallelm.schemas.records import (
    AggregateKind,
    AlertState,
    AlertTransition,
    DeploymentTransition,
    MLAppDefinition,
    Origin,
    RecordPosition,
    RuleAggregate,
    UserAction,
)
from parallelm.stream_processors.model_policy import (
    acceptance,
    actions,
    alerts,
    announcements,
    clock,
    definition,
    measurements,
)
from parallelm.stream_processors.model_policy.state import Accepted, Announced, MLAppDeployments
from parallelm.stream_processors.model_policy.work import At

if TYPE_CHECKING:
    from parallelm.stream_processors.model_policy.work import Outcome

START_MS = 1_767_225_600_000
"""Thursday, 2026-01-01T00:00Z."""
HEAD = """\
mlapp: app
nodes:
  - {id: train, type: model_producer}
  - {id: predict, type: model_consumer, consumes: [train]}
"""
CANARY_NODE = "  - {id: predict-canary, type: model_consumer, consumes: [train]}\n"
RULES = """
alerts:
  - {name: drift, type: threshold, statistic: drift, above: 0.5, severity: critical}
  - {name: slow, type: threshold, statistic: latency, above: 3, severity: warning}
"""


def applied(policy: str, version: int, *, nodes: str = HEAD, at_ms: int = START_MS) -> MLAppDefinition:
    """A definition whose MLApp has this policy, in YAML."""
    text = nodes + policy + RULES
    return to_record(
        parse_definition(text, "scenario"), text, version=version, applied_by="me", event_time_ms=at_ms
    )


@dataclass
class Scenario:
    """What is known, and what was decided so far."""

    policies: dict[str, str] = field(default_factory=dict)
    """Policies by the names that ``apply`` uses."""
    known: MLAppDeployments = field(default_factory=lambda: MLAppDeployments("app"))
    sent: list[DeploymentTransition] = field(default_factory=list)
    now_ms: int = START_MS
    _version: int = 0
    _records: int = 0
    _policy: str = ""

    def play(self, steps: str) -> list[DeploymentTransition]:
        """Transitions that the last step led to."""
        last: list[DeploymentTransition] = []
        for step in steps.split(";"):
            last = self.step(step.strip())
        return last

    def step(self, step: str) -> list[DeploymentTransition]:
        """One step; returns the transitions that it led to."""
        verb, *words = step.split()
        before = len(self.sent)
        self.now_ms += 1_000
        self._records += 1
        self.known, sent = getattr(self, f"_{verb}")(*words)
        self.sent += sent
        return self.sent[before:]

    def tick(self) -> None:
        """Let time act until nothing is due."""
        self.known, sent = clock.on_tick(self.known, self.now_ms, self.now_ms)
        self.sent += sent
        due_ms = self.known.due_ms
        assert due_ms is None or due_ms > self.now_ms, "a tick leaves nothing due"

    def at(self, event_ms: int | None = None) -> At:
        position = RecordPosition(topic="t", partition=0, offset=self._records)
        return At(self.now_ms if event_ms is None else event_ms, self.now_ms, self.now_ms, position)

    # ---- steps --------------------------------------------------------------------------------------------------

    def _apply(self, *name: str) -> Outcome:
        self._version += 1
        self._policy = " ".join(name)
        policy = self.policies[self._policy]
        nodes = HEAD + CANARY_NODE if "predict-canary" in policy else HEAD
        record = applied(policy, self._version, nodes=nodes, at_ms=self.now_ms)
        return definition.on_definition(self.known, record, self.at())

    def _remove(self, what: str) -> Outcome:
        if what == "app":
            self._version = 0
            return definition.on_definition(self.known, None, self.at())
        self._version += 1
        record = applied("", self._version, nodes=HEAD.replace("predict", "other"), at_ms=self.now_ms)
        return definition.on_definition(self.known, record, self.at())

    def _publish(self, model: str, *dated: str) -> Outcome:
        event_ms = self.now_ms if not dated else START_MS - parse_duration(dated[0])
        announced = Announced(model, "train", event_ms, self.now_ms, self.at().cause)
        return announcements.on_announcement(self.known, announced, self.at(event_ms))

    def _accept(self, model: str, *more: str) -> Outcome:
        options = dict(zip(more[::2], more[1::2], strict=True))
        node, agent = options.get("on", "predict"), options.get("by", "a")
        event_ms = int(options["at"]) if "at" in options else self.now_ms
        accepted = Accepted(model, node, agent, event_ms, self.at().cause)
        return acceptance.on_accepted(self.known, accepted, self.at(event_ms))

    def _act(self, action: str, model: str = "", node: str = "predict") -> Outcome:
        record = UserAction(
            event_time_ms=self.now_ms, action_id=f"act-{self._records}", mlapp_id="app", who="anna", authenticated_by="unverified_local_user", action=action,
            node_id=node, model_id=model, target="", comment="as agreed", parameters={},
        )  # fmt: skip
        return actions.on_action(self.known, record, self.at())

    def _approve(self, model: str = "") -> Outcome:
        return self._act("approve", model)

    def _reject(self, model: str = "") -> Outcome:
        return self._act("reject", model)

    def _delete(self, model: str) -> Outcome:
        return self._act("delete_model", model)

    def _deploy(self, model: str) -> Outcome:
        return self._act("deploy", model)

    def _rollback(self, model: str = "") -> Outcome:
        return self._act("roll_back", model)

    def _pin(self, model: str = "") -> Outcome:
        return self._act("pin", model)

    def _unpin(self) -> Outcome:
        return self._act("unpin")

    def _wait(self, duration: str) -> Outcome:
        before = len(self.sent)
        self.now_ms += parse_duration(duration)
        self.tick()
        sent, self.sent = self.sent[before:], self.sent[:before]
        return self.known, sent

    def _alert(self, rule: str, *model: str) -> Outcome:
        severity = {"drift": "critical", "slow": "warning"}[rule]
        record = AlertTransition(
            event_time_ms=self.now_ms, decided_at_ms=self.now_ms, transition_id="t", mlapp_id="app", alert_id="a",
            fingerprint="f", rule=rule, rule_type="threshold", state=AlertState.FIRING,
            previous_state=AlertState.PENDING, severity=severity, started_at_ms=self.now_ms, value=math.nan,
            threshold=0.5, statistic=rule, node_id="predict", model_id="".join(model), labels={}, annotations={},
            reason="0.9, above 0.5", who="", supersedes="", cause=self.at().cause,
        )  # fmt: skip
        return alerts.on_alert(self.known, record, self.at())

    def _report(self, metric: str, *words: str) -> Outcome:
        """``report METRIC VALUES… of MODEL [on NODE] [by AGENT]``; a value may be ``30x1.5``."""
        cut = words.index("of")
        options = dict(zip(words[cut::2], words[cut + 1 :: 2], strict=True))
        values: list[float] = []
        for word in words[:cut]:
            count, _, value = word.rpartition("x")
            # Equal samples would tie: each differs a little.
            values += [float(value) * (1 + 1e-4 * n) for n in range(int(count or 1))]
        self.now_ms += len(values) * 1_000
        times = [self.now_ms - (len(values) - n) * 1_000 for n in range(len(values))]
        return measurements.on_samples(
            self.known, self._aggregate(AggregateKind.SAMPLES, metric, options, times, values), self.at()
        )

    def _predict(self, data: str, *words: str) -> Outcome:
        """``predict JSON of MODEL [on NODE]``."""
        options = dict(zip(words[::2], words[1::2], strict=True))
        record = self._aggregate(AggregateKind.DISTRIBUTION, "PredictionHistogram", options, [], [], data)
        return measurements.on_distribution(self.known, record, self.at())

    def _aggregate(
        self,
        kind: AggregateKind,
        rule: str,
        options: dict[str, str],
        times: list[int],
        values: list[float],
        data: str = "",
    ) -> RuleAggregate:
        model = options.get("of", "")
        origin = Origin(
            mlapp_id="app", node_id=options.get("on", "predict"), pipeline_instance_id="", agent_id=options.get("by", "a")
        )  # fmt: skip
        return RuleAggregate(
            origin=origin, kind=kind, rule=rule, statistic=rule, model_id="" if model == "any" else model, labels={},
            event_time_ms=self.now_ms, timestamps_ms=times, values=values, data=data, cause=self.at().cause,
        )  # fmt: skip


def summary(sent: list[DeploymentTransition]) -> str:
    """``m1 requested, m1 accepted on predict-canary``, as the documentation writes it."""
    return ", ".join(
        f"{each.model_id} {each.state.value}"
        + (f" on {each.node_id}" if each.node_id not in {"", "predict"} else "")
        for each in sent
    )
