"""An HTML page."""

from __future__ import annotations

from typing import Self

from parallelm.mlops._reporting.payloads import StructuredReport
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import octets
from parallelm.mlops.stats._statistic import Statistic
from parallelm.mlops.stats._values import string
from parallelm.mlops.stats_category import StatGraphType, StatsMode


class HTML(Statistic):
    """HTML that is shown unchanged."""

    def __init__(self) -> None:
        super().__init__()
        self._data = b""

    def data(self, html: bytes | str) -> Self:
        """Set the page: text, or its bytes in UTF-8."""
        page = octets(html, "the HTML data")
        self._data = string(html, "the HTML data").encode() if page is None else page
        return self

    def report(self) -> StructuredReport:
        """The page's bytes."""
        if not self._data:
            raise MLOpsException(f"HTML statistic {self._name!r} has no data")
        return StructuredReport(
            name=self._name,
            graph_type=str(StatGraphType.HTML),
            mode=str(StatsMode.Instant),
            content_type="text/html",
            payload=self._data,
            histograms=(),
            text=repr({self._name: self._data.decode(errors="replace")}),
        )
