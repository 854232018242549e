"""What is remembered comes back from the changelog as it was; what cannot be read or written is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parallelm.schemas.records import (
    AlertState,
    ProcessorState,
    RecordPosition,
)
from parallelm.stream_processors.alert_routes import COMPONENT_ALERT, OPEN_ALERT
from parallelm.stream_processors.alerts.component_alerts import ComponentAlert
from parallelm.stream_processors.deployment_routes import DEPLOYMENTS_OF, MEASUREMENTS_OF
from parallelm.stream_processors.mlapp_stage import MLAppHandler
from parallelm.stream_processors.runtime.shard import POSITIONS, POSITIONS_KEY, Positions
from parallelm.stream_processors.runtime.stored_state import (
    MAX_VALUE_BYTES,
    BodyKind,
    Key,
    StateError,
    StateStore,
    StateTooLargeError,
)

from .model_policy.policies import POLICIES
from .model_policy.scenario import Scenario

if TYPE_CHECKING:
    from collections.abc import Sequence

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=5)
CAUSE = RecordPosition(topic="statistics", partition=3, offset=7)
KINDS = {**MLAppHandler.kinds, POSITIONS: BodyKind(Positions)}


@dataclass(frozen=True, slots=True)
class Note:
    """A body as simple as can be."""

    text: str = ""
    due_ms: float | None = None


NOTES = {"note": BodyKind(Note), "other": BodyKind(Note)}
A, B, C = Key("note", "app", "a"), Key("note", "app", "b"), Key("other", "app", "c")


def store_of(**notes: Note) -> StateStore:
    """A store that has committed these notes of MLApp ``app``."""
    store = StateStore(NOTES)
    for name, note in notes.items():
        store.put(Key("note", "app", name), note)
    store.commit()
    return store


def come_back(kind: str, body: Any) -> None:
    """Through the changelog into another worker's store."""
    key = Key(kind, "app", "name")
    store, next_owner = StateStore(KINDS), StateStore(KINDS)
    store.put(key, body)
    for changed, record in store.changes().items():
        next_owner.load(changed.to_bytes(), record)
    assert next_owner.get(key) == body
    assert len(next_owner) == 1


@given(TEXT, st.sampled_from(AlertState))
def test_a_components_alert_comes_back_from_the_changelog_as_it_was(text: str, state: AlertState):
    come_back(
        COMPONENT_ALERT,
        ComponentAlert(text, "app", text, text, "", "", "host", "m", {text: text}, state, -1, 2, 3),
    )


@pytest.mark.parametrize(
    "steps",
    [
        "publish m1; accept m2",
        "apply always; publish m1; accept m1; publish m2; rollback",
        "apply canary; publish m1; accept m1; publish m2; accept m2 on predict-canary; report latency 3x2.5 of m1",
        "apply gated; publish m1; accept m1; report accuracy 0.95 of m3; report accuracy 0.1 of m1",
        "apply office; publish m1; pin m1; remove app",
    ],
)
def test_deployments_come_back_from_the_changelog_as_they_were(steps: str):
    scenario = Scenario(POLICIES)
    scenario.play(steps)
    come_back(DEPLOYMENTS_OF, scenario.known)
    come_back(MEASUREMENTS_OF, scenario.known.measured)


def test_positions_come_back_with_the_ids_of_their_topics():
    come_back(POSITIONS, Positions({"models": ("topic-id", 2**40)}))


@given(st.builds(Key, st.just(OPEN_ALERT), TEXT, TEXT))
def test_keys_come_back_as_they_were(key: Key):
    assert Key.from_bytes(key.to_bytes()) == key


def stored(body: str, *, kind: str = "note", version: int = 1) -> ProcessorState:
    return ProcessorState(kind=kind, mlapp_id="app", name="a", version=version, body=body)


@pytest.mark.parametrize("body", ["", "{", "[]", '{"text": 3}', "null"])
def test_state_that_cannot_be_read_stops_the_worker_and_names_its_key(body: str):
    with pytest.raises(StateError, match=r"kind='note'.*name='a'.*cannot be read"):
        StateStore(NOTES).load(A.to_bytes(), stored(body))


def test_state_of_a_newer_version_is_refused():
    with pytest.raises(StateError, match=r"newer version \(2\).*run that version"):
        StateStore(NOTES).load(A.to_bytes(), stored("{}", version=2))
    with pytest.raises(StateError, match="'canary' is unknown; another version wrote it"):
        StateStore(NOTES).load(Key("canary", "app").to_bytes(), stored("{}", kind="canary"))


@pytest.mark.parametrize("key", [b"", b"\xff", b"{}", b'["a"]', b"1"])
def test_a_key_that_cannot_be_read_is_refused(key: bytes):
    with pytest.raises(StateError, match="cannot be read"):
        StateStore(NOTES).load(key, stored("{}"))


@dataclass(frozen=True, slots=True)
class Count:
    """The third form of a body that was called ``n``, then ``number``."""

    count: int
    unit: str = field(default="")

    @property
    def due_ms(self) -> float | None:
        return None


def test_state_of_earlier_versions_is_upgraded_step_by_step_and_written_in_the_new_form():
    upgrades = {
        1: lambda body: {"number": body["n"]},
        2: lambda body: {"count": body["number"], "unit": "records"},
    }
    kinds = {"note": BodyKind(Count, version=3, upgrades=upgrades)}
    for version, body in ((1, '{"n": 7}'), (2, '{"number": 7}'), (3, '{"count": 7, "unit": "records"}')):
        store = StateStore(kinds)
        store.load(A.to_bytes(), stored(body, version=version))
        assert store.get(A) == Count(7, "records")
    store.put(A, Count(8, "records"))
    (written,) = store.changes().values()
    assert written is not None
    assert (written.version, json.loads(written.body)) == (3, {"count": 8, "unit": "records"})
    with pytest.raises(StateError, match="cannot be read"):
        StateStore(kinds).load(A.to_bytes(), stored('{"other": 7}', version=1))


def test_a_tombstone_forgets_the_key():
    store = store_of(a=Note("x"), b=Note("y"))
    store.load(A.to_bytes(), None)
    assert [key for key, _ in store.keys_of("app")] == [B]
    store.put(B, None)
    assert store.changes() == {B: None}
    store.commit()
    assert len(store) == 0
    assert list(store.keys_of("app")) == []


def test_state_that_does_not_fit_a_record_is_refused_with_its_size():
    store = StateStore(NOTES)
    store.put(A, Note("x" * MAX_VALUE_BYTES))
    with pytest.raises(StateTooLargeError, match=r"9000\d\d bytes.*note 'a' of MLApp 'app'.*900000 fit"):
        store.changes()


def test_what_a_failed_record_changed_is_undone_and_no_more():
    store = store_of(a=Note("committed"))
    store.begin_record()
    store.put(A, Note("of the batch"))
    store.begin_record()
    store.put(A, Note("failed"))
    store.put(A, Note("failed again"))
    store.put(B, Note("failed"))
    assert store.changed_in_record() == [A, B]
    store.undo_record()
    assert (store.get(A), store.get(B)) == (Note("of the batch"), None)
    assert list(store.changes()) == [A]


def test_a_batch_that_is_given_up_leaves_nothing():
    store = store_of(a=Note("committed"))
    store.put(A, None)
    store.put(B, Note())
    store.discard()
    assert store.changes() == {}
    assert [(key, note.text) for key, note in store.keys_of("app")] == [(A, "committed")]


def test_what_is_put_as_it_was_is_not_written_again():
    note = Note("same")
    store = store_of(a=note)
    store.put(A, note)
    assert store.changes() == {}


def test_keys_of_an_mlapp_are_listed_with_the_changes_of_the_batch():
    store = store_of(b=Note("b"), a=Note("a"))
    store.put(C, Note("c"))
    store.put(B, None)
    store.put(Key("note", "another", "a"), Note())
    assert [key for key, _ in store.keys_of("app")] == [A, C]
    assert [key for key, _ in store.keys_of("app", "other")] == [C]


def names(found: Sequence[tuple[Key, Any]]) -> list[str]:
    return [key.name for key, _ in found]


def test_what_is_due_comes_the_earliest_first_and_until_it_is_no_longer_due():
    store = store_of(a=Note("a", 20), b=Note("b", 10), c=Note("c", 30), d=Note("d"))
    assert store.due(9) == []
    assert names(store.due(20)) == ["b", "a"]
    assert names(store.due(20)) == ["b", "a"], "nothing has changed them"
    store.put(B, Note("b", 40))
    assert names(store.due(20)) == ["a"], "as the batch leaves it"
    store.commit()
    store.put(A, None)
    store.commit()
    assert names(store.due(30)) == ["c"]
    assert names(store.due(40)) == ["c", "b"]


def test_what_a_batch_that_was_given_up_made_due_is_not_due():
    store = store_of(a=Note("a", 10))
    store.put(A, Note("a", 50))
    store.put(B, Note("b", 5))
    assert names(store.due(10)) == ["b"]
    store.discard()
    assert names(store.due(10)) == ["a"]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.integers(0, 9)), max_size=30), st.data())
def test_due_finds_exactly_what_is_due(changes: list[tuple[str, int | None]], data: st.DataObject):
    store, model = StateStore(NOTES), dict[str, int | None]()
    for name, due_ms in changes:
        store.put(Key("note", "app", name), Note(name, due_ms))
        model[name] = due_ms
        if data.draw(st.booleans()):
            store.commit()
        now_ms = data.draw(st.integers(0, 9))
        expected = sorted((at, name) for name, at in model.items() if at is not None and at <= now_ms)
        assert names(store.due(now_ms)) == [name for _, name in expected]


def test_the_key_of_positions_belongs_to_no_mlapp():
    assert POSITIONS_KEY.mlapp_id == ""
