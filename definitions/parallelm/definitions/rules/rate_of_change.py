"""``rate_of_change``: a statistic must not rise or fall by more than a number within a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.definitions.durations import format_duration, parse_duration
from parallelm.definitions.form import Number, PositiveDurationMs
from parallelm.definitions.limits import side_mistakes, side_parameters
from parallelm.definitions.rules import DEFAULT_WINDOW_MS, SampleRuleForm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path
    from parallelm.definitions.policies import PolicyForm


class RateOfChangeRuleForm(SampleRuleForm, type_name="rate_of_change"):
    """Each sample beside the one of ``over`` ago: as a difference, per unit of time, or as a share."""

    over: PositiveDurationMs
    per: PositiveDurationMs | None = None
    relative: bool = False
    counter: bool = False
    above: Number | None = None
    below: Number | None = None
    beyond: Number | None = None

    @classmethod
    def semantic_errors(cls, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
        """One side, one unit, and a time that holds more than one value."""
        yield from super().semantic_errors(raw)
        yield from side_mistakes(cls.type_name, raw)
        relative, counter = raw.get("relative") is True, raw.get("counter") is True
        if relative and raw.get("per") is not None:
            yield (
                ("per",),
                "'per' and 'relative' exclude each other: a change is per unit of time, or a share",
            )
        if relative and counter:
            yield (
                ("relative",),
                "'relative' and 'counter' exclude each other: what a counter has counted depends on when it began",
            )
        below = raw.get("below")
        if counter and isinstance(below, int | float) and below <= 0:
            yield ("below",), f"a counter does not fall: its change is never below {below:g}"
        yield from _too_short(raw)

    def parameters(self, policy: PolicyForm) -> dict[str, object]:
        """Time, unit, side and number."""
        own: dict[str, object] = {"over_ms": self.over} | side_parameters(self)
        if self.per is not None:
            own["per_ms"] = self.per
        if self.relative:
            own["relative"] = True
        if self.counter:
            own["counter"] = True
        return super().parameters(policy) | own


def _too_short(raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """A change over less than a window of the aggregation has nothing to compare."""
    if raw.get("aggregate") is None:
        return
    try:
        over_ms = parse_duration(raw.get("over"))
        window_ms = parse_duration(raw["window"]) if raw.get("window") is not None else DEFAULT_WINDOW_MS
    except ValueError:
        return  # reported with the field
    if 0 < over_ms < window_ms:
        yield (
            ("over",),
            f"over: {format_duration(over_ms)} is shorter than the window: there is one value in {format_duration(window_ms)}",
        )
