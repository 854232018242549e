"""``threshold``: a statistic must not go above, or below, a number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.stream_processors.alerts.explaining import condition
from parallelm.stream_processors.alerts.rules import Explanation, SampleRule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.stream_processors.alerts.lifecycle import Step
    from parallelm.stream_processors.alerts.rule import RuleSettings


class ThresholdRule(SampleRule, type_name="threshold"):
    """Remembers nothing."""

    def __init__(self, settings: RuleSettings, parameters: Mapping[str, Any]) -> None:
        super().__init__(settings, parameters)
        self.threshold = float(parameters["threshold"])
        self.side: str = parameters["side"]
        self._above = self.side == "above"

    def judge(self, detector: Any, at_ms: float, value: float) -> tuple[Any, bool | None]:  # noqa: ARG002 - of all types
        """Whether the value is on the wrong side."""
        return detector, value > self.threshold if self._above else value < self.threshold

    def explain(self, detector: Any, step: Step, statistic: str) -> Explanation:  # noqa: ARG002 - of all types
        """The value beside the threshold."""
        reason = condition(statistic, self.side, self.threshold, step, self.settings.timing.for_ms)
        return Explanation(step.value, self.threshold, reason)
