"""Alert and deployment transitions as the processors send them."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

from parallelm.schemas.records import (
    AlertState,
    AlertTransition,
    DeploymentState,
    DeploymentTransition,
    ModelPolicy,
    RecordPosition,
)

CAUSE = RecordPosition(topic="statistics", partition=0, offset=0)
_NUMBERS = itertools.count()


def alert(
    state: str, rule: str = "drift", *, mlapp: str = "app", at_ms: int = 0, **changes: Any
) -> AlertTransition:
    """One alert of a rule; ``labels`` tell alerts of one rule apart."""
    labels = {str(name): str(value) for name, value in changes.pop("labels", {}).items()}
    fingerprint = f"{rule}/{sorted(labels.items())}"
    fields: dict[str, Any] = {
        "event_time_ms": at_ms,
        "decided_at_ms": at_ms,
        "transition_id": f"t{next(_NUMBERS)}",
        "mlapp_id": mlapp,
        "alert_id": f"{fingerprint}-1",
        "fingerprint": fingerprint,
        "rule": rule,
        "rule_type": "threshold",
        "state": AlertState(state),
        "previous_state": AlertState.INACTIVE,
        "severity": "warning",
        "started_at_ms": at_ms,
        "value": 0.7,
        "threshold": 0.5,
        "statistic": "share",
        "node_id": "predict",
        "model_id": "m1",
        "labels": labels,
        "annotations": {},
        "reason": f"{rule} is {state}",
        "who": "",
        "supersedes": "",
        "cause": CAUSE,
    }
    return AlertTransition(**fields | changes)


def deployment(state: str, *, mlapp: str = "app", model: str = "m1", **changes: Any) -> DeploymentTransition:
    fields: dict[str, Any] = {
        "event_time_ms": 0,
        "decided_at_ms": 0,
        "transition_id": f"t{next(_NUMBERS)}",
        "mlapp_id": mlapp,
        "node_id": "predict",
        "model_id": model,
        "deployment_id": f"{mlapp}/predict/{model}",
        "state": DeploymentState(state),
        "previous_state": DeploymentState.UNKNOWN,
        "policy": ModelPolicy.MANUAL,
        "reason": "",
        "who": "",
        "related_model_id": "",
        "agent_id": "",
        "cause": CAUSE,
    }
    later = {field.name: field for field in dataclasses.fields(DeploymentTransition)}
    fields |= {name: "{}" if name == "evidence_json" else 1 for name in later if name not in fields}
    return DeploymentTransition(**fields | changes)


NOT_A_NUMBER = math.nan
