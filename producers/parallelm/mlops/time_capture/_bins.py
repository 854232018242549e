"""Bins of histograms over time: shortens their names, and brings them onto common edges."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_RANGE = " to "
_DIGITS = 4


def edges_of(bins: Sequence[Any]) -> list[tuple[float, float]] | None:
    """Low and high edge of each bin "a to b"; None for categories."""
    try:
        found = [str(key).split(_RANGE) for key in bins]
        return [(float(low), float(high)) for low, high in found]
    except ValueError:
        return None


def shortened(key: Any) -> str:
    """``key`` with its edges rounded to 4 digits; a category unchanged."""
    edges = edges_of([key])
    return str(key) if edges is None else _RANGE.join(map(_short, edges[0]))


def _short(edge: float) -> str:
    return f"{edge:+}" if edge == math.inf else str(round(edge, _DIGITS))


def aligned(rows: Sequence[tuple[list[Any], list[Any]]]) -> list[tuple[list[Any], list[Any]]]:
    """(bins, heights) of each row over the same bins.

    Categories: all of them, 0 where a row lacks one. Ranges: all edges; the height of a split bin is divided in proportion
    to length, and bins that reach to infinity are left out, unless all rows have the same bins already.
    """
    if all(bins == rows[0][0] for bins, _ in rows):
        return [(list(bins), list(heights)) for bins, heights in rows]
    ranges = [edges_of(bins) for bins, _ in rows]
    if any(edges is None for edges in ranges):
        names = list(dict.fromkeys(name for bins, _ in rows for name in bins))
        found = [dict(zip(bins, heights, strict=True)) for bins, heights in rows]
        return [(list(names), [row.get(name, 0) for name in names]) for row in found]
    finite = [
        [
            (low, high, height)
            for (low, high), height in zip(edges or [], heights, strict=True)
            if math.isfinite(high - low)
        ]
        for edges, (_, heights) in zip(ranges, rows, strict=True)
    ]
    cuts = sorted({edge for row in finite for low, high, _ in row for edge in (low, high)})
    names = [f"{left}{_RANGE}{right}" for left, right in pairwise(cuts)]
    return [(list(names), [_height(row, left, right) for left, right in pairwise(cuts)]) for row in finite]


def _height(bins: Sequence[tuple[float, float, float]], left: float, right: float) -> float:
    return sum(
        height * (right - left) / (high - low) for low, high, height in bins if low <= left and right <= high
    )
