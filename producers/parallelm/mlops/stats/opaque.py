"""Data that the platform stores and returns without interpreting them."""

from __future__ import annotations

from typing import Any, Self

from parallelm.mlops._reporting.payloads import StructuredReport
from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import octets
from parallelm.mlops.stats._statistic import Statistic, json_report
from parallelm.mlops.stats._values import jsonable
from parallelm.mlops.stats_category import StatGraphType, StatsMode


class Opaque(Statistic):
    """Whatever JSON can hold, or bytes. Nothing is pickled: other objects are refused.

    >>> Opaque().name("settings").data({"depth": 3}).report().payload
    b'{"depth": 3}'
    """

    def __init__(self) -> None:
        super().__init__()
        self._data: Any = None

    def data(self, obj: object) -> Self:
        """Set the data: dict, list, text or number (stored as JSON), or bytes."""
        raw = octets(obj, "the data")
        try:
            self._data = raw if raw is not None else jsonable(obj, "the data")
        except MLOpsException as error:
            raise MLOpsException(
                f"{error}; give dicts, lists, texts and numbers (an array's tolist(), a frame's to_dict()), "
                "or bytes that you have serialised yourself"
            ) from None
        return self

    def report(self) -> StructuredReport:
        """The data as JSON, or the bytes."""
        if self._data is None:
            raise MLOpsException(f"opaque statistic {self._name!r} has no data")
        text = repr({self._name: self._data})
        if not isinstance(self._data, bytes):
            return json_report(self._name, StatGraphType.OPAQUE, self._data, text)
        return StructuredReport(
            name=self._name,
            graph_type=str(StatGraphType.OPAQUE),
            mode=str(StatsMode.Instant),
            content_type="application/octet-stream",
            payload=self._data,
            histograms=(),
            text=text,
        )
