"""An MLApp's definition: its file with versions and differences, edited with the validator's messages at their lines."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, HTTPException, Query, Request
from starlette.responses import HTMLResponse, Response

from parallelm.definitions.errors import DefinitionError
from parallelm.operations.definitions import apply_definition, validate_definition
from parallelm.operations.errors import DefinitionChangedError, InvalidFileError
from parallelm.operations.runs import decide_runs, was_refused
from parallelm.schemas.well_known import DELETE
from parallelm.server.access.dependencies import Asking, allow, require
from parallelm.server.context import context_of
from parallelm.server.pages import Page
from parallelm.server.pages.rendering import render
from parallelm.server.pages.toasts import refreshed, toast
from parallelm.server.stored import stored
from parallelm.warehouse.queries.mlapps import is_in_force, mlapp_versions

if TYPE_CHECKING:
    from parallelm.definitions.errors import Problem
    from parallelm.operations.definitions import AppliedDefinition
    from parallelm.schemas.records import MLAppDefinition

ROUTER: Final = APIRouter()
PAGE: Final = Page("Definition", "/definition", "mlapps.read", place=70, of_mlapp=True)
_READ: Final = [Depends(require("mlapps.read"))]
_MAX_BYTES: Final = 900_000
"""A record holds a megabyte."""
_NEW: Final = """\
mlapp: my-mlapp
name: What it is for
nodes:
  - {id: train, type: model_producer}
  - {id: predict, type: model_consumer, parents: [train], consumes: [train]}
policy: {model_policy: manual}
alerts: []
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the validator says of a text."""

    definition: MLAppDefinition | None
    mistakes: tuple[Problem, ...] = ()
    said: str = ""
    """A mistake that has no place."""


def check(text: str, mlapp_id: str | None) -> Checked:
    """Read a file's text; with ``mlapp_id`` it must be of that MLApp."""
    if len(data := text.replace("\r\n", "\n").encode()) > _MAX_BYTES:
        return Checked(None, said=f"the file has {len(data)} bytes; at most {_MAX_BYTES} fit a record")
    try:
        definition = validate_definition(data, "file")
    except InvalidFileError as error:
        if isinstance(error.__cause__, DefinitionError):
            return Checked(None, tuple(error.__cause__.problems))
        return Checked(None, said=str(error))
    if mlapp_id is not None and definition.mlapp_id != mlapp_id:
        said = f"it defines {definition.mlapp_id!r}; this is the page of {mlapp_id!r}: define another MLApp from the overview"
        return Checked(None, said=said)
    return Checked(definition)


@ROUTER.get("/mlapps/{mlapp_id}/definition", dependencies=_READ)
def definition(
    request: Request,
    mlapp_id: str,
    asking: Asking,
    older: Annotated[int | None, Query(ge=1)] = None,
    newer: Annotated[int | None, Query(ge=1)] = None,
) -> HTMLResponse:
    """The current file, all versions, and with ``older`` and ``newer`` what changed between two."""
    versions = _versions(request, mlapp_id)
    kept = [each for each in versions if not each["is_deleted"]]
    texts = {each["version"]: each["source_yaml"] for each in kept}
    if older is None and newer is None and len(texts) > 1:
        newer, older = sorted(texts, reverse=True)[:2]
    compared = older in texts and newer in texts
    values = {
        "mlapp_id": mlapp_id,
        "versions": versions,
        "current": kept[0] if kept and kept[0] is versions[0] else None,
        "may_edit": asking.may("mlapps.write", mlapp_id),
        "older": older,
        "newer": newer,
        "difference": _difference(texts[older], texts[newer]) if compared and older and newer else [],
        "start": _NEW.replace("my-mlapp", mlapp_id),
    }
    return render(request, "definition.html", values)


@ROUTER.post("/mlapps/{mlapp_id}/definition/check", dependencies=_READ)
def check_definition(request: Request, mlapp_id: str, text: Annotated[str, Form()] = "") -> HTMLResponse:
    """What the validator says, for the part of the page below the text."""
    return _said(request, check(text, mlapp_id))


@ROUTER.post("/mlapps/{mlapp_id}/definition", dependencies=[Depends(require("mlapps.write"))])
def apply(
    request: Request,
    mlapp_id: str,
    asking: Asking,
    text: Annotated[str, Form()] = "",
    version: Annotated[int, Form(ge=0)] = 0,
) -> Response:
    """Make a text the definition; ``version`` is the one that the text was made from."""
    checked = check(text, mlapp_id)
    if checked.definition is None:
        return _said(request, checked)
    try:
        applied = apply_definition(
            context_of(request).settings, checked.definition, who=asking.author, base_version=version
        )
    except DefinitionChangedError as error:
        raise HTTPException(
            409,
            f"somebody has applied versions since: {error}. Keep a copy of the text, and load the page again",
        ) from error
    _wait_until_shown(request, applied)
    words = f"version {applied.definition.version} of {mlapp_id} holds now"
    answer = Response(status_code=204, headers={"HX-Refresh": "true"} if applied.is_new else {})
    return toast(
        words if applied.is_new else "nothing but comments or layout differs: no new version", answer
    )


@ROUTER.post("/mlapps/{mlapp_id}/definition/delete", dependencies=[Depends(require("mlapps.write"))])
def delete(
    request: Request,
    mlapp_id: str,
    asking: Asking,
    confirm: Annotated[str, Form(min_length=1)],
    comment: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Remove the definition, once nothing of the MLApp runs."""
    if confirm != mlapp_id:
        raise HTTPException(422, f"confirm that the definition of {mlapp_id} is deleted")
    settings = context_of(request).settings
    done = decide_runs(settings, DELETE, mlapp_id, who=asking.author, comment=comment)
    if was_refused(done):
        return toast("; ".join(each.reason for each in done), kind="error")
    stored(lambda: _versions(request, mlapp_id)[0]["is_deleted"])
    return refreshed(f"the definition of {mlapp_id} is removed; what it reported stays")


@ROUTER.get("/definitions/new", dependencies=[Depends(require("mlapps.write", anywhere=True))])
def new_definition(request: Request) -> HTMLResponse:
    """Define an MLApp that is not there yet."""
    return render(request, "new_definition.html", {"start": _NEW})


@ROUTER.post("/definitions/check", dependencies=[Depends(require("mlapps.write", anywhere=True))])
def check_new(request: Request, text: Annotated[str, Form()] = "") -> HTMLResponse:
    """As for one that is there."""
    return _said(request, check(text, None))


@ROUTER.post("/definitions", dependencies=[Depends(require("mlapps.write", anywhere=True))])
def apply_new(request: Request, asking: Asking, text: Annotated[str, Form()] = "") -> Response:
    """Apply the definition of a new MLApp, and go to it."""
    checked = check(text, None)
    if checked.definition is None:
        return _said(request, checked)
    mlapp_id = checked.definition.mlapp_id
    allow(asking, "mlapps.write", mlapp_id)
    try:
        applied = apply_definition(
            context_of(request).settings, checked.definition, who=asking.author, base_version=0
        )
    except DefinitionChangedError as error:
        raise HTTPException(
            409, f"there is an MLApp {mlapp_id!r} already: edit it on its page. {error}"
        ) from error
    _wait_until_shown(request, applied)
    where = request.url_for("definition", mlapp_id=mlapp_id).path
    return toast(f"{mlapp_id} is defined", Response(status_code=204, headers={"HX-Redirect": where}))


def _wait_until_shown(request: Request, applied: AppliedDefinition) -> None:
    """The page that comes next has the version as the one that the next change is made from."""
    settings, wanted = context_of(request).settings, applied.definition
    stored(lambda: is_in_force(settings, wanted.mlapp_id, wanted.version))


def _versions(request: Request, mlapp_id: str) -> list[dict[Any, Any]]:
    """The latest first."""
    found = mlapp_versions(context_of(request).settings, mlapp_id)
    return found.to_dict("records")[::-1]


def _said(request: Request, checked: Checked) -> HTMLResponse:
    return render(request, "parts/definition_check.html", {"checked": checked})


def _difference(older: str, newer: str) -> list[tuple[str, str]]:
    """Lines with what became of them: ``added``, ``removed``, ``place`` or nothing."""
    lines = difflib.unified_diff(older.splitlines(), newer.splitlines(), lineterm="", n=3)
    kinds = {"+": "added", "-": "removed", "@": "place"}
    return [(kinds.get(line[:1], ""), line) for number, line in enumerate(lines) if number > 1]
