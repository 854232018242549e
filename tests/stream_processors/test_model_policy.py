"""Model policy ``always_update``: table tests, and properties over any interleaving of the topics."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from parallelm.schemas.records import (
    DeploymentState,
    DeploymentTransition,
    MLAppDefinition,
    ModelPolicy,
    Node,
    Policy,
    RecordPosition,
)
from parallelm.stream_processors.model_policy.decisions import (
    on_accepted,
    on_announcement,
    on_definition,
    on_tick,
)
from parallelm.stream_processors.model_policy.state import (
    DEFINITION_WAIT_MS,
    MAX_EARLY,
    MAX_FINISHED,
    MAX_WAITING,
    Accepted,
    Announced,
    MLAppDeployments,
)

History = tuple[list, list, list]
NOW = 1_000_000


def at(topic: str, offset: int) -> RecordPosition:
    return RecordPosition(topic=topic, partition=0, offset=offset)


def definition(version: int = 1, consumers: tuple[str, ...] = ("predict",), accept_timeout_ms: int = 0):
    nodes = [("train", "model_producer"), *((name, "model_consumer") for name in consumers)]
    return MLAppDefinition(
        event_time_ms=7, mlapp_id="app", name="app", description="", version=version, applied_by="me",
        nodes=[
            Node(node_id=name, name=name, type=kind, mode="offline", schedule="", parents=(), pipeline="", consumes=())
            for name, kind in nodes
        ],
        policy=Policy(
            model_policy=ModelPolicy.ALWAYS_UPDATE, health_threshold=0.2, canary_threshold=-1,
            accept_timeout_ms=accept_timeout_ms,
        ),
        rules=(), source_yaml="",
    )  # fmt: skip


def announced(number: int) -> Announced:
    return Announced(f"m{number}", "train", number * 100, NOW, at("models", number))


def accepted(number: int, node: str = "predict", offset: int | None = None) -> Accepted:
    position = at("events", number if offset is None else offset)
    return Accepted(f"m{number}", node, "host", number * 100 + 50, position)


def play(
    happenings: list, known: MLAppDeployments | None = None
) -> tuple[MLAppDeployments, list[DeploymentTransition]]:
    known = known or MLAppDeployments("app")
    sent: list[DeploymentTransition] = []
    for happened in happenings:
        match happened:
            case Announced():
                known, decided = on_announcement(known, happened, NOW)
            case Accepted():
                known, decided = on_accepted(known, happened, NOW)
            case MLAppDefinition():
                known, decided = on_definition(known, happened, at("mlapps", happened.version), NOW)
            case int():
                known, decided = on_tick(known, at("ticks", 0), happened)
        sent += decided
    return known, sent


def summary(sent: list[DeploymentTransition]) -> list[tuple[str, str, str]]:
    return [(transition.node_id, transition.model_id, transition.state.value) for transition in sent]


def test_a_new_model_is_requested_accepted_active_and_supersedes_the_earlier_one():
    _, sent = play([definition(), announced(1), accepted(1), announced(2), accepted(2)])
    assert summary(sent) == [
        ("predict", "m1", "requested"), ("predict", "m1", "accepted"), ("predict", "m1", "active"),
        ("predict", "m2", "requested"), ("predict", "m2", "accepted"), ("predict", "m2", "active"),
        ("predict", "m1", "superseded"),
    ]  # fmt: skip
    assert [transition.event_time_ms for transition in sent] == [100, 150, 150, 200, 250, 250, 250]
    assert sent[-1].related_model_id == "m2"
    assert sent[-2].related_model_id == "m1"
    assert all(transition.reason for transition in sent)


def test_a_request_that_was_never_accepted_is_superseded_by_the_next_acceptance():
    _, sent = play([definition(), announced(1), announced(2), accepted(2)])
    assert summary(sent)[-1] == ("predict", "m1", "superseded")
    assert sent[-1].previous_state is DeploymentState.REQUESTED


def test_every_consuming_node_gets_the_model_and_acknowledges_for_itself():
    _, sent = play([definition(consumers=("a", "b")), announced(1), accepted(1, "b")])
    assert summary(sent) == [
        ("a", "m1", "requested"),
        ("b", "m1", "requested"),
        ("b", "m1", "accepted"),
        ("b", "m1", "active"),
    ]


def test_a_model_that_no_node_consumes_is_skipped_with_a_reason_once():
    _, sent = play([definition(consumers=()), announced(1), announced(1)])
    assert summary(sent) == [("", "m1", "skipped")]
    assert "no node consumes models of node 'train'" in sent[0].reason


def test_without_a_definition_a_model_waits_is_told_of_and_deployed_when_the_definition_comes():
    late = NOW + DEFINITION_WAIT_MS
    known, sent = play([announced(1), NOW, announced(1), late, late])
    assert summary(sent) == [("", "m1", "skipped")]
    _, more = play([definition()], known)
    assert summary(more) == [("predict", "m1", "requested")]
    assert more[0].event_time_ms == 100


def test_a_node_that_the_definition_adds_gets_the_latest_model():
    _, sent = play([definition(), announced(1), announced(2), definition(2, ("predict", "more"))])
    assert summary(sent)[-1] == ("more", "m2", "requested")
    assert sent[-1].cause == at("mlapps", 2)


def test_a_request_that_nobody_accepts_in_time_fails_and_a_late_acceptance_still_counts():
    known, sent = play([definition(accept_timeout_ms=60), announced(1), NOW + 59, NOW + 60, NOW + 61])
    assert summary(sent) == [("predict", "m1", "requested"), ("predict", "m1", "failed")]
    assert sent[-1].event_time_ms == 160
    _, more = play([accepted(1)], known)
    assert summary(more) == [("predict", "m1", "accepted"), ("predict", "m1", "active")]


def test_a_late_acceptance_does_not_bring_back_a_model_that_was_overtaken():
    happened = [
        definition(accept_timeout_ms=60),
        announced(1),
        NOW + 60,
        announced(2),
        accepted(2),
        accepted(1),
    ]
    _, sent = play(happened)
    assert summary(sent)[-1] == ("predict", "m2", "active")


def test_what_waits_and_what_is_remembered_is_bounded():
    known, _ = play([announced(number) for number in range(MAX_WAITING + 50)])
    assert len(known.waiting) == MAX_WAITING
    known, _ = play([accepted(number) for number in range(MAX_EARLY + 50)])
    assert len(known.early) == MAX_EARLY
    many = [
        happened for number in range(MAX_FINISHED + 50) for happened in (announced(number), accepted(number))
    ]
    known, _ = play([definition(), *many])
    assert len(known.deployments) <= MAX_FINISHED + 2
    assert known.active("predict") is not None


def comparable(sent: list[DeploymentTransition]) -> dict[str, DeploymentTransition]:
    by_id = {transition.transition_id: transition for transition in sent}
    assert len(by_id) == len(sent), "an id was used twice"
    return by_id


@st.composite
def histories(draw: st.DrawFn) -> tuple[list, list, list]:
    """A definition, announcements, and acceptances in the order of the announcements, some missing, some repeated."""
    count = draw(st.integers(1, 5))
    nodes = draw(st.sampled_from([("predict",), ("a", "b")]))
    models: list[Announced] = []
    for number in range(count):
        models += [announced(number)] * draw(st.integers(1, 2))
    events: list[Accepted] = []
    for node in nodes:
        for number in range(count):
            events += [accepted(number, node)] * draw(st.integers(0, 2))
    return [definition(consumers=nodes)], models, events


def interleaved(data: st.DataObject, *topics: list) -> list:
    order = data.draw(st.permutations([index for index, topic in enumerate(topics) for _ in topic]))
    queues = [iter(topic) for topic in topics]
    return [next(queues[index]) for index in order]


@given(histories(), st.data())
def test_every_interleaving_of_the_topics_leads_to_the_same_decisions(history: History, data: st.DataObject):
    _, expected = play([happened for topic in history for happened in topic])
    _, sent = play(interleaved(data, *history))
    assert comparable(sent) == comparable(expected)


@given(histories(), st.data())
def test_at_most_one_model_is_active_on_a_node_at_any_moment(history: History, data: st.DataObject):
    known = MLAppDeployments("app")
    for happened in interleaved(data, *history):
        known, _ = play([happened], known)
        active = [each.node_id for each in known.deployments if each.state is DeploymentState.ACTIVE]
        assert len(active) == len(set(active))


@given(histories(), st.data())
def test_records_that_come_again_decide_nothing(history: History, data: st.DataObject):
    happened = interleaved(data, *history)
    known, _ = play(happened)
    again, more = play(happened, known)
    assert more == []
    assert dataclasses.replace(again, early=known.early) == known
