"""``rate_of_change``: a statistic must not rise or fall by more than a number within a time.

As Prometheus' ``delta`` and ``rate`` and the change monitors of Datadog do, but on the event time of each sample: it is
compared with the newest sample that is ``over`` older. What lies between is remembered thinned.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.definitions.durations import approximate_duration, format_duration
from parallelm.stream_processors.alerts.explaining import beside
from parallelm.stream_processors.alerts.limits import Limit
from parallelm.stream_processors.alerts.rules import Explanation, SampleRule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.stream_processors.alerts.lifecycle import Step
    from parallelm.stream_processors.alerts.rule import RuleSettings

PARTS = 32
"""Of each part of ``over`` the first sample is remembered; by so much a sample may be younger than ``over``."""


class Memory(NamedTuple):
    """The samples that later ones are compared with, oldest first."""

    kept: Sequence[Sequence[float]] = ()
    """Event time, value, and what the counter had counted before it began again."""
    newest: float | None = None
    """Newest value of a counter."""
    raised: float = 0.0
    """What a counter had counted before it began again, as often as it did."""


class Change(NamedTuple):
    """A sample beside an earlier one."""

    number: float
    """In the rule's unit."""
    earlier: float
    elapsed_ms: float


class RateOfChangeRule(SampleRule, type_name="rate_of_change"):
    """Remembers one sample of each part of ``over``, and the newest before them."""

    memory_bytes = (PARTS + 4) * 70

    def __init__(self, settings: RuleSettings, parameters: Mapping[str, Any]) -> None:
        super().__init__(settings, parameters)
        self._limit = Limit.of(parameters)
        self._over_ms = float(parameters["over_ms"])
        self._per_ms = parameters.get("per_ms")
        self._is_relative = bool(parameters.get("relative", False))
        self._is_counter = bool(parameters.get("counter", False))

    def judge(self, detector: Any, at_ms: float, value: float) -> tuple[Any, bool | None]:
        """Whether the change is on the wrong side; unknown until there is a sample of ``over`` ago."""
        memory = Memory(*detector) if detector else Memory()
        if memory.kept and at_ms < memory.kept[-1][0]:
            return detector, None
        change = self._change(memory, at_ms, value)
        breached = None if change is None else self._limit.is_breached_by(change.number)
        return self._with(memory, at_ms, value), breached

    def explain(self, detector: Any, step: Step, statistic: str) -> Explanation:
        """Both values, the time between them, and the change."""
        change = self._change(Memory(*detector), step.at_ms, step.value)
        assert change is not None  # noqa: S101 - judged, hence known
        limit = beside(self._limit.words(self._shown(self._limit.number)), step, self.settings.timing.for_ms)
        verb = "counted" if self._is_counter else "changed by"
        reason = (
            f"{statistic} {verb} {self._shown(change.number, '+')}, from {change.earlier:.4g} to {step.value:.4g} "
            f"in {approximate_duration(change.elapsed_ms)}, {limit}"
        )
        return Explanation(change.number, self._limit.nearest(change.number), reason)

    def _change(self, memory: Memory, at_ms: float, value: float) -> Change | None:
        reference = next((kept for kept in reversed(memory.kept) if self._is_old(kept[0], at_ms)), None)
        if reference is None:
            return None
        before_ms, earlier, raised = reference
        elapsed_ms = at_ms - before_ms
        number = value - earlier + (self._raised(memory, value) - raised)
        if self._is_relative:
            number = _share(number, earlier)
        elif self._per_ms is not None:
            number *= self._per_ms / elapsed_ms
        return Change(number, earlier, elapsed_ms)

    def _is_old(self, before_ms: float, at_ms: float) -> bool:
        return at_ms - before_ms >= self._over_ms * (1 - 1 / PARTS)

    def _raised(self, memory: Memory, value: float) -> float:
        """What a counter had counted before it began again; a fall is a beginning."""
        if self._is_counter and memory.newest is not None and math.isfinite(value) and value < memory.newest:
            return memory.raised + memory.newest
        return memory.raised

    def _with(self, memory: Memory, at_ms: float, value: float) -> Memory:
        """Memory with one more sample. An infinite one is nothing to compare later ones with."""
        raised = self._raised(memory, value)
        if not math.isfinite(value):
            return memory
        if not math.isfinite(raised):
            return Memory()
        kept = list(memory.kept)
        if kept and kept[-1][0] == at_ms:
            kept[-1] = (at_ms, value, raised)  # the last report of a time counts
        elif not kept or self._part(kept[-1][0]) < self._part(at_ms):
            kept.append((at_ms, value, raised))
        old = sum(self._is_old(before_ms, at_ms) for before_ms, _, _ in kept)
        return Memory(tuple(kept[max(0, old - 1) :]), value if self._is_counter else None, raised)

    def _part(self, at_ms: float) -> int:
        return int(at_ms * PARTS // self._over_ms)

    def _shown(self, number: float, sign: str = "") -> str:
        if self._is_relative:
            return f"{number * 100:{sign}.4g} %"
        per = f" per {format_duration(self._per_ms)}" if self._per_ms is not None else ""
        return f"{number:{sign}.4g}{per}"


def _share(change: float, earlier: float) -> float:
    """Change as a share of the size of the earlier value; any change from zero is infinitely large."""
    if change == 0:
        return 0.0
    return change / abs(earlier) if earlier else math.copysign(math.inf, change)
