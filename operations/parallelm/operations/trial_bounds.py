"""What a trial of rules may cost where somebody waits for its answer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from parallelm.operations.errors import QuestionError

_LOOKS_EVERY: Final = 1_000
"""Samples between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most; memory follows from the samples, of which none is kept."""

    samples: int
    """Samples, or other records, that are looked at."""
    seconds: float


class Budget:
    """What is left of it."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._seen = 0
        self._began_s = time.monotonic()

    def spend(self) -> None:
        """Look at one more sample; raises ``QuestionError`` when that is too much."""
        self._seen += 1
        if self._seen > self._bounds.samples:
            reached = f"{self._bounds.samples} samples were looked at"
        elif self._seen % _LOOKS_EVERY == 0 and time.monotonic() - self._began_s > self._bounds.seconds:
            reached = f"it took {self._bounds.seconds:g} s for {self._seen} samples"
        else:
            return
        raise QuestionError(
            f"a trial by the server has an end, and {reached}: try a shorter time or one rule, or let somebody try it who reads "
            "ClickHouse (`mcenter rules test` without a server)"
        )
