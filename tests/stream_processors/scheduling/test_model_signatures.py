"""What agents are told of the keys that a node's policy trusts: they check by them the file that they are given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from parallelm.definitions.run_spec import ModelSpec, RunSpec
from parallelm.schemas.model_signatures import key_id_of, new_key, sign, signed_model
from parallelm.schemas.records import CommandKind, DeploymentTransition, ModelAnnouncement, UserAction
from parallelm.stream_processors import deployment_routes, run_routes
from parallelm.stream_processors.runtime.stored_state import Key, StateStore
from parallelm.stream_processors.scheduling.models import MAX_FILES
from tests.stream_processors.model_policy.scenario import START_MS, applied
from tests.stream_processors.model_policy.test_routes import announced, arrival

from .scheduler import Scheduler, _origin

OURS = new_key().decode()
NODES = """\
mlapp: app
nodes:
  - {id: train, type: model_producer}
  - {id: predict, type: model_consumer, mode: online, consumes: [train], default_model: m0, steps: [{command: "true"}]}
"""


class Both(Scheduler):
    """The scheduler beside the model policy, in one store as in the stage."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.store = StateStore({**deployment_routes.KINDS, **run_routes.KINDS})

    def define(self, policy: str, nodes: str = NODES) -> None:
        self.version += 1
        record = applied(policy, self.version, nodes=nodes)
        list(deployment_routes.on_definition(self.store, "app", record, arrival(self.version, self.now_ms)))
        self._sent(self.routes.on_definition, record)

    def publish(self, record: ModelAnnouncement) -> list[DeploymentTransition]:
        self.routes.note_model(self.store, "app", record)
        moved = self._followed(deployment_routes.on_announcement, record)
        self._sent(self.routes.on_announcement, record)
        return moved

    def decide(self, action: str, model_id: str) -> list[DeploymentTransition]:
        """A person decides about a model on node ``predict``."""
        record = UserAction(
            event_time_ms=self.now_ms, action_id=f"decision-{self._offset}", mlapp_id="app", who="ann",
            authenticated_by="", action=action, node_id="predict", model_id=model_id, target="", comment="", parameters={},
        )  # fmt: skip
        return self._followed(deployment_routes.on_action, record)

    def _followed(self, route: Any, record: Any) -> list[DeploymentTransition]:
        self._offset += 1
        at = arrival(self._offset, self.now_ms)
        moved = list(route(self.store, "app", record, at))
        for each in moved:
            self._taken(self.routes.on_deployment(self.store, each, at))
        return moved


def test_commands_name_the_keys_of_the_policy_for_default_models_and_for_deployed_ones():
    scheduler = Both()
    scheduler.agent("a")
    scheduler.define(f'policy: {{model_policy: always_update, signing_keys: ["{key_id_of(OURS)}"]}}\n')
    default, signed = (replace(announced(each, START_MS), sha256="ab" * 32) for each in ("m0", "m1"))
    scheduler.publish(default)
    scheduler.act("launch")
    (start,) = scheduler.starts("predict")
    given = RunSpec.of_json(start.spec_json).model
    assert given is not None
    assert (given.model_id, given.signing_keys) == ("m0", [key_id_of(OURS)]), "whoever has signed it"

    scheduler.started(start)
    scheduler.publish(replace(signed, signature=sign(OURS, signed_model(signed))))
    (delivery,) = scheduler.of(CommandKind.DELIVER_MODEL)
    sent = ModelSpec.of_json(delivery.spec_json)
    assert (sent.model_id, sent.signing_keys) == ("m1", [key_id_of(OURS)])


def test_a_run_is_due_when_its_model_is_deployed_and_begins_with_it():
    nodes = """\
mlapp: app
nodes:
  - {id: train, type: model_producer}
  - {id: predict, type: model_consumer, consumes: [train], steps: [{command: "true"}], triggers: [{deployed: predict}]}
  - {id: tell, type: auxiliary, steps: [{command: "true"}], triggers: [{deployed: predict}]}
  - {id: early, type: auxiliary, steps: [{command: "true"}], triggers: [{model: train}]}
"""
    scheduler = Both()
    scheduler.agent("a")
    scheduler.define("policy: {model_policy: manual}\n", nodes)
    scheduler.act("launch")
    scheduler.publish(announced("m1", START_MS))
    assert [each.node_id for each in scheduler.starts()] == ["early"]
    scheduler.decide("approve", "m1")
    begun = {each.node_id: RunSpec.of_json(each.spec_json) for each in scheduler.starts()[1:]}
    assert set(begun) == {"predict", "tell"}
    model = begun["predict"].model
    assert model is not None
    assert (model.model_id, begun["predict"].trigger) == ("m1", "model")


def test_without_such_a_policy_commands_name_none():
    scheduler = Both()
    scheduler.agent("a")
    scheduler.define("policy: {model_policy: always_update}\n")
    scheduler.publish(announced("m1", START_MS))
    scheduler.act("launch")
    (start,) = scheduler.starts("predict")
    assert '"m1"' in start.spec_json
    assert "signing_keys" not in start.spec_json


def test_the_file_of_a_models_first_announcement_stays_as_long_as_a_node_may_go_back_to_it():
    scheduler = Both()
    scheduler.define("policy: {model_policy: always_update}\n")
    for model_id in ("m0", "m1"):
        scheduler.publish(replace(announced(model_id, START_MS), artifact_url="file:///first"))
    for n in range(MAX_FILES + 1):
        scheduler.publish(replace(announced(f"junk-{n}", START_MS), origin=_origin("predict")))
    for model_id in ("m0", "m1"):
        scheduler.publish(replace(announced(model_id, START_MS), artifact_url="file:///second"))
    files = scheduler.store.get(Key(run_routes.MODEL_FILES_OF, "app"))
    found = {each.model_id: each.artifact_url for each in files.files}
    assert len(found) == MAX_FILES
    assert (found["m0"], found["m1"]) == ("file:///first", "file:///first")
