"""Components of an MLApp: sent before the definition that names them."""

from __future__ import annotations

import shutil
from pathlib import Path as FilePath
from tempfile import NamedTemporaryFile
from typing import Annotated, Final

from fastapi import Depends, File, Path, Query, Request, UploadFile

from parallelm.definitions.components.packing import MAX_BYTES
from parallelm.definitions.run_spec import ComponentSpec
from parallelm.operations.components import publish_packed, stored_component
from parallelm.server.access.dependencies import require
from parallelm.server.api._once import OnceKey
from parallelm.server.api._resource import resource
from parallelm.server.api._values import Answer
from parallelm.server.api.mlapps import MLAppId
from parallelm.server.context import context_of

ROUTER: Final = resource("definitions")
_FORM_BYTES: Final = 100_000
"""What is around a file in a form."""
Chosen = Annotated[
    list[Annotated[str, Query(pattern=r"^[^=]+=[0-9a-f]{64}$", max_length=600)]] | None,
    Query(
        max_length=1000,
        description="Component that was sent, `name=sha256`; repeated. Others stay as they are in force.",
    ),
]
"""Parameter of a handler."""


class SentComponent(Answer):
    """A component in the artifact store."""

    name: str
    sha256: str
    """Names it when the definition is applied."""
    size_bytes: int


@ROUTER.post(
    "/mlapps/{mlapp_id}/components/{name}",
    dependencies=[Depends(require("mlapps.write"))],
    status_code=201,
    max_body_size=MAX_BYTES + _FORM_BYTES,
)
def upload_component(
    request: Request,
    mlapp_id: MLAppId,  # noqa: ARG001 - whose definition will name it: that is who may send it
    name: Annotated[str, Path(min_length=1, max_length=200, description="Of the component and its folder.")],
    file: Annotated[
        UploadFile, File(description="A tar of its folder, uncompressed, with `component.yaml`.")
    ],
    once: OnceKey,
) -> SentComponent:
    """Put a component into the artifact store; a definition that is applied with its `name=sha256` runs it."""

    def act() -> SentComponent:
        with NamedTemporaryFile(prefix="mcenter-component-", suffix=".tar") as kept:
            shutil.copyfileobj(file.file, kept)
            kept.flush()
            found = publish_packed(context_of(request).settings, name, FilePath(kept.name))
        return SentComponent.model_validate(found)

    return once(SentComponent, act)


def chosen_components(request: Request, chosen: list[str] | None) -> dict[str, ComponentSpec]:
    """Those that are named; raises ``InvalidFileError`` for one that is not in the artifact store."""
    settings = context_of(request).settings
    return {name: stored_component(settings, name, sha256) for name, sha256 in digests_of(chosen).items()}


def digests_of(chosen: list[str] | None) -> dict[str, str]:
    """SHA-256 by name."""
    pairs = [each.rpartition("=") for each in chosen or ()]
    return {name: sha256 for name, _, sha256 in pairs}
