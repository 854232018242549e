"""Models for running programs: fetched, tried, switched, told; accepted or rolled back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from parallelm.agent.keeping.run_folder import RunFolder
from parallelm.agent.pipelines import delivery_book, model_files
from parallelm.agent.pipelines.errors import PreparationError
from parallelm.connections import ArtifactSettings, Settings
from parallelm.definitions.run_spec import ModelSpec
from parallelm.schemas.model_signatures import key_id_of, new_key, sign, signed_row
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parallelm.agent.runners import Delivery, RunKey
    from tests.agent.pipelines.host import RunnerHost

SERVE = """\
import os, signal, sys, time
def load(*_):
    with open(os.environ["MCENTER_MODEL_PATH"]) as file:
        content = file.read()
    print("has", content, flush=True)
    if content == "bad":
        raise SystemExit(3)
signal.signal(signal.SIGHUP, load)
load()
while True:
    time.sleep(60)
"""
STEP = {"command": ["python", "-c", SERVE]}


def serve(
    host: RunnerHost, model: ModelSpec, secrets: Mapping[str, str] | None = None, **delivery: Any
) -> RunKey:
    node = {"model_delivery": delivery, "restart": {"delay": "10ms"}, "secrets": secrets or {}}
    key = host.start(host.spec(STEP, mode="online", model=model, **node))
    host.wait_for_text(key, "has one")
    return key


def delivered(host: RunnerHost, key: RunKey, model: ModelSpec) -> Delivery:
    host.runner.deliver(key, model)
    host.runner.deliver(key, model)  # a command that comes again

    def ended() -> Delivery | None:
        status = host.status(key)
        found = [each for each in (status.deliveries if status else ()) if each.model_id == model.model_id]
        assert len(found) <= 1
        return found[0] if found else None

    return wait_for(ended, lambda: (host.statuses.get(key), host.texts(key)))


@pytest.mark.parametrize("by", ["restart", "signal"])
def test_a_model_is_switched_under_a_running_program(host: RunnerHost, by: str):
    key = serve(host, host.publish_model("m1", b"one", "d1"), by=by)
    second = delivered(host, key, host.publish_model("m2", b"two", "d2"))

    assert second.is_accepted, second.reason
    assert host.texts(key)[-1] == "has two"
    status = host.status(key)
    assert status is not None
    assert (status.model_id, status.starts) == ("m2", 2 if by == "restart" else 1)
    assert [each.deployment_id for each in status.deliveries] == ["d1", "d2"]


def test_a_model_on_trial_is_taken_back_by_the_one_before(host: RunnerHost):
    first = host.publish_model("m1", b"one", "d1")
    key = serve(host, first, by="signal")
    assert delivered(host, key, host.publish_model("m2", b"two", "d2")).is_accepted
    host.runner.deliver(key, first)
    host.runner.deliver(key, first)

    def deployments() -> list[str]:
        status = host.status(key)
        return [each.deployment_id for each in status.deliveries] if status else []

    wait_for(lambda: len(deployments()) > 2, deployments)
    assert host.texts(key) == ["has one", "has two", "has one"]
    host.runner.deliver(key, first)
    host.runner.changed()
    assert deployments() == ["d1", "d2", "d1"]


@pytest.mark.parametrize("by", ["restart", "signal"])
def test_a_model_with_which_the_program_ends_is_rolled_back(host: RunnerHost, by: str):
    key = serve(host, host.publish_model("m1", b"one"), by=by)
    second = delivered(host, key, host.publish_model("m2", b"bad", "d2"))

    assert not second.is_accepted
    assert "exit code" in second.reason
    wait_for(lambda: host.texts(key)[-1] == "has one", lambda: host.texts(key))
    status = host.status(key)
    assert status is not None
    assert status.model_id == "m1"


def test_a_first_model_with_which_the_program_ends_is_taken_away_again(host: RunnerHost):
    program = SERVE.replace(
        "\nload()\n", "\nload() if 'MCENTER_MODEL_PATH' in os.environ else print('has none', flush=True)\n"
    )
    node = {"restart": {"delay": "10ms"}, "model_delivery": {"by": "signal"}}
    key = host.start(host.spec({"command": ["python", "-c", program]}, mode="online", **node))
    host.wait_for_text(key, "has none")
    first = delivered(host, key, host.publish_model("m1", b"bad", "d1"))

    assert not first.is_accepted
    assert "exit code" in first.reason
    wait_for(lambda: host.texts(key)[-1] == "has none", lambda: host.texts(key))
    status = host.status(key)
    assert status is not None
    assert status.model_id == ""
    run = host.runner._keepers.find(key.run_id, key.attempt)
    assert run is not None
    assert model_files.current(run) == ("", None)
    assert delivered(host, key, host.publish_model("m2", b"two", "d2")).is_accepted
    assert host.texts(key)[-1] == "has two"  # where models are it is told by a start


def test_a_component_is_told_of_its_first_model_by_the_restart_that_brings_it(
    host: RunnerHost, tmp_path: Path
):
    folder = tmp_path / "components" / "serve"
    folder.mkdir(parents=True)
    (folder / "component.yaml").write_text(
        "name: serve\nprogram: serve.py\narguments:\n"
        "  model: {tag: input_model_path, optional: true}\n  port: {tag: public_port}\n"
    )
    (folder / "serve.py").write_text(
        "import sys, time\n"
        "given = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
        "content = open(given['--model']).read() if '--model' in given else 'none'\n"
        "print('has', content, 'at', given['--port'], flush=True)\n"
        "if content == 'bad': sys.exit(3)\n"
        "time.sleep(600)\n"
    )
    packed = host.publish_component(folder)
    key = host.start(
        host.spec({"component": "serve"}, mode="online", components=[packed], restart={"delay": "10ms"})
    )
    wait_for(lambda: host.texts(key), lambda: host.status(key))
    (first,) = host.texts(key)
    port = first.removeprefix("has none at ")
    assert not delivered(host, key, host.publish_model("m0", b"bad", "d0")).is_accepted
    wait_for(lambda: host.texts(key)[-1] == first, lambda: host.texts(key))
    accepted = delivered(host, key, host.publish_model("m1", b"one", "d1"))
    assert accepted.is_accepted, accepted.reason
    assert host.texts(key)[-1] == f"has one at {port}", "its place stays"


@pytest.mark.parametrize(
    ("test", "accepted", "reason"),
    [
        ('test "$(cat $MCENTER_MODEL_PATH)" = two', True, ""),
        ("echo not good: $KEY; exit 5", False, "the smoke test ended with exit code 5: not good: *****"),
        ("true \0", False, "ValueError: embedded null byte"),
        ("sleep 1000", False, "the smoke test took longer than 1"),
    ],
)
def test_a_model_is_tried_before_the_switch(
    host: RunnerHost, test: str, accepted: bool, reason: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OF_THE_HOST", "hidden by host")
    limit = "1500ms" if "sleep" in test else "1m"
    secrets, first = {"KEY": "env:OF_THE_HOST"}, host.publish_model("m1", b"one")
    key = serve(host, first, secrets, by="signal", smoke_test=test, time_limit=limit)
    second = delivered(host, key, host.publish_model("m2", b"two", "d2"))

    assert second.is_accepted is accepted
    assert second.reason.startswith(reason)
    assert ("has two" in host.texts(key)) is accepted


def test_a_program_that_asks_for_models_itself_is_left_alone_but_for_the_smoke_test(host: RunnerHost):
    test = 'test "$(cat $MCENTER_MODEL_PATH)" != bad'
    key = serve(host, host.publish_model("m1", b"one"), by="question", smoke_test=test)
    run = host.runner._keepers.find(key.run_id, key.attempt)
    assert run is not None
    host.runner.deliver(key, host.publish_model("m2", b"two", "d2"))
    refused = delivered(host, key, host.publish_model("m3", b"bad", "d3"))

    assert (refused.is_accepted, refused.reason) == (False, "the smoke test ended with exit code 1")
    status = host.status(key)
    assert status is not None
    # Whether it has taken the second one is the program's to say.
    assert [each.model_id for each in status.deliveries] == ["m3"]
    assert (status.model_id, status.starts, host.texts(key)) == ("m1", 1, ["has one"])
    assert delivery_book.open_deliveries(run) == []


def test_a_model_of_other_bytes_is_refused(host: RunnerHost):
    key = serve(host, host.publish_model("m1", b"one"), by="signal", time_limit="1s")
    model = host.publish_model("m2", b"two")
    (host.store / "m2").write_bytes(b"TWO")
    second = delivered(host, key, model)

    assert not second.is_accepted
    assert "SHA-256" in second.reason
    assert host.texts(key) == ["has one"]


@pytest.mark.parametrize("file_name", ["..", ".", "a/..", "a\0b"])
def test_a_model_whose_name_is_no_file_is_refused_before_anything_is_written(tmp_path: Path, file_name: str):
    run, _ = RunFolder.accept(tmp_path / "runs", "r1", 1, json.dumps({"mlapp_id": "flights"}))
    (run.path / "models").mkdir()
    (tmp_path / "m").write_bytes(b"other")
    model = ModelSpec(
        model_id="m1", artifact_url=(tmp_path / "m").as_uri(), file_name=file_name, sha256="0" * 64
    )
    with pytest.raises(PreparationError, match="model 'm1' is not used: its file is called"):
        model_files.download(run, model, Settings())
    assert not list((run.path / "models").iterdir())


def test_a_delivery_goes_on_after_the_agent_was_restarted(host: RunnerHost):
    key = serve(host, host.publish_model("m1", b"one"), by="signal", smoke_test="sleep 1")
    model = host.publish_model("m2", b"two", "d2")
    host.runner.deliver(key, model)
    host.restart()

    assert delivered(host, key, model).is_accepted
    assert host.texts(key)[-1] == "has two"


def test_a_model_is_delivered_only_when_it_is_signed_as_the_settings_demand(tmp_path: Path):
    key = new_key().decode()
    settings = Settings(artifacts=ArtifactSettings(trusted_keys=key_id_of(key)))
    run, _ = RunFolder.accept(tmp_path / "runs", "r1", 1, json.dumps({"mlapp_id": "flights"}))
    file = tmp_path / "m"
    file.write_bytes(b"one")
    model = ModelSpec(
        model_id="m1", name="trees", format="Text", artifact_url=file.as_uri(), file_name="m", size_bytes=3,
        sha256=hashlib.sha256(b"one").hexdigest(),
    )  # fmt: skip
    with pytest.raises(PreparationError, match="model 'm1' is not used: it is not signed"):
        model_files.download(run, model, settings)
    for mlapp_id in ("others", "flights"):
        signature = sign(key, signed_row(model.table(), mlapp_id))
        signed = replace(model, signature=signature)
        if mlapp_id == "flights":
            assert model_files.download(run, signed, settings).read_bytes() == b"one"
        else:
            with pytest.raises(PreparationError, match="does not fit"):
                model_files.download(run, signed, settings)


def test_a_model_is_delivered_only_when_it_is_signed_as_the_policy_of_its_node_demands(tmp_path: Path):
    """Whatever the control plane has judged: the agent looks at the signature of the file that it is to fetch."""
    ours, other = (new_key().decode() for _ in range(2))
    run, _ = RunFolder.accept(tmp_path / "runs", "r1", 1, json.dumps({"mlapp_id": "flights"}))
    file = tmp_path / "m"
    file.write_bytes(b"one")
    unsigned = ModelSpec(
        model_id="m1", name="trees", format="Text", artifact_url=file.as_uri(), file_name="m", size_bytes=3,
        sha256=hashlib.sha256(b"one").hexdigest(),
    )  # fmt: skip

    def demanded(model: ModelSpec, by: str = "") -> ModelSpec:
        signature = sign(by, signed_row(model.table(), "flights")) if by else ""
        given = replace(model, signature=signature, signing_keys=[key_id_of(ours)])
        return ModelSpec.of_json(given.json())

    assert model_files.download(run, unsigned, Settings()).read_bytes() == b"one"
    with pytest.raises(PreparationError, match="model 'm1' is not used: it is not signed"):
        model_files.download(run, demanded(unsigned), Settings())  # also when its file is here already
    second = replace(unsigned, model_id="m2")
    for by, why in (("", "it is not signed"), (other, "none of the trusted ones")):
        with pytest.raises(PreparationError, match=f"model 'm2' is not used: .*{why}"):
            model_files.download(run, demanded(second, by), Settings())
    host = Settings(artifacts=ArtifactSettings(trusted_keys=key_id_of(other)))
    with pytest.raises(PreparationError, match="none of the trusted ones"):
        model_files.download(run, demanded(second, ours), host)
    assert model_files.download(run, demanded(second, ours), Settings()).read_bytes() == b"one"


def test_a_model_is_rolled_back_by_an_agent_that_was_killed_in_the_midst_of_its_delivery(host: RunnerHost):
    key = serve(host, host.publish_model("m1", b"one"), by="restart")
    run = host.runner._keepers.find(key.run_id, key.attempt)
    assert run is not None
    model = host.publish_model("m2", b"bad", "d2")
    path = model_files.download(run, model, host.settings)
    model_files.former_of(run, path)
    model_files.switch(run, "m2", path)  # the agent is killed here

    assert not delivered(host, key, model).is_accepted
    wait_for(lambda: host.texts(key)[-1] == "has one", lambda: host.texts(key))
