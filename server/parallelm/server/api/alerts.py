"""Alerts: one entry an episode, with what has happened to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Path, Query, Request

from parallelm.operations import alerts as operations
from parallelm.operations.explaining.alert import explain_alert
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._decisions import CommentRequest, WaitS
from parallelm.server.api._explanation import Explanation
from parallelm.server.api._labels import AskedLabels, labels_of
from parallelm.server.api._once import Once, OnceKey
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._readable import READ, readable, unknown
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, EventTime, Moment, Name, Number, rows
from parallelm.server.api.mlapps import MLAppId
from parallelm.server.context import context_of

ROUTER: Final = resource("alerts")
AlertId = Annotated[str, Path(description="Id of an alert, in full.", min_length=1, max_length=200)]
State = Literal["pending", "firing", "acknowledged", "silenced", "resolved", "inactive"]


class Alert(Answer):
    """One episode of an alert."""

    alert_id: str
    mlapp_id: str
    rule: str
    severity: str
    state: str
    statistic: str
    """Statistic, KPI or event type that it is about."""
    node_id: str
    model_id: str
    labels: dict[str, str]
    value: Number
    threshold: Number
    started_at: Moment
    fired_at: Moment | None
    resolved_at: Moment | None
    acknowledged_at: Moment | None
    acknowledged_by: str
    fired_reason: str
    resolved_reason: str


class ListedAlert(Alert):
    """An entry of the list."""

    settled_by_model_id: str
    """Last model that went live on its node between firing and resolving; empty: none."""


class AlertTransition(Answer):
    """A change of its state."""

    transition_id: str
    state: str
    previous_state: str
    event_time: Moment
    decided_at: Moment
    reason: str
    who: str
    """Empty when a rule did it."""
    value: Number
    threshold: Number
    annotations: dict[str, str]
    cause_topic: str
    """Topic of the record that caused it; empty when time did."""
    cause_partition: int
    cause_offset: int


class AlertDetails(Alert):
    """An alert with its transitions, in the order in which they were recorded."""

    rule_type: str
    fingerprint: str
    transitions: list[AlertTransition]


class AlertAnswer(Answer):
    """The transition that followed."""

    transition_id: str
    alert_id: str
    rule: str
    state: str
    previous_state: str
    event_time: EventTime
    who: str
    reason: str


@ROUTER.get("/alerts")
def list_alerts(
    request: Request,
    asking: Asking,
    page: Paging,
    labels: AskedLabels = None,
    mlapp_id: Annotated[Name | None, Query(description="Only of this MLApp.")] = None,
    rule: Annotated[Name | None, Query()] = None,
    severity: Annotated[Literal["info", "warning", "critical"] | None, Query()] = None,
    node_id: Annotated[Name | None, Query()] = None,
    state: Annotated[State | None, Query(description="Also if it is an end.")] = None,
    open_only: Annotated[bool, Query(description="Only those that have not ended.")] = False,
    at: Annotated[AskedTime | None, Query(description="As they were at this event time.")] = None,
    sort: Annotated[Literal["started_at", "-started_at"], Query()] = "-started_at",
) -> Page[ListedAlert]:
    """Alerts by when their condition was met, the latest first."""
    keyset = page.keyset("started_at", "alert_id", descending=sort.startswith("-"))
    found = operations.list_alerts(
        context_of(request).settings,
        mlapp_id=readable(asking, mlapp_id),
        rule=rule,
        severity=severity,
        node_id=node_id,
        state=state,
        labels=labels_of(labels),
        also_over=not open_only,
        at=at,
        page=keyset,
    )
    return page.answer(ListedAlert, keyset, rows(found))


@ROUTER.get("/mlapps/{mlapp_id}/alerts/{alert_id}", dependencies=[Depends(require(READ))])
def get_alert(request: Request, mlapp_id: MLAppId, alert_id: AlertId) -> AlertDetails:
    """One alert with everything that has happened to it."""
    episode = operations.show_alert(
        context_of(request).settings, found_id(request, mlapp_id, alert_id), mlapp_id
    )
    return AlertDetails.model_validate({**episode.alert, "transitions": list(episode.transitions)})


@ROUTER.get("/mlapps/{mlapp_id}/alerts/{alert_id}/explanation", dependencies=[Depends(require(READ))])
def get_alert_explanation(request: Request, mlapp_id: MLAppId, alert_id: AlertId) -> Explanation:
    """Why it was raised, down to the records and numbers."""
    return Explanation.of(explain_alert(context_of(request).settings, _found(request, mlapp_id, alert_id)))


@ROUTER.post(
    "/mlapps/{mlapp_id}/alerts/{alert_id}/acknowledge", dependencies=[Depends(require("alerts.answer"))]
)
def acknowledge_alert(
    request: Request,
    mlapp_id: MLAppId,
    alert_id: AlertId,
    said: CommentRequest,
    once: OnceKey,
    wait_s: WaitS = 30,
) -> AlertAnswer:
    """Say that somebody takes care of a firing alert."""
    return _answered(request, operations.acknowledge_alert, (mlapp_id, alert_id), said, once, wait_s)


@ROUTER.post("/mlapps/{mlapp_id}/alerts/{alert_id}/close", dependencies=[Depends(require("alerts.answer"))])
def close_alert(
    request: Request,
    mlapp_id: MLAppId,
    alert_id: AlertId,
    said: CommentRequest,
    once: OnceKey,
    wait_s: WaitS = 30,
) -> AlertAnswer:
    """End an alert; it fires again in a new episode only."""
    return _answered(request, operations.close_alert, (mlapp_id, alert_id), said, once, wait_s)


def _answered(
    request: Request,
    answer: Callable[..., Any],
    ids: tuple[str, str],
    said: CommentRequest,
    once: Once,
    wait_s: float,
) -> AlertAnswer:
    def act() -> AlertAnswer:
        transition = answer(
            context_of(request).settings,
            found_id(request, *ids),
            mlapp_id=ids[0],
            who=once.author,
            comment=said.comment,
            timeout_s=wait_s,
        )
        return AlertAnswer.model_validate(transition)

    return once(AlertAnswer, act)


def found_id(request: Request, mlapp_id: str, alert_id: str) -> str:
    """The id, where the MLApp has such an alert; 404 else."""
    return str(_found(request, mlapp_id, alert_id)["alert_id"])


def _found(request: Request, mlapp_id: str, alert_id: str) -> dict[str, Any]:
    from parallelm.warehouse.queries import alert_episodes

    found = alert_episodes(context_of(request).settings, alert_id, mlapp_id=mlapp_id)
    exact = [row for row in found if row["alert_id"] == alert_id]
    if not exact:
        raise unknown("alert", alert_id, f" in MLApp {mlapp_id!r}")
    return exact[0]
