"""Which statistics an MLApp's policies need: the series stage forwards these and no others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.stream_processors.model_policy.settings import policy_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.schemas.records import MLAppDefinition


@dataclass(frozen=True, slots=True)
class Watched:
    """What is to be forwarded as ``RuleAggregate`` records."""

    metrics: Mapping[str, tuple[str, ...]]
    """Statistic to the metrics that it is forwarded for (kind ``samples``, ``rule`` is the metric)."""
    distributions: frozenset[str]
    """Statistics of topic structured-statistics (kind ``distribution``, ``rule`` is the statistic)."""


def watched_metrics(definition: MLAppDefinition) -> Watched:
    """What the MLApp's policy and those of its nodes name; raises ``ValueError`` when one cannot be read."""
    metrics: dict[str, tuple[str, ...]] = {}
    distributions = set()
    for policy in (definition.policy, *definition.node_policies.values()):
        settings = policy_settings(policy)
        gates = [gate.metric for gate in (*settings.before, *settings.after)]
        compared = [metric.metric for metric in settings.canary.metrics]
        metrics |= {name: (name,) for name in (*gates, *compared)}
        if settings.compares_predictions:
            distributions.add(settings.canary.predictions)
    return Watched(metrics, frozenset(distributions))
