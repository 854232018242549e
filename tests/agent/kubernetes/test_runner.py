"""Runs in a cluster, through its API as Kubernetes speaks it: started once, followed, ended, given models."""

from __future__ import annotations

import errno
import json
import os
import select
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

import pytest
from starlette.responses import Response

from parallelm.agent.errors import RunImpossibleError
from parallelm.agent.keeping import files
from parallelm.agent.keeping.log_reader import LogReader
from parallelm.agent.kubernetes.objects import object_name
from parallelm.agent.runners import RunKey, RunnerContext, RunStatus
from parallelm.agent.runners.kubernetes import KubernetesRunner
from parallelm.connections.sections import KubernetesSettings, Settings
from parallelm.definitions import parse_definition, running_of, to_record
from parallelm.definitions.run_spec import InputSpec, ModelSpec, RunSpec
from parallelm.definitions.running import RunningForm
from parallelm.supervision.ports import choose_ports
from tests.waiting import wait_for

from .api_server import status
from .small_cluster import SmallCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEADLINE_S = 60


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[SmallCluster]:
    secrets = {
        "database": {"password": "not-for-files"},
        "config": {"MCENTER_KAFKA_TOPIC_PREFIX": "of-the-secret."},
    }
    with SmallCluster(tmp_path, choose_ports({"api": None}, {})["api"], secrets) as found:
        yield found


class Agent:
    """As the agent calls a runner: one thread, woken by its descriptor."""

    def __init__(self, cluster: SmallCluster, folder: Path) -> None:
        self.statuses: dict[RunKey, RunStatus] = {}
        kubernetes = KubernetesSettings(
            namespace="mlops",
            kubeconfig=str(cluster.kubeconfig()),
            image="mcenter:1",
            config_secret="config",  # noqa: S106 - a name
        )
        settings = Settings(kubernetes=kubernetes)
        self.runner = KubernetesRunner(
            RunnerContext(settings=settings, agent_id="agent-1", folder=folder / "runs", supervisor_pid=None)
        )
        self._keep(self.runner.recover())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.close()

    def _keep(self, statuses: Any) -> None:
        self.statuses |= {status.key: status for status in statuses}

    def wait(self, key: RunKey, condition: Callable[[RunStatus], Any], what: str) -> RunStatus:
        ends = time.monotonic() + DEADLINE_S
        while not (key in self.statuses and condition(self.statuses[key])):
            left = ends - time.monotonic()
            assert left > 0, f"{what}: {self.statuses.get(key)}\n{self.log(key)}"
            fd = self.runner.wake_fd()
            assert fd is not None
            select.select([fd], [], [], min(left, 1.0))
            self._keep(self.runner.changed())
        return self.statuses[key]

    def ended(self, key: RunKey) -> RunStatus:
        return self.wait(key, lambda status: status.is_over, "it ends")

    def log(self, key: RunKey) -> list[tuple[str, str]]:
        folder = self.runner.logs(key)
        if folder is None:
            return []
        reader = LogReader(folder)
        try:
            return [(line.step_id, line.text) for line in reader.read(10_000)]
        finally:
            reader.close()


@pytest.fixture
def agent(cluster: SmallCluster, tmp_path: Path) -> Iterator[Agent]:
    with Agent(cluster, tmp_path) as found:
        yield found


def spec(
    *commands: str,
    mode: Literal["offline", "online"] = "offline",
    run: str = "r-1",
    model: ModelSpec | None = None,
    **running: Any,
) -> RunSpec:
    steps = [{"id": f"step{at}", "command": command} for at, command in enumerate(commands)]
    form = RunningForm.model_validate({"steps": steps, "runner": "kubernetes", "stop_grace": "1s"} | running)
    return RunSpec(
        mlapp_id="churn", mlapp_name="Churn", definition_version=1, node_id="train", node_type="model_producer",
        mode=mode, pipeline_instance_id="p-1", run_id=run, running=form.spec(), model=model,
    )  # fmt: skip


def key_of(of: RunSpec) -> RunKey:
    return RunKey(of.run_id, of.attempt)


def test_the_steps_of_a_run_follow_one_another_and_hand_files_on(agent: Agent) -> None:
    run = spec('echo 41 > "$MCENTER_OUTPUT_NUMBER"; echo made in $PM_WORKFLOW_NODE_ID', "true")
    second = replace(
        run.running.steps[1],
        command='echo got $(($(cat "$MCENTER_INPUT_NUMBER") + 1))',
        parents=[InputSpec(parent="step0", output="number")],
    )
    run = replace(run, running=replace(run.running, steps=[run.running.steps[0], second]))
    agent.runner.start(run, None)
    ended = agent.ended(key_of(run))
    assert (ended.outcome, ended.exit_code, ended.starts) == ("succeeded", 0, 1), agent.log(key_of(run))
    # Containers are read apart: what two say within a moment may come in either order.
    assert sorted(agent.log(key_of(run))) == [("", "got 42"), ("step0-1", "made in train")]


def test_a_run_that_fails_says_its_exit_code_and_its_step(agent: Agent) -> None:
    agent.runner.start(run := spec("exit 3", "true"), None)
    ended = agent.ended(key_of(run))
    assert (ended.outcome, ended.exit_code) == ("failed", 3)
    assert "step0-1 ended with exit code 3" in ended.message


def test_a_run_ends_at_its_time_limit(agent: Agent) -> None:
    agent.runner.start(run := spec("sleep 600", time_limit="1s"), None)
    assert agent.ended(key_of(run)).outcome == "timed_out"


def test_secrets_come_from_the_cluster_and_are_in_no_object(agent: Agent, cluster: SmallCluster) -> None:
    run = spec(
        'test "$PASSWORD" = not-for-"files" && test "$MCENTER_KAFKA_TOPIC_PREFIX" = of-the-secret.',
        secrets={"PASSWORD": "kubernetes:database/password"},
    )
    agent.runner.start(run, None)
    assert agent.ended(key_of(run)).outcome == "succeeded"
    assert "not-for-files" not in str(cluster.store.objects)


@pytest.mark.parametrize(
    ("running", "says"),
    [
        ({"secrets": {"PASSWORD": "env:PASSWORD"}}, "write kubernetes:SECRET/KEY"),
        ({"secrets": {"PASSWORD": "kubernetes:database"}}, "write kubernetes:SECRET/KEY"),
        ({"placement": "movable"}, "Kubernetes moves Pods by itself"),
        ({"model_delivery": {"by": "signal"}}, "write restart or question"),
    ],
)
def test_what_a_cluster_cannot_do_is_refused_with_what_to_write(
    agent: Agent, running: dict[str, Any], says: str
) -> None:
    with pytest.raises(RunImpossibleError, match=says):
        agent.runner.start(spec("true", **running), None)


def test_a_node_without_an_image_becomes_a_job_with_the_agents_own(
    agent: Agent, cluster: SmallCluster
) -> None:
    text = """\
mlapp: churn
nodes:
  - {id: train, type: model_producer, runner: kubernetes, pipeline: "true"}
"""
    record = to_record(parse_definition(text, "f"), text, version=1, applied_by="me", event_time_ms=0)
    running = running_of(record.nodes[0])
    assert running is not None
    run = replace(spec(), running=running.spec())
    agent.runner.start(run, None)
    assert agent.ended(key_of(run)).outcome == "succeeded"
    job = cluster.store.get("jobs", object_name(run))
    assert job is not None
    pod = job["spec"]["template"]["spec"]
    assert {each["image"] for each in (*pod["initContainers"], *pod["containers"])} == {"mcenter:1"}


def test_what_the_cluster_refuses_ends_the_run_with_its_words(agent: Agent, cluster: SmallCluster) -> None:
    cluster.store.forbidden.add("jobs")
    agent.runner.start(run := spec("true"), None)
    ended = agent.ended(key_of(run))
    assert (ended.outcome, ended.starts) == ("failed", 0)
    assert ended.message == "Kubernetes refuses it: jobs is forbidden: the agent cannot create it"


def test_a_run_waits_for_a_quota_and_begins_when_there_is_room(agent: Agent, cluster: SmallCluster) -> None:
    run = spec("true")
    used_up = status(403, "Forbidden", "jobs.batch is forbidden: exceeded quota: few")
    counted = status(409, "Conflict", "resourcequotas few: it was modified")
    cluster.store.refusals["POST", "jobs"] = [used_up, counted]
    agent.runner.start(run, None)
    agent.wait(key_of(run), lambda told: "exceeded quota: few" in told.message, "it says why it waits")
    assert agent.ended(key_of(run)).outcome == "succeeded"


def test_a_run_that_cannot_be_ended_is_not_told_as_over(agent: Agent, cluster: SmallCluster) -> None:
    run = spec("sleep 600", mode="online")
    forbidden = status(403, "Forbidden", "the agent cannot delete it")
    cluster.store.refusals["DELETE", "deployments"] = [forbidden, forbidden]
    agent.runner.start(run, None)
    agent.wait(key_of(run), lambda told: told.starts, "it begins")
    agent.runner.stop(key_of(run), "enough", "stopped")
    agent.wait(
        key_of(run), lambda told: "cannot delete it" in told.message and not told.is_over, "it goes on"
    )
    assert agent.ended(key_of(run)).outcome == "stopped"
    assert cluster.store.objects == {}


def test_a_model_that_the_cluster_refuses_leaves_the_run_as_it_was(
    agent: Agent, cluster: SmallCluster, tmp_path: Path
) -> None:
    run = spec("exec sleep 600", mode="online", model=model(tmp_path, "first"))
    agent.runner.start(run, None)
    agent.wait(key_of(run), lambda told: told.starts, "it begins")
    cluster.store.refusals["PUT", "deployments"] = [status(403, "Forbidden", "a webhook denied it")]
    agent.runner.deliver(key_of(run), model(tmp_path, "second"))
    told = agent.wait(key_of(run), lambda each: each.deliveries, "the model is refused")
    assert told.deliveries[0].reason == "Kubernetes refuses it: a webhook denied it"
    assert (told.deliveries[0].is_accepted, told.is_over, told.model_id) == (False, False, "first")


def test_a_watch_goes_on_after_an_answer_that_is_cut_off(agent: Agent, cluster: SmallCluster) -> None:
    for plural in ("jobs", "pods"):
        cluster.store.refusals["GET", plural] = [Response('{"items": [], "meta'), Response('{"items": null}')]
    cluster.stop_serving()  # every watch is begun anew
    cluster.serve()
    agent.runner.start(run := spec("true"), None)
    assert agent.ended(key_of(run)).outcome == "succeeded"


def test_a_run_is_started_once_whoever_ends_when(cluster: SmallCluster, tmp_path: Path) -> None:
    run = spec("echo started >> %s; sleep 1" % (tmp_path / "starts"))
    with Agent(cluster, tmp_path) as first:
        first.runner.start(run, None)
        first.runner.start(run, None)
        first.wait(key_of(run), lambda status: status.starts, "it begins")
        state = tmp_path / "runs" / f"{run.run_id}.1" / "cluster.json"
    state.unlink()  # as if the agent had been killed between the cluster's answer and the disk
    with Agent(cluster, tmp_path) as second:
        second.runner.start(run, None)
        assert second.ended(key_of(run)).outcome == "succeeded"
    assert (tmp_path / "starts").read_text() == "started\n"
    assert cluster.store.created.count(("jobs", object_name(run))) == 1


def test_an_ended_run_is_told_until_it_is_settled_and_deleted_when_it_is_old(
    cluster: SmallCluster, tmp_path: Path
) -> None:
    run = spec("true")
    folder = tmp_path / "runs" / f"{run.run_id}.1"
    with Agent(cluster, tmp_path) as first:
        first.runner.start(run, None)
        first.ended(key_of(run))
    with Agent(cluster, tmp_path) as second:
        assert second.statuses[key_of(run)].outcome == "succeeded"
        second.runner.settle(second.statuses[key_of(run)])
    with Agent(cluster, tmp_path) as third:
        assert third.statuses == {}
        assert third.runner.logs(key_of(run)) == folder / "logs"
    end = json.loads((folder / "end.json").read_text())
    (folder / "end.json").write_text(json.dumps(end | {"ended_at_ms": 1}))
    with Agent(cluster, tmp_path) as fourth:
        wait_for(lambda: fourth.runner.logs(key_of(run)) is None)
    assert not folder.exists()


def test_runs_go_on_while_the_cluster_does_not_answer(
    cluster: SmallCluster, agent: Agent, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    agent.runner.start(run := spec(f"echo before; cat {go}; echo after"), None)
    agent.wait(key_of(run), lambda status: status.starts, "it begins")
    cluster.stop_serving()
    agent.runner.start(later := spec("echo later", run="r-2"), None)
    go.write_text("now\n")
    cluster.serve()
    assert agent.ended(key_of(run)).outcome == "succeeded"
    assert agent.ended(key_of(later)).outcome == "succeeded"
    assert agent.log(key_of(run)) == [("", "before"), ("", "now"), ("", "after")]


def test_a_run_is_stopped_by_its_own_signal_handling_and_leaves_nothing(
    agent: Agent, cluster: SmallCluster
) -> None:
    agent.runner.start(
        run := spec("trap 'echo bye; exit 0' TERM; echo up; while true; do sleep 0.1; done", mode="online"),
        None,
    )
    agent.wait(key_of(run), lambda status: status.starts, "it begins")
    agent.runner.stop(key_of(run), "the MLApp was stopped", "stopped")
    ended = agent.ended(key_of(run))
    assert (ended.outcome, ended.message) == ("stopped", "the MLApp was stopped")
    assert cluster.store.objects == {}


def test_what_a_full_disk_refuses_is_not_taken_for_asked(
    cluster: SmallCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run = spec("sleep 600", mode="online")
    with Agent(cluster, tmp_path) as agent:
        agent.runner.start(run, None)
        agent.wait(key_of(run), lambda status: status.starts, "it begins")
        with monkeypatch.context() as patched:
            patched.setattr(files, "_write", full)
            with pytest.raises(OSError, match="No space left"):
                agent.runner.stop(key_of(run), "enough", "stopped")
        agent.runner.stop(key_of(run), "enough", "stopped")  # the agent asks again
        (known,) = (tmp_path / "runs").glob("*/cluster.json")
        assert json.loads(known.read_text())["stop"] == "enough"
        assert agent.ended(key_of(run)).outcome == "stopped"


def test_what_somebody_deletes_is_told_as_lost(agent: Agent, cluster: SmallCluster) -> None:
    agent.runner.start(run := spec("sleep 600", mode="online"), None)
    agent.wait(key_of(run), lambda status: status.starts, "it begins")
    deployment = cluster.store.get("deployments", object_name(run))
    assert deployment is not None
    deployment["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.store.put("deployments", deployment, "MODIFIED")
    ended = agent.ended(key_of(run))
    assert ended.outcome == "lost"
    assert "somebody has deleted Deployment" in ended.message


def test_a_service_that_ends_is_started_again(agent: Agent) -> None:
    agent.runner.start(run := spec("echo hello", mode="online"), None)
    assert not agent.wait(key_of(run), lambda status: status.starts >= 3, "it is started again").is_over


def model(tmp_path: Path, name: str) -> ModelSpec:
    import hashlib

    file = tmp_path / f"{name}.txt"
    file.write_text(name)
    return ModelSpec(
        model_id=name, artifact_url=file.as_uri(), file_name=file.name, size_bytes=len(name),
        sha256=hashlib.sha256(name.encode()).hexdigest(), deployment_id=f"deploy-{name}",
    )  # fmt: skip


def test_a_service_is_given_a_model_and_keeps_the_old_one_when_the_new_one_fails_its_test(
    agent: Agent, tmp_path: Path
) -> None:
    serve = 'echo serves $(cat "$MCENTER_MODEL_PATH"); exec sleep 600'
    run = spec(
        serve, mode="online", model=model(tmp_path, "first"),
        model_delivery={"by": "restart", "smoke_test": 'test "$(cat "$MCENTER_MODEL_PATH")" != broken', "time_limit": "20s"},
    )  # fmt: skip
    key = key_of(run)
    agent.runner.start(run, None)
    agent.wait(key, lambda status: status.starts, "it begins")
    agent.runner.deliver(key, model(tmp_path, "second"))
    agent.runner.deliver(key, model(tmp_path, "second"))
    taken = agent.wait(key, lambda status: status.deliveries, "the second model is taken")
    assert [(each.model_id, each.is_accepted) for each in taken.deliveries] == [("second", True)]
    assert taken.model_id == "second"
    agent.runner.settle(taken)
    agent.runner.deliver(key, model(tmp_path, "broken"))
    refused = agent.wait(
        key,
        lambda status: status.deliveries and not status.deliveries[-1].is_accepted,
        "the broken model is refused",
    )
    assert refused.model_id == "second"
    assert "smoke-test ended with exit code 1" in refused.deliveries[-1].reason
    lines = agent.log(key)
    assert ("", "serves second") in lines
    assert ("", "serves broken") not in lines
