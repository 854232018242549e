"""Lines of the contract: what components ask about their MLApp and about what was reported."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from parallelm.mlops import mlops
from parallelm.mlops.events.event_broker import EventBroker
from parallelm.mlops.events.event_filter import EventFilter
from parallelm.mlops.events.event_type import EventType
from parallelm.mlops.examples.utils import _get_agent_id
from parallelm.mlops.ion.ion import Agent, MLAppNode, Policy
from tests.producers.contract.line import FIRST, LAST, REFUSED, Line
from tests.producers.contract.model_lines import DEPLOYED, WEIGHTS, made

if TYPE_CHECKING:
    from collections.abc import Callable

PLACE: Final = {"node": "Training", "agent": "host-1"}
FORMATS: Final = {
    "JSON": "Json",
    "SAVEDMODEL": "Savedmodel",
    "SPARKML": "SparkML",
    "BINARY": "Binary",
    "TEXT": "Text",
    "SCIKIT_LEARN_2": "ScikitLearn_2",
    "SCIKIT_LEARN_3": "ScikitLearn_3",
    "H2O_3": "H2O_3",
    "H2O_DRIVERLESS_AI": "H2O_Driverless_AI",
    "PMML": "Pmml",
    "ONNX": "Onnx",
    "PYTORCH": "Pytorch",
    "XGBOOST": "Xgboost",
    "MLFLOW": "Mlflow",
}
PUBLISHED: Final = sorted([*([*pair, ""] for pair in FORMATS.items()), [DEPLOYED, "Text", "of the walk"]])
POLICY: Final = ["Policy:", "healthThreshold: 0.2", "canaryThreshold: 0.5"]
OF_THE_WALK: Final = [
    {"name": DEPLOYED, "size": 7, "annotations": {"trees": 7, "tags": ["a", "é"]}, "data": WEIGHTS}
]


def frame(name: str, **wanted: Any) -> Any:
    """The frame of a statistic, with its place and without its times, which differ by line."""
    found = mlops.get_stats(name, wanted.get("node"), wanted.get("agent"), FIRST, LAST)
    assert found is not None
    assert found.empty or found["time"].notna().all()
    return found.drop(columns="time", errors="ignore")


def asked(call: Callable[[], Any], answer: Any) -> Line:
    """A query that has no answer stand-alone."""
    return Line(call, answers=REFUSED, connected=answer, asks=True)


def answered(call: Callable[[], Any], stand_alone: Any, connected: Any) -> Line:
    """A question with an answer in both modes."""
    return Line(call, answers=stand_alone, connected=connected, asks=True)


def models_found(**wanted: Any) -> list[Any]:
    """What is known of the models that the walk published."""
    found = mlops.get_models_by_time(datetime(2012, 12, 31), LAST, **wanted)  # noqa: DTZ001
    assert found is not None
    columns = ["name", "format", "description"]
    return sorted(found[columns].to_numpy().tolist())


def fields(node: MLAppNode) -> list[Any]:
    """All that a node holds."""
    return [
        node.name,
        node.id,
        node.pipeline_pattern_id,
        node.pipeline_agent_set,
        node.ee_id,
        node.pipeline_instance_id,
    ]


def columns(found: Any) -> list[int]:
    """How many columns and rows a frame has."""
    return [len(found.columns), len(found)]


def titles(found: Any) -> Any:
    """Titles and types of events; None when there are none."""
    return None if found is None else sorted(set(zip(found["title"], found["type"], strict=True)))


QUESTIONS: Final = {
    "MLOps.get_mlapp_id": answered(mlops.get_mlapp_id, "1", "app"),
    "MLOps.mlapp_id": answered(lambda: mlops.mlapp_id, "1", "app"),
    "MLOps.get_mlapp_name": answered(mlops.get_mlapp_name, "ION_1", "Flights"),
    "MLOps.mlapp_name": answered(lambda: mlops.mlapp_name, "ION_1", "Flights"),
    "MLOps.get_mlapp_policy": answered(
        lambda: str(mlops.get_mlapp_policy()).splitlines()[:3],
        ["None"],
        POLICY,
    ),
    "MLOps.mlapp_policy": answered(
        lambda: mlops.mlapp_policy and mlops.mlapp_policy.model_policy, None, "MANUAL"
    ),
    "MLOps.get_nodes": answered(
        lambda: [node.name for node in mlops.get_nodes()], [], ["Training", "Prediction"]
    ),
    "MLOps.nodes": answered(lambda: [node.id for node in mlops.nodes], [], ["train", "predict"]),
    "MLOps.get_node": answered(lambda: (node := mlops.get_node("Training")) and node.id, None, "train"),
    "MLOps.get_node of no such name": answered(lambda: mlops.get_node("Nobody"), None, None),
    "MLOps.get_current_node": asked(lambda: mlops.get_current_node().name, "Training"),
    "MLOps.get_agents": asked(
        lambda: [[agent.id, agent.hostname] for agent in mlops.get_agents("Training")], [["host-1", "host-1"]]
    ),
    "MLOps.get_agents of no such node": asked(lambda: mlops.get_agents("Nobody"), REFUSED),
    "MLOps.get_agent": asked(lambda: mlops.get_agent("Training", "host-1").id, "host-1"),  # type: ignore[union-attr]
    "MLOps.get_agent of no such id": asked(lambda: mlops.get_agent("Training", "host-9"), None),
    "MLOps.get_run_id": answered(mlops.get_run_id, "", ""),
    "MLOps.get_runs": asked(lambda: columns(mlops.get_runs("Training")), [17, 0]),
    "MLOps.get_runs of no such node": asked(lambda: mlops.get_runs("Nobody"), REFUSED),
    "MLOps.get_runs in the wrong order of times": Line(
        lambda: mlops.get_runs(start_time=LAST, end_time=FIRST), answers=REFUSED
    ),
    "MLOps.get_pipeline_models": asked(
        lambda: sorted(set(mlops.get_pipeline_models("Training")["role"])),  # type: ignore[index]
        ["produced"],
    ),
    "ion.ion.MLAppNode": answered(
        lambda: fields(mlops.get_node("Training") or MLAppNode()),
        ["", "", "", {}, "", ""],
        ["Training", "train", "train.py", {"host-1": "pipeline-1"}, "", "pipeline-1"],
    ),
    "ion.ion.Agent": Line(lambda: [Agent().id, Agent().hostname], answers=["", ""]),
    "ion.ion.Policy": Line(
        lambda: str(Policy(0.2, 0.5, "MANUAL")).splitlines()[:3],
        answers=POLICY,
    ),
    "examples.utils._get_agent_id": asked(lambda: _get_agent_id("Training"), "host-1"),
    "MLOps.get_stats of a number": asked(lambda: frame("pipelinestat.count"), [{"value": 7.0} | PLACE]),
    "MLOps.get_stats of a node's agent": asked(
        lambda: frame("pipelinestat.count", node="Training", agent="host-1"), [{"value": 7.0} | PLACE]
    ),
    "MLOps.get_stats of another agent": asked(
        lambda: frame("pipelinestat.count", node="Training", agent="host-9"), []
    ),
    "MLOps.get_stats of an agent without a node": asked(
        lambda: frame("pipelinestat.count", agent="host-1"), REFUSED
    ),
    "MLOps.get_stats of lines": asked(lambda: frame("loss"), [{"a": 1.0} | PLACE]),
    "MLOps.get_stats of a table": asked(
        lambda: frame("a table"), [{"row_name": "r", "values": [1], "columns": ["a"]} | PLACE]
    ),
    "MLOps.get_stats of bars": asked(
        lambda: frame("some bars"),
        [
            {"hist_type": "categorical", "hist_values": [1], "bin_edges": ["a"], "stat_name": "some bars"}
            | PLACE
        ],
    ),
    "MLOps.get_stats of ranges": asked(
        lambda: frame("PredictionHistogram"),
        [
            {
                "hist_type": "continuous",
                "hist_values": [1, 9],
                "bin_edges": [0.0, 0.5, 1.0],
                "stat_name": "PredictionHistogram",
            }
            | PLACE
        ],
    ),
    "MLOps.get_stats of opaque data": asked(lambda: frame("some data"), [{"data": "text"} | PLACE]),
    "MLOps.get_stats of a graph": asked(
        lambda: frame("a graph")[["x_series", "y_series", "node"]],
        [{"x_series": [1, 2], "y_series": [{"label": "y", "data": [3, 4.5]}], "node": "Training"}],
    ),
    "MLOps.get_stats of what nobody reported": asked(lambda: frame("nothing"), []),
    "MLOps.get_kpi": asked(
        lambda: mlops.get_kpi("on-time", FIRST, LAST)[["value", "labels"]],  # type: ignore[index]
        [{"value": 0.75, "labels": {"carrier": "UA"}}],
    ),
    "MLOps.get_events": asked(
        lambda: titles(mlops.get_events(EventType.System, start_time=FIRST, end_time=LAST)),
        [["t", "GenericSystemAlert"]],
    ),
    "MLOps.get_events that are no alerts": asked(
        lambda: titles(mlops.get_events(EventType.System, start_time=FIRST, end_time=LAST, is_alert=False)),
        [["e", "GenericSystemAlert"]],
    ),
    "MLOps.get_events of another node": asked(
        lambda: titles(mlops.get_events(mlapp_node="Prediction", is_alert=None)), None
    ),
    "events.event_broker.EventBroker.get_events": asked(
        lambda: titles(EventBroker(mlops).get_events(EventFilter(type="GenericSystemAlert"))),
        [["e", "GenericSystemAlert"], ["t", "GenericSystemAlert"]],
    ),
    "events.event_filter.EventFilter": asked(
        lambda: titles(
            EventBroker(mlops).get_events(
                EventFilter("GenericHealthAlert", "Training", "host-1", FIRST, LAST, True)
            )
        ),
        [["e", "GenericHealthAlert"], ["t", "GenericHealthAlert"]],
    ),
    "MLOps.get_models_by_time": answered(models_found, PUBLISHED, PUBLISHED),
    "MLOps.get_models_by_time of a pipeline": asked(
        lambda: models_found(pipeline_name="train.py"), PUBLISHED
    ),
    "MLOps.get_models_by_time of another pipeline": asked(
        lambda: models_found(pipeline_name="predict.py"), []
    ),
    "MLOps.get_models_by_time of no pipeline": asked(
        lambda: models_found(pipeline_name="nothing.py"), REFUSED
    ),
    "MLOps.get_model_by_id": answered(
        lambda: mlops.get_model_by_id(made(), download=True)[["name", "size", "annotations", "data"]],  # type: ignore[index]
        OF_THE_WALK,
        OF_THE_WALK,
    ),
    "MLOps.get_data_distribution_stats": asked(
        lambda: mlops.get_data_distribution_stats(made().get_id())[["stat_name", "hist_type"]],  # type: ignore[index]
        [{"stat_name": name, "hist_type": "continuous"} for name in ("c0", "c1")],
    ),
}
