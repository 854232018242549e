"""What every alert rule of a definition has, in the form in which the processors judge by it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parallelm.stream_processors.alerts.ids import digest
from parallelm.stream_processors.alerts.lifecycle import Timing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.schemas.records import AlertRule


@dataclass(frozen=True, slots=True)
class Aggregation:
    """How the samples of several series become one: a function over windows of event time."""

    function: str
    """``sum``, ``avg``, ``min``, ``max``, ``count`` or ``quantile``."""
    window_ms: int
    by: tuple[str, ...]
    """Labels that stay apart; everything else is taken together."""
    quantile: float = 0.0


@dataclass(frozen=True, slots=True)
class Matching:
    """Which series a rule is about."""

    statistic: str
    statistic_pattern: re.Pattern[str] | None
    node_id: str
    labels: Mapping[str, str]
    patterns: Mapping[str, re.Pattern[str]]

    def statistic_matches(self, name: str) -> bool:
        """Whether it is about a statistic, going by its name alone."""
        if self.statistic_pattern is not None:
            return self.statistic_pattern.fullmatch(name) is not None
        return name == self.statistic

    def labels_match(self, labels: Mapping[str, str]) -> bool:
        """Whether labels are as the rule wants them; a missing one is empty."""
        return all(labels.get(key, "") == value for key, value in self.labels.items()) and all(
            pattern.fullmatch(labels.get(key, "")) for key, pattern in self.patterns.items()
        )

    def node_matches(self, node_id: str) -> bool:
        """Whether it is about a node."""
        return self.node_id in {"", node_id}


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """What all types of rules share; see the docs on alert rules for the meaning of each."""

    mlapp_id: str
    name: str
    type: str
    form: str
    """Digest of the rule as written: a changed rule is another rule."""
    matching: Matching
    timing: Timing
    grace_ms: int = 0
    stale_after_ms: int | None = None
    no_data: str = "ok"
    aggregation: Aggregation | None = None
    severity: str = "warning"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def settings_of(mlapp_id: str, rule: AlertRule) -> tuple[RuleSettings, Mapping[str, Any]]:
    """Settings of a rule, and the parameters of its type; raises ``ValueError``, ``KeyError`` or ``TypeError``."""
    parameters: dict[str, Any] = json.loads(rule.parameters_json)
    pattern = parameters.get("statistic_pattern")
    matching = Matching(
        rule.statistic,
        re.compile(pattern) if pattern else None,
        rule.node_id,
        dict(rule.match_labels),
        {key: re.compile(text) for key, text in parameters.get("match_patterns", {}).items()},
    )
    aggregate = parameters.get("aggregate")
    aggregation = (
        Aggregation(
            aggregate, int(parameters["window_ms"]), tuple(parameters["by"]), parameters.get("quantile", 0.0)
        )
        if aggregate
        else None
    )
    settings = RuleSettings(
        mlapp_id=mlapp_id,
        name=rule.name,
        type=rule.type,
        form=form_of(mlapp_id, rule),
        matching=matching,
        timing=Timing(rule.for_ms, rule.keep_firing_for_ms, parameters.get("max_gap_ms")),
        grace_ms=int(parameters.get("grace_ms", 0)),
        stale_after_ms=parameters.get("stale_after_ms"),
        no_data=parameters.get("no_data", "ok"),
        aggregation=aggregation,
        severity=rule.severity,
        labels=dict(rule.labels),
        annotations=dict(rule.annotations),
    )
    return settings, parameters


def form_of(mlapp_id: str, rule: AlertRule) -> str:
    """Digest of everything that a rule says."""
    return digest(
        mlapp_id,
        rule.name,
        rule.type,
        rule.statistic,
        rule.node_id,
        dict(rule.match_labels),
        rule.for_ms,
        rule.keep_firing_for_ms,
        rule.severity,
        dict(rule.labels),
        dict(rule.annotations),
        rule.parameters_json,
    )
