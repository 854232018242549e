"""The side of a number on which a rule sees a breach, and numbers that arithmetic can bear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST = 1e100
"""What detectors take larger values for: sums of squares of as many samples as there can be stay finite."""


class Limit(NamedTuple):
    """``above``, ``below``, or ``beyond``, which is both: above the number, or below its negative."""

    side: str
    number: float

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Limit:
        """As the rule's form has written it."""
        return cls(parameters["side"], float(parameters["threshold"]))

    def is_breached_by(self, value: float) -> bool:
        """Whether a value is on the wrong side."""
        if self.side == "above":
            return value > self.number
        if self.side == "below":
            return value < self.number
        return abs(value) > self.number

    def nearest(self, value: float) -> float:
        """The number that a value is compared with: ``beyond`` has two."""
        return -self.number if self.side == "beyond" and value < 0 else self.number

    def words(self, number: str) -> str:
        """The side with its number, which is written as the value beside it is."""
        return f"{self.side} ±{number}" if self.side == "beyond" else f"{self.side} {number}"


def bounded(value: float) -> float:
    """A value that may be infinite or huge, within what detectors calculate with."""
    return min(max(value, -LARGEST), LARGEST)
