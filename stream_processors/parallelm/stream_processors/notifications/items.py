"""What is notified of: an alert, a deployment that waits for approval, or an event of a deployment; from their transitions."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from parallelm.schemas.records import AlertState, AlertTransition, DeploymentState, DeploymentTransition

if TYPE_CHECKING:
    from collections.abc import Mapping


class ItemState(StrEnum):
    """Where an item is."""

    FIRING = "firing"
    RESOLVED = "resolved"
    EVENT = "event"
    """Told once; it does not last."""


@dataclass(frozen=True, slots=True)
class Item:
    """One alert or deployment as it is now. Its labels never change: other labels make another item."""

    item_id: str
    identity: str
    """The same for all items of one alert or one deployment."""
    section: str
    """``alerts`` or ``deployments``: which routes it takes."""
    state: ItemState
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    mlapp_id: str
    transition_id: str
    episode: str
    """Alert or deployment id."""
    started_at_ms: int
    changed_at_ms: int
    reason: str
    who: str = ""
    value: float = math.nan
    threshold: float = math.nan
    statistic: str = ""
    model_id: str = ""
    acknowledged_by: str = field(default="")

    @property
    def is_firing(self) -> bool:
        """Whether it goes on."""
        return self.state is ItemState.FIRING

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Item:
        """The inverse of ``to_json``; fields that a later version added are left out."""
        known = {entry.name for entry in dataclasses.fields(cls)}
        values = {name: value for name, value in body.items() if name in known}
        return cls(**values | {"state": ItemState(values["state"])})


_MAX_TEXT = 2_000
_MAX_TEXTS = 50


def _bounded(texts: Mapping[str, str]) -> dict[str, str]:
    """So many texts of such a length that the notifier can remember them."""
    return {name[:_MAX_TEXT]: text[:_MAX_TEXT] for name, text in sorted(texts.items())[:_MAX_TEXTS]}


def digest(*parts: object) -> str:
    """128 bits of SHA-256 over the parts, in hexadecimal."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def of_alert(transition: AlertTransition, earlier: Item | None) -> list[Item]:
    """Items that an alert's transition changes; ``earlier`` is the one of its identity that fires.

    Pending alerts are not notified, and one that ends without having fired never was.
    """
    if earlier is not None and transition.transition_id == earlier.transition_id:
        return []
    match transition.state:
        case AlertState.FIRING:
            return _fires(transition, earlier)
        case AlertState.RESOLVED | AlertState.INACTIVE:
            return [] if earlier is None else [_ended(earlier, transition)]
        case AlertState.ACKNOWLEDGED:
            who = transition.who or "somebody"
            item = earlier or _alert_item(transition)
            return [
                dataclasses.replace(
                    item, acknowledged_by=who, who=who, transition_id=transition.transition_id
                )
            ]
    return []


def of_deployment(transition: DeploymentTransition, earlier: Item | None) -> list[Item]:
    """Items that a deployment's transition changes; ``earlier`` is its wait for approval, if it waits."""
    if transition.state is DeploymentState.UNKNOWN:
        return []
    item = _deployment_item(transition)
    if transition.state is DeploymentState.AWAITING_APPROVAL:
        return [] if earlier is not None else [dataclasses.replace(item, state=ItemState.FIRING)]
    return [item] if earlier is None else [_ended(earlier, transition), item]


def alert_identity(transition: AlertTransition) -> str:
    """What all items of one alert share."""
    return f"alert/{transition.mlapp_id}/{transition.fingerprint}"


def deployment_identity(transition: DeploymentTransition) -> str:
    """What all items of one attempt at a deployment share."""
    attempt = getattr(transition, "attempt", 0)
    return f"deployment/{transition.mlapp_id}/{transition.deployment_id}/{attempt}"


def _fires(transition: AlertTransition, earlier: Item | None) -> list[Item]:
    item = _alert_item(transition)
    if earlier is None:
        return [item]
    if item.item_id != earlier.item_id:
        ended = dataclasses.replace(
            earlier, state=ItemState.RESOLVED, changed_at_ms=item.changed_at_ms, reason="its labels changed"
        )
        return [ended, item]
    if item.episode == earlier.episode:
        return [dataclasses.replace(item, acknowledged_by=earlier.acknowledged_by)]
    return [item]


def _ended(earlier: Item, transition: AlertTransition | DeploymentTransition) -> Item:
    reason = transition.reason
    if isinstance(transition, DeploymentTransition):
        reason = f"{transition.state.value}: {reason}" if reason else transition.state.value
    return dataclasses.replace(
        earlier,
        state=ItemState.RESOLVED,
        transition_id=transition.transition_id,
        changed_at_ms=transition.event_time_ms,
        reason=reason,
        who=transition.who,
    )


def _alert_item(transition: AlertTransition) -> Item:
    own = {
        "alertname": transition.rule,
        "mlapp": transition.mlapp_id,
        "node": transition.node_id,
        "severity": transition.severity,
    }
    own = {name: value for name, value in own.items() if value}
    identity = alert_identity(transition)
    return Item(
        item_id=digest(identity, dict(transition.labels), own),
        identity=identity,
        section="alerts",
        state=ItemState.FIRING,
        labels=_bounded(transition.labels) | own,
        annotations=_bounded(transition.annotations),
        mlapp_id=transition.mlapp_id,
        transition_id=transition.transition_id,
        episode=transition.alert_id,
        started_at_ms=transition.started_at_ms,
        changed_at_ms=transition.event_time_ms,
        reason=transition.reason[:_MAX_TEXT],
        who=transition.who,
        value=transition.value,
        threshold=transition.threshold,
        statistic=transition.statistic,
        model_id=transition.model_id,
    )


_GRAVE = {DeploymentState.FAILED, DeploymentState.ROLLED_BACK}


def _deployment_item(transition: DeploymentTransition) -> Item:
    identity = deployment_identity(transition)
    labels = {
        "alertname": "deployment",
        "state": transition.state.value,
        "mlapp": transition.mlapp_id,
        "node": transition.node_id,
        "model": transition.model_id,
        "policy": transition.policy.value,
        "severity": "warning" if transition.state in _GRAVE else "info",
    }
    return Item(
        item_id=digest(identity, transition.state.value, transition.transition_id),
        identity=identity,
        section="deployments",
        state=ItemState.EVENT,
        labels={name: value for name, value in labels.items() if value},
        annotations={},
        mlapp_id=transition.mlapp_id,
        transition_id=transition.transition_id,
        episode=transition.deployment_id,
        started_at_ms=transition.event_time_ms,
        changed_at_ms=transition.event_time_ms,
        reason=transition.reason[:_MAX_TEXT],
        who=transition.who,
        model_id=transition.model_id,
    )
