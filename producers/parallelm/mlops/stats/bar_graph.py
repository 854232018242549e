"""Bars over names or over ranges."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import distinct, quoted
from parallelm.mlops.stats._statistic import Statistic, json_report
from parallelm.mlops.stats._values import coordinate, items, numbers, string
from parallelm.mlops.stats_category import StatGraphType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.mlops._reporting.payloads import StructuredReport


class BarGraph(Statistic):
    """Bars with names, or, ``as_continuous()``, bars between n+1 edges in ascending order.

    Raises ``MLOpsException`` for two bars of one name, and for edges that do not ascend.

    >>> BarGraph().name("ages").cols([0, 18, 65]).data([3, 9]).as_continuous().report().text
    "{'ages': [{'0 to 18': 3}, {'18 to 65': 9}]}"
    """

    def __init__(self) -> None:
        super().__init__()
        self._columns: list[Any] = []
        self._data: list[int | float] = []
        self._continuous = False

    def columns_names(self, col_names: Sequence[object]) -> Self:
        """Set the names of the bars, or the edges of continuous ones."""
        self._columns = items(col_names, "column names")
        return self

    def cols(self, col_names: Sequence[object]) -> Self:
        """Set the names of the bars, or the edges of continuous ones."""
        return self.columns_names(col_names)

    def data(self, vec: Sequence[float]) -> Self:
        """Set the heights of the bars."""
        self._data = numbers(vec, "data")
        return self

    def as_continuous(self) -> Self:
        """Use the columns as the n+1 edges of n bars."""
        self._continuous = True
        return self

    def report(self) -> StructuredReport:
        """The bars as a list of one-member objects, in order."""
        if not self._data:
            raise MLOpsException(f"bar graph {self._name!r} has no data")
        if not self._columns:
            raise MLOpsException(f"bar graph {self._name!r} has no column names")
        bars = self._ranges() if self._continuous else self._names()
        if len(bars) != len(self._data):
            raise MLOpsException(
                f"bar graph {self._name!r} has {len(self._data)} numbers for {len(self._columns)} "
                + ("edges: it needs one edge more than numbers" if self._continuous else "column names")
            )
        heights = [{bar: height} for bar, height in zip(bars, self._data, strict=True)]
        return json_report(self._name, StatGraphType.BARGRAPH, {self._name: heights})

    def _names(self) -> list[str]:
        names = [string(column, "a column name") for column in self._columns]
        distinct(names, f"in bar graph {self._name!r}, the column")
        return names

    def _ranges(self) -> list[str]:
        edges = [coordinate(edge, "an edge") for edge in self._columns]
        places = [_place(edge) for edge in edges]
        if None in places:  # texts such as times of a day, whose order only the caller knows
            distinct(map(str, edges), f"in bar graph {self._name!r}, the edge")
        for (low, low_place), (high, high_place) in pairwise(zip(edges, places, strict=True)):
            if low_place is not None and high_place is not None and not low_place < high_place:
                raise MLOpsException(
                    f"the edges of bar graph {self._name!r} must ascend: {quoted(low)} is followed by {quoted(high)}"
                )
        return [f"{low} to {high}" for low, high in pairwise(edges)]


def _place(edge: float | str) -> float | None:
    """Numeric value of an edge, also of one written as text; None for a text that is not a number."""
    try:
        return float(edge)
    except ValueError:
        return None
