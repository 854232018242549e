"""Where records meet the model policy: one function an input, each from the store and back into it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from parallelm.schemas.records import AggregateKind, DeploymentTransition
from parallelm.stream_processors.alerts.event_time import judged_at
from parallelm.stream_processors.model_policy import (
    acceptance,
    actions,
    alerts,
    announcements,
    clock,
    definition,
    measurements,
)
from parallelm.stream_processors.model_policy.signatures import signer_of
from parallelm.stream_processors.model_policy.state import (
    NOTHING_MEASURED,
    Accepted,
    Announced,
    Measurements,
    MLAppDeployments,
)
from parallelm.stream_processors.model_policy.work import At
from parallelm.stream_processors.runtime.stored_state import BodyKind, Key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.schemas.records import (
        AlertTransition,
        Event,
        MLAppDefinition,
        ModelAnnouncement,
        RuleAggregate,
        RunReport,
        UserAction,
    )
    from parallelm.stream_processors.arrival import Arrival
    from parallelm.stream_processors.model_policy.work import Outcome
    from parallelm.stream_processors.runtime.stored_state import StateStore

DEPLOYMENTS_OF = "deployments"
MEASUREMENTS_OF = "policy-measurements"
KINDS: Mapping[str, BodyKind] = {
    DEPLOYMENTS_OF: BodyKind(MLAppDeployments),
    MEASUREMENTS_OF: BodyKind(Measurements),
}
DEPLOYMENT_ID = "deployment_id"
"""Key of an acceptance's data that names the deployment that it answers."""


def known_of(store: StateStore, mlapp_id: str) -> MLAppDeployments:
    """What is known of an MLApp's deployments."""
    known: MLAppDeployments = store.get(Key(DEPLOYMENTS_OF, mlapp_id)) or MLAppDeployments(mlapp_id)
    measured = store.get(Key(MEASUREMENTS_OF, mlapp_id)) or NOTHING_MEASURED
    return replace(known, measured=measured)


def on_definition(
    store: StateStore, mlapp_id: str, record: MLAppDefinition | None, at: Arrival
) -> Iterator[DeploymentTransition]:
    """A definition, or the removal of an MLApp."""
    when = _at(at, at.arrived_ms if record is None else record.event_time_ms)
    yield from _decided(store, definition.on_definition(known_of(store, mlapp_id), record, when))


def on_announcement(
    store: StateStore, mlapp_id: str, record: ModelAnnouncement, at: Arrival
) -> Iterator[DeploymentTransition]:
    """A model was published."""
    when = _at(at, record.event_time_ms)
    signed_by, unsigned_because = signer_of(record)
    announced = Announced(
        model_id=record.model_id,
        producer_node_id=record.origin.node_id,
        event_time_ms=when.event_ms,
        arrived_ms=at.arrived_ms,
        cause=at.position,
        signed_by=signed_by,
        unsigned_because=unsigned_because,
    )
    yield from _decided(store, announcements.on_announcement(known_of(store, mlapp_id), announced, when))


def on_accepted(
    store: StateStore, mlapp_id: str, record: Event, at: Arrival
) -> Iterator[DeploymentTransition]:
    """A component has taken a model."""
    when = _at(at, record.event_time_ms)
    accepted = Accepted(
        model_id=record.model_id,
        node_id=record.origin.node_id,
        agent_id=record.origin.agent_id,
        event_time_ms=when.event_ms,
        cause=at.position,
        deployment_id=_answered(record),
    )
    yield from _decided(store, acceptance.on_accepted(known_of(store, mlapp_id), accepted, when))


def on_delivered(
    store: StateStore, mlapp_id: str, record: RunReport, at: Arrival
) -> Iterator[DeploymentTransition]:
    """An agent has delivered a model to a run, which has taken it."""
    when = _at(at, record.event_time_ms)
    accepted = Accepted(
        model_id=record.model_id,
        node_id=record.node_id,
        agent_id=record.agent_id,
        event_time_ms=when.event_ms,
        cause=at.position,
    )
    yield from _decided(store, acceptance.on_accepted(known_of(store, mlapp_id), accepted, when))


def on_refused(
    store: StateStore, mlapp_id: str, record: RunReport, at: Arrival
) -> Iterator[DeploymentTransition]:
    """An agent could not deliver a model, or a run did not take it."""
    when = _at(at, record.event_time_ms)
    reason = f"agent {record.agent_id!r} refused it" + (f": {record.message}" if record.message else "")
    known = known_of(store, mlapp_id)
    yield from _decided(
        store, acceptance.on_refused(known, record.node_id, record.model_id, record.agent_id, reason, when)
    )


def on_action(
    store: StateStore, mlapp_id: str, record: UserAction, at: Arrival
) -> Iterator[DeploymentTransition]:
    """A person has decided."""
    when = _at(at, record.event_time_ms)
    yield from _decided(store, actions.on_action(known_of(store, mlapp_id), record, when))


def on_alert(
    store: StateStore, mlapp_id: str, record: AlertTransition, at: Arrival
) -> Iterator[DeploymentTransition]:
    """An alert changed its state, on account of the record that it names as its cause."""
    when = replace(_at(at, record.event_time_ms), cause=record.cause)
    yield from _decided(store, alerts.on_alert(known_of(store, mlapp_id), record, when))


def on_measurement(
    store: StateStore, mlapp_id: str, record: RuleAggregate, at: Arrival
) -> Iterator[DeploymentTransition]:
    """Samples, or a distribution, that the policy judges."""
    when = _at(at, record.event_time_ms)
    take = measurements.on_samples if record.kind is AggregateKind.SAMPLES else measurements.on_distribution
    yield from _decided(store, take(known_of(store, mlapp_id), record, when))


def on_time(store: StateStore, mlapp_id: str, at: Arrival) -> Iterator[DeploymentTransition]:
    """Time passed, by the broker's clock."""
    yield from _decided(store, clock.on_tick(known_of(store, mlapp_id), at.arrived_ms, at.now_ms))


def _answered(accepted: Event) -> str:
    """Id of the deployment that an acceptance names; empty when it names none, as those of other clients."""
    try:
        named = json.loads(accepted.data).get(DEPLOYMENT_ID, "")
    except (ValueError, AttributeError):
        return ""
    return named if isinstance(named, str) else ""


def _at(at: Arrival, event_ms: int) -> At:
    return At(int(judged_at(event_ms, at.arrived_ms)), at.arrived_ms, at.now_ms, at.position)


def _decided(store: StateStore, outcome: Outcome) -> Iterator[DeploymentTransition]:
    known, sent = outcome
    mlapp_id, measured = known.mlapp_id, known.measured
    key, measured_key = Key(DEPLOYMENTS_OF, mlapp_id), Key(MEASUREMENTS_OF, mlapp_id)
    nothing = MLAppDeployments(mlapp_id)
    if (store.get(key) or nothing) != known:
        store.put(key, None if known == nothing else replace(known, measured=NOTHING_MEASURED))
    if (store.get(measured_key) or NOTHING_MEASURED) != measured:
        store.put(measured_key, None if measured == NOTHING_MEASURED else measured)
    yield from sent
