"""Detectors of changes in a series: plain functions over small states that JSON can hold.

Each returns its state after a sample, and a ``LevelChange`` when it has found one. They find the same changes as those of
river (https://riverml.xyz), whose objects cannot be stored.
"""

from __future__ import annotations

from typing import NamedTuple


class LevelChange(NamedTuple):
    """A change that was found: the means of the samples before and after it, and how many there were."""

    before: float
    after: float
    count_before: int
    count_after: int
