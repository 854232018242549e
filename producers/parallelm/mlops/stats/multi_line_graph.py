"""Several numbers with one event time, one for each line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from parallelm.mlops._reporting.payloads import NumericReport
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import distinct
from parallelm.mlops.stats._statistic import Statistic
from parallelm.mlops.stats._values import numbers, strings
from parallelm.mlops.stats_category import StatGraphType

if TYPE_CHECKING:
    from collections.abc import Sequence


class MultiLineGraph(Statistic):
    """Several lines over time; each report adds one point to every line.

    Raises ``MLOpsException`` for two lines with the same label.

    >>> MultiLineGraph().name("loss").labels(["train", "test"]).data([0.1, 0.2]).report().text
    "{'train': 0.1, 'test': 0.2}"
    """

    def __init__(self) -> None:
        super().__init__()
        self._name = "MultiLine"
        self._labels: list[str] = []
        self._data: list[int | float] = []

    def labels(self, label_list: Sequence[str]) -> Self:
        """Set the names of the lines."""
        self._labels = strings(label_list, "labels")
        return self

    def data(self, vec: Sequence[float]) -> Self:
        """Set one number for each line."""
        self._data = numbers(vec, "data")
        return self

    def report(self) -> NumericReport:
        """One sample for each line."""
        if not self._data:
            raise MLOpsException(f"multi-line graph {self._name!r} has no data")
        if not self._labels:
            raise MLOpsException(f"multi-line graph {self._name!r} has no labels")
        if len(self._data) != len(self._labels):
            raise MLOpsException(
                f"multi-line graph {self._name!r} has {len(self._data)} numbers for {len(self._labels)} labels"
            )
        distinct(self._labels, f"in multi-line graph {self._name!r}, the label")
        point = dict(zip(self._labels, self._data, strict=True))
        return NumericReport(
            name=self._name,
            graph_type=str(StatGraphType.MULTILINEGRAPH),
            category="TIME_SERIES",
            samples=tuple((label, float(value)) for label, value in point.items()),
            text=repr(point),
        )
