"""A node's policy as the cores read it: the definition's record with its JSON made into typed values."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from parallelm.schemas.records import ModelPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.schemas.records import Policy


@dataclass(frozen=True, slots=True)
class Gate:
    """A condition that measurements of a metric must meet."""

    metric: str
    success_condition: str
    match: dict[str, str] = field(default_factory=dict)
    failure_condition: str = ""
    failure_limit: int = 0
    inconclusive_limit: int = 0
    aggregate: str = "avg"
    interval_ms: int = 0
    count: int = 1
    min_samples: int = 1
    must_have_data: bool = True
    wait_ms: int = 0

    def takes(self, metric: str, labels: Mapping[str, str]) -> bool:
        """Whether samples of a metric with these labels count."""
        return _takes(self.metric, self.match, metric, labels)


@dataclass(frozen=True, slots=True)
class Window:
    """From each time of ``cron`` (UTC) for a duration."""

    cron: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class AlertMatch:
    """Alerts of a rule, of a severity, or of both; empty: any."""

    rule: str = ""
    severity: str = ""


@dataclass(frozen=True, slots=True)
class CanaryMetric:
    """A metric that is compared between canary and live model."""

    metric: str
    match: dict[str, str] = field(default_factory=dict)
    direction: str = "either"
    weight: float = 1.0
    critical: bool = False
    must_have_data: bool = False
    tolerance: float = 0.25
    confidence: float = 0.98
    effect_size: float = 0.5

    def takes(self, metric: str, labels: Mapping[str, str]) -> bool:
        """Whether samples of a metric with these labels count."""
        return _takes(self.metric, self.match, metric, labels)


@dataclass(frozen=True, slots=True)
class CanaryOptions:
    """How a canary runs, and what it must show."""

    node: str = ""
    share: float = 0.0
    metrics: tuple[CanaryMetric, ...] = ()
    predictions: str = ""
    predictions_weight: float = 1.0
    min_samples: int = 30
    duration_ms: int = 0
    pass_score: float = 95.0
    marginal_score: float = 75.0
    time_limit_ms: int = 0
    at_time_limit: str = "roll_back"


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """When a new model is deployed to a node."""

    kind: ModelPolicy = ModelPolicy.ALWAYS_UPDATE
    accept_timeout_ms: int = 0
    canary_threshold: float = -1.0
    """RMSE of predictions above which a canary is unhealthy; -1: predictions are not compared."""
    accept: str = "any"
    cool_down_ms: int = 0
    windows: tuple[Window, ...] = ()
    before: tuple[Gate, ...] = ()
    after: tuple[Gate, ...] = ()
    rollback_on: tuple[AlertMatch, ...] = ()
    signing_keys: tuple[str, ...] = ()
    """Only models that one of these keys has signed are deployed; empty: any."""
    review_timeout_ms: int = 0
    canary: CanaryOptions = field(default_factory=CanaryOptions)

    @property
    def compares_predictions(self) -> bool:
        """Whether a canary's predictions are compared."""
        return self.kind is ModelPolicy.CANARY and self.canary_threshold > 0


_READER = TypeAdapter(PolicySettings)


@lru_cache(1_000)
def policy_settings(policy: Policy) -> PolicySettings:
    """Settings of a policy; raises ``ValueError`` when another version, or a person, wrote what cannot be read."""
    found = json.loads(policy.parameters_json)
    return _READER.validate_python(
        found
        | {
            "kind": policy.model_policy,
            "accept_timeout_ms": policy.accept_timeout_ms,
            "canary_threshold": policy.canary_threshold,
        }
    )


def _takes(wanted: str, match: Mapping[str, str], metric: str, labels: Mapping[str, str]) -> bool:
    return wanted == metric and all(labels.get(name) == value for name, value in match.items())
