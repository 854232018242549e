"""Rows of a small MLApp's history, written as the sink's tables take them."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clickhouse_driver import Client

DAY_MS = 86_400_000
T0_MS = 15_706 * DAY_MS
"""2013-01-01."""

_offsets = itertools.count()


def insert(client: Client, table: str, rows: list[dict[str, Any]]) -> None:
    """Insert rows of which each takes the next offset; times in epoch milliseconds."""
    now_ms = time.time_ns() // 1_000_000
    complete = [
        {"ingested_at": now_ms, "_topic": "t", "_topic_id": "i", "_partition": 0, "_offset": next(_offsets)}
        | row
        for row in rows
    ]
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in complete:
        by_columns.setdefault(tuple(row), []).append(row)
    for names, alike in by_columns.items():
        columns = ", ".join(f"`{name}`" for name in names)
        client.execute(f"INSERT INTO {table} ({columns}) VALUES", alike)


def deployment(model_id: str, state: str, at_ms: int, **more: Any) -> dict[str, Any]:
    return {
        "mlapp_id": "app",
        "node_id": "predict",
        "model_id": model_id,
        "deployment_id": f"app/predict/{model_id}",
        "transition_id": f"{model_id}/{state}",
        "state": state,
        "policy": "always_update",
        "reason": f"{model_id} {state}",
        "event_time": at_ms,
        "decided_at": at_ms,
    } | more


def alert(alert_id: str, state: str, at_ms: int, **more: Any) -> dict[str, Any]:
    return {
        "mlapp_id": "app",
        "node_id": "predict",
        "model_id": "m-1",
        "alert_id": alert_id,
        "fingerprint": alert_id.partition("/")[0],
        "transition_id": f"{alert_id}/{state}",
        "state": state,
        "rule": "drift",
        "rule_type": "health",
        "severity": "warning",
        "statistic": "similarity",
        "labels": {"feature": "temp"},
        "value": 0.3,
        "threshold": 0.4,
        "reason": f"{alert_id} {state}",
        "started_at": T0_MS,
        "event_time": at_ms,
        "decided_at": at_ms,
    } | more


def model(model_id: str, at_ms: int, **more: Any) -> dict[str, Any]:
    return {
        "mlapp_id": "app",
        "node_id": "train",
        "model_id": model_id,
        "name": "classifier",
        "format": "Onnx",
        "artifact_url": f"file:///{model_id}",
        "file_name": "model.onnx",
        "size_bytes": 10,
        "sha256": "ab",
        "annotations": {"auc": "0.7"},
        "event_time": at_ms,
    } | more


def statistic(name: str, at_ms: int, value: float, **more: Any) -> dict[str, Any]:
    return {"mlapp_id": "app", "node_id": "predict", "name": name, "event_time": at_ms, "value": value} | more


def kpi(name: str, at_ms: int, value: float, **more: Any) -> dict[str, Any]:
    return {"mlapp_id": "app", "name": name, "event_time": at_ms, "value": value} | more


def run(run_id: str, state: str, at_ms: int, **more: Any) -> dict[str, Any]:
    attempt = more.get("attempt", 1)
    return {
        "mlapp_id": "app",
        "node_id": "train",
        "pipeline_instance_id": "app-train-0",
        "run_id": run_id,
        "transition_id": f"{run_id}/{attempt}/{state}/{at_ms}",
        "attempt": 1,
        "state": state,
        "agent_id": "" if state == "waiting" else "host-1",
        "reason": f"{run_id} {state}",
        "trigger": "schedule",
        "trigger_id": str(at_ms),
        "due_at": at_ms,
        "event_time": at_ms,
        "decided_at": at_ms,
    } | more
