"""A policy that demands signatures: what is not signed as it demands is not deployed, by nobody, and it is told why."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from parallelm.schemas.model_signatures import key_id_of, new_key, sign, signed_model
from parallelm.schemas.records import ModelAnnouncement, UserAction
from parallelm.stream_processors import deployment_routes
from parallelm.stream_processors.deployment_routes import KINDS
from parallelm.stream_processors.model_policy.state import MAX_SIGNED
from parallelm.stream_processors.runtime.stored_state import StateStore
from parallelm.stream_processors.scheduling.models import ModelFiles

from .scenario import CANARY_NODE, HEAD, START_MS, applied
from .test_routes import announced, arrival

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.schemas.records import DeploymentTransition

OURS, NEXT, STRANGER = (new_key().decode() for _ in range(3))
_CANARY = "model_policy: canary, canary_threshold: 0.2, canary: {node: predict-canary}"


@dataclass
class App:
    """An MLApp whose policy trusts some keys."""

    store: StateStore = field(default_factory=lambda: StateStore(KINDS))
    offset: int = 0
    version: int = 0

    def apply(self, *keys: str, more: str = "model_policy: always_update") -> list[str]:
        self.version += 1
        trusted = ", ".join(f'"{key_id_of(key)}"' for key in keys)
        nodes = HEAD + CANARY_NODE if "canary" in more else HEAD
        record = applied(f"policy: {{{more}, signing_keys: [{trusted}]}}\n", self.version, nodes=nodes)
        return self._told(deployment_routes.on_definition(self.store, "app", record, self._now()))

    def publish(self, model: str, key: str = "", **changes: str) -> list[str]:
        record = replace(announced(model, START_MS + self.offset), sha256="ab" * 32)
        if key:
            record = replace(record, signature=sign(key, signed_model(record)))
        return self.announce(replace(record, **changes))

    def announce(self, record: ModelAnnouncement) -> list[str]:
        return self._told(deployment_routes.on_announcement(self.store, "app", record, self._now()))

    def act(self, action: str, model: str = "") -> list[str]:
        record = UserAction(
            event_time_ms=START_MS + self.offset, action_id="x", mlapp_id="app", who="anna",
            authenticated_by="unverified_local_user", action=action, node_id="predict", model_id=model, target="",
            comment="", parameters={},
        )  # fmt: skip
        return self._told(deployment_routes.on_action(self.store, "app", record, self._now()))

    def live(self, model: str) -> None:
        """A component has taken it."""
        known = deployment_routes.known_of(self.store, "app")
        from parallelm.stream_processors.model_policy import acceptance
        from parallelm.stream_processors.model_policy.state import Accepted
        from parallelm.stream_processors.model_policy.work import At

        now = self._now()
        at = At(now.arrived_ms, now.arrived_ms, now.arrived_ms, now.position)
        taken = Accepted(model, "predict", "a", now.arrived_ms, now.position)
        list(deployment_routes._decided(self.store, acceptance.on_accepted(known, taken, at)))

    def _now(self):
        self.offset += 1
        return arrival(self.offset, START_MS + self.offset)

    def _told(self, sent: Iterable[DeploymentTransition]) -> list[str]:
        return [f"{each.model_id} {each.state.value} on {each.node_id}: {each.reason}" for each in sent]


@pytest.fixture
def app() -> App:
    made = App()
    made.apply(OURS)
    return made


def test_a_model_of_a_trusted_key_is_deployed(app: App):
    (told,) = app.publish("m1", OURS)
    assert told.startswith("m1 requested")


def test_without_such_a_policy_nobody_asks(app: App):
    app.apply()
    assert app.publish("m1")[0].startswith("m1 requested")
    assert app.publish("m2", STRANGER)[-1].startswith("m2 requested")


@pytest.mark.parametrize(
    ("key", "changes", "why"),
    [
        ("", {}, "it is not signed"),
        (STRANGER, {}, f"it is signed by key {key_id_of(STRANGER)}, which is none of the trusted ones: {key_id_of(OURS)}"),
        (OURS, {"sha256": "cd" * 32}, f"its signature by key {key_id_of(OURS)} does not fit"),
        (OURS, {"name": "another"}, "does not fit"),
        (OURS, {"signature": "ed25519:x:y"}, "has a form that is not known"),
    ],
    ids=["unsigned", "unknown key", "other bytes", "other name", "no signature"],
)  # fmt: skip
def test_any_other_one_is_not_and_takes_no_others_place(
    app: App, key: str, changes: dict[str, str], why: str
):
    app.apply(OURS, more="model_policy: manual")
    assert app.publish("good", OURS)[0].startswith("good awaiting_approval")
    (told,) = app.publish("bad", key, **changes)
    assert told.startswith("bad skipped on predict: the policy demands a signature: ")
    assert why in told
    assert app.act("approve")[0].startswith("good requested"), "it was not superseded"
    for action in ("deploy", "pin"):
        (told,) = app.act(action, "bad")
        assert told.startswith("bad refused")
        assert why in told


def test_the_signature_of_another_model_does_not_help(app: App):
    record = replace(announced("m1", START_MS), sha256="ab" * 32)
    signature = sign(OURS, signed_model(record))
    (told,) = app.publish("m2", signature=signature)
    assert "does not fit" in told


def test_a_second_announcement_changes_nothing(app: App):
    """The warehouse holds to the first one as well, and with it to its file."""
    app.publish("m1")
    app.publish("m1", OURS)
    assert app.act("deploy", "m1")[0].startswith("m1 refused")


def test_keys_are_changed_with_both_trusted_for_a_time(app: App):
    app.apply(OURS, NEXT)
    assert app.publish("m1", OURS)[0].startswith("m1 requested")
    assert app.publish("m2", NEXT)[-1].startswith("m2 requested")
    app.apply(NEXT)
    (told,) = app.publish("m3", OURS)
    assert told.startswith("m3 skipped")
    assert key_id_of(OURS) in told


@pytest.mark.parametrize("policy", ["model_policy: manual", _CANARY])
def test_what_waits_does_not_go_live_once_its_key_is_revoked(app: App, policy: str):
    app.apply(OURS, more="model_policy: always_update")
    app.publish("m0", OURS)
    app.live("m0")
    app.apply(OURS, NEXT, more=policy)
    assert app.publish("m1", OURS)
    told = app.apply(NEXT, more=policy)
    told += app.act("approve", "m1")
    assert not [each for each in told if each.startswith("m1 requested")]
    assert [each for each in told if "none of the trusted ones" in each]
    assert app.act("deploy", "m1")[0].startswith("m1 refused")


def test_a_roll_back_passes_over_models_whose_key_is_revoked(app: App):
    app.apply(OURS, NEXT)
    for model, key in (("m1", NEXT), ("m2", OURS), ("m3", NEXT)):
        app.publish(model, key)
        app.live(model)
    app.apply(NEXT)
    assert app.act("roll_back", "m2")[0].startswith("m2 refused")
    told = app.act("roll_back")
    assert [each for each in told if each.startswith("m1 requested")], told
    assert not [each for each in told if each.startswith("m2 requested")]


def test_a_roll_back_goes_to_a_model_that_was_signed_however_many_were_announced_since(app: App):
    for model in ("m1", "m2"):
        app.publish(model, OURS)
        app.live(model)
    for n in range(MAX_SIGNED + 1):
        app.publish(f"junk-{n}")
    known = deployment_routes.known_of(app.store, "app").signatures
    assert len(known) == MAX_SIGNED
    assert known[-1].model_id == f"junk-{MAX_SIGNED}"
    told = app.act("roll_back")
    assert [each for each in told if each.startswith("m1 requested")], told


def test_what_agents_are_given_is_the_file_of_the_first_announcement():
    """Another one would bring other bytes under an id that the policy has agreed to."""
    first = replace(announced("m1", START_MS), sha256="ab" * 32, artifact_url="file:///first")
    first = replace(first, signature=sign(OURS, signed_model(first)))
    files = ModelFiles().with_announced(first, ())
    files = files.with_announced(replace(first, sha256="cd" * 32, artifact_url="file:///second"), ())
    (known,) = files.files
    assert (known.artifact_url, known.spec().sha256, known.spec().signature) == (
        "file:///first",
        "ab" * 32,
        first.signature,
    )
