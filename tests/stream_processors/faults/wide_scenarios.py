"""Scenarios whose alerts need more than one series: a function over agents, and the features of a report together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from parallelm.mlops._distribution import distribution_reports
from parallelm.schemas.records import Origin, Series, StatisticsBatch
from parallelm.schemas.topics import STATISTICS, origin_key
from parallelm.stream_processors.alerts.drift_decision import STATISTICS as DRIFT_STATISTICS

from .scenarios import Silence, definition_of, event_time_ms

if TYPE_CHECKING:
    from tests.stream_processors.live import Cluster

    from .scenarios import Life, Moment, Scenario

WINDOW_MS = 1_000


def _report(cluster: Cluster, agent: str, series: list[Series]) -> None:
    origin = Origin(mlapp_id=cluster.mlapp, node_id="predict", pipeline_instance_id="", agent_id=agent)
    batch = StatisticsBatch(origin=origin, producer_id=agent, seq=0, series=series)
    cluster.send_bytes(STATISTICS, origin_key(origin), cluster.codec.encode(batch))


@dataclass(frozen=True)
class SumOverAgents:
    """Three agents on partitions of their own report once a step; together they are too many in every second one.

    One step is a window, and an hour of event time after the one before it: so the alert does not flap. A window is
    over when all partitions have gone beyond it, or when nothing has come for ten seconds. If it were judged in parts,
    the alert would not fire, and if it were judged twice, it would end at once.
    """

    name: str = "sum-over-agents"
    agents: int = 3

    @property
    def definition(self) -> str:
        rule = "{name: rule, type: threshold, statistic: share, aggregate: sum, window: 1s, above: 2.5}"
        return definition_of(rule)

    def send(self, cluster: Cluster, now: Moment) -> None:
        at_ms = float(event_time_ms(now.step))
        for agent in range(self.agents):
            series = Series(
                name="share", model_id="", category="TIME_SERIES", graph_type="LINEGRAPH", labels={},
                timestamps_ms=[at_ms], values=[0.1 if now.step % 2 else 1.0],
            )  # fmt: skip
            _report(cluster, f"host-{agent}", [series])

    def expected(self, now: Moment) -> dict[str, Life]:
        life = [
            ("resolved" if step % 2 else "firing", event_time_ms(step) + WINDOW_MS)
            for step in range(now.step)
        ]
        return {"rule": life} if life else {}


@cache
def _drift(*, moved: bool) -> tuple[tuple[str, str, str, float], ...]:
    """Statistic, label, line and value of what a component reports about 500 rows of four features."""
    random = np.random.default_rng(20130101)
    trained_on = pd.DataFrame({name: random.normal(size=5000) for name in "abcd"})
    trained = [each for report in _reports(trained_on) for each in getattr(report, "histograms", ())]
    rows = pd.DataFrame({name: random.normal(size=500) for name in "abcd"})
    if moved:
        rows["a"] += 1.0
    return tuple(
        (report.name, report.line_label, line, value)
        for report in _reports(rows, trained)
        if report.name in DRIFT_STATISTICS
        for line, value in report.samples
    )


def _reports(*arguments: Any) -> list[Any]:
    return distribution_reports(*arguments)


@dataclass(frozen=True)
class Drift:
    """The component library's reports about drift: in every second one the mean of a feature has moved."""

    name: str = "drift"

    @property
    def definition(self) -> str:
        return definition_of("{name: rule, type: health}")

    def send(self, cluster: Cluster, now: Moment) -> None:
        at_ms = float(event_time_ms(now.step))
        series = [
            Series(
                name=name, model_id="", category="TIME_SERIES", graph_type="MULTILINEGRAPH", labels={label: line},
                timestamps_ms=[at_ms], values=[value],
            )
            for name, label, line, value in _drift(moved=now.step % 2 == 0)
        ]  # fmt: skip
        _report(cluster, "host", series)

    def expected(self, now: Moment) -> dict[str, Life]:
        life = [("resolved" if step % 2 else "firing", event_time_ms(step)) for step in range(now.step)]
        return {"rule": life} if life else {}


CLOCKED: tuple[Scenario, ...] = (SumOverAgents(), Silence())
"""Those whose last transition may wait for the broker's clock."""
WIDE = (SumOverAgents(), Drift())
