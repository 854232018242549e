"""``change_point``: the level of a statistic must not change, whatever it is.

A change is a moment, and an alert lasts: it fires at the sample at which the change is found, and resolves when so many samples
have come since that the new level is the usual one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.schemas.records import AlertState
from parallelm.stream_processors.alerts.detectors import LevelChange, adwin, page_hinkley
from parallelm.stream_processors.alerts.limits import bounded
from parallelm.stream_processors.alerts.rules import Explanation, SampleRule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.stream_processors.alerts.lifecycle import Step
    from parallelm.stream_processors.alerts.rule import RuleSettings

_NAMES = {"adwin": "ADWIN", "page_hinkley": "Page-Hinkley"}


class Memory(NamedTuple):
    """What is remembered of a series."""

    detector: Sequence[Any] = ()
    left: int = 0
    """Samples until the new level is the usual one."""
    found: Sequence[Any] = ()
    """The last change, as a ``LevelChange``."""


class ChangePointRule(SampleRule, type_name="change_point"):
    """Remembers the detector's state: ten numbers for Page-Hinkley, some hundreds at most for ADWIN."""

    def __init__(self, settings: RuleSettings, parameters: Mapping[str, Any]) -> None:
        super().__init__(settings, parameters)
        self._method: str = parameters["method"]
        self._direction: str = parameters["direction"]
        self._settle_samples = int(parameters["settle_samples"])
        delta, min_samples = float(parameters["delta"]), int(parameters["min_samples"])
        if self._method == "adwin":
            self._adwin = adwin.AdwinSettings(delta, int(parameters["check_every"]), min_samples)
            self.memory_bytes = adwin.MAX_ROWS * (adwin.MAX_BUCKETS + 1) * 50
        elif self._method == "page_hinkley":
            self._page_hinkley = page_hinkley.PageHinkleySettings(
                min_samples,
                delta,
                float(parameters["threshold"]),
                float(parameters["alpha"]),
                self._direction,
            )
            self.memory_bytes = 400
        else:
            raise ValueError(f"there is no method {self._method!r}; there are: {', '.join(_NAMES)}")

    def judge(self, detector: Any, at_ms: float, value: float) -> tuple[Any, bool | None]:  # noqa: ARG002 - of all types
        """Whether the level has changed at this sample or shortly before; an infinite sample has no level."""
        memory = Memory(*detector) if detector else Memory()
        if math.isinf(value):
            return memory, None
        state, change = self._update(memory.detector, bounded(value))
        if change is not None and self._is_watched(change):
            memory = Memory(state, self._settle_samples, change)
        else:
            memory = Memory(state, max(0, memory.left - 1), memory.found)
        return memory, memory.left > 0

    def explain(self, detector: Any, step: Step, statistic: str) -> Explanation:
        """The levels before and after, from the samples of both."""
        after = Memory(*self.judge(detector, step.at_ms, step.value)[0])
        change = LevelChange(*after.found)
        words = f"from {change.before:.4g} to {change.after:.4g}"
        if step.state is AlertState.RESOLVED:
            reason = f"the level of {statistic}, which changed {words}, counts as usual after {self._settle_samples} samples"
        else:
            reason = (
                f"the level of {statistic} changed {words} ({_NAMES[self._method]}: means of {change.count_before} samples "
                f"before and {change.count_after} after)"
            )
        return Explanation(change.after, change.before, reason)

    def _update(self, stored: Sequence[Any], value: float) -> tuple[Sequence[Any], LevelChange | None]:
        if self._method == "adwin":
            return adwin.update(adwin.AdwinState(*stored), value, self._adwin)
        return page_hinkley.update(page_hinkley.PageHinkleyState(*stored), value, self._page_hinkley)

    def _is_watched(self, change: LevelChange) -> bool:
        return self._direction == "either" or (change.after > change.before) == (
            self._direction == "increase"
        )
