"""Ids by their beginnings: which alert, model, run or capture somebody means who has typed the first characters."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Query, Request

from parallelm.operations import alerts, captures, models, runs
from parallelm.operations.errors import UnknownCaptureError
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._readable import READ, readable
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, Name
from parallelm.server.api.mlapps import MLAppId
from parallelm.server.context import context_of

ROUTER: Final = resource("ids")
Prefix = Annotated[Name, Query(description="An id, or its first characters.")]


class AlertId(Answer):
    """The one alert whose id begins so; of several episodes of one alert the open one, else the latest."""

    alert_id: str
    mlapp_id: str
    rule: str


class ModelId(Answer):
    """The one model whose id begins so."""

    model_id: str


class RunId(Answer):
    """The one run whose id begins so."""

    run_id: str
    mlapp_id: str
    node_id: str


class CaptureId(Answer):
    """The one capture whose id begins so."""

    capture_id: str
    mlapp_id: str


@ROUTER.get("/alert-ids")
def find_alert_id(
    request: Request,
    asking: Asking,
    prefix: Prefix,
    mlapp_id: Annotated[Name | None, Query(description="Only of this MLApp.")] = None,
) -> AlertId:
    """The alert that is meant; 404 for none and for several, with those that are near."""
    found = alerts.find_alert(context_of(request).settings, prefix, readable(asking, mlapp_id))
    return AlertId.model_validate(found)


@ROUTER.get("/mlapps/{mlapp_id}/model-ids", dependencies=[Depends(require(READ))])
def find_model_id(request: Request, mlapp_id: MLAppId, prefix: Prefix) -> ModelId:
    """The model that is meant; 404 for none and for several, with those that are near."""
    return ModelId(model_id=models.resolve_model(context_of(request).settings, mlapp_id, prefix))


@ROUTER.get("/run-ids")
def find_run_id(request: Request, asking: Asking, prefix: Prefix) -> RunId:
    """The run that is meant; 404 for none and for several, with those that are near."""
    found = runs.find_run(context_of(request).settings, prefix, mlapp_id=readable(asking))
    return RunId.model_validate(found)


@ROUTER.get("/capture-ids")
def find_capture_id(request: Request, asking: Asking, prefix: Prefix) -> CaptureId:
    """The capture that is meant; 404 for none and for several."""
    found = captures.find_capture(context_of(request).settings, prefix)
    if not asking.may(READ, found.mlapp_id):
        raise UnknownCaptureError(f"no captures have an id that begins with {prefix!r}")
    return CaptureId.model_validate(found)
