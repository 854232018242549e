"""From an MLApp file to its record on ``mlops.mlapps``."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from parallelm.definitions.model import HealthRuleEntry, ThresholdRuleEntry
from parallelm.schemas.records import AlertRule, MLAppDefinition, ModelPolicy, Node, Policy

if TYPE_CHECKING:
    from parallelm.definitions.model import MLAppEntry, PolicyEntry


def to_record(
    entry: MLAppEntry, text: str, *, version: int, applied_by: str, event_time_ms: int
) -> MLAppDefinition:
    """Record of a validated file; ``text`` is the file as it was written."""
    nodes = [
        Node(
            node_id=node.id,
            name=node.name or node.id,
            type=node.type,
            mode=node.mode,
            schedule=node.schedule,
            parents=tuple(node.parents),
            pipeline=node.pipeline,
            consumes=tuple(node.consumes),
        )
        for node in entry.nodes
    ]
    return MLAppDefinition(
        event_time_ms=event_time_ms,
        mlapp_id=entry.mlapp,
        name=entry.name or entry.mlapp,
        description=entry.description,
        version=version,
        applied_by=applied_by,
        nodes=tuple(nodes),
        policy=_policy(entry.policy),
        rules=tuple(_rule(rule, entry.policy) for rule in entry.alerts),
        source_yaml=text,
    )


def next_version(current: MLAppDefinition | None, wanted: MLAppDefinition) -> MLAppDefinition | None:
    """``wanted`` with the version after ``current``'s; None when nothing but comments, layout or time differs."""
    if current is None:
        return dataclasses.replace(wanted, version=1)
    if _content(current) == _content(wanted):
        return None
    return dataclasses.replace(wanted, version=current.version + 1)


def _content(definition: MLAppDefinition) -> str:
    """What two definitions must share to be the same, free of the difference between lists and tuples."""
    plain = dataclasses.asdict(definition)
    for name in ("event_time_ms", "version", "applied_by", "source_yaml"):
        del plain[name]
    return json.dumps(plain, sort_keys=True)


def _policy(policy: PolicyEntry) -> Policy:
    return Policy(
        model_policy=ModelPolicy(policy.model_policy),
        health_threshold=policy.health_threshold,
        canary_threshold=-1.0 if policy.canary_threshold is None else policy.canary_threshold,
        accept_timeout_ms=policy.accept_timeout,
    )


def _rule(rule: ThresholdRuleEntry | HealthRuleEntry, policy: PolicyEntry) -> AlertRule:
    parameters: dict[str, object] = {"grace_ms": rule.grace}
    if isinstance(rule, ThresholdRuleEntry):
        side = "above" if rule.above is not None else "below"
        parameters |= {"side": side, "threshold": rule.above if rule.above is not None else rule.below}
    else:
        threshold = policy.health_threshold if rule.threshold is None else rule.threshold
        parameters |= {"side": "below", "threshold": threshold, "features": rule.features}
    return AlertRule(
        name=rule.name,
        type=rule.type,
        statistic=rule.statistic if isinstance(rule, ThresholdRuleEntry) else "",
        node_id=rule.node or "",
        match_labels=dict(rule.match) if isinstance(rule, ThresholdRuleEntry) else {},
        for_ms=rule.for_ms,
        keep_firing_for_ms=rule.keep_firing_for,
        severity=rule.severity,
        labels=dict(rule.labels),
        annotations=dict(rule.annotations) | ({"reason": rule.reason} if rule.reason else {}),
        parameters_json=json.dumps(parameters, sort_keys=True),
    )
