"""Properties of the model policy over any order of what happens: legal transitions, one active model, nothing twice."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from parallelm.definitions.policies import POLICY_FORMS
from parallelm.schemas.records import DeploymentState as State
from parallelm.schemas.records import DeploymentTransition, ModelPolicy
from parallelm.stream_processors.model_policy import acceptance, announcements, definition
from parallelm.stream_processors.model_policy.agents import accepted_model, has_ended_for
from parallelm.stream_processors.model_policy.policies import POLICIES as CORES
from parallelm.stream_processors.model_policy.state import (
    DEFINITION_WAIT_MS,
    MAX_EARLY,
    MAX_FINISHED,
    MAX_WAITING,
    NOTHING_MEASURED,
    Accepted,
    Announced,
    MLAppDeployments,
)
from parallelm.stream_processors.model_policy.work import At, deployment_id_of

from .policies import POLICIES
from .scenario import HEAD, START_MS, Scenario, applied, summary

ANSWERS = {State.SKIPPED, State.PINNED, State.UNPINNED, State.REFUSED, State.DELETED}
PENDING = {State.HELD, State.AWAITING_APPROVAL, State.CANARY}
OPEN = PENDING | {State.REQUESTED, State.ACCEPTED, State.ACTIVE}
ENDS = {State.SUPERSEDED, State.ROLLED_BACK, State.REMOVED}
LEGAL: dict[State, set[State]] = {
    State.UNKNOWN: PENDING | {State.REQUESTED, State.REJECTED},
    State.HELD: {State.HELD, State.AWAITING_APPROVAL, State.CANARY, State.REQUESTED, State.REJECTED}
    | ENDS - {State.ROLLED_BACK},
    State.AWAITING_APPROVAL: {State.HELD, State.REQUESTED, State.CANARY, State.REJECTED}
    | ENDS - {State.ROLLED_BACK},
    State.CANARY: {State.CANARY, State.HELD, State.REQUESTED, State.REJECTED, State.FAILED} | ENDS,
    State.REQUESTED: {State.ACCEPTED, State.FAILED, State.HELD} | ENDS,
    State.ACCEPTED: {State.ACCEPTED, State.ACTIVE, State.FAILED, State.HELD} | ENDS,
    State.ACTIVE: {State.ACTIVE} | ENDS,
    State.FAILED: {State.ACCEPTED},
}


def test_every_policy_that_can_be_written_has_a_core_and_the_reverse():
    assert {kind.value for kind in CORES} == set(POLICY_FORMS) == {kind.value for kind in ModelPolicy}


class Life(RuleBasedStateMachine):
    """An MLApp through anything that can happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.app = Scenario(POLICIES)
        self.states: dict[str, State] = {}
        self.seen: set[str] = set()
        self.checked = 0

    @initialize(policy=st.sampled_from(sorted(POLICIES)))
    def begin(self, policy: str) -> None:
        self.app.play(f"apply {policy}")

    @rule(policy=st.sampled_from(sorted(POLICIES)))
    def apply(self, policy: str) -> None:
        self.app.play(f"apply {policy}")

    @rule(what=st.sampled_from(("app", "node")))
    def remove(self, what: str) -> None:
        self.app.play(f"remove {what}")

    @rule(model=st.integers(1, 6), dated=st.sampled_from(("", " 1h")))
    def publish(self, model: int, dated: str) -> None:
        self.app.play(f"publish m{model}{dated}")

    @rule(
        model=st.integers(1, 6),
        agent=st.sampled_from("abc"),
        node=st.sampled_from(("predict", "predict-canary")),
    )
    def accept(self, model: int, agent: str, node: str) -> None:
        self.app.play(f"accept m{model} by {agent} on {node}")

    @rule()
    def accept_what_is_wanted(self) -> None:
        for node in self.app.known.nodes:
            if node.target is not None:
                self.app.play(f"accept {node.target.model_id} by a on {node.node_id}")

    @rule(
        verb=st.sampled_from(("approve", "reject", "rollback", "pin", "unpin", "deploy")),
        model=st.integers(0, 6),
    )
    def act(self, verb: str, model: int) -> None:
        named = f" m{model}" if (model or verb == "deploy") and verb != "unpin" else ""
        before = len(self.app.sent)
        self.app.play(verb + named)
        assert len(self.app.sent) > before, "every action is answered"
        assert self.app.sent[before].who in {"anna", ""}

    @rule(duration=st.sampled_from(("5s", "1h", "6h", "2d")))
    def wait(self, duration: str) -> None:
        self.app.play(f"wait {duration}")

    @rule(name=st.sampled_from(("drift", "slow")))
    def alert(self, name: str) -> None:
        self.app.play(f"alert {name}")

    @rule(
        metric=st.sampled_from(("latency", "accuracy", "errors")), values=st.sampled_from(("0.05", "40x2.0", "40x9.0")),
        model=st.sampled_from(("m1", "m2", "m3", "any")), node=st.sampled_from(("predict", "predict-canary", "train")),
    )  # fmt: skip
    def report(self, metric: str, values: str, model: str, node: str) -> None:
        self.app.play(f"report {metric} {values} of {model} on {node}")

    @invariant()
    def holds(self) -> None:
        self.app.tick()
        self.transitions_are_legal_and_each_is_made_once()
        self.at_most_one_model_is_active_on_a_node_and_state_agrees_with_the_records()

    def transitions_are_legal_and_each_is_made_once(self) -> None:
        for sent in self.app.sent[self.checked :]:
            assert sent.transition_id not in self.seen
            self.seen.add(sent.transition_id)
            if sent.state in ANSWERS:
                assert sent.attempt == 0
                continue
            assert sent.previous_state is self.states.get(sent.deployment_id, State.UNKNOWN)
            assert sent.state in LEGAL[sent.previous_state], f"{sent.previous_state} to {sent.state}"
            self.states[sent.deployment_id] = sent.state
        self.checked = len(self.app.sent)

    def at_most_one_model_is_active_on_a_node_and_state_agrees_with_the_records(self) -> None:
        for node in self.app.known.nodes:
            assert len(node.in_states(State.ACTIVE)) <= 1
            attempts = [each.attempt for each in node.deployments if each.attempt]
            assert attempts == sorted(set(attempts))
            assert not node.deployments or max([*attempts, 0]) <= node.attempts
        live = [state for state in self.states.values() if state in OPEN]
        known = [each for node in self.app.known.nodes for each in node.deployments if each.open]
        assert len(live) == len(known)


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLife = Life.TestCase

# ---- interleaving ---------------------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("x", "y")),
            st.sampled_from(("publish m1", "publish m2", "accept m1", "accept m2", "approve", "rollback")),
        ),
        max_size=15,
    )
)
def test_mlapps_do_not_depend_on_the_order_between_them(steps: list[tuple[str, str]]):
    def play(order: list[tuple[str, str]]) -> dict[str, str]:
        apps = {name: Scenario(POLICIES) for name in ("x", "y")}
        for app in apps.values():
            app.play("apply manual")
        for name, step in order:
            apps[name].play(step)
        return {name: summary(app.sent) for name, app in apps.items()}

    apart = [step for step in steps if step[0] == "x"] + [step for step in steps if step[0] == "y"]
    assert play(steps) == play(apart)


def models_and_events(
    known: MLAppDeployments, happened: list
) -> tuple[MLAppDeployments, list[DeploymentTransition]]:
    """Topics of always_update: what is known, and what was sent, whatever the order between them."""
    sent: list[DeploymentTransition] = []
    for number, each in enumerate(happened):
        if isinstance(each, Announced):
            at = At(each.event_time_ms, START_MS, START_MS, each.cause)
            known, new = announcements.on_announcement(known, each, at)
        elif isinstance(each, Accepted):
            at = At(each.event_time_ms, START_MS, START_MS, each.cause)
            known, new = acceptance.on_accepted(known, each, at)
        else:
            at = At(START_MS, START_MS, START_MS, Scenario().at().cause)
            known, new = definition.on_definition(known, each, at)
        assert number >= 0
        sent += new
    return known, sent


@st.composite
def topics(draw: st.DrawFn) -> tuple[list, list, list]:
    """A definition, announcements, and acceptances in the order of the announcements, some missing, some repeated."""
    cause = Scenario().at().cause
    count = draw(st.integers(1, 5))
    models = [
        announced
        for number in range(count)
        for announced in [
            Announced(
                f"m{number}", "train", number * 100, START_MS, dataclasses.replace(cause, offset=number)
            )
        ]
        * draw(st.integers(1, 2))
    ]
    events = [
        accepted
        for number in range(count)
        for accepted in [
            Accepted(
                f"m{number}",
                "predict",
                "a",
                number * 100 + 50,
                dataclasses.replace(cause, topic="e", offset=number),
            )
        ]
        * draw(st.integers(0, 2))
    ]
    return [applied(POLICIES["always"], 1, nodes=HEAD)], models, events


def interleaved(data: st.DataObject, *of: list) -> list:
    order = data.draw(st.permutations([index for index, topic in enumerate(of) for _ in topic]))
    queues = [iter(topic) for topic in of]
    return [next(queues[index]) for index in order]


@given(topics(), st.data())
def test_every_interleaving_of_the_topics_leads_to_the_same_decisions(
    history: tuple[list, list, list], data: st.DataObject
):
    _, expected = models_and_events(MLAppDeployments("app"), [each for topic in history for each in topic])
    _, sent = models_and_events(MLAppDeployments("app"), interleaved(data, *history))
    assert {each.transition_id: each for each in sent} == {each.transition_id: each for each in expected}
    assert len({each.transition_id for each in sent}) == len(sent)


@given(topics(), st.data())
def test_records_that_come_again_decide_nothing(history: tuple[list, list, list], data: st.DataObject):
    happened = interleaved(data, *history)
    known, _ = models_and_events(MLAppDeployments("app"), happened)
    _, more = models_and_events(known, happened)
    assert more == []


# ---- single properties ----------------------------------------------------------------------------------------------


def test_what_waits_and_what_is_remembered_is_bounded():
    app = Scenario(POLICIES)
    for number in range(MAX_WAITING + 20):
        app.play(f"publish m{number}; accept m{number}")
    assert len(app.known.waiting) == MAX_WAITING
    assert len(app.known.early) == MAX_EARLY
    app.play("apply always")
    for number in range(1_000, 1_000 + 3 * MAX_FINISHED):
        app.play(f"publish m{number}; accept m{number}")
    assert len(app.known.node("predict").deployments) <= 3 * MAX_FINISHED + 1
    assert app.known.active("predict") is not None


def test_without_a_definition_a_model_waits_is_reported_and_is_deployed_when_the_definition_comes():
    app = Scenario(POLICIES)
    app.play(f"publish m1; wait {DEFINITION_WAIT_MS}ms; wait 1h")
    assert summary(app.sent) == "m1 skipped"
    assert "has no definition" in app.sent[0].reason
    assert summary(app.play("apply always")) == "m1 requested"


def test_a_node_that_is_added_two_hours_after_the_last_model_has_the_whole_time_to_accept():
    """The limit runs from the request, and fails at an event time that has come."""
    app = Scenario(POLICIES)
    app.play("apply limited; publish m1; accept m1; wait 2h; remove node")
    assert summary(app.sent[-1:]) == "m1 requested on other"
    assert app.play("wait 59m") == []
    (failed,) = app.play("wait 5m") or [None]
    assert failed is None, "the other node's policy has no limit"
    app.play("apply limited")
    assert summary(app.sent[-1:]) == "m1 requested"
    assert app.play("wait 59m") == []
    (failed,) = app.play("wait 5m")
    assert failed is not None
    assert failed.state is State.FAILED
    assert failed.event_time_ms <= app.now_ms


def test_a_model_has_ended_for_the_agents_that_have_another_one_and_for_no_others():
    app = Scenario(POLICIES)
    app.play("apply always; publish m1; accept m1 by a; accept m1 by b; publish m2; accept m2 by a")
    known = app.known
    assert (accepted_model(known, "predict", "a"), accepted_model(known, "predict", "b")) == ("m2", "m1")
    assert has_ended_for(known, "predict", "a", "m1")
    assert not has_ended_for(known, "predict", "b", "m1")
    assert not has_ended_for(known, "predict", "a", "m2")
    assert has_ended_for(known, "predict", "never-heard-of", "m1")
    app.play("accept m1 by a")
    assert not has_ended_for(app.known, "predict", "a", "m1"), "it has come back with it"


def test_the_answer_to_an_action_names_it_as_its_cause_and_who_acted():
    app = Scenario(POLICIES)
    app.play("apply manual; publish m1")
    (requested,) = app.play("approve m1")
    (refused,) = app.play("approve m1")
    assert (requested.who, refused.who) == ("anna", "anna")
    assert requested.cause != refused.cause
    assert "anna approved it: as agreed" in requested.reason
    assert refused.reason == "approve refused: model m1 is not pending on the node: it is requested (by anna)"


@pytest.mark.parametrize("node", ["nowhere", "train"])
def test_an_action_on_a_node_that_takes_no_models_is_refused_with_those_that_do(node: str):
    app = Scenario(POLICIES)
    app.play("apply manual; publish m1")
    app.known, sent = app._act("approve", "m1", node)
    assert [each.state for each in sent] == [State.REFUSED]
    assert "there are: predict" in sent[0].reason


def test_an_action_without_a_node_is_done_where_it_can_be():
    app = Scenario(POLICIES)
    app.play("apply canary; publish m1; accept m1; publish m2; accept m2 on predict-canary")
    app.known, sent = app._act("approve", "m2", "")
    assert summary(sent) == "m2 requested"
    app.known, sent = app._act("approve", "m9", "")
    assert summary(sent) == "m9 refused, m9 refused on predict-canary"


def test_numbers_are_forgotten_with_what_needed_them():
    app = Scenario(POLICIES)
    app.play(
        "apply canary; publish m1; accept m1; publish m2; accept m2 on predict-canary; report latency 9x2.0 of m1"
    )
    assert app.known.measured.canaries
    app.play("reject m2")
    assert app.known.measured == NOTHING_MEASURED
    app.play("apply gated; report accuracy 0.95 of m3")
    assert app.known.measured.early
    app.play("remove app")
    assert app.known.measured == NOTHING_MEASURED
    app.play("apply gated; report latency 0.95 of m3; report accuracy 0.95 of m4; publish m4")
    assert app.known.measured == NOTHING_MEASURED


def test_an_acceptance_of_an_earlier_deployment_does_not_confirm_a_later_one():
    app = Scenario(POLICIES)
    app.play("apply always; publish m1; accept m1")
    at_ms = app.now_ms
    app.play("publish m2; accept m2; rollback")
    assert app.play(f"accept m1 at {at_ms}") == [], "it comes again, from a spool"
    former = Accepted(
        "m1", "predict", "b", app.now_ms, app.at().cause, deployment_id_of("app", "predict", "m1", 1)
    )
    app.known, sent = acceptance.on_accepted(app.known, former, app.at())
    assert sent == []
    named = dataclasses.replace(former, deployment_id=deployment_id_of("app", "predict", "m1", 3))
    app.known, sent = acceptance.on_accepted(app.known, named, app.at())
    assert summary(sent) == "m1 accepted, m1 active"
