"""Comparators as pipelines run them: two nodes report, a third one asks the platform, compares and reports."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from parallelm.schemas import topics
from parallelm.schemas.records import MLAppDefinition, ModelPolicy, Node, Policy

if TYPE_CHECKING:
    from tests.producers.conftest import ComponentOnPlatform

REPORT = """
import sys
from parallelm.mlops import mlops
from parallelm.mlops.predefined_stats import PredefinedStats
from parallelm.mlops.stats.bar_graph import BarGraph
counts, conversions = eval(sys.argv[1])
mlops.init()
for day, (bars, total) in enumerate(zip(counts, conversions), start=1):
    with mlops.event_time(f"2013-01-0{day}"):
        mlops.set_stat(
            BarGraph().name(PredefinedStats.PREDICTION_HISTOGRAM).cols([0, 0.5, 1]).data(bars).as_continuous()
        )
        mlops.set_stat("samples", 1000 * day)
        mlops.set_stat("conversions", total)
mlops.done()
"""

COMPARE = """
from datetime import datetime
from types import SimpleNamespace
from parallelm.mlops.examples.ab_testing_base import ab_test
from parallelm.mlops.examples.canary_comparator_base import canary_comparator
from parallelm.mlops.examples.utils import RunModes
first, last = datetime(2013, 1, 1), datetime(2013, 1, 31)
options = SimpleNamespace(nodeA="Main", nodeB="Canary", agentA="host-1", confidence=95)
print(canary_comparator(options, first, last, RunModes.PYTHON).rmse)
print(ab_test(options, first, last, RunModes.PYTHON).chance_to_beat)
"""


def definition() -> MLAppDefinition:
    def node(node_id: str, name: str, kind: str) -> Node:
        return Node(
            node_id=node_id,
            name=name,
            type=kind,
            mode="offline",
            schedule="",
            parents=(),
            pipeline="",
            consumes=(),
        )

    return MLAppDefinition(
        event_time_ms=1_700_000_000_000,
        mlapp_id="app",
        name="Flights",
        description="",
        version=1,
        applied_by="a person",
        nodes=(
            node("main", "Main", "model_consumer"),
            node("canary", "Canary", "model_consumer"),
            node("compare", "Compare", "pipeline_comparator"),
        ),
        policy=Policy(
            model_policy=ModelPolicy.CANARY, health_threshold=0.2, canary_threshold=0.3, accept_timeout_ms=0
        ),
        rules=(),
        source_yaml="",
    )


def test_two_nodes_are_compared_by_a_third(platform: ComponentOnPlatform) -> None:
    platform.produce(topics.MLAPPS, definition(), "app")
    for node, what in (("main", [[[1, 9], [5, 5]], [90, 200]]), ("canary", [[[5, 5], [9, 1]], [90, 260]])):
        platform.run(REPORT.replace("sys.argv[1]", repr(repr(what))), PM_WORKFLOW_NODE_ID=node)
    platform.rows("SELECT count() FROM structured_statistics", lambda rows: rows[0][0] == 4)
    platform.rows("SELECT count() FROM statistics WHERE name = 'conversions'", lambda rows: rows[0][0] == 4)
    platform.rows("SELECT 1 FROM mlapps")
    rmse, chance = map(float, platform.run(COMPARE, PM_WORKFLOW_NODE_ID="compare").split())
    assert rmse == pytest.approx(math.sqrt(2 * 0.4**2)), "the latest histograms: halves against 9 to 1"
    assert chance > 99

    reported = platform.rows(
        "SELECT name, value FROM statistics WHERE node_id = 'compare' AND name IN ('RMSE', 'Success') ORDER BY name",
        lambda rows: len(rows) == 2,
    )
    assert reported == [("RMSE", rmse), ("Success", 1.0)]
    alerts = platform.rows(
        "SELECT type, data FROM events WHERE node_id = 'compare' AND is_alert ORDER BY type",
        lambda rows: len(rows) == 2,
    )
    assert [kind for kind, _ in alerts] == ["CanaryHealth", "GenericDataAlert"]
    assert json.loads(alerts[0][1])["isHealthy"] is False
    drawn = platform.rows(
        "SELECT name FROM structured_statistics WHERE node_id = 'compare' ORDER BY name",
        lambda rows: len(rows) == 5,
    )
    assert [name for (name,) in drawn] == [
        "AB",
        "AB Stats",
        "Canary Pipeline",
        "Main Pipeline",
        "Prediction Histograms",
    ]
