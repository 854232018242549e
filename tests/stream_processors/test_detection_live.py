"""Rates of change, scores and changes of level through a worker on a real broker."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from parallelm.schemas.topics import ALERTS
from tests.waiting import wait_for

if TYPE_CHECKING:
    from .live import Cluster, Worker

RULES = """\
mlapp: app
nodes:
  - {id: predict, type: model_consumer}
alerts:
  - {name: rate_of_change, type: rate_of_change, statistic: rows, over: 2d, above: 50}
  - {name: z_score, type: z_score, statistic: rows, samples: 40, min_samples: 20, beyond: 8, reason: "{{ value:.0f}}"}
  - {name: change_point, type: change_point, statistic: rows, check_every: 1, settle_samples: 5}
"""
BEFORE, AFTER = 60, 75


def states(cluster: Cluster) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for transition in cluster.read(ALERTS):
        found.setdefault(transition.rule, []).append(transition.state.value)
    return found


def test_a_jump_is_seen_by_each_type_and_becomes_usual(cluster: Cluster, worker: Worker):
    assert worker.process is not None
    cluster.apply(RULES)
    rng = random.Random(5)
    for day in range(BEFORE):
        cluster.statistic(day, "rows", rng.gauss(1_000, 1))
    for day in range(BEFORE, BEFORE + 10):
        cluster.statistic(day, "rows", rng.gauss(1_100, 1))
    cluster.flush()
    expected = ["change_point", "rate_of_change", "z_score"]
    wait_for(
        lambda: sorted(rule for rule, seen in states(cluster).items() if seen[0] == "firing") == expected,
        "all three fire",
    )
    for day in range(BEFORE + 10, BEFORE + AFTER):
        cluster.statistic(day, "rows", rng.gauss(1_100, 1))
    cluster.flush()
    wait_for(
        lambda: states(cluster) == {rule: ["firing", "resolved"] for rule in expected}, "all three resolve"
    )
    fired = {each.rule: each for each in cluster.read(ALERTS) if each.state.value == "firing"}
    change, score, level = (fired[rule] for rule in ("rate_of_change", "z_score", "change_point"))
    assert 95 < change.value < 105
    assert change.threshold == 50
    assert change.reason.startswith("rows changed by +")
    assert change.reason.endswith(" in 2d, above 50")
    assert score.value > 50
    assert score.annotations["reason"] == f"{score.value:.0f}"
    assert score.reason.startswith("z-score of rows is +")
    assert 990 < level.threshold < 1_010
    assert 1_050 < level.value < 1_110
    assert level.reason.startswith("the level of rows changed from ")
