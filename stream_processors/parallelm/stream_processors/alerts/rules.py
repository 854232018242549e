"""The alert rules of a definition in the form in which samples are judged by them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations at run time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.schemas.times import is_time
from parallelm.schemas.well_known import FEATURE_LABEL, LINE_LABEL, OVERLAP_LABEL_PREFIX, OVERLAP_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.schemas.records import AlertRule, MLAppDefinition

HEALTH = "health"
THRESHOLD = "threshold"


@dataclass(frozen=True, slots=True)
class Rule:
    """A ``threshold`` or ``health`` rule of one MLApp."""

    mlapp_id: str
    name: str
    type: str
    statistic: str
    node_id: str
    match_labels: Mapping[str, str]
    side: str
    """``above`` or ``below``: where a value breaches the threshold."""
    threshold: float
    features: frozenset[str] | None
    """Features that a health rule watches; None: all."""
    for_ms: int
    keep_firing_for_ms: int
    grace_ms: int
    severity: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    def watches(self, statistic: str) -> bool:
        """Whether the rule is about a statistic, going by its name alone."""
        if self.type == HEALTH:
            return statistic.endswith(OVERLAP_SUFFIX)
        return statistic == self.statistic

    def alert_labels(self, node_id: str, labels: Mapping[str, str]) -> dict[str, str] | None:
        """What distinguishes this series' alert from the rule's others; None when the rule is not about this series."""
        if self.node_id and node_id != self.node_id:
            return None
        if self.type == HEALTH:
            line = labels.get(LINE_LABEL, "")
            feature = line.removeprefix(OVERLAP_LABEL_PREFIX)
            if feature == line or (self.features is not None and feature not in self.features):
                return None
            return {key: value for key, value in labels.items() if key != LINE_LABEL} | {
                FEATURE_LABEL: feature
            }
        if any(labels.get(key) != value for key, value in self.match_labels.items()):
            return None
        return dict(labels)

    def still_watches(self, statistic: str, node_id: str, labels: Mapping[str, str]) -> bool:
        """Whether the rule is about a series that an earlier form of it raised an alert on; ``labels`` are the alert's."""
        if not self.watches(statistic) or self.node_id not in {"", node_id}:
            return False
        if self.type == HEALTH:
            return self.features is None or labels.get(FEATURE_LABEL) in self.features
        return all(labels.get(key) == value for key, value in self.match_labels.items())

    def breached(self, value: float) -> bool:
        """Whether a value is on the wrong side. NaN is no value: ask ``can_evaluate`` first."""
        return value > self.threshold if self.side == "above" else value < self.threshold


def can_evaluate(timestamp_ms: float, value: float) -> bool:
    """Whether a sample can be judged: a NaN says nothing about a threshold, a bad timestamp nothing about when."""
    return is_time(timestamp_ms) and not math.isnan(value)


def rules_of(definition: MLAppDefinition) -> Iterator[Rule]:
    """Rules of a definition that this version evaluates; a newer version's types are left to it."""
    for rule in definition.rules:
        if rule.type in {HEALTH, THRESHOLD}:
            yield _rule(definition.mlapp_id, rule)


def _rule(mlapp_id: str, rule: AlertRule) -> Rule:
    parameters = json.loads(rule.parameters_json)
    features = parameters.get("features", "all")
    return Rule(
        mlapp_id=mlapp_id,
        name=rule.name,
        type=rule.type,
        statistic=rule.statistic,
        node_id=rule.node_id,
        match_labels=rule.match_labels,
        side=parameters["side"],
        threshold=float(parameters["threshold"]),
        features=None if features == "all" else frozenset(features),
        for_ms=rule.for_ms,
        keep_firing_for_ms=rule.keep_firing_for_ms,
        grace_ms=int(parameters.get("grace_ms", 0)),
        severity=rule.severity,
        labels=rule.labels,
        annotations=rule.annotations,
    )
