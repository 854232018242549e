"""The files of models: upload one as a person, read one, and delete one that nothing uses.

A file is written once and never changed; it is read as bytes, and nothing here opens what is in it, but for a look at how it begins. A deleted model stays in
the warehouse with all that it did: what goes is its file, once the processors have agreed that nothing deploys it any more.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from parallelm.connections.artifacts import (
    artifact_url,
    filesystem,
    present_url,
    public_artifacts_url,
    store_error,
)
from parallelm.connections.artifacts.create_only import ArtifactExistsError, put_new
from parallelm.connections.secrets import without_credentials
from parallelm.operations.actions import ANSWER_TIMEOUT_S, act, action_to_send, new_action
from parallelm.operations.definitions import get_definition
from parallelm.operations.errors import (
    ArtifactStoreError,
    ModelDeletedError,
    ModelExistsError,
    ModelFileError,
    ModelInUseError,
    UnknownModelError,
    UnknownNodeError,
)
from parallelm.operations.model_beginnings import READ_BYTES, wanted_beginning
from parallelm.schemas.codec import Codec
from parallelm.schemas.errors import SignatureError
from parallelm.schemas.model_signatures import SignedModel, sign, signed_model, signer
from parallelm.schemas.records import DeploymentState, ModelAnnouncement, Origin
from parallelm.schemas.registry import make_registry
from parallelm.schemas.shared_writer import write_confirmed
from parallelm.schemas.topic_writer import OutgoingRecord
from parallelm.schemas.topics import MODELS
from parallelm.schemas.well_known import DELETE_MODEL, DIRECTORY_FORMATS, MODEL_FORMATS, UPLOAD_MODEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.schemas.records import DeploymentTransition, MLAppDefinition

SOURCE: Final = "source"
UPLOADED: Final = "uploaded"
"""Annotation of models that no component has trained."""
_MODEL_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_CHUNK_BYTES: Final = 1 << 20
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel:
    """What is said of a model that is uploaded."""

    name: str
    format: str
    file_name: str
    description: str = ""
    node_id: str = ""
    """Node that it is taken to come from: those that consume its models are offered this one. Empty: of none."""
    annotations: Mapping[str, Any] = field(default_factory=dict)
    model_id: str = ""
    """Of programs that choose it themselves; empty: a new one."""
    signature: str = ""
    """Made elsewhere, for this MLApp and ``model_id``; empty: by the key of ``settings.artifacts``, where there is one."""


@dataclass(frozen=True, slots=True)
class StoredModel:
    """The file of a model, to be read once."""

    file_name: str
    size_bytes: int
    sha256: str
    chunks: Iterator[bytes]
    """Raises ``ArtifactStoreError`` instead of the last one when the bytes are not those that were published."""


def upload_model(
    settings: Settings, mlapp_id: str, file: Path, model: NewModel, *, who: Author, comment: str = ""
) -> ModelAnnouncement:
    """Put a file into the artifact store and announce it, as a component does; the model policy takes it from there.

    Raises ``ModelFileError`` for what cannot be a model, ``ModelExistsError``, ``UnknownMLAppError``, ``UnknownNodeError``, ``ArtifactStoreError``,
    and as ``TopicWriter.write``; uploading it again then makes another model.
    """
    _check(get_definition(settings, mlapp_id), file, model)
    size_bytes, sha256 = _measure(file)
    if model.model_id:
        _check_new(settings, mlapp_id, model, sha256)
    model_id = model.model_id or uuid.uuid4().hex
    url = artifact_url(settings.artifacts, mlapp_id, model_id, model.file_name)
    now_ms = time.time_ns() // 1_000_000
    announcement = ModelAnnouncement(
        origin=Origin(
            mlapp_id=mlapp_id, node_id=model.node_id, pipeline_instance_id="", agent_id=socket.gethostname()
        ),
        producer_id=uuid.uuid4().hex,
        seq=0,
        event_time_ms=now_ms,
        model_id=model_id,
        name=model.name,
        format=model.format,
        description=model.description,
        artifact_url=url,
        file_name=model.file_name,
        is_directory=model.format in DIRECTORY_FORMATS,
        size_bytes=size_bytes,
        sha256=sha256,
        annotations={
            key: json.dumps(value) for key, value in {**model.annotations, SOURCE: UPLOADED}.items()
        },
        owner=who.name,
        train_version="",
        model_version="",
    )
    announcement = replace(announcement, signature=_signature(settings, announcement, model.signature))
    try:
        store, path = filesystem(settings.artifacts, url)
        put_new(store, path, file, {"model_id": model_id, "size_bytes": size_bytes, "sha256": sha256})
    except ArtifactExistsError:
        raise _exists(mlapp_id, model_id) from None
    except Exception as error:  # noqa: BLE001 - stores of many kinds raise as they like
        raise _of_store(settings, "takes no file", error) from None
    _announce(settings, announcement, who, comment)
    return announcement


def signature_of(
    settings: Settings, mlapp_id: str, file: Path, name: str, model_format: str, model_id: str
) -> str:
    """Signature of a file as a model of an MLApp, to be uploaded elsewhere; raises ``SignatureError``."""
    size_bytes, sha256 = _measure(file)
    signed = SignedModel(
        mlapp_id=mlapp_id,
        model_id=model_id,
        name=name,
        format=model_format,
        file_name=file.name,
        is_directory=model_format in DIRECTORY_FORMATS,
        size_bytes=size_bytes,
        sha256=sha256,
    )
    if not settings.artifacts.signing_key:
        raise SignatureError("there is no key to sign with: name its file in [artifacts] signing_key_file")
    return sign(settings.artifacts.signing_key, signed)


def open_model(settings: Settings, model_id: str, mlapp_id: str | None = None) -> StoredModel:
    """The file of a model; raises ``UnknownModelError``, ``ModelDeletedError``, ``ArtifactStoreError``."""
    row = _announced(settings, model_id, mlapp_id)
    if row["deleted_by"]:
        raise ModelDeletedError(f"the file of model {model_id} was deleted by {row['deleted_by']}")
    url = _own_url(settings, row)
    try:
        store, path = filesystem(settings.artifacts, url)
        opened = store.open(path, "rb")
    except FileNotFoundError as error:
        raise ArtifactStoreError(
            f"the artifact store has no file of model {model_id}: {row['artifact_url']} is gone"
        ) from error
    except Exception as error:  # noqa: BLE001 - stores of many kinds raise as they like
        raise _of_store(settings, "gives no file", error) from None
    # A tar.gz of a directory was announced under that name already.
    chunks = _checked(opened, int(row["size_bytes"]), row["sha256"])
    return StoredModel(row["file_name"], int(row["size_bytes"]), row["sha256"], chunks)


def delete_model(
    settings: Settings,
    mlapp_id: str,
    model_id: str,
    *,
    who: Author,
    comment: str,
    timeout_s: float = ANSWER_TIMEOUT_S,
) -> DeploymentTransition:
    """Have the processors give a model up, then remove its file. Deleting it again is harmless.

    Raises ``ModelInUseError`` while it is live, pending or pinned, ``UnknownModelError``, ``ArtifactStoreError`` when its file
    could not be removed, and as ``act``.
    """
    row = _announced(settings, model_id, mlapp_id)
    url = _own_url(settings, row)
    action = new_action(DELETE_MODEL, mlapp_id, who=who, comment=comment, model_id=model_id)
    (answer,) = act(settings, action, timeout_s=timeout_s)
    if answer.state is DeploymentState.REFUSED:
        raise ModelInUseError(answer.reason)
    try:
        store, path = filesystem(settings.artifacts, url)
        store.rm_file(path)
    except FileNotFoundError:
        pass
    except Exception as error:  # noqa: BLE001 - stores of many kinds raise as they like
        wanted = (
            f"does not remove the file of model {model_id}, which is not deployed any more: delete it again"
        )
        raise _of_store(settings, wanted, error) from None
    found: DeploymentTransition = answer
    return found


def _own_url(settings: Settings, row: Mapping[str, Any]) -> str:
    """Where the file lies; whoever may announce a model could name any file or host that this process reaches."""
    url = present_url(settings.artifacts, str(row["artifact_url"]))
    own = artifact_url(settings.artifacts, row["mlapp_id"], row["model_id"], "file").removesuffix("file")
    if not url.startswith(own) or ".." in unquote(url[len(own) :]).split("/"):
        raise ArtifactStoreError(
            f"the file of model {row['model_id']} was announced as {without_credentials(url)!r}, which is not its place in the "
            f"artifact store, {own!r}: it is not opened. See [artifacts] url"
        )
    return url


def _announced(settings: Settings, model_id: str, mlapp_id: str | None = None) -> Mapping[str, Any]:
    from parallelm.warehouse.queries import models

    found = models(settings, mlapp_id=mlapp_id, model_id=model_id).to_dict("records")
    if not found:
        where = f"MLApp {mlapp_id!r} has" if mlapp_id else "there is"
        raise UnknownModelError(f"{where} no model {model_id!r}")
    return {str(key): value for key, value in found[0].items()}


def _check(definition: MLAppDefinition, file: Path, model: NewModel) -> None:
    if model.node_id and model.node_id not in {node.node_id for node in definition.nodes}:
        known = ", ".join(node.node_id for node in definition.nodes)
        raise UnknownNodeError(
            f"MLApp {definition.mlapp_id!r} has no node {model.node_id!r}; there are: {known}"
        )
    if not model.name.strip():
        raise ModelFileError("a model needs a name")
    if model.format not in MODEL_FORMATS:
        raise ModelFileError(f"there is no format {model.format!r}; there are: {', '.join(MODEL_FORMATS)}")
    if model.model_id and not _MODEL_ID.fullmatch(model.model_id):
        raise ModelFileError(
            f"the id of a model has up to 100 letters, digits, _ and -, unlike {model.model_id!r}"
        )
    name = model.file_name
    if not name or len(name) > _LONGEST_NAME or PurePath(name).name != name or "\\" in name:
        raise ModelFileError(f"{name!r} is not the name of a file")
    with file.open("rb") as opened:
        beginning = opened.read(READ_BYTES)
    if not beginning:
        raise ModelFileError(f"{name} is empty")
    if wanted := wanted_beginning(model.format, beginning):
        raise ModelFileError(
            f"a model of format {model.format} is {wanted}; {name} begins with {beginning[:8]!r}: choose the format that it has"
        )


def _check_new(settings: Settings, mlapp_id: str, model: NewModel, sha256: str) -> None:
    """A model never changes; the same one may be uploaded again, by somebody who did not get the answer."""
    from parallelm.warehouse.queries import models

    said = {"name": model.name, "format": model.format, "file_name": model.file_name, "sha256": sha256}
    for row in models(settings, mlapp_id=mlapp_id, model_id=model.model_id).to_dict("records"):
        if any(str(row[key]) != value for key, value in said.items()):
            raise _exists(mlapp_id, model.model_id)


def _exists(mlapp_id: str, model_id: str) -> ModelExistsError:
    return ModelExistsError(
        f"MLApp {mlapp_id!r} has another model {model_id!r} already, and a model never changes: upload this one under a new id"
    )


def _measure(file: Path) -> tuple[int, str]:
    with file.open("rb") as opened:
        return file.stat().st_size, hashlib.file_digest(opened, "sha256").hexdigest()


def _signature(settings: Settings, announcement: ModelAnnouncement, given: str) -> str:
    """Raises ``ModelFileError`` for a signature that does not fit, ``SignatureError`` for a key that cannot be used."""
    signed = signed_model(announcement)
    if given:
        try:
            signer(signed, given)
        except SignatureError as error:
            raise ModelFileError(f"the signature is refused: {error}") from error
        return given
    key = settings.artifacts.signing_key
    return sign(key, signed) if key else ""


def _announce(settings: Settings, announcement: ModelAnnouncement, who: Author, comment: str) -> None:
    prefix = settings.kafka.topic_prefix
    codec = Codec(make_registry(settings.schema_registry, prefix))
    action = new_action(
        UPLOAD_MODEL,
        announcement.origin.mlapp_id,
        who=who,
        comment=comment,
        node_id=announcement.origin.node_id,
        model_id=announcement.model_id,
        parameters={"file": announcement.file_name, "sha256": announcement.sha256},
    )
    topic = MODELS.full_name(prefix)
    announced = OutgoingRecord(topic, MODELS.key(announcement), codec.encode(announcement))
    write_confirmed(settings, [action_to_send(settings, action, codec), announced])


def _checked(opened: Any, size_bytes: int, sha256: str) -> Iterator[bytes]:
    """Chunks of a file; the last one only when size and digest are right: a download that is cut shows as such."""
    digest, read, held = hashlib.sha256(), 0, b""
    with opened:
        while chunk := opened.read(_CHUNK_BYTES):
            if held:
                yield held
            digest.update(chunk)
            read, held = read + len(chunk), chunk
    if (read, digest.hexdigest()) != (size_bytes, sha256):
        raise ArtifactStoreError(
            f"the artifact store has {read} bytes with SHA-256 {digest.hexdigest()}, not the {size_bytes} bytes with {sha256} "
            "that were published"
        )
    if held:
        yield held


def _of_store(settings: Settings, what: str, error: Exception) -> ArtifactStoreError:
    where = public_artifacts_url(settings.artifacts)
    return ArtifactStoreError(
        f"the artifact store {where!r} {what}: {store_error(settings.artifacts, error)}"
    )
