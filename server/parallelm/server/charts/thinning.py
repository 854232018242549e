"""Fewer points of a long line, none of its peaks lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from parallelm.server.charts.drawing import MOST_POINTS

X = TypeVar("X")


def thinned(
    points: Sequence[tuple[X, float | None]], most: int = MOST_POINTS
) -> list[tuple[X, float | None]]:
    """At most ``most`` points, at least 4: of each stretch of neighbours the smallest and the largest, in their order.

    The first and the last point stay, and with them the smallest and the largest of all. A stretch of gaps stays one gap.
    """
    if len(points) <= most:
        return list(points)
    inner = points[1:-1]
    stretches = max(1, (most - 2) // 2)
    found = [points[0]]
    for number in range(stretches):
        first, last = number * len(inner) // stretches, (number + 1) * len(inner) // stretches
        found += _extremes(inner[first:last])
    return [*found, points[-1]]


def _extremes(stretch: Sequence[tuple[X, float | None]]) -> list[tuple[X, float | None]]:
    values = [(value, number) for number, (_, value) in enumerate(stretch) if value is not None]
    if not values:
        return [stretch[0]] if stretch else []
    low, high = min(values), max(values, key=lambda each: (each[0], -each[1]))
    return [stretch[number] for number in sorted({low[1], high[1]})]
