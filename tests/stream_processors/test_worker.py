"""The worker on a real broker: life cycles across topics, poison, and crashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parallelm.schemas.topics import (
    ACTIONS,
    ALERTS,
    DEAD_LETTERS,
    DEPLOYMENTS,
    EVENTS,
    KPIS,
    MLAPPS,
    MODELS,
    RULE_AGGREGATES,
    STATISTICS,
)
from tests.waiting import wait_for

from .live import DAY, DEFINITION, START, Worker

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.schemas.records import AlertTransition

    from .live import Cluster

LIFE = ["requested", "accepted", "active", "superseded"]


def alerts(cluster: Cluster) -> list[tuple[str, str, float]]:
    """Rule or event type, state and day of each transition."""
    return [
        (found.rule, found.state.value, (found.event_time_ms - START) / DAY) for found in cluster.read(ALERTS)
    ]


def deployments(cluster: Cluster) -> list[tuple[str, str]]:
    """Model and state of each transition."""
    return [(found.model_id, found.state.value) for found in cluster.read(DEPLOYMENTS)]


def holding(found: list[AlertTransition]) -> list[tuple[str, str]]:
    """Rule and state of each transition that no later one corrects."""
    corrected = {transition.supersedes for transition in found}
    return sorted((each.rule, each.state.value) for each in found if each.transition_id not in corrected)


def assert_exact(cluster: Cluster) -> None:
    """Every transition was written once, and those of one alert or deployment in the order of its life."""
    alerts, deployments = cluster.read(ALERTS), cluster.read(DEPLOYMENTS)
    ids = [transition.transition_id for transition in (*alerts, *deployments)]
    assert len(ids) == len(set(ids)), "a transition was written twice"
    lives: dict[str, list[str]] = {}
    for transition in deployments:
        lives.setdefault(transition.model_id, []).append(transition.state.value)
    assert all(life == LIFE[: len(life)] for life in lives.values())
    states: dict[str, str] = {}
    for transition in alerts:
        if not transition.supersedes:  # else it corrects an earlier one, and goes on from before that
            assert transition.previous_state == states.get(transition.alert_id, transition.previous_state)
        states[transition.alert_id] = transition.state


def test_drift_becomes_an_alert_and_a_new_model_is_deployed_and_settles_it(cluster: Cluster, worker: Worker):
    cluster.apply(DEFINITION)
    cluster.model(0, "m1")
    cluster.flush()
    wait_for(lambda: deployments(cluster) == [("m1", "requested")], "m1 is requested")
    cluster.accept(0.5, "m1")
    for day in range(1, 6):
        cluster.score(day, 0.9 if day == 1 else 0.3, model="m1")
        cluster.score(day, 0.1, model="m1", feature="unwatched")
    cluster.flush()
    wait_for(lambda: alerts(cluster) == [("drift", "pending", 2), ("drift", "firing", 5)], "drift fires")
    cluster.model(6, "m2")
    cluster.accept(6.5, "m2")
    cluster.flush()
    wait_for(lambda: alerts(cluster)[2:] == [("drift", "resolved", 6.5)], "drift is resolved")
    assert deployments(cluster) == [
        ("m1", "requested"), ("m1", "accepted"), ("m1", "active"),
        ("m2", "requested"), ("m2", "accepted"), ("m2", "active"), ("m1", "superseded"),
    ]  # fmt: skip
    firing, resolved = cluster.read(ALERTS)[1:]
    assert (firing.labels["feature"], firing.model_id, firing.threshold) == ("temp", "m1", 0.4)
    assert firing.annotations == {"reason": "The weather changed."}
    assert firing.cause.topic == cluster.name(STATISTICS)
    assert resolved.reason == "model m1 was superseded by m2"
    assert worker.process.poll() is None


def test_thresholds_and_alerts_of_components(cluster: Cluster, worker: Worker):
    cluster.apply(DEFINITION)
    cluster.event(1, "GenericDataAlert", is_alert=True)
    cluster.event(1, "GenericEvent")
    for day, value in ((1, 0.4), (2, 0.6), (3, float("nan")), (4, 0.5)):
        cluster.statistic(day, "share", value)
    cluster.flush()
    expected = {("late", "firing", 2), ("late", "resolved", 4), ("GenericDataAlert", "firing", 1)}
    wait_for(lambda: set(alerts(cluster)) == expected, "alerts of rules and of components")
    assert worker.process.poll() is None


def test_a_model_of_an_mlapp_without_a_definition_waits_for_it(cluster: Cluster, worker: Worker):
    cluster.model(1, "waits")
    cluster.accept(2, "waits")
    cluster.statistic(1, "share", 1.0)
    cluster.flush()
    cluster.apply(DEFINITION)
    expected = [("waits", "requested"), ("waits", "accepted"), ("waits", "active")]
    wait_for(lambda: deployments(cluster) == expected, "the model that waited is deployed")
    assert alerts(cluster) == []
    assert worker.process.poll() is None


def test_a_rule_that_is_taken_out_resolves_its_alert(cluster: Cluster, worker: Worker):
    cluster.apply(DEFINITION)
    cluster.statistic(1, "share", 0.9)
    cluster.flush()
    wait_for(lambda: alerts(cluster) == [("late", "firing", 1)], "late fires")
    cluster.apply("\n".join(line for line in DEFINITION.splitlines() if "late" not in line))
    wait_for(lambda: len(alerts(cluster)) == 2, "late is resolved")
    assert "the rule is gone since version 2" in cluster.read(ALERTS)[1].reason
    assert worker.process.poll() is None


def test_poison_on_every_topic_goes_to_the_dead_letters_and_the_next_record_is_handled(
    cluster: Cluster, worker: Worker
):
    cluster.apply(DEFINITION)
    topics = (MLAPPS, MODELS, EVENTS, KPIS, ACTIONS, RULE_AGGREGATES, STATISTICS)
    other = cluster.codec.encode(cluster.read(MLAPPS)[0])
    poison = [b"", b"no avro", other[:5] + b"\xff" * 9, other[:-3], other]
    for topic in topics:
        for value in poison[: -1 if topic is MLAPPS else None]:
            cluster.send_bytes(topic, cluster.mlapp.encode(), value)
    cluster.model(1, "m1")
    cluster.statistic(2, "share", 0.9)
    cluster.flush()
    wait_for(lambda: alerts(cluster) == [("late", "firing", 2)], "statistics go on")
    wait_for(lambda: deployments(cluster) == [("m1", "requested")], "models go on")
    expected = len(topics) * len(poison) - 1
    letters = wait_for(
        lambda: len(found := cluster.read(DEAD_LETTERS)) >= expected and found,
        "all poison is in the dead letters",
    )
    assert len(letters) == expected
    assert {letter.source_topic for letter in letters} == {cluster.name(topic) for topic in topics}
    assert all(letter.error and letter.stage == "decode" for letter in letters)
    assert {letter.value for letter in letters} <= set(poison)
    assert worker.process.poll() is None


def test_a_record_that_breaks_the_handler_goes_to_the_dead_letters_whole(cluster: Cluster, worker: Worker):
    cluster.apply(DEFINITION)
    cluster.event(1, "GenericDataAlert", is_alert=True, title="x" * 999_000)
    cluster.event(2, "GenericDataAlert", is_alert=True, title="short")
    cluster.flush()
    wait_for(lambda: alerts(cluster) == [("GenericDataAlert", "firing", 2)], "the next alert fires")
    (letter,) = wait_for(lambda: cluster.read(DEAD_LETTERS), "the large one is a dead letter")
    assert (letter.stage, letter.error_type) == ("mlapp", "OutputTooLargeError")
    assert worker.process.poll() is None


@pytest.mark.parametrize("day", [-1e9, 1e9])
def test_an_impossible_time_is_a_dead_letter_and_the_alert_goes_on(
    cluster: Cluster, worker: Worker, day: float
):
    cluster.apply(DEFINITION)
    cluster.event(day, "GenericDataAlert", is_alert=True)
    cluster.event(1, "GenericDataAlert", is_alert=True)
    cluster.statistic(day, "share", 0.9)
    cluster.statistic(2, "share", 0.9)
    cluster.flush()
    expected = [("GenericDataAlert", "firing", 1), ("late", "firing", 2)]
    wait_for(lambda: sorted(alerts(cluster)) == expected, "both fire at the times that can be")
    (letter,) = cluster.read(DEAD_LETTERS)
    assert (letter.source_topic, letter.stage) == (cluster.name(EVENTS), "validate")
    assert "outside the years 1900 to 2299" in letter.error
    assert worker.process.poll() is None


@pytest.mark.long
def test_a_worker_that_is_killed_again_and_again_neither_misses_nor_doubles_a_transition(
    cluster: Cluster, worker: Worker
):
    cluster.apply(DEFINITION)
    models, days = 6, 5
    for number in range(models):
        cluster.model(number * 10, f"m{number}")
        cluster.accept(number * 10 + 0.5, f"m{number}")
        for day in range(1, days + 1):
            cluster.score(number * 10 + day, 0.2, model=f"m{number}")
            cluster.statistic(number * 10 + day, "share", day % 2)
        cluster.flush()
        if number in {1, 3}:
            model = f"m{number}"
            wait_for(
                lambda model=model: (model, "requested") in deployments(cluster), "the worker is at work"
            )
            worker.kill()
            worker.start(wait=False)
    expected_deployments = {
        (f"m{number}", state)
        for number in range(models)
        for state in ("requested", "accepted", "active", "superseded")
        if (number, state) != (models - 1, "superseded")
    }
    wait_for(lambda: set(deployments(cluster)) == expected_deployments, "all deployments")
    firing = [("late", "firing")] * (2 * models + 1)
    resolved = [("late", "resolved")] * 2 * models
    wait_for(lambda: drift_is_of(cluster, f"m{models - 1}"), "the drift of the last model, and of no other")
    late = [each for each in holding(cluster.read(ALERTS)) if each[0] == "late"]
    assert late == sorted(firing + resolved)
    assert_exact(cluster)
    assert cluster.read(DEAD_LETTERS) == []


def drift_is_of(cluster: Cluster, model: str) -> bool:
    """Whether drift fires for this model and for none before it: how far those came depends on when the next was taken."""
    newest = {each.model_id: each.state.value for each in cluster.read(ALERTS) if each.rule == "drift"}
    over = {state for model_id, state in newest.items() if model_id != model}
    return newest.get(model) == "firing" and over <= {"resolved", "inactive"}


def test_a_worker_that_is_told_to_stop_stops_cleanly_and_the_next_goes_on(cluster: Cluster, worker: Worker):
    cluster.apply(DEFINITION)
    cluster.model(1, "m1")
    cluster.flush()
    wait_for(lambda: deployments(cluster) == [("m1", "requested")], "m1 is requested")
    assert worker.terminate() == 0
    cluster.accept(2, "m1")
    cluster.flush()
    worker.start()
    expected = [("m1", "requested"), ("m1", "accepted"), ("m1", "active")]
    wait_for(lambda: deployments(cluster) == expected, "the next worker knows what the first one requested")


def test_two_workers_share_the_work_and_one_takes_over_when_the_other_is_gone(
    cluster: Cluster, worker: Worker, tmp_path: Path
):
    apps = [f"{cluster.mlapp}-{number}" for number in range(6)]

    def happens(day: int) -> None:
        for name in apps:
            cluster.mlapp = name
            cluster.model(day, f"m{day}")
            cluster.accept(day + 0.5, f"m{day}")
            cluster.statistic(day, "share", day % 2)
        cluster.flush()

    def handled(days: int) -> bool:
        expected = {
            (f"m{day}", state) for day in range(1, days + 1) for state in ("requested", "accepted", "active")
        }
        expected |= {(f"m{day}", "superseded") for day in range(1, days)}
        changes = {("late", "firing" if day % 2 else "resolved") for day in range(1, days + 1)}
        for name in apps:
            cluster.mlapp = name
            if set(deployments(cluster)) != expected or set(holding(cluster.read(ALERTS))) != changes:
                return False
        return True

    for name in apps:
        cluster.mlapp = name
        cluster.apply(DEFINITION)
    happens(1)
    with Worker(cluster.settings, tmp_path) as second:
        happens(2)
        wait_for(lambda: handled(2), "both days are handled while the second worker joins")
        happens(3)
        second.kill()
        wait_for(lambda: handled(3), "the first worker takes over")
    happens(4)
    wait_for(lambda: handled(4), "the first worker goes on")
    for name in apps:
        cluster.mlapp = name
        assert_exact(cluster)
    assert worker.process.poll() is None
    assert not [letter for letter in cluster.read(DEAD_LETTERS) if letter.stage != "decode"]
