"""Launch, runs, models and restarts on the real broker, with the processors as a process and agents on the real topics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parallelm.operations.actions import new_action
from parallelm.operations.runs import decide_runs
from parallelm.schemas.records import DeploymentState, RunReportKind, RunState
from parallelm.schemas.topics import ACTIONS, DEAD_LETTERS, DEPLOYMENTS, RUNS
from tests.people import person
from tests.stream_processors.live import Worker
from tests.waiting import wait_for

from .tiny_agent import TinyAgent

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stream_processors.live import Cluster

FLOW = """\
mlapp: app
nodes:
  - {id: train, type: model_producer, pipeline: "true", parallelism: 20}
  - {id: report, type: auxiliary, pipeline: "true", parents: [train]}
  - {id: serve, type: model_consumer, mode: online, pipeline: sleep 1000, consumes: [train]}
  - {id: gpu, type: auxiliary, pipeline: "true", agents: {gpu: "yes"}}
"""
ENDS = {RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED, RunState.MISSED, RunState.LOST}


def decide(cluster: Cluster, action: str, **more: Any) -> list[str]:
    answers = decide_runs(cluster.settings, action, cluster.mlapp, who=person("ann"), **more)
    return [each.state.value for each in answers]


def last(cluster: Cluster) -> dict[str, Any]:
    """The newest transition of each run."""
    return {each.run_id: each for each in cluster.read(RUNS) if each.run_id}


def of_node(cluster: Cluster, node_id: str) -> list[Any]:
    return [each for each in last(cluster).values() if each.node_id == node_id]


def test_a_launch_runs_what_is_due_and_a_stop_ends_it(own: Cluster, tmp_path: Path) -> None:
    with Worker(own.settings, tmp_path) as _, TinyAgent(own.settings, "host-a") as agent:
        own.apply(FLOW)
        assert "launched" in decide(own, "launch")
        wait_for(lambda: [each.state for each in of_node(own, "report")] == [RunState.SUCCEEDED])
        assert [each.state for each in of_node(own, "train")] == [RunState.SUCCEEDED] * 20
        wait_for(lambda: [each.state for each in of_node(own, "serve")] == [RunState.RUNNING])
        (waiting,) = of_node(own, "gpu")
        assert (
            waiting.reason
            == "waits for an agent with label gpu=yes: there is none; 'host-a' has not label gpu=yes"
        )
        with TinyAgent(own.settings, "host-b", {"gpu": "yes"}):
            wait_for(lambda: of_node(own, "gpu")[0].state is RunState.SUCCEEDED)
            assert decide(own, "launch") == ["refused"]
            assert decide(own, "run_node", node_id="train") == ["assigned"] * 20
            decide(own, "stop")
            wait_for(lambda: all(each.state in ENDS for each in last(own).values()))
            assert decide(own, "delete") == ["deleted"]
        assert all(count == 1 for count in agent.seen.values())
    assert own.read(DEAD_LETTERS) == []


def test_a_model_goes_to_what_runs_and_is_live_once_its_agent_has_switched(
    own: Cluster, tmp_path: Path
) -> None:
    with Worker(own.settings, tmp_path) as _, TinyAgent(own.settings, "host-a") as agent:
        own.apply(FLOW)
        decide(own, "launch")
        wait_for(lambda: [each.state for each in of_node(own, "serve")] == [RunState.RUNNING])

        def states(model: str) -> list[DeploymentState]:
            return [each.state for each in own.read(DEPLOYMENTS) if each.model_id == model]

        for number, (model, kind) in enumerate(
            {"m1": RunReportKind.MODEL_ACCEPTED, "m2": RunReportKind.MODEL_REFUSED}.items()
        ):
            own.model(number, model)
            own.flush()
            wait_for(lambda many=number: len(agent.delivered) == many + 1)  # type: ignore[misc]
            delivery = agent.delivered[-1]
            assert f'"model_id":"{model}"' in delivery.spec_json
            assert '"deployment_id":' in delivery.spec_json
            agent.answer(delivery, kind, model, "its smoke test failed" if model == "m2" else "")
        wait_for(lambda: DeploymentState.FAILED in states("m2"))
        assert states("m1")[-1] is DeploymentState.ACTIVE
        failed = next(each for each in own.read(DEPLOYMENTS) if each.state is DeploymentState.FAILED)
        assert failed.reason == "agent 'host-a' refused it: its smoke test failed"
        # A service that somebody stops begins anew, with the model that is live.
        (run,) = of_node(own, "serve")
        decide(own, "stop_run", run_id=run.run_id)
        wait_for(lambda: len(of_node(own, "serve")) == 2)
        wait_for(lambda: "m1" in {each.model.model_id for each in agent.specs.values() if each.model})


def test_a_control_plane_that_is_killed_in_a_launch_loses_and_doubles_no_run(
    own: Cluster, tmp_path: Path
) -> None:
    own.apply(FLOW)
    action = new_action("launch", own.mlapp, who=person("ann"))
    worker = Worker(own.settings, tmp_path)
    with TinyAgent(own.settings, "host-a") as agent, worker.gone_at_the_end():
        worker.start()
        own.send_bytes(ACTIONS, own.mlapp.encode(), own.codec.encode(action))
        own.flush()
        for _ in range(4):
            seen = len(own.read(RUNS))
            wait_for(lambda before=seen: len(own.read(RUNS)) > before or _is_over(own))  # type: ignore[misc]
            worker.kill()
            worker.start()
        wait_for(lambda: _is_over(own))
        assert [each.state for each in of_node(own, "train")] == [RunState.SUCCEEDED] * 20
        transitions = own.read(RUNS)
        assert len({each.transition_id for each in transitions}) == len(transitions)
        assert all(count == 1 for count in agent.seen.values())
        assert len(agent.specs) == 22


def _is_over(cluster: Cluster) -> bool:
    states = {node_id: [each.state for each in of_node(cluster, node_id)] for node_id in ("report", "serve")}
    return states == {"report": [RunState.SUCCEEDED], "serve": [RunState.RUNNING]}
