"""Models: what was announced, where it came from, and how it does."""

from __future__ import annotations

import shutil
from pathlib import Path as FilePath
from tempfile import NamedTemporaryFile
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import Depends, File, Form, Path, Query, Request, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import StreamingResponse

from parallelm.operations import model_files
from parallelm.operations import models as operations
from parallelm.operations.errors import NoAnswerError
from parallelm.operations.model_files import NewModel
from parallelm.schemas.times import range_ms
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.access.limits import UPLOAD_BYTES
from parallelm.server.api._decisions import MAX_COMMENT, Comment, WaitS
from parallelm.server.api._once import OnceKey
from parallelm.server.api._paging import Page, Paging
from parallelm.server.api._readable import READ, readable, unknown
from parallelm.server.api._resource import resource
from parallelm.server.api._values import (
    Answer,
    AskedTime,
    EventTime,
    Moment,
    Name,
    Number,
    answers,
    from_json,
    rows,
)
from parallelm.server.api.mlapps import MLAppId, current
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError
from parallelm.server.stored import stored

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
    signed_by: str
    """Id of the key that its signature names; empty when it is not signed."""


class ListedModel(Model):
    """An entry of the list."""

    live_on: list[str]
    """Nodes on which it is live now."""
    deleted_at: Moment | None
    """When its file was deleted; null while it is there."""
    deleted_by: str


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


class DeploymentAnswer(Answer):
    """What the processors decided about one node."""

    transition_id: str
    deployment_id: str
    node_id: str
    model_id: str
    attempt: int
    state: str
    """`refused` where it cannot be done; `reason` says why."""
    previous_state: str
    reason: str
    who: str
    event_time: EventTime


class Decision(BaseModel):
    """What somebody decides about a model and a node."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["approve", "reject", "deploy", "roll_back", "pin", "unpin"]
    model_id: Annotated[str, Field(max_length=500)] = ""
    """In full. Empty: the one that is pending (approve, reject), live (pin) or was live before (roll_back)."""
    node_id: Annotated[str, Field(max_length=500)] = ""
    """Empty: every node that it concerns."""
    comment: Comment = ""
    event_time: AskedTime | None = None
    """When it is decided, for a replay of the past; now where it is missing."""


class DecisionResult(Answer):
    """What followed from a decision."""

    answers: list[DeploymentAnswer]
    """One a node; empty when the processors have not answered yet."""
    message: str
    """Why there is no answer yet: the decision is recorded and is carried out when they get to it."""


class UploadedModel(Answer):
    """What was announced."""

    model_id: str
    name: str
    format: str
    file_name: str
    size_bytes: int
    sha256: str
    signature: str
    """Empty when it is not signed."""


class DeletedModel(Answer):
    """A model whose file is gone."""

    model_id: str
    reason: str


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


@ROUTER.post(
    "/mlapps/{mlapp_id}/decisions",
    dependencies=[Depends(require("models.review"))],
    responses={
        202: {"model": DecisionResult, "description": "Recorded; the processors have not answered yet."}
    },
)
def decide(
    request: Request,
    response: Response,
    mlapp_id: MLAppId,
    decision: Decision,
    once: OnceKey,
    wait_s: WaitS = 30,
) -> DecisionResult:
    """Approve, reject, deploy, roll back, pin or unpin."""

    def act() -> DecisionResult:
        current(request, mlapp_id)
        if decision.model_id:
            announced(request, mlapp_id, decision.model_id)
        if decision.action == "deploy" and not decision.model_id:
            raise ApiProblemError(422, "invalid-request", "deploy needs a model_id")
        at_ms, _ = range_ms(decision.event_time, None)
        try:
            found = operations.decide(
                context_of(request).settings,
                decision.action,
                mlapp_id,
                who=once.author,
                comment=decision.comment,
                node_id=decision.node_id,
                model_id=decision.model_id,
                event_time_ms=at_ms,
                timeout_s=wait_s,
            )
        except NoAnswerError as error:
            return DecisionResult(answers=[], message=str(error))
        return DecisionResult(answers=answers(DeploymentAnswer, found), message="")

    decided = once(DecisionResult, act)
    response.status_code = 200 if decided.answers else 202
    return decided


@ROUTER.post(
    "/mlapps/{mlapp_id}/models",
    dependencies=[Depends(require("models.upload"))],
    status_code=201,
    max_body_size=UPLOAD_BYTES,
)
def upload_model(
    request: Request,
    mlapp_id: MLAppId,
    file: Annotated[UploadFile, File(description="The model's file; of a directory a tar.gz.")],
    name: Annotated[str, Form(min_length=1, max_length=500)],
    format_: Annotated[str, Form(alias="format", max_length=100, examples=["Onnx"])],
    once: OnceKey,
    description: Annotated[str, Form(max_length=5000)] = "",
    node_id: Annotated[
        str, Form(max_length=500, description="Node that it is taken to come from; empty: of none.")
    ] = "",
    annotations: Annotated[str, Form(max_length=100_000, description="A JSON object.")] = "{}",
    model_id: Annotated[str, Form(max_length=100, description="Of a signed model; empty: a new one.")] = "",
    signature: Annotated[
        str,
        Form(max_length=500, description="As `mcenter models sign` prints it, for this MLApp and model_id."),
    ] = "",
    comment: Annotated[str, Form(max_length=MAX_COMMENT)] = "",
) -> UploadedModel:
    """Upload a model; the model policy takes it from there."""
    wanted = from_json(annotations)
    if not isinstance(wanted, dict):
        raise ApiProblemError(422, "invalid-request", "annotations must be a JSON object")
    model = NewModel(
        name=name,
        format=format_,
        file_name=file.filename or "model",
        description=description,
        node_id=node_id,
        annotations=wanted,
        model_id=model_id,
        signature=signature,
    )

    def act() -> UploadedModel:
        from parallelm.warehouse.queries import models

        current(request, mlapp_id)
        with NamedTemporaryFile() as kept:
            shutil.copyfileobj(file.file, kept)
            kept.flush()
            found = model_files.upload_model(
                context_of(request).settings,
                mlapp_id,
                FilePath(kept.name),
                model,
                who=once.author,
                comment=comment,
            )
        settings = context_of(request).settings
        stored(lambda: not models(settings, mlapp_id=mlapp_id, model_id=found.model_id).empty)
        return UploadedModel.model_validate(found)

    return once(UploadedModel, act)


@ROUTER.get(
    "/mlapps/{mlapp_id}/models/{model_id}/file",
    dependencies=[Depends(require("models.download"))],
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    },
)
def download_model(request: Request, mlapp_id: MLAppId, model_id: ModelId) -> StreamingResponse:
    """The model's file, streamed from the artifact store. A stream that is cut does not match its `Content-Length`."""
    announced(request, mlapp_id, model_id)
    stored = model_files.open_model(context_of(request).settings, model_id, mlapp_id)
    headers = {
        "Content-Length": str(stored.size_bytes),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(stored.file_name, safe='')}",
        "ETag": f'"{stored.sha256}"',
        "X-Content-SHA256": stored.sha256,
    }
    return StreamingResponse(stored.chunks, headers=headers, media_type="application/octet-stream")


@ROUTER.delete("/mlapps/{mlapp_id}/models/{model_id}", dependencies=[Depends(require("models.delete"))])
def delete_model(
    request: Request,
    mlapp_id: MLAppId,
    model_id: ModelId,
    once: OnceKey,
    comment: Annotated[str, Query(min_length=1, max_length=MAX_COMMENT, description="Why.")],
    wait_s: WaitS = 30,
) -> DeletedModel:
    """Remove a model's file; refused while it is live, pending or pinned. What it did stays in the history."""

    def act() -> DeletedModel:
        announced(request, mlapp_id, model_id)
        answer = model_files.delete_model(
            context_of(request).settings,
            mlapp_id,
            model_id,
            who=once.author,
            comment=comment,
            timeout_s=wait_s,
        )
        return DeletedModel(model_id=model_id, reason=answer.reason)

    return once(DeletedModel, act)


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
