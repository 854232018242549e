"""What is kept on the changelog comes back as it was, and a record that comes again is answered as before."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.schemas.records import AlertState, DeploymentState, Origin, RecordPosition, RuleAggregate
from parallelm.stream_processors.alerts.component_alerts import ComponentAlert
from parallelm.stream_processors.alerts.rule_alerts import new_alert, on_aggregate, on_superseded
from parallelm.stream_processors.alerts.rules import Rule
from parallelm.stream_processors.model_policy.state import (
    Accepted,
    Announced,
    Consumer,
    Deployment,
    MLAppDeployments,
)
from parallelm.stream_processors.state import (
    COMPONENT_ALERT,
    DEPLOYMENTS,
    MAX_OUTPUT_BYTES,
    RULE_ALERT,
    Body,
    Changes,
    Key,
    Output,
    OutputTooLargeError,
    StateError,
    StoredState,
)

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=5)
READINGS = st.lists(st.tuples(st.integers(0, 99), st.floats(allow_nan=False)), max_size=20)
CAUSE = RecordPosition(topic="statistics", partition=3, offset=7)
RULE = Rule(
    mlapp_id="app", name="drift", type="health", statistic="", node_id="", match_labels={"a": "b"}, side="below",
    threshold=0.4, features=frozenset({"temp", "wind"}), for_ms=3, keep_firing_for_ms=2, grace_ms=10,
    severity="info", labels={"team": "x"}, annotations={"reason": "y"},
)  # fmt: skip


def come_back(kind: str, body: Body) -> StoredState:
    output = Output("alerts", b"app", b"\x00\xff")
    kept = StoredState(body, {"models/1": 2**40}, (output, output))
    assert StoredState.from_bytes(kind, kept.to_bytes()) == kept
    return kept


@given(READINGS, TEXT, st.booleans())
def test_an_alert_comes_back_from_the_changelog_as_it_was(
    readings: list[tuple[int, float]], label: str, ended: bool
):
    origin = Origin(mlapp_id="app", node_id=label, pipeline_instance_id="", agent_id="host")
    aggregate = RuleAggregate(
        origin=origin, rule="drift", statistic="x", model_id="m", labels={label: label},
        timestamps_ms=[float(at_ms) for at_ms, _ in readings], values=[value for _, value in readings], cause=CAUSE,
    )  # fmt: skip
    alert, _ = on_aggregate(new_alert(RULE, aggregate), RULE, aggregate, 0)
    if ended:
        alert, _ = on_superseded(alert, 50, "m2", CAUSE, 0)
    come_back(RULE_ALERT, alert)


@given(TEXT, st.sampled_from(AlertState))
def test_a_components_alert_comes_back_from_the_changelog_as_it_was(text: str, state: AlertState):
    come_back(
        COMPONENT_ALERT, ComponentAlert(text, "app", text, text, "", "", "m", {text: text}, state, -1, 2, 3)
    )


def test_deployments_come_back_from_the_changelog_as_they_were():
    announced = Announced("m", "train", 1, 2, CAUSE, reported=True)
    come_back(
        DEPLOYMENTS,
        MLAppDeployments(
            "app",
            version=3,
            accept_timeout_ms=4,
            consumers=(Consumer("predict", ("train",)),),
            waiting=(announced,),
            early=(Accepted("m", "predict", "host", 5, CAUSE),),
            deployments=(Deployment("predict", "m", DeploymentState.SUPERSEDED, 1, 2, "m2", 9),),
            latest=(announced,),
        ),
    )


@given(st.builds(Key, st.just(RULE_ALERT), TEXT, TEXT))
def test_keys_come_back_as_they_were(key: Key):
    assert Key.from_bytes(key.to_bytes()) == key


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"absorbed": {}, "outputs": [], "body": {}}'])
def test_state_that_cannot_be_read_is_told(data: bytes):
    with pytest.raises(StateError):
        StoredState.from_bytes(RULE_ALERT, data)


def test_a_record_that_no_broker_takes_is_refused_before_it_is_sent():
    with pytest.raises(OutputTooLargeError):
        Output("t", b"", bytes(MAX_OUTPUT_BYTES + 1))


def test_outputs_of_a_batch_are_kept_together_and_an_absorbed_record_sends_them_again():
    key, first, second = Key(DEPLOYMENTS, "app"), Output("t", b"k", b"1"), Output("t", b"k", b"2")
    places = [RecordPosition(topic="models", partition=0, offset=offset) for offset in range(3)]
    changes = Changes({}, {}, {})
    changes.put(key, places[0], MLAppDeployments("app"), (first,))
    changes.put(key, places[1], MLAppDeployments("app", version=1), (second,))
    assert changes.outputs() == [first, second]
    stored = {key.to_bytes(): changes.changed[key].to_bytes()}
    again = Changes(stored, {}, {})
    kept = again.get(key)
    assert [kept.has_absorbed(place) for place in places] == [True, True, False]
    again.send_again(kept)
    assert again.outputs() == [first, second]
    assert again.changed == {}


def test_outputs_that_may_not_have_been_sent_go_out_with_the_next_change():
    key, first, second = Key(DEPLOYMENTS, "app"), Output("t", b"k", b"1"), Output("t", b"k", b"2")
    places = [RecordPosition(topic="models", partition=0, offset=offset) for offset in range(2)]
    changes = Changes({}, {}, {})
    changes.put(key, places[0], MLAppDeployments("app"), (first,))
    name, data = key.to_bytes(), changes.changed[key].to_bytes()
    recovered = Changes({name: data}, {}, {})
    recovered.delete(key)
    assert recovered.changed == {}
    recovered.put(key, places[1], MLAppDeployments("app"), (second,))
    assert recovered.outputs() == [first, second]
    known = Changes({name: data}, {}, {name: data})
    known.put(key, places[1], MLAppDeployments("app"), (second,))
    assert known.outputs() == [second]
