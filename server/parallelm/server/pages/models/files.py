"""The files of models: uploaded, downloaded and deleted by people."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from starlette.responses import Response, StreamingResponse

from parallelm.operations import model_files
from parallelm.operations.errors import ModelInUseError, NoAnswerError
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.access.limits import UPLOAD_BYTES
from parallelm.server.api.models import download_model
from parallelm.server.context import context_of
from parallelm.server.pages.models.facts import announced
from parallelm.server.pages.models.listing import annotations_of
from parallelm.server.pages.models.one import shown_model
from parallelm.server.pages.rendering import render
from parallelm.server.pages.toasts import toast
from parallelm.server.stored import stored
from parallelm.warehouse.queries import models

ROUTER: Final = APIRouter(prefix="/mlapps/{mlapp_id}/models")


@ROUTER.post("/upload", dependencies=[Depends(require("models.upload"))], max_body_size=UPLOAD_BYTES)
def upload(
    request: Request,
    asking: Asking,
    mlapp_id: str,
    file: Annotated[UploadFile, File()],
    name: Annotated[str, Form(min_length=1, max_length=500)],
    model_format: Annotated[str, Form(alias="format", max_length=100)],
    node_id: Annotated[str, Form(max_length=500)] = "",
    description: Annotated[str, Form(max_length=5000)] = "",
    annotations: Annotated[str, Form(max_length=10_000)] = "",
    comment: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Take a file as a model of the MLApp, and go to its page."""
    settings = context_of(request).settings
    wanted = model_files.NewModel(
        name=name,
        format=model_format,
        file_name=file.filename or "model",
        description=description,
        node_id=node_id,
        annotations={key: json.loads(text) for key, text in annotations_of(annotations).items()},
    )
    with NamedTemporaryFile() as kept:
        shutil.copyfileobj(file.file, kept)
        kept.flush()
        made = model_files.upload_model(
            settings, mlapp_id, Path(kept.name), wanted, who=asking.author, comment=comment
        )
    is_stored = stored(lambda: not models(settings, mlapp_id=mlapp_id, model_id=made.model_id).empty)
    answer = toast(f"Model {name} is uploaded.")
    here = f"{request.scope.get('root_path', '')}/mlapps/{quote(mlapp_id)}/models"
    answer.headers["HX-Redirect"] = f"{here}/{made.model_id}" if is_stored else here
    return answer


@ROUTER.get("/{model_id}/download", dependencies=[Depends(require("models.download"))])
def download(request: Request, mlapp_id: str, model_id: str) -> StreamingResponse:
    """The file, as the API streams it."""
    return download_model(request, mlapp_id, model_id)


@ROUTER.post("/{model_id}/delete", dependencies=[Depends(require("models.delete"))])
def delete(
    request: Request,
    asking: Asking,
    mlapp_id: str,
    model_id: str,
    comment: Annotated[str, Form(min_length=1, max_length=2000)],
) -> Response:
    """Remove the file, unless the model is in use."""
    settings = context_of(request).settings
    kind = "error"
    try:
        model_files.delete_model(settings, mlapp_id, model_id, who=asking.author, comment=comment)
    except (ModelInUseError, NoAnswerError) as error:
        said = str(error)
    else:
        said, kind = "The model's file is deleted; what it did stays.", "ok"
        stored(lambda: announced(settings, mlapp_id, model_id)["deleted_by"] != "")
    part = render(request, "models/_model.html", shown_model(request, mlapp_id, model_id))
    return toast(said, part, kind)
