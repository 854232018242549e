"""One record of every kind, with a value in every field."""

from __future__ import annotations

from typing import Any

from parallelm.schemas import records

T0_MS = 1_370_000_000_000
"""2013-05-31T11:33:20Z."""

ORIGIN = records.Origin(mlapp_id="app", node_id="predict", pipeline_instance_id="pi-1", agent_id="host-1")
CAUSE = records.RecordPosition(topic="mlops.models", partition=3, offset=17)


def batch(*series: records.Series, seq: int = 0, origin: records.Origin = ORIGIN) -> records.StatisticsBatch:
    return records.StatisticsBatch(origin=origin, producer_id="p-1", seq=seq, series=series)


def series(
    timestamps_ms: list[float],
    values: list[float],
    name: str = "pipelinestat.count",
    labels: dict[str, str] | None = None,
) -> records.Series:
    return records.Series(
        name=name,
        model_id="m-1",
        category="TIME_SERIES",
        graph_type="LINEGRAPH",
        labels=labels or {},
        timestamps_ms=timestamps_ms,
        values=values,
    )


def structured(**changes: Any) -> records.StructuredStatistic:
    histograms = (
        records.Histogram(
            feature="temp",
            kind=records.HistogramKind.CONTINUOUS,
            edges=[float("-inf"), 0.0, float("inf")],
            categories=[],
            weights=[0.25, 0.75],
            row_count=100,
            missing_count=4,
        ),
        records.Histogram(
            feature="carrier",
            kind=records.HistogramKind.CATEGORICAL,
            edges=[],
            categories=["UA", "é"],
            weights=[0.5, 0.5],
            row_count=100,
        ),
    )
    fields: dict[str, Any] = {
        "origin": ORIGIN,
        "producer_id": "p-1",
        "seq": 1,
        "event_time_ms": T0_MS,
        "name": "continuousDataHistogram",
        "model_id": "m-1",
        "graph_type": "BARGRAPH",
        "mode": "INSTANT",
        "labels": {"b": "2", "a": "1"},
        "content_type": "application/json",
        "data": b'{"a": 1}',
        "histograms": histograms,
    }
    return records.StructuredStatistic(**(fields | changes))


def event(**changes: Any) -> records.Event:
    fields: dict[str, Any] = {
        "origin": ORIGIN,
        "producer_id": "p-1",
        "seq": 2,
        "event_time_ms": T0_MS,
        "event_id": "p-1/2",
        "type": "GenericDataAlert",
        "title": "title",
        "description": "text",
        "is_alert": True,
        "model_id": "m-1",
        "labels": {"a": "1"},
        "content_type": "application/octet-stream",
        "data": b"\xff\x00\x80",
    }
    return records.Event(**(fields | changes))


def kpis(
    *points: tuple[str, dict[str, str], int, float], seq: int = 0, source: str = "kpis.csv"
) -> records.KpiBatch:
    return records.KpiBatch(
        origin=ORIGIN,
        producer_id="p-1",
        seq=seq,
        source=source,
        points=[
            records.KpiPoint(name=name, labels=labels, timestamp_ms=time_ms, value=value, model_id="")
            for name, labels, time_ms, value in points
        ],
    )


def predictions(
    ids: list[str],
    *,
    scores: list[float] | None = None,
    classes: list[str] | None = None,
    features: dict[str, list[str]] | None = None,
    **changes: Any,
) -> records.Predictions:
    fields: dict[str, Any] = {
        "origin": ORIGIN,
        "producer_id": "p-1",
        "seq": 7,
        "outcome": "delayed",
        "kind": "class" if classes else "score",
        "model_id": "m-1",
        "sampled_share": 0.5,
        "ids": ids,
        "timestamps_ms": [T0_MS] * len(ids),
        "values": scores or [],
        "classes": classes or [],
        "features": features or {},
    }
    return records.Predictions(**fields | changes)


def actuals(outcomes: dict[str, str], **changes: Any) -> records.Actuals:
    fields: dict[str, Any] = {
        "origin": ORIGIN,
        "producer_id": "p-1",
        "seq": 8,
        "source": "landed.csv",
        "outcome": "delayed",
        "ids": list(outcomes),
        "timestamps_ms": [T0_MS] * len(outcomes),
        "values": list(outcomes.values()),
    }
    return records.Actuals(**fields | changes)


def model(model_id: str = "m-1", **changes: Any) -> records.ModelAnnouncement:
    fields: dict[str, Any] = {
        "origin": ORIGIN,
        "producer_id": "p-1",
        "seq": 3,
        "event_time_ms": T0_MS,
        "model_id": model_id,
        "name": "classifier",
        "format": "ScikitLearn_3",
        "description": "d",
        "artifact_url": "file:///models/m-1",
        "file_name": "model.pkl",
        "is_directory": False,
        "size_bytes": 12_345_678_901,
        "sha256": "ab" * 32,
        "annotations": {"auc": "0.7"},
        "owner": "",
        "train_version": "",
        "model_version": "",
    }
    return records.ModelAnnouncement(**(fields | changes))


def definition(**changes: Any) -> records.MLAppDefinition:
    node = records.Node(
        node_id="predict",
        name="Predict",
        type="model_consumer",
        mode="offline",
        schedule="0 6 * * *",
        parents=["train"],
        pipeline="python predict.py",
        consumes=["train"],
    )
    rule = records.AlertRule(
        name="slow",
        type="threshold",
        statistic="latency",
        node_id="predict",
        match_labels={"a": "b"},
        for_ms=60_000,
        keep_firing_for_ms=0,
        severity="warning",
        labels={},
        annotations={},
        parameters_json="{}",
    )
    policy = records.Policy(
        model_policy=records.ModelPolicy.CANARY,
        health_threshold=0.4,
        canary_threshold=-1.0,
        accept_timeout_ms=1000,
    )
    fields: dict[str, Any] = {
        "event_time_ms": T0_MS,
        "mlapp_id": "app",
        "name": "App",
        "description": "d",
        "version": 2,
        "applied_by": "someone",
        "nodes": [node],
        "policy": policy,
        "rules": [rule],
        "source_yaml": "name: App\n",
        "stage": "sandbox",
    }
    return records.MLAppDefinition(**(fields | changes))


def alert(state: str, at_ms: int = T0_MS, **changes: Any) -> records.AlertTransition:
    fields: dict[str, Any] = {
        "event_time_ms": at_ms,
        "decided_at_ms": at_ms + 5,
        "transition_id": f"t-{state}",
        "mlapp_id": "app",
        "alert_id": "a-1",
        "fingerprint": "f",
        "rule": "slow",
        "rule_type": "threshold",
        "state": records.AlertState(state),
        "previous_state": records.AlertState.PENDING,
        "severity": "warning",
        "started_at_ms": T0_MS - 1000,
        "value": 3.5,
        "threshold": 3.0,
        "statistic": "latency",
        "node_id": "predict",
        "model_id": "m-1",
        "labels": {"feature": "temp"},
        "annotations": {"summary": "s"},
        "reason": f"because {state}",
        "who": "",
        "supersedes": "",
        "cause": CAUSE,
    }
    return records.AlertTransition(**(fields | changes))


def deployment(
    state: str, model_id: str = "m-1", at_ms: int = T0_MS, **changes: Any
) -> records.DeploymentTransition:
    fields: dict[str, Any] = {
        "event_time_ms": at_ms,
        "decided_at_ms": at_ms + 5,
        "transition_id": f"d-{model_id}-{state}",
        "mlapp_id": "app",
        "node_id": "predict",
        "model_id": model_id,
        "deployment_id": f"app/predict/{model_id}",
        "state": records.DeploymentState(state),
        "previous_state": records.DeploymentState.UNKNOWN,
        "policy": records.ModelPolicy.ALWAYS_UPDATE,
        "reason": f"because {state}",
        "who": "",
        "related_model_id": "",
        "agent_id": "",
        "cause": CAUSE,
    }
    return records.DeploymentTransition(**(fields | changes))


def action() -> records.UserAction:
    return records.UserAction(
        event_time_ms=T0_MS,
        action_id="act-1",
        mlapp_id="app",
        who="someone",
        authenticated_by="unverified_local_user",
        action="approve",
        node_id="predict",
        model_id="m-1",
        target="",
        comment="fine",
        parameters={"k": "v"},
    )


def agent(**changes: Any) -> records.AgentState:
    pipeline = records.PipelineState(
        mlapp_id="app",
        node_id="predict",
        pipeline_instance_id="pi-1",
        state="running",
        pid=123,
        since_ms=T0_MS,
        message="",
    )
    fields: dict[str, Any] = {
        "event_time_ms": T0_MS,
        "agent_id": "host-1",
        "hostname": "host-1.example",
        "version": "0.1.0",
        "labels": {"gpu": "no"},
        "pipelines": [pipeline],
    }
    return records.AgentState(**(fields | changes))


def run_transition(
    state: str, run_id: str = "r-1", at_ms: int = T0_MS, **changes: Any
) -> records.RunTransition:
    fields: dict[str, Any] = {
        "event_time_ms": at_ms,
        "decided_at_ms": at_ms + 5,
        "transition_id": f"{run_id}-{changes.get('attempt', 1)}-{state}",
        "mlapp_id": "app",
        "node_id": "predict",
        "pipeline_instance_id": "app-predict-0",
        "instance": 0,
        "run_id": run_id,
        "attempt": 1,
        "state": records.RunState(state),
        "previous_state": records.RunState.UNKNOWN,
        "agent_id": "" if state in {"waiting", "missed"} else "host-1",
        "reason": f"because {state}",
        "trigger": "schedule",
        "trigger_id": str(T0_MS),
        "due_at_ms": T0_MS,
        "definition_version": 2,
        "model_id": "m-1",
        "exit_code": 1 if state == "failed" else 0,
        "starts": 0 if state in {"waiting", "assigned", "missed"} else 1,
        "who": "",
        "cause": CAUSE,
    }
    return records.RunTransition(**(fields | changes))


def log_lines(*lines: str, **changes: Any) -> records.LogLines:
    fields: dict[str, Any] = {
        "origin": ORIGIN,
        "run_id": "r-1",
        "attempt": 1,
        "step_id": "score",
        "first_line": 1,
        "dropped": 0,
        "timestamps_ms": [T0_MS + number for number in range(len(lines))],
        "streams": ["stdout"] * len(lines),
        "lines": list(lines),
    }
    return records.LogLines(**(fields | changes))


def notification() -> records.Notification:
    return records.Notification(
        event_time_ms=T0_MS + 60_000,
        notification_id="n-1",
        state=records.NotificationState.SENT,
        receiver="team",
        target="team/email/0",
        route="{}",
        group_labels={"alertname": "drift"},
        status="firing",
        firing=2,
        resolved=0,
        mlapp_ids=["app"],
        transition_ids=["t-1", "t-2"],
        title="[FIRING:2] drift",
        body="two",
        created_at_ms=T0_MS,
        attempts=1,
        error="",
    )


def dead_letter() -> records.DeadLetter:
    return dead_letter_of("mlops.events", b"\xff", None)


def dead_letter_of(
    topic: str, key: bytes | None, value: bytes | None, *, is_cut: bool = False
) -> records.DeadLetter:
    return records.DeadLetter(
        failed_at_ms=T0_MS,
        source_topic=topic,
        topic_id="id",
        source_partition=1,
        source_offset=9,
        stage="rules",
        error_type="ValueError",
        error="wrong",
        consumer_group="processors",
        size_bytes=len(key or b"") + len(value or b""),
        is_cut=is_cut,
        key=key,
        value=value,
    )
