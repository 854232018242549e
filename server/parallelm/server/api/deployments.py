"""Deployments: which model was live where and when, and who or what decided."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Path, Query, Request

from parallelm.operations.explaining.deployment import deployment_rows, explain_deployment
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._explanation import Explanation
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._readable import READ, readable, unknown
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, Moment, Name, answers, from_json, rows
from parallelm.server.api.mlapps import MLAppId
from parallelm.server.context import context_of

ROUTER: Final = resource("deployments")
DeploymentId = Annotated[str, Path(description="Id of a deployment, in full.", min_length=1, max_length=500)]


class LiveModel(Answer):
    """A model on a node."""

    mlapp_id: str
    node_id: str
    model_id: str
    model_name: str
    """Empty until its announcement has arrived."""
    attempt: int
    """Which deployment of the node it is, from 1; 0 for a decision not to deploy."""
    live_from: Moment | None
    live_to: Moment | None
    decided_reason: str
    decided_by: str
    """Empty when the policy did."""


class Deployment(LiveModel):
    """One deployment, or a decision not to deploy."""

    deployment_id: str
    state: str
    policy: str
    decided_at: Moment
    requested_at: Moment | None
    accepted_at: Moment | None
    ended_reason: str
    ended_by: str
    related_model_id: str
    agents: list[str]
    """That have accepted it."""
    evidence: Any
    """Numbers behind its last decision."""


class DeploymentTransition(Answer):
    """One decision, or the answer to a person."""

    deployment_id: str
    event_time: Moment
    decided_at: Moment
    mlapp_id: str
    node_id: str
    model_id: str
    model_name: str
    attempt: int
    state: str
    previous_state: str
    policy: str
    who: str
    agent_id: str
    reason: str
    related_model_id: str
    cause_topic: str
    cause_partition: int
    cause_offset: int


@ROUTER.get("/deployments")
def list_deployments(
    request: Request,
    asking: Asking,
    page: Paging,
    mlapp_id: Annotated[Name | None, Query(description="Only of this MLApp.")] = None,
    node_id: Annotated[Name | None, Query()] = None,
    model_id: Annotated[Name | None, Query()] = None,
    state: Annotated[Name | None, Query(examples=["active"])] = None,
    sort: Annotated[Literal["decided_at", "-decided_at"], Query()] = "-decided_at",
) -> Page[Deployment]:
    """Deployments by when they were decided, the latest first; also decisions not to deploy."""
    from parallelm.warehouse.queries import deployments

    keyset = page.keyset("decided_at", "node_id", "deployment_id", descending=sort.startswith("-"))
    found = deployments(
        context_of(request).settings,
        mlapp_id=readable(asking, mlapp_id),
        node_id=node_id,
        model_id=model_id,
        state=state,
        page=keyset,
    )
    return page.answer(Deployment, keyset, rows(found), _shown)


@ROUTER.get("/live-models")
def list_live_models(
    request: Request,
    asking: Asking,
    mlapp_id: Annotated[Name | None, Query(description="Only of this MLApp.")] = None,
    at: Annotated[AskedTime | None, Query(description="At this event time; now without it.")] = None,
) -> list[LiveModel]:
    """The model that is or was live on each node."""
    from parallelm.warehouse.queries import live_models

    found = live_models(context_of(request).settings, at, mlapp_id=readable(asking, mlapp_id))
    return answers(LiveModel, rows(found))


@ROUTER.get("/mlapps/{mlapp_id}/deployment-history", dependencies=[Depends(require(READ))])
def list_deployment_history(
    request: Request,
    mlapp_id: MLAppId,
    page: Paging,
    node_id: Annotated[Name | None, Query()] = None,
    model_id: Annotated[Name | None, Query()] = None,
    from_: Annotated[AskedTime | None, Query(alias="from")] = None,
    to: Annotated[AskedTime | None, Query()] = None,
) -> Page[DeploymentTransition]:
    """Every decision and answer, the latest first."""
    from parallelm.warehouse.queries import deployment_history

    keyset = page.keyset("decided_at", "_partition", "_offset", descending=True)
    found = deployment_history(
        context_of(request).settings,
        mlapp_id=mlapp_id,
        node_id=node_id,
        model_id=model_id,
        start=from_,
        end=to,
        page=keyset,
    )
    return page.answer(DeploymentTransition, keyset, rows(found))


@ROUTER.get("/mlapps/{mlapp_id}/deployments/{deployment_id}", dependencies=[Depends(require(READ))])
def get_deployment(request: Request, mlapp_id: MLAppId, deployment_id: DeploymentId) -> Deployment:
    """One deployment."""
    return Deployment.model_validate(_shown(found_deployment(request, mlapp_id, deployment_id)))


@ROUTER.get(
    "/mlapps/{mlapp_id}/deployments/{deployment_id}/explanation", dependencies=[Depends(require(READ))]
)
def get_deployment_explanation(
    request: Request, mlapp_id: MLAppId, deployment_id: DeploymentId
) -> Explanation:
    """Why the model was deployed, or was not, down to the records and numbers."""
    settings = context_of(request).settings
    found = [
        row
        for row in deployment_rows(settings, deployment_id)
        if (row["mlapp_id"], row["deployment_id"]) == (mlapp_id, deployment_id)
    ]
    if not found:
        raise unknown("deployment", deployment_id, f" in MLApp {mlapp_id!r}")
    return Explanation.of(explain_deployment(settings, deployment_id, found))


def found_deployment(request: Request, mlapp_id: str, deployment_id: str) -> dict[str, Any]:
    """Its row; 404 when the MLApp has none of this id."""
    from parallelm.warehouse.queries import deployments

    found = rows(deployments(context_of(request).settings, mlapp_id=mlapp_id, deployment_id=deployment_id))
    if not found:
        raise unknown("deployment", deployment_id, f" in MLApp {mlapp_id!r}")
    return found[0]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "evidence": from_json(row["evidence_json"] or "{}")}
