"""What one record says of several series that a rule judges together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from parallelm.schemas.times import is_time
from parallelm.stream_processors.alerts.event_time import judged_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from parallelm.stream_processors.alerts.rules import Judged, ReportRule


class ReportPart(NamedTuple):
    """A rule over the series of a record, and the labels of this one."""

    rule: ReportRule
    labels: Mapping[str, str]


class JudgedSeries(NamedTuple):
    """One series of a report, judged."""

    rule: ReportRule
    labels: Mapping[str, str]
    model_id: str
    statistic: str
    judged: Judged


class Reports:
    """Gathers the samples of a record by rule, model and time."""

    def __init__(self) -> None:
        self._values: dict[tuple[ReportRule, str, float], dict[str, dict[str, float]]] = {}
        self._parts: dict[tuple[ReportRule, str, str], tuple[Mapping[str, str], str]] = {}

    def add(
        self,
        part: ReportPart,
        statistic: str,
        model_id: str,
        samples: Sequence[tuple[float, float]],
        arrived_ms: int,
    ) -> None:
        """Take the samples of one series."""
        name = part.rule.series_name(part.labels)
        judged = part.rule.judged_statistic(statistic)
        self._parts.setdefault((part.rule, model_id, name), (part.labels, judged))
        for at_ms, value in samples:
            if value == value and is_time(at_ms):  # noqa: PLR0124 - not NaN
                report = self._values.setdefault((part.rule, model_id, judged_at(at_ms, arrived_ms)), {})
                report.setdefault(name, {})[statistic] = value

    def judged(self) -> Iterator[JudgedSeries]:
        """Each series of each report, the earliest report first."""
        for (rule, model_id, at_ms), report in sorted(self._values.items(), key=lambda item: item[0][2]):
            for name, judged in rule.decide(report, at_ms):
                labels, statistic = self._parts[rule, model_id, name]
                yield JudgedSeries(rule, labels, model_id, statistic, judged)
