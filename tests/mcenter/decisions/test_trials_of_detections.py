"""``mcenter rules test`` says of history what the processors decided, for the rules that detect changes, canaries and silence."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from parallelm.operations.definitions import validate_definition
from parallelm.operations.rule_trials import try_rules
from parallelm.schemas.records import AlertState, Event, Origin
from parallelm.schemas.topics import ALERTS, EVENTS
from tests.stream_processors.live import DAY, START
from tests.waiting import wait_for

from .reports import report

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.schemas.records import AlertTransition
    from tests.stream_processors.live import Cluster

    from .conftest import Decisions

QUIET = "quiet agent"
DEFINITION = """\
mlapp: app
nodes:
  - {id: train, type: model_producer}
  - {id: predict, type: model_consumer, consumes: [train]}
alerts:
  - {name: rate, type: rate_of_change, statistic: rows, over: 3m, above: 60, for: 2m}
  - {name: share, type: rate_of_change, statistic: rows, over: 5m, relative: true, beyond: 0.05, by: [region], aggregate: avg, window: 2m}
  - {name: far, type: z_score, statistic: rows, samples: 40, min_samples: 10, beyond: 4}
  - {name: median, type: z_score, statistic: rows, baseline: median, samples: 30, min_samples: 10, above: 5, keep_firing_for: 2m}
  - {name: level, type: change_point, statistic: rows, check_every: 1, settle_samples: 5}
  - {name: sums, type: change_point, statistic: rows, method: page_hinkley, threshold: 500, settle_samples: 5, direction: increase}
  - {name: canary, type: canary, threshold: 0.3, for: 1d}
  - {name: quiet agent, type: no_data, statistic: rows, by: [agent], for: 5s}
"""
RULES = {"rate", "share", "far", "median", "level", "sums", "canary", QUIET}
SCORES = (0.1, 0.5, 0.6, 0.7, 0.2, 0.4, 0.1, 0.9, 0.9)
OVER_WINDOWS = {"share"}
PULSE_MS = 2_000
"""Signs of life are gathered for so long: the start of a silence is known no better."""


def compared(cluster: Cluster, day: int, score: float) -> None:
    """A comparison of a canary."""
    origin = Origin(mlapp_id=cluster.mlapp, node_id="predict", pipeline_instance_id="", agent_id="host")
    event = Event(
        origin=origin, producer_id="c", seq=0, event_time_ms=START + day * DAY, event_id=f"{cluster.mlapp}-{day}",
        type="CanaryHealth", title="Canary", description="", is_alert=False, model_id="m1", labels={},
        content_type="application/json", data=json.dumps({"histogramComparison": {"scores": score}}).encode(),
    )  # fmt: skip
    cluster.send_bytes(EVENTS, cluster.mlapp.encode(), cluster.codec.encode(event))


def history(decisions: Decisions) -> int:
    """Two agents whose level jumps and returns, with gaps and what is no number; how many samples there are."""
    chance = random.Random(3)
    samples = 0
    for minute in range(150):
        level = 1_100.0 if 60 <= minute < 110 else 1_000.0
        for agent in ("a", "b"):
            if chance.random() < 0.04:
                continue
            value = float("nan") if chance.random() < 0.03 else chance.gauss(level, 5)
            report(decisions, agent, minute, [("rows", {"region": "eu" if agent == "a" else "us"}, [value])])
            samples += 1
    for day, score in enumerate(SCORES):
        compared(decisions.cluster, day, score)
    decisions.cluster.flush()
    return samples


def silences(found: Iterable[AlertTransition]) -> dict[str, list[AlertState]]:
    """States of the rule about silence, by agent."""
    states: dict[str, list[AlertState]] = {"a": [], "b": []}
    for each in found:
        if each.rule == QUIET:
            states[each.labels["agent"]].append(each.state)
    return states


def silence_starts(found: Iterable[AlertTransition]) -> list[int]:
    """When the silences began that fired, agent by agent."""
    fired = [each for each in found if (each.rule, each.state) == (QUIET, AlertState.FIRING)]
    return [
        each.started_at_ms
        for each in sorted(fired, key=lambda each: (each.labels["agent"], each.started_at_ms))
    ]


def exact(found: Iterable[AlertTransition]) -> dict[str, tuple[object, ...]]:
    """What is decided record by record."""
    return {
        each.transition_id: (each.rule, each.state, each.alert_id, str(each.value), str(each.threshold), each.reason, each.labels)
        for each in found
        if each.rule not in OVER_WINDOWS | {QUIET}
    }  # fmt: skip


def of_windows(found: Iterable[AlertTransition]) -> list[tuple[object, ...]]:
    """What is decided window by window, by sums whose order differs."""
    return sorted(
        (each.alert_id, each.state, each.event_time_ms, round(each.value, 9))
        for each in found
        if each.rule in OVER_WINDOWS
    )


@pytest.mark.long
def test_a_trial_says_of_changes_canaries_and_silence_what_the_processors_decided(
    decisions: Decisions,
) -> None:
    cluster = decisions.cluster
    cluster.apply(DEFINITION)
    samples = history(decisions)
    firing, resolved = AlertState.FIRING, AlertState.RESOLVED
    wait_for(
        lambda: silences(cluster.read(ALERTS)) == {"a": [firing], "b": [firing]}, "both agents are quiet"
    )
    report(decisions, "a", 200, [("rows", {"region": "eu"}, [1_000.0])])
    cluster.flush()
    again = {"a": [firing, resolved, firing], "b": [firing]}
    wait_for(lambda: silences(cluster.read(ALERTS)) == again, "agent a came back and is quiet again")
    for table, written in (("events", len(SCORES)), ("statistics", samples + 1)):
        decisions.platform.wait(f"SELECT count() FROM {table} WHERE mlapp_id = '{cluster.mlapp}'", written)

    text = DEFINITION.replace("mlapp: app", f"mlapp: {cluster.mlapp}").encode()
    trial = try_rules(cluster.settings, validate_definition(text, "f"), with_transitions=True).transitions

    live = cluster.read(ALERTS)
    assert {each.rule for each in trial} == RULES, "each rule has decided something"
    assert exact(trial) == exact(live)
    wait_for(
        lambda: of_windows(cluster.read(ALERTS)) == of_windows(trial),
        lambda: f"windows: {of_windows(cluster.read(ALERTS))}, not {of_windows(trial)}",
    )
    assert silences(trial) == again
    for told, decided in zip(silence_starts(trial), silence_starts(live), strict=True):
        assert abs(told - decided) <= PULSE_MS
