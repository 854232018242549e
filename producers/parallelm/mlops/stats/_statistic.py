"""Base of all statistic objects: a name, and a report that is checked when it is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

from parallelm.mlops._reporting.payloads import StructuredReport
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._values import json_text, string
from parallelm.mlops.stats_category import StatsMode

if TYPE_CHECKING:
    from parallelm.mlops._reporting.payloads import NumericReport


class Statistic(ABC):
    """Setters check types and return the object; ``report`` checks that everything fits together.

    Both raise ``MLOpsException``. The default name is that of the class.
    """

    def __init__(self) -> None:
        self._name = type(self).__name__

    def name(self, name: str) -> Self:
        """Set the name of the statistic."""
        checked = string(name, "the name of a statistic")
        if not checked:
            raise MLOpsException("the name of a statistic is empty")
        self._name = checked
        return self

    @abstractmethod
    def report(self) -> NumericReport | StructuredReport:
        """The statistic as it is sent and as it is printed."""


def json_report(name: str, graph_type: str, data: Any, text: str | None = None) -> StructuredReport:
    """A report with ``data`` as JSON payload, and with ``text`` or else the ``repr`` of ``data`` as its text."""
    return StructuredReport(
        name=name,
        graph_type=str(graph_type),
        mode=str(StatsMode.Instant),
        content_type="application/json",
        payload=json_text(data).encode(),
        histograms=(),
        text=repr(data) if text is None else text,
    )
