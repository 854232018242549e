"""An MLApp that agents run, as the original's clients are told of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from parallelm.operations.definitions import apply_definition, validate_definition
from parallelm.schemas.records import RunState
from parallelm.schemas.topics import RUNS
from tests.people import person
from tests.server.run_records import send, transition
from tests.waiting import wait_for

if TYPE_CHECKING:
    import httpx

    from parallelm.connections import Settings

TWICE = """\
mlapp: twice
nodes:
  - {id: train, type: model_producer, schedule: "30 2 * * 1-5", steps: [{command: python train.py}]}
  - {id: clean, type: auxiliary}
  - {id: serve, type: model_consumer, mode: online, parents: [train, clean], consumes: [train], parallelism: 2,
     default_model: model-of-old, steps: [{command: python serve.py}]}
policy: {model_policy: manual}
"""


def test_an_mlapp_that_agents_run_is_told_with_its_launch_and_its_instances(
    client: httpx.Client, platform: Settings
):
    apply_definition(platform, validate_definition(TWICE.encode(), "twice.yaml"), who=person("ada"))
    now_ms = time.time_ns() // 1_000_000
    own: dict[str, Any] = {"mlapp_id": "twice"}

    def instance() -> Any:
        answer = client.get("/workflows/instances/twice")
        return answer.json() if answer.status_code == 200 else {"status": ""}

    wait_for(lambda: instance()["status"] == "Accepted", lambda: str(instance()))
    launched = transition("", "", RunState.LAUNCHED, now_ms, who="bob", **own)
    runs = [
        transition(
            f"twice-{number}", "serve", RunState.RUNNING, now_ms, pipeline_instance_id=f"twice-instance-{number}",
            instance=number, agent_id=f"agent-{number}", **own,
        )
        for number in range(2)
    ]  # fmt: skip
    send(platform, *((RUNS, each) for each in (launched, *runs)))

    def serving_in(told: Any) -> list[Any]:
        return [
            each
            for each in told.get("pipelineInstances", ())
            if each["workflowNodeId"] == "serve" and each["agentId"]
        ]

    wait_for(
        lambda: instance()["status"] == "Running" and len(serving_in(instance())) == 2,
        lambda: str(instance()),
    )
    told = instance()
    assert (told["status"], told["createdBy"], told["launchTime"]) == ("Running", "bob", now_ms)
    serving = serving_in(told)
    assert {(each["pipelineInstanceId"], each["agentId"]) for each in serving} == {
        ("twice-instance-0", "agent-0"), ("twice-instance-1", "agent-1"),
    }  # fmt: skip
    assert {each["defaultModelId"] for each in serving} == {"model-of-old"}
    nodes = {each["id"]: each for each in told["workflow"]["workflow"]}
    assert (nodes["serve"]["parallelism"], nodes["serve"]["parent"]) == (2, ["train", "clean"])
    assert nodes["train"]["cronSchedule"] == "0 30 2 ? * 2-6"
    stopped = transition("", "", RunState.STOPPED, now_ms + 1_000, who="eve", **own)
    send(platform, (RUNS, stopped))
    wait_for(lambda: instance()["status"] == "Stopped", lambda: str(instance()))
    assert (instance()["createdBy"], instance()["launchTime"]) == ("bob", now_ms)
