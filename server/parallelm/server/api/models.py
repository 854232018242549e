"""Models: what was announced, where it came from, and how it does."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import Depends, Path, Query, Request

from parallelm.operations import models as operations
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._readable import READ, readable, unknown
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer, AskedTime, Moment, Name, Number, answers, from_json, rows
from parallelm.server.api.mlapps import MLAppId
from parallelm.server.context import context_of

ROUTER: Final = resource("models")
ModelId = Annotated[str, Path(description="Id of a model, in full.", min_length=1, max_length=500)]


class Model(Answer):
    """A model that was announced."""

    model_id: str
    mlapp_id: str
    node_id: str
    """Node that made it; empty: it was uploaded."""
    agent_id: str
    name: str
    format: str
    description: str
    created_at: Moment
    size_bytes: int
    sha256: str
    file_name: str
    is_directory: bool
    """The file is a tar.gz of a directory."""
    annotations: dict[str, Any]
    owner: str
    train_version: str
    model_version: str


class ListedModel(Model):
    """An entry of the list."""

    live_on: list[str]
    """Nodes on which it is live now."""


class Comparison(Answer):
    """A statistic of two models, with the test that a canary makes."""

    statistic: str
    labels: str
    samples: int
    mean: Number | None
    samples_other: int
    mean_other: Number | None
    shift: Number | None
    """By how much the model is higher than the other one."""
    shift_from: Number | None
    shift_to: Number | None
    p_value: Number | None


@ROUTER.get("/models")
def list_models(
    request: Request,
    asking: Asking,
    page: Paging,
    mlapp_id: Annotated[Name | None, Query(description="Only of this MLApp.")] = None,
    name: Annotated[Name | None, Query()] = None,
    format_: Annotated[Name | None, Query(alias="format", examples=["Onnx"])] = None,
    node_id: Annotated[Name | None, Query(description="Only those that this node made.")] = None,
    owner: Annotated[Name | None, Query()] = None,
    from_: Annotated[
        AskedTime | None, Query(alias="from", description="Announced at this time or later.")
    ] = None,
    to: Annotated[AskedTime | None, Query(description="Announced before this time.")] = None,
    sort: Annotated[Literal["created_at", "-created_at"], Query()] = "-created_at",
) -> Page[ListedModel]:
    """Models by when they were announced, the latest first."""
    from parallelm.warehouse.queries import models

    keyset = page.keyset("event_time", "model_id", descending=sort.startswith("-"))
    found = models(
        context_of(request).settings,
        mlapp_id=readable(asking, mlapp_id),
        name=name,
        model_format=format_,
        node_id=node_id,
        owner=owner,
        start=from_,
        end=to,
        page=keyset,
    )
    return page.answer(ListedModel, keyset, rows(found), _shown)


@ROUTER.get("/mlapps/{mlapp_id}/models/{model_id}", dependencies=[Depends(require(READ))])
def get_model(request: Request, mlapp_id: MLAppId, model_id: ModelId) -> ListedModel:
    """One model."""
    return ListedModel.model_validate(_shown(announced(request, mlapp_id, model_id)))


@ROUTER.get("/mlapps/{mlapp_id}/models/{model_id}/comparison", dependencies=[Depends(require(READ))])
def compare_models(
    request: Request,
    mlapp_id: MLAppId,
    model_id: ModelId,
    other_id: Annotated[Name, Query(description="Model to compare with.")],
    node_id: Annotated[Name | None, Query(description="Only what this node reported.")] = None,
) -> list[Comparison]:
    """Its statistics beside those of another model of the MLApp."""
    for each in (model_id, other_id):
        announced(request, mlapp_id, each)
    found = operations.compare(context_of(request).settings, mlapp_id, model_id, other_id, node_id)
    return answers(Comparison, rows(found.astype(object).where(found.notna(), None)))


def announced(request: Request, mlapp_id: str, model_id: str) -> dict[str, Any]:
    """Row of a model; 404 when the MLApp has none of this id."""
    from parallelm.warehouse.queries import models

    found = rows(models(context_of(request).settings, mlapp_id=mlapp_id, model_id=model_id))
    if not found:
        raise unknown("model", model_id, f" in MLApp {mlapp_id!r}")
    return found[0]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    annotations = {name: from_json(value) for name, value in row["annotations"].items()}
    return {**row, "created_at": row["event_time"], "annotations": annotations}
