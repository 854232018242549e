"""Models: published, listed, downloaded, reviewed, and what became of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any, Final

from fastapi import APIRouter, File, Query, Request, UploadFile
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from parallelm.operations import model_files
from parallelm.operations import models as operations
from parallelm.operations.json_values import plain
from parallelm.operations.model_files import NewModel
from parallelm.server.access.dependencies import allow
from parallelm.server.access.limits import UPLOAD_BYTES
from parallelm.server.access.principal import Principal
from parallelm.server.api._readable import READ
from parallelm.server.api._values import from_json, rows
from parallelm.server.compatibility._pipelines import pipeline_of
from parallelm.server.compatibility.callers import Caller
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError

ROUTER: Final = APIRouter()
_ACTIONS: Final = {"approve": "approve", "approved": "approve", "reject": "reject", "rejected": "reject"}


@ROUTER.post("/models/{instance_id}", max_body_size=UPLOAD_BYTES)
def publish_model(
    request: Request,
    instance_id: str,
    caller: Caller,
    file: Annotated[UploadFile, File()],
    name: str = "",
    model_id: Annotated[str, Query(alias="id")] = "",
    format_: Annotated[str, Query(alias="format")] = "Unknown",
    description: str = "",
    annotations: str = "",
) -> str:
    """Take a model of a pipeline; the model policy goes on from there. Answers with its id."""
    pipeline = pipeline_of(request, caller, instance_id, "reports.write")
    allow(caller, "models.upload", pipeline.mlapp_id)
    said = from_json(annotations) if annotations else {}
    model = NewModel(
        name=name or file.filename or "model",
        format=format_,
        file_name=file.filename or "model",
        description=description,
        node_id=pipeline.node_id,
        annotations=said if isinstance(said, dict) else {"annotations": said},
        model_id=model_id,
    )
    with NamedTemporaryFile() as kept:
        shutil.copyfileobj(file.file, kept)
        kept.flush()
        found = model_files.upload_model(
            context_of(request).settings, pipeline.mlapp_id, Path(kept.name), model, who=caller.author
        )
    return found.model_id


@ROUTER.get("/v1/models")
def list_models(
    request: Request,
    caller: Caller,
    mlapp_id: Annotated[str | None, Query(alias="mlAppId")] = None,
    instance_id: Annotated[str | None, Query(alias="pipelineInstanceId")] = None,
    kind: Annotated[str | None, Query(alias="modelType")] = None,
) -> list[dict[str, Any]]:
    """Models that somebody may read; with ``modelType=lastApproved`` the one that a pipeline was given last."""
    from parallelm.warehouse.queries import deployment_history, last_deployed_model, models

    settings = context_of(request).settings
    if mlapp_id is not None:
        allow(caller, READ, mlapp_id)
    chosen: str | None = None
    if kind == "lastApproved":
        if instance_id is None:
            raise ApiProblemError(422, "invalid-request", "lastApproved needs a pipelineInstanceId")
        pipeline = pipeline_of(request, caller, instance_id, READ)
        last = last_deployed_model(settings, pipeline.mlapp_id, pipeline.node_id)
        if last is None:
            return []
        mlapp_id, chosen = pipeline.mlapp_id, last.model_id
    readable = mlapp_id if mlapp_id is not None else caller.mlapps(READ)
    found = rows(models(settings, mlapp_id=readable, model_id=chosen))
    decisions = rows(deployment_history(settings, mlapp_id=readable, model_id=chosen))
    return [_shown(each, decisions) for each in found]


@ROUTER.get("/v1/models/{model_id}/download")
def download(request: Request, model_id: str, caller: Caller) -> StreamingResponse:
    """The file."""
    row = _model(request, caller, model_id, "models.download")
    stored = model_files.open_model(context_of(request).settings, model_id, row["mlapp_id"])
    headers = {"Content-Length": str(stored.size_bytes)}
    return StreamingResponse(stored.chunks, headers=headers, media_type="application/octet-stream")


@ROUTER.get("/v1/models/{model_id}/metrics")
def metrics(request: Request, model_id: str, caller: Caller) -> list[dict[str, Any]]:
    """What was reported of a model."""
    from parallelm.warehouse.queries import statistics, structured_statistics

    row = _model(request, caller, model_id, READ)
    chosen = {"mlapp_id": row["mlapp_id"], "model_id": model_id}
    settings = context_of(request).settings
    numbers = [
        {"id": each["name"], "type": each["graph_type"], "data": {**each["labels"], "value": each["value"]}}
        for each in rows(statistics(settings, limit=10_000, **chosen))
    ]
    others = [
        {"id": each["name"], "type": each["graph_type"], "data": _payload(each)}
        for each in rows(structured_statistics(settings, **chosen))
    ]
    shown: list[dict[str, Any]] = plain([*numbers, *others])
    return shown


class Review(BaseModel):
    """What somebody decides."""

    action: str
    description: str = ""
    mlAppInstanceId: str  # noqa: N815 - the original's name


@ROUTER.post("/models/{model_id}/review")
def review(request: Request, model_id: str, said: Review, caller: Caller) -> dict[str, Any]:
    """Approve or reject a model."""
    row = _model(request, caller, model_id, "models.review")
    action = _ACTIONS.get(said.action.lower())
    if action is None or row["mlapp_id"] != said.mlAppInstanceId:
        raise ApiProblemError(
            422,
            "invalid-request",
            f"action {said.action!r} must be approve or reject, and the MLApp be the model's",
        )
    found = operations.decide(
        context_of(request).settings,
        action,
        row["mlapp_id"],
        who=caller.author,
        comment=said.description,
        model_id=model_id,
    )
    return {
        "states": [{"node": each.node_id, "state": each.state.value, "reason": each.reason} for each in found]
    }


@ROUTER.get("/models/{model_id}/status")
def status(request: Request, model_id: str, caller: Caller) -> dict[str, Any]:
    """Who approved or rejected it."""
    from parallelm.warehouse.queries import deployment_history

    row = _model(request, caller, model_id, READ)
    found = deployment_history(context_of(request).settings, mlapp_id=row["mlapp_id"], model_id=model_id)
    shown = _shown(row, rows(found))
    return {name: shown[name] for name in ("id", "approvedForIons", "rejectedForIons", "reviewedBy", "state")}


@ROUTER.get("/models/{model_id}/source")
def source(request: Request, model_id: str, caller: Caller) -> dict[str, Any]:
    """Where it came from."""
    row = _model(request, caller, model_id, READ)
    uploaded = from_json(row["annotations"].get(model_files.SOURCE, '""')) == model_files.UPLOADED
    return {
        "source": "uploaded" if uploaded else "generated",
        "ionId": row["mlapp_id"],
        "ionNodeId": row["node_id"],
        "agentId": row["agent_id"],
        "owner": row["owner"],
    }


@ROUTER.get("/models/{model_id}/usage")
def usage(request: Request, model_id: str, caller: Caller) -> list[dict[str, Any]]:
    """Where it was used, with what was predicted and alerted meanwhile."""
    from parallelm.warehouse.queries.model_usage import model_usage

    row = _model(request, caller, model_id, READ)
    found = rows(model_usage(context_of(request).settings, mlapp_id=row["mlapp_id"], model_id=model_id))
    shown: list[dict[str, Any]] = plain(
        [
            {
                "ionId": each["mlapp_id"],
                "ionNodeId": each["node_id"],
                "pipelineId": f"{each['mlapp_id']}.{each['node_id']}",
                "usageTimes": [{"start": _ms(each["live_from"]), "end": _ms(each["live_to"])}],
                "predictions": each["predictions"],
                "mlAlerts": each["health_alerts"],
                "dataAlerts": each["alerts"] - each["health_alerts"],
            }
            for each in found
        ]
    )
    return shown


def _model(request: Request, caller: Principal, model_id: str, action: str) -> dict[str, Any]:
    """Its row, of the MLApps to which somebody may do this; 404 for every other."""
    from parallelm.warehouse.queries import models

    found = rows(models(context_of(request).settings, mlapp_id=caller.mlapps(action), model_id=model_id))
    if not found:
        raise ApiProblemError(404, "unknown-model", f"there is no model {model_id!r}")
    return found[0]


def _shown(row: dict[str, Any], decisions: list[dict[str, Any]]) -> dict[str, Any]:
    own = [
        each
        for each in decisions
        if (each["mlapp_id"], each["model_id"]) == (row["mlapp_id"], row["model_id"])
    ]
    approved = any(each["state"] in {"requested", "accepted", "active"} for each in own)
    rejected = any(each["state"] == "rejected" for each in own)
    uploaded = from_json(row["annotations"].get(model_files.SOURCE, '""')) == model_files.UPLOADED
    return {
        "id": row["model_id"],
        "name": row["name"],
        "format": row["format"],
        "description": row["description"],
        "annotations": {name: from_json(text) for name, text in row["annotations"].items()},
        "createdTimestamp": _ms(row["event_time"]),
        "approvedForIons": [row["mlapp_id"]] if approved else [],
        "rejectedForIons": [row["mlapp_id"]] if rejected else [],
        "reviewedBy": next((each["who"] for each in reversed(own) if each["who"]), ""),
        "state": own[-1]["state"] if own else "",
        "modelSize": row["size_bytes"],
        "source": "uploaded" if uploaded else "generated",
    }


def _payload(row: dict[str, Any]) -> Any:
    return from_json(row["data"]) if isinstance(row["data"], str) else row["data"]


def _ms(moment: Any) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
