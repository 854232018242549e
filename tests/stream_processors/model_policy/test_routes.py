"""From records to the policy and back into the store: wrong clocks, what is stored, and how large it may become."""

from __future__ import annotations

import pytest

from parallelm.schemas.records import ModelAnnouncement, Origin, RecordPosition, UserAction
from parallelm.stream_processors import deployment_routes
from parallelm.stream_processors.arrival import Arrival
from parallelm.stream_processors.deployment_routes import DEPLOYMENTS_OF, KINDS, MEASUREMENTS_OF
from parallelm.stream_processors.runtime.stored_state import MAX_VALUE_BYTES, Key, StateStore

from .policies import POLICIES
from .scenario import START_MS, Scenario, applied, summary

DAY_MS = 86_400_000


def arrival(offset: int, at_ms: int = START_MS) -> Arrival:
    return Arrival(RecordPosition(topic="t", partition=0, offset=offset), at_ms, at_ms)


def announced(model: str, event_time_ms: int) -> ModelAnnouncement:
    return ModelAnnouncement(
        origin=Origin(mlapp_id="app", node_id="train", pipeline_instance_id="", agent_id="a"), producer_id="p", seq=0,
        event_time_ms=event_time_ms, model_id=model, name="", format="", description="", artifact_url="", file_name="",
        is_directory=False, size_bytes=0, sha256="", annotations={}, owner="", train_version="", model_version="",
    )  # fmt: skip


@pytest.fixture
def store() -> StateStore:
    made = StateStore(KINDS)
    list(deployment_routes.on_definition(made, "app", applied(POLICIES["limited"], 1), arrival(0)))
    return made


def test_a_model_dated_a_year_ahead_does_not_shut_out_those_that_follow(store: StateStore):
    sent = list(
        deployment_routes.on_announcement(store, "app", announced("m1", START_MS + 365 * DAY_MS), arrival(1))
    )
    assert [(each.state.value, each.event_time_ms) for each in sent] == [("requested", START_MS)]
    later = START_MS + 1_000
    sent = list(deployment_routes.on_announcement(store, "app", announced("m2", later), arrival(2, later)))
    assert summary(sent) == "m2 requested"


def test_an_action_dated_ahead_is_of_now(store: StateStore):
    action = UserAction(
        event_time_ms=START_MS + DAY_MS, action_id="x", mlapp_id="app", who="anna", authenticated_by="unverified_local_user", action="deploy", node_id="",
        model_id="m1", target="", comment="", parameters={},
    )  # fmt: skip
    (sent,) = deployment_routes.on_action(store, "app", action, arrival(1))
    assert (sent.state.value, sent.event_time_ms) == ("requested", START_MS)


def test_the_time_to_accept_runs_from_the_request_however_long_ago_the_model_was_dated(store: StateStore):
    list(
        deployment_routes.on_announcement(store, "app", announced("m1", START_MS - 300 * DAY_MS), arrival(1))
    )
    store.commit()
    assert store.due(START_MS + 3_599_999) == []
    ((key, _),) = store.due(START_MS + 3_600_000)
    assert key == Key(DEPLOYMENTS_OF, "app")
    (failed,) = deployment_routes.on_time(store, "app", arrival(-1, START_MS + 3_600_000))
    assert (failed.state.value, failed.event_time_ms) == ("failed", START_MS - 300 * DAY_MS + 3_600_000)
    store.commit()
    assert store.due(START_MS + 365 * DAY_MS) == []


def test_an_mlapp_without_deployments_leaves_nothing_in_the_store():
    store = StateStore(KINDS)
    assert list(deployment_routes.on_time(store, "other", arrival(-1))) == []
    list(deployment_routes.on_definition(store, "app", applied(POLICIES["always"], 1), arrival(0)))
    list(deployment_routes.on_definition(store, "app", None, arrival(1)))
    store.commit()
    assert len(store) == 0


def test_what_a_canary_with_all_that_it_may_have_remembers_fits_a_record_many_times():
    metrics = ", ".join(f"{{metric: m{n}}}" for n in range(10))
    policy = (
        "policy:\n  model_policy: canary\n"
        f"  canary: {{node: predict-canary, min_samples: 200, duration: 1d, metrics: [{metrics}]}}\n"
    )
    app = Scenario({"full": policy})
    app.play("apply full; publish m1; accept m1; publish m2; accept m2 on predict-canary")
    for n in range(10):
        for model, node in (("m1", "predict"), ("m2", "predict-canary")):
            app.play(f"report m{n} 300x1.23456789012345 of {model} on {node}")
    size = len(KINDS[MEASUREMENTS_OF].to_json(app.known.measured))
    assert size < MAX_VALUE_BYTES / 8
    assert len(app.known.measured.canaries[0].metrics[0].canary) == 200


def test_a_node_with_all_that_is_remembered_of_it_fits_a_record_many_times():
    app = Scenario(POLICIES)
    app.play("apply always")
    for n in range(150):
        app.play(
            f"publish model-of-a-usual-length-{n}; accept model-of-a-usual-length-{n} by agent-{n}; rollback"
        )
        for agent in range(4):
            app.play(f"accept model-of-a-usual-length-{n} by host-{n}-{agent}.example.com")
    assert len(KINDS[DEPLOYMENTS_OF].to_json(app.known)) < MAX_VALUE_BYTES / 8
