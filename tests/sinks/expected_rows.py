"""The row that each record makes, of the topics whose records make one row."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from tests.sinks import samples
from tests.sinks.samples import T0_MS

T0 = datetime.fromtimestamp(T0_MS / 1000, UTC)
SINGLE_ROWS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "structured-statistics": (
        samples.structured(),
        "structured_statistics",
        {
            "mlapp_id": "app",
            "node_id": "predict",
            "pipeline_instance_id": "pi-1",
            "agent_id": "host-1",
            "producer_id": "p-1",
            "seq": 1,
            "event_time": T0,
            "name": "continuousDataHistogram",
            "labels": {"a": "1", "b": "2"},
            "data": '{"a": 1}',
            "histograms.feature": ["temp", "carrier"],
            "histograms.kind": ["continuous", "categorical"],
            "histograms.edges": [[-math.inf, 0.0, math.inf], []],
            "histograms.categories": [[], ["UA", "é"]],
            "histograms.weights": [[0.25, 0.75], [0.5, 0.5]],
            "histograms.row_count": [100, 100],
            "histograms.missing_count": [4, 0],
        },
    ),
    "events": (
        samples.event(),
        "events",
        {
            "event_id": "p-1/2",
            "type": "GenericDataAlert",
            "title": "title",
            "description": "text",
            "is_alert": True,
            "model_id": "m-1",
            "data": b"\xff\x00\x80",
            "event_time": T0,
        },
    ),
    "kpis": (
        samples.kpis(("on-time rate", {"carrier": "UA"}, T0_MS, 0.81)),
        "kpis",
        {
            "name": "on-time rate",
            "labels": {"carrier": "UA"},
            "event_time": T0,
            "value": 0.81,
            "source": "kpis.csv",
            "_index": 0,
        },
    ),
    "models": (
        samples.model(),
        "models",
        {
            "model_id": "m-1",
            "format": "ScikitLearn_3",
            "size_bytes": 12_345_678_901,
            "sha256": "ab" * 32,
            "is_directory": False,
            "annotations": {"auc": "0.7"},
            "artifact_url": "file:///models/m-1",
        },
    ),
    "mlapps": (
        samples.definition(),
        "mlapps",
        {
            "mlapp_id": "app",
            "is_deleted": False,
            "version": 2,
            "model_policy": "canary",
            "canary_threshold": -1.0,
            "nodes.node_id": ["predict"],
            "nodes.parents": [["train"]],
            "rules.name": ["slow"],
            "rules.for_ms": [60_000],
            "source_yaml": "name: App\n",
        },
    ),
    "alerts": (
        samples.alert("firing"),
        "alert_transitions",
        {
            "state": "firing",
            "previous_state": "pending",
            "value": 3.5,
            "labels": {"feature": "temp"},
            "cause_topic": "mlops.models",
            "cause_partition": 3,
            "cause_offset": 17,
            "reason": "because firing",
        },
    ),
    "deployments": (
        samples.deployment("requested"),
        "deployment_transitions",
        {
            "state": "requested",
            "previous_state": "unknown",
            "policy": "always_update",
            "deployment_id": "app/predict/m-1",
            "decided_at": datetime.fromtimestamp(T0_MS / 1000 + 0.005, UTC),
        },
    ),
    "actions": (
        samples.action(),
        "actions",
        {"who": "someone", "action": "approve", "parameters": {"k": "v"}},
    ),
    "agents": (
        samples.agent(),
        "agents",
        {
            "agent_id": "host-1",
            "is_deleted": False,
            "pipelines.state": ["running"],
            "pipelines.pid": [123],
            "pipelines.since": [T0],
            "labels": {"gpu": "no"},
        },
    ),
    "notifications": (
        samples.notification(),
        "notifications",
        {
            "notification_id": "n-1",
            "state": "sent",
            "target": "team/email/0",
            "group_labels": {"alertname": "drift"},
            "mlapp_ids": ["app"],
            "transition_ids": ["t-1", "t-2"],
            "created_at": T0,
        },
    ),
    "predictions": (
        samples.predictions(["f-1"], scores=[0.25], features={"carrier": ["UA"], "gate": [""]}),
        "predictions",
        {
            "mlapp_id": "app",
            "outcome": "delayed",
            "kind": "score",
            "model_id": "m-1",
            "prediction_id": "f-1",
            "event_time": T0,
            "value": 0.25,
            "predicted_class": "",
            "features": {"carrier": "UA"},
            "sampled_share": 0.5,
            "_index": 0,
        },
    ),
    "actuals": (
        samples.actuals({"f-1": "1"}),
        "actuals",
        {
            "mlapp_id": "app",
            "outcome": "delayed",
            "prediction_id": "f-1",
            "event_time": T0,
            "actual": "1",
            "source": "landed.csv",
            "_index": 0,
        },
    ),
    "runs": (
        samples.run_transition("failed"),
        "run_transitions",
        {
            "mlapp_id": "app",
            "run_id": "r-1",
            "state": "failed",
            "previous_state": "unknown",
            "due_at": T0,
            "exit_code": 1,
            "starts": 1,
            "cause_offset": 17,
        },
    ),
    "logs": (
        samples.log_lines("loss 0.5", first_line=7, dropped=3),
        "logs",
        {
            "mlapp_id": "app",
            "agent_id": "host-1",
            "run_id": "r-1",
            "attempt": 1,
            "step_id": "score",
            "line": 7,
            "dropped": 3,
            "event_time": T0,
            "stream": "stdout",
            "text": "loss 0.5",
            "_index": 0,
        },
    ),
    "dead-letters": (
        samples.dead_letter(),
        "dead_letters",
        {"source_topic": "mlops.events", "source_offset": 9, "stage": "rules", "key": b"\xff", "value": None},
    ),
}
