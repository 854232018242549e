"""Definitions of MLApps as files: read, checked and applied; and rules tried before they are applied."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Body, Depends, Header, Query, Request, Response

from parallelm.operations import definitions as operations
from parallelm.operations.definition_versions import difference
from parallelm.operations.errors import DefinitionChangedError
from parallelm.operations.rules_in_words import rules_in_words
from parallelm.schemas.records import MLAppDefinition
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.api._readable import READ
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer
from parallelm.server.api.components import Chosen, chosen_components, digests_of
from parallelm.server.api.mlapps import MLAppId, current
from parallelm.server.context import context_of
from parallelm.server.problems import ApiProblemError
from parallelm.server.stored import stored

ROUTER: Final = resource("definitions")
_WRITE: Final = "mlapps.write"
_YAML: Final = "application/yaml"
DefinitionText = Annotated[
    bytes,
    Body(
        media_type=_YAML,
        description="The MLApp's file.",
        openapi_examples={
            "churn": {
                "value": "mlapp: churn\nnodes:\n  - {id: train, type: model_producer}\n"
                "  - {id: predict, type: model_consumer, parents: [train], consumes: [train]}\n"
                "policy: {model_policy: manual}\nalerts: []\n"
            }
        },
    ),
]
_TAG: Final = re.compile(r'(?:W/)?"([0-9]+)"')


class RuleInWords(Answer):
    """What a rule does."""

    name: str
    type: str
    severity: str
    lines: list[tuple[str, str]]
    """Title and text."""


class CheckedDefinition(Answer):
    """A file without mistakes, and what its rules mean."""

    mlapp_id: str
    node_ids: list[str]
    rules: list[RuleInWords]


class AppliedDefinition(Answer):
    """The definition in force."""

    mlapp_id: str
    version: int
    is_new: bool
    """False: nothing but comments or layout differed from what was in force."""


class DefinitionDifference(Answer):
    """What applying a file would change."""

    lines: list[str]
    """Of the texts, in the form of `diff -u`; also comments and layout."""
    components: list[str]
    """Those of which other files would run."""
    is_new: bool
    """Applying it makes a new version."""


@ROUTER.get(
    "/mlapps/{mlapp_id}/definition",
    dependencies=[Depends(require(READ))],
    response_class=Response,
    responses={200: {"content": {_YAML: {"schema": {"type": "object"}}}}},
)
def get_definition(request: Request, mlapp_id: MLAppId) -> Response:
    """The file in force, as it was applied; its `ETag` is for `If-Match` of the next one."""
    row = current(request, mlapp_id)
    return Response(row["source_yaml"], media_type=_YAML, headers={"ETag": tag_of(row["version"])})


@ROUTER.post("/definitions/check", dependencies=[Depends(require(READ, anywhere=True))])
def check_definition(text: DefinitionText) -> CheckedDefinition:
    """Check a file and say what its rules do; every mistake comes with its line and column."""
    definition = operations.validate_definition(text, "definition")
    return CheckedDefinition(
        mlapp_id=definition.mlapp_id,
        node_ids=[node.node_id for node in definition.nodes],
        rules=[RuleInWords.model_validate(each) for each in rules_in_words(definition)],
    )


@ROUTER.post("/mlapps/{mlapp_id}/definition/difference", dependencies=[Depends(require(READ))])
def compare_definition(
    request: Request,
    mlapp_id: MLAppId,
    text: DefinitionText,
    component: Chosen = None,
    source: Annotated[str, Query(max_length=500, description="The file's name, for the lines.")] = "file",
) -> DefinitionDifference:
    """What applying a file, with components that need not be sent yet, would change of the definition in force."""
    definition = operations.validate_definition(text, "definition")
    _require_mlapp(definition, mlapp_id)
    found = difference(context_of(request).settings, definition, source, digests_of(component))
    return DefinitionDifference.model_validate(found)


@ROUTER.put(
    "/mlapps/{mlapp_id}/definition",
    dependencies=[Depends(require(_WRITE))],
    responses={201: {"model": AppliedDefinition, "description": "A new MLApp"}},
)
def apply_definition(
    request: Request,
    response: Response,
    mlapp_id: MLAppId,
    text: DefinitionText,
    asking: Asking,
    if_match: Annotated[
        str | None,
        Header(
            max_length=100,
            description="`ETag` of the file that this was made from: 412 when another is in force.",
        ),
    ] = None,
    if_none_match: Annotated[
        str | None, Header(max_length=100, description="`*`: only when the MLApp is not defined yet.")
    ] = None,
    component: Chosen = None,
) -> AppliedDefinition:
    """Make a file the definition of its MLApp. Applying the same again changes nothing."""
    from parallelm.warehouse.queries.mlapps import is_in_force

    definition = operations.validate_definition(text, "definition")
    _require_mlapp(definition, mlapp_id)
    base = 0 if if_none_match == "*" else _base_version(if_match)
    try:
        applied = operations.apply_definition(
            context_of(request).settings,
            definition,
            who=asking.author,
            base_version=base,
            components=chosen_components(request, component),
        )
    except DefinitionChangedError as error:
        raise ApiProblemError(412, "definition-changed", str(error)) from error
    version = applied.definition.version
    settings = context_of(request).settings
    stored(lambda: is_in_force(settings, mlapp_id, version))
    response.headers["ETag"] = tag_of(version)
    response.status_code = 201 if applied.is_new and version == 1 else 200
    return AppliedDefinition(mlapp_id=mlapp_id, version=version, is_new=applied.is_new)


def _require_mlapp(definition: MLAppDefinition, mlapp_id: str) -> None:
    """422 for the file of another MLApp."""
    if definition.mlapp_id != mlapp_id:
        raise ApiProblemError(
            422,
            "other-mlapp",
            f"the file defines MLApp {definition.mlapp_id!r}, and the address names {mlapp_id!r}",
        )


def tag_of(version: int) -> str:
    """Entity tag of a version."""
    return f'"{version}"'


def _base_version(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    found = _TAG.fullmatch(if_match.strip())
    if found is None:
        raise ApiProblemError(
            412, "definition-changed", f"If-Match is {if_match!r}; it must be the ETag of a definition"
        )
    return int(found[1])
