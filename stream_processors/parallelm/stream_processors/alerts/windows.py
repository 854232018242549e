"""Parts of windows over several series: what one batch of one partition knows of each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

_GAMMA = 1.02
"""Relative width of a sketch's buckets: quantiles are right to within one percent (Masson et al., DDSketch, 2019)."""
_LOG_GAMMA = math.log(_GAMMA)
_SMALLEST = 1e-9
MAX_BUCKETS = 2_000
"""Buckets of a sketch; beyond twice as many, the lowest are taken together, and low quantiles are less exact."""
FIELDS = 4
"""Numbers of a window on the topic: count, sum, minimum and maximum."""


@dataclass(slots=True)
class WindowSums:
    """Sums over the samples of one window."""

    count: float = 0.0
    total: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf
    sketch: dict[str, float] = field(default_factory=dict)
    """Counts by bucket, where a quantile is asked for."""

    def add(self, value: float, *, sketched: bool) -> None:
        """Take a sample in."""
        self.count += 1
        self.total += value
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        if sketched:
            bucket = bucket_of(value)
            self.sketch[bucket] = self.sketch.get(bucket, 0.0) + 1
            self._collapse()

    def merge(self, other: WindowSums) -> None:
        """Take another part of the same window in."""
        self.count += other.count
        self.total += other.total
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        for bucket, count in other.sketch.items():
            self.sketch[bucket] = self.sketch.get(bucket, 0.0) + count
        self._collapse()

    def _collapse(self) -> None:
        if len(self.sketch) > 2 * MAX_BUCKETS:
            ordered = sorted(self.sketch, key=value_of)
            low, rest = ordered[:-MAX_BUCKETS], ordered[-MAX_BUCKETS:]
            counts = {bucket: self.sketch[bucket] for bucket in rest}
            counts[rest[0]] += sum(self.sketch[bucket] for bucket in low)
            self.sketch = counts

    def result(self, function: str, quantile: float) -> float:
        """The function over the window's samples."""
        if function == "count":
            return self.count
        if function == "sum":
            return self.total
        if function == "avg":
            return self.total / self.count
        if function == "min":
            return self.minimum
        if function == "max":
            return self.maximum
        return self._quantile(quantile)

    def _quantile(self, quantile: float) -> float:
        rank = quantile * (self.count - 1)
        seen = 0.0
        for value, count in sorted((value_of(bucket), count) for bucket, count in self.sketch.items()):
            seen += count
            if seen > rank:
                return min(max(value, self.minimum), self.maximum)
        return self.maximum


def bucket_of(value: float) -> str:
    """Bucket of a value: its sign, and the logarithm of its size."""
    if abs(value) < _SMALLEST:
        return "0"
    if math.isinf(value):
        return "+inf" if value > 0 else "-inf"
    index = math.ceil(math.log(abs(value)) / _LOG_GAMMA)
    return f"+{index}" if value > 0 else f"-{index}"


def value_of(bucket: str) -> float:
    """The value that a bucket stands for."""
    if bucket == "0":
        return 0.0
    sign = 1.0 if bucket[0] == "+" else -1.0
    if bucket[1:] == "inf":
        return sign * math.inf
    return sign * 2 * math.exp(int(bucket[1:]) * _LOG_GAMMA) / (1 + _GAMMA)
