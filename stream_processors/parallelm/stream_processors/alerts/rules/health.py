"""``health``: the distribution of a feature must stay that of the training data; one alert a feature.

What the numbers of a report mean is decided in ``drift_decision``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.schemas.well_known import FEATURE_LABEL, LINE_LABEL, OVERLAP_LABEL_PREFIX, OVERLAP_SUFFIX
from parallelm.stream_processors.alerts.drift_decision import (
    SCORE,
    STATISTIC_OF,
    STATISTICS,
    decide,
    settings_of,
)
from parallelm.stream_processors.alerts.rules import Judged, ReportRule, without_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.stream_processors.alerts.rule import RuleSettings


class HealthRule(ReportRule, type_name="health"):
    """Judges the features of a report together."""

    about_model = True

    def __init__(self, settings: RuleSettings, parameters: Mapping[str, Any]) -> None:
        super().__init__(settings, parameters)
        features = parameters.get("features", "all")
        self._features = None if features == "all" else frozenset(features)
        self._drift = settings_of(parameters)
        self._by_score = self._drift.measure == SCORE

    def watches(self, statistic: str) -> bool:
        """Similarity scores, or what is reported of the drift beside them."""
        return statistic.endswith(OVERLAP_SUFFIX) if self._by_score else statistic in STATISTICS

    def series_labels(self, statistic: str, labels: Mapping[str, str]) -> Mapping[str, str] | None:
        """Labels with the feature in place of the line."""
        feature = _feature(labels)
        if not feature or (self._features is not None and feature not in self._features):
            return None
        if super().series_labels(statistic, labels) is None:
            return None
        return without_line(labels) | {FEATURE_LABEL: feature}

    def series_name(self, labels: Mapping[str, str]) -> str:
        """The feature."""
        return labels[FEATURE_LABEL]

    def judged_statistic(self, statistic: str) -> str:
        """That of the measure; scores of numbers and of categories have different ones."""
        return statistic if self._by_score else STATISTIC_OF[self._drift.measure]

    def decide(self, report: Mapping[str, Mapping[str, float]], at_ms: float) -> Iterator[tuple[str, Judged]]:
        """Each feature of which the report says enough."""
        measures = report
        if self._by_score:
            measures = {feature: {SCORE: min(values.values())} for feature, values in report.items()}
        for feature, found in decide(measures, self._drift).items():
            yield feature, Judged(at_ms, found.value, found.breached, found.threshold, found.reason)


def _feature(labels: Mapping[str, str]) -> str:
    line = labels.get(LINE_LABEL, "")
    if line.startswith(OVERLAP_LABEL_PREFIX):
        return line.removeprefix(OVERLAP_LABEL_PREFIX)
    return labels.get(FEATURE_LABEL, "")
