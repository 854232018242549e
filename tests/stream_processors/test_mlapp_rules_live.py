"""Rules about events, canaries and KPIs through a worker on a real broker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from parallelm.schemas.records import Event, KpiBatch, KpiPoint, Origin, Series, StatisticsBatch
from parallelm.schemas.topics import ALERTS, DEAD_LETTERS, EVENTS, KPIS, STATISTICS, origin_key
from tests.waiting import wait_for

from .live import DAY, START

if TYPE_CHECKING:
    from .live import Cluster, Worker

RULES = """\
mlapp: app
nodes:
  - {id: train, type: model_producer}
  - {id: predict, type: model_consumer, consumes: [train]}
  - {id: compare, type: pipeline_comparator}
policy: {canary_threshold: 0.25}
alerts:
  - {name: crashes, type: event, event: Crash, window: 2d, above: 2}
  - {name: canary, type: canary, node: compare}
  - {name: load, type: threshold, statistic: load, aggregate: sum, window: 1s, by: [node], above: 30}
  - {name: few sales, type: kpi, kpi: sales, match: {shop: a}, below: 10}
"""


def states(cluster: Cluster, rule: str) -> list[tuple[str, float]]:
    """State and day of each transition."""
    return [
        (found.state.value, (found.event_time_ms - START) / DAY)
        for found in cluster.read(ALERTS)
        if found.rule == rule
    ]


def compare(cluster: Cluster, day: float, score: float, model: str) -> None:
    """A canary comparator's alert, as it sends it."""
    data = {"isHealthy": score <= 0.25, "histogramComparison": {"scores": score, "threshold": 0.25}}
    event = Event(
        origin=Origin(mlapp_id=cluster.mlapp, node_id="compare", pipeline_instance_id="", agent_id="another"),
        producer_id="c", seq=0, event_time_ms=int(START + day * DAY), event_id=f"c-{day}", type="CanaryHealth",
        title="Canary Alert", description="d", is_alert=True, model_id=model, labels={},
        content_type="application/json", data=json.dumps(data).encode(),
    )  # fmt: skip
    cluster.send_bytes(EVENTS, cluster.mlapp.encode(), cluster.codec.encode(event))


def test_too_many_events_in_a_window_fire_and_fewer_resolve(cluster: Cluster, worker: Worker):
    cluster.apply(RULES)
    for day in (1, 2, 2.5, 9):
        cluster.event(day, "Crash")
        cluster.event(day, "Another")
    cluster.flush()
    wait_for(lambda: states(cluster, "crashes") == [("firing", 2.5), ("resolved", 9)], "events are counted")
    fired = cluster.read(ALERTS)[0]
    assert (fired.value, fired.threshold, fired.node_id, fired.statistic) == (3, 2, "predict", "Crash")
    assert fired.cause.topic == cluster.name(EVENTS)
    assert worker.process is not None
    assert worker.process.poll() is None


def test_a_canary_s_alert_ends_when_it_is_healthy_and_when_its_model_is_superseded(
    cluster: Cluster, worker: Worker
):
    cluster.apply(RULES)
    cluster.model(0, "m1")
    cluster.accept(0.5, "m1")
    for day, score in ((1, 0.2), (2, 0.5), (3, 0.1), (4, 0.7)):
        compare(cluster, day, score, "m1")
    cluster.flush()
    expected = [("firing", 2), ("resolved", 3), ("firing", 4)]
    wait_for(lambda: states(cluster, "canary") == expected, "the distance is judged")
    cluster.model(5, "m2")
    cluster.accept(5.5, "m2")
    cluster.flush()
    wait_for(lambda: states(cluster, "canary")[3:] == [("resolved", 5.5)], "it ends with its model")
    last = next(found for found in reversed(cluster.read(ALERTS)) if found.rule == "canary")
    assert last.reason == "model m1 was superseded by m2"
    assert (last.labels["node"], last.model_id, last.threshold) == ("compare", "m1", 0.25)
    assert cluster.read(DEAD_LETTERS) == []
    assert worker.process is not None
    assert worker.process.poll() is None


def sales(cluster: Cluster, *points: tuple[float, float], shop: str = "a") -> None:
    """An upload of a KPI by day."""
    batch = KpiBatch(
        origin=Origin(mlapp_id=cluster.mlapp, node_id="", pipeline_instance_id="", agent_id=""), producer_id="k", seq=0,
        source="sales.csv",
        points=[
            KpiPoint(name="sales", labels={"shop": shop}, timestamp_ms=int(START + day * DAY), value=value, model_id="")
            for day, value in points
        ],
    )  # fmt: skip
    cluster.send_bytes(KPIS, cluster.mlapp.encode(), cluster.codec.encode(batch))
    cluster.flush()


def test_a_revision_of_a_kpi_names_the_transition_that_it_corrects(cluster: Cluster, worker: Worker):
    cluster.apply(RULES)
    sales(cluster, (1, 12.0), (2, 7.0), (3, 13.0), (4, 5.0))
    sales(cluster, (2, 1.0), shop="b")
    expected = [("firing", 2), ("resolved", 3), ("firing", 4)]
    wait_for(lambda: states(cluster, "few sales") == expected, "points are judged")
    sales(cluster, (2, 11.0))
    wait_for(lambda: states(cluster, "few sales")[3:] == [("resolved", 2)], "the revision is judged")
    sales(cluster, (3, 8.0), (4, 5.0))
    wait_for(lambda: len(states(cluster, "few sales")) == 6, "a revision that makes two episodes one")
    firing, over, second, revised, later_over, earlier = cluster.read(ALERTS)
    assert (revised.supersedes, revised.reason, revised.alert_id) == (
        firing.transition_id,
        "revised",
        firing.alert_id,
    )
    assert (over.supersedes, second.supersedes, earlier.supersedes) == ("", "", "")
    assert (later_over.state, later_over.supersedes) == ("resolved", second.transition_id)
    assert (earlier.state, earlier.started_at_ms) == ("firing", START + 3 * DAY)
    assert earlier.reason == "sales is 8, below 10"
    assert len({each.transition_id for each in cluster.read(ALERTS)}) == 6
    assert cluster.read(DEAD_LETTERS) == []
    assert worker.process is not None
    assert worker.process.poll() is None


def load(cluster: Cluster, at_s: float, value: float, *agents: str) -> None:
    """A statistic of several agents at one time."""
    for agent in agents:
        origin = Origin(mlapp_id=cluster.mlapp, node_id="predict", pipeline_instance_id="", agent_id=agent)
        series = Series(
            name="load", model_id="", category="TIME_SERIES", graph_type="LINEGRAPH", labels={},
            timestamps_ms=[START + at_s * 1_000], values=[value],
        )  # fmt: skip
        batch = StatisticsBatch(origin=origin, producer_id=agent, seq=int(at_s), series=[series])
        cluster.send_bytes(STATISTICS, origin_key(origin), cluster.codec.encode(batch))
    cluster.flush()


def test_the_sum_over_agents_on_many_partitions_is_one_alert(cluster: Cluster, worker: Worker):
    cluster.apply(RULES)
    agents = [f"host-{number}" for number in range(8)]
    for second, value in ((0, 1.0), (1, 4.0), (2, 5.0), (3, 3.0)):
        load(cluster, second, value, *agents)

    def found() -> list[tuple[str, float, float]]:
        return [
            (each.state.value, each.value, (each.event_time_ms - START) / 1_000)
            for each in cluster.read(ALERTS)
            if each.rule == "load"
        ]

    expected = [("firing", 32, 2), ("resolved", 24, 4)]
    wait_for(lambda: found() == expected, "each window is the sum over all agents")
    fired = cluster.read(ALERTS)[0]
    assert (fired.labels["node"], fired.labels["agent"], fired.reason) == (
        "predict",
        "",
        "sum of load is 32, above 30",
    )
    assert worker.process is not None
    assert worker.process.poll() is None
