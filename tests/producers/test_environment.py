"""What a component learns of agents, runs and models that agents have run: answered from the platform's own records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from parallelm.schemas import records, topics
from tests.producers.definitions import definition
from tests.sinks import samples
from tests.sinks.samples import T0_MS

if TYPE_CHECKING:
    from typing import Any

    from tests.producers.conftest import ComponentOnPlatform

ASK = """
import json
from parallelm.mlops import mlops
mlops.init()
def rows(frame, *columns):
    return json.loads(frame[list(columns)].to_json(orient="values"))
nodes = {node.id: node for node in mlops.nodes}
current = mlops.get_current_node()
answers = {
    "current": [current.id, current.ee_id, current.pipeline_instance_id],
    "instances": [nodes["predict"].pipeline_instance_id, nodes["predict"].ee_id, nodes["predict"].pipeline_agent_set],
    "agents": [[agent.id, agent.hostname, agent.state, agent.labels] for agent in mlops.get_agents("Prediction")],
    "run": mlops.get_run_id(),
    "runs": rows(mlops.get_runs(), "run_id", "state", "node", "agent", "attempt"),
    "waiting": rows(mlops.get_runs(state="waiting"), "run_id", "reason"),
    "of a node": rows(mlops.get_runs("Training", "host-1"), "run_id"),
    "models": rows(mlops.get_pipeline_models(), "role", "node", "agent", "run_id", "model_id"),
}
mlops.done()
print(json.dumps(answers))
"""


def agent(name: str, node: str, instance: str, run_id: str, **changes: Any) -> records.AgentState:
    pipeline = records.PipelineState(
        mlapp_id="app", node_id=node, pipeline_instance_id=instance, state="running", pid=7, since_ms=T0_MS, message="",
        run_id=run_id, attempt=1,
    )  # fmt: skip
    return samples.agent(agent_id=name, hostname=f"{name}.example", pipelines=[pipeline], **changes)


def test_agents_runs_and_models_are_told_as_they_are_now(platform: ComponentOnPlatform) -> None:
    predicting = {"node_id": "predict", "pipeline_instance_id": "instance-p", "model_id": "m-1"}
    training = {"node_id": "train", "pipeline_instance_id": "instance-t", "model_id": ""}
    sent: list[tuple[topics.Topic, Any]] = [
        (topics.MLAPPS, definition()),
        (topics.AGENTS, agent("host-1", "train", "instance-t", "r-2")),
        (topics.AGENTS, agent("host-2", "predict", "instance-p", "s-1", state="draining", labels={"gpu": "yes"})),
        (topics.RUNS, samples.run_transition("running", "r-1", T0_MS, **training)),
        (topics.MODELS, samples.model("m-1", event_time_ms=T0_MS + 1, origin=_origin("train", "instance-t"))),
        (topics.RUNS, samples.run_transition("succeeded", "r-1", T0_MS + 2, **training)),
        (topics.RUNS, samples.run_transition("running", "s-1", T0_MS + 3, agent_id="host-2", **predicting)),
        (topics.RUNS, samples.run_transition("waiting", "r-2", T0_MS + 4, due_at_ms=T0_MS + 4, reason="no agent", **training)),
        # Predicted elsewhere before, under the same instance.
        (topics.RUNS, samples.run_transition("stopped", "s-0", T0_MS - 9, due_at_ms=T0_MS - 9, agent_id="host-3", **predicting)),
    ]  # fmt: skip
    for topic, record in sent:
        platform.produce(topic, record, topic.key(record).decode())
    platform.rows("SELECT count() FROM run_transitions", lambda rows: rows[0][0] == 5)
    platform.rows("SELECT count() FROM agents", lambda rows: rows[0][0] == 2)
    platform.rows("SELECT 1 FROM models")
    platform.rows("SELECT 1 FROM mlapps")

    output = json.loads(platform.run(ASK, PM_PIPELINE_INSTANCE_ID="instance-t", MCENTER_RUN_ID="r-2"))
    assert output["current"] == ["train", "host-1", "instance-t"]
    assert output["instances"] == ["instance-p", "host-2", {"host-2": "instance-p", "host-3": "instance-p"}]
    assert output["agents"] == [
        ["host-2", "host-2.example", "draining", {"gpu": "yes"}],
        ["host-3", "host-3", "", {}],
    ]
    assert output["run"] == "r-2"
    assert output["runs"] == [
        ["s-0", "stopped", "Prediction", "host-3", 1],
        ["r-1", "succeeded", "Training", "host-1", 1],
        ["s-1", "running", "Prediction", "host-2", 1],
        ["r-2", "waiting", "Training", "", 1],
    ]
    assert output["waiting"] == [["r-2", "no agent"]]
    assert output["of a node"] == [["r-1"]]
    assert output["models"] == [
        ["produced", "Training", "host-1", "r-1", "m-1"],
        ["consumed", "Prediction", "host-2", "s-1", "m-1"],
    ]


def _origin(node_id: str, instance: str) -> records.Origin:
    return records.Origin(mlapp_id="app", node_id=node_id, pipeline_instance_id=instance, agent_id="host-1")
