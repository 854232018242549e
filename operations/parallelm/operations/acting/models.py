"""Decisions on models, and their files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from parallelm.operations.acting.calls import path_of, wait_s
from parallelm.operations.acting.choosing import Ways
from parallelm.operations.errors import NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author
    from parallelm.operations.model_files import NewModel

_UPLOAD_S: Final = 3600.0
"""For the server to put a large file into the artifact store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is decided, about which model and node; empty: as ``mcenter models`` says."""

    action: str
    mlapp_id: str
    model_id: str = ""
    """An id, or the beginning of one."""
    node_id: str = ""
    comment: str = ""
    event_time: str | None = None
    """None: now."""


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """What followed on one node."""

    node_id: str
    model_id: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class UploadedModel:
    """A model that was announced."""

    model_id: str
    size_bytes: int
    sha256: str
    is_signed: bool


@dataclass(frozen=True, slots=True)
class DeletedModel:
    """A model whose file is gone."""

    model_id: str
    reason: str


class ModelActions(Protocol):
    """Raises ``OperationError``."""

    def decide(self, decision: Decision, *, timeout_s: float) -> Sequence[NodeAnswer]:
        """Approve, reject, deploy, roll back, pin or unpin; a refusal is an answer in state ``refused``."""

    def upload(self, mlapp_id: str, file: Path, model: NewModel, *, comment: str) -> UploadedModel:
        """Upload a model."""

    def delete(self, mlapp_id: str, model: str, *, comment: str, timeout_s: float) -> DeletedModel:
        """Remove the file of a model; ``model`` is an id or the beginning of one."""


class _Here:
    def __init__(self, settings: Settings, author: Author) -> None:
        self._settings = settings
        self._author = author

    def decide(self, decision: Decision, *, timeout_s: float) -> Sequence[NodeAnswer]:
        from parallelm.operations.models import decide
        from parallelm.schemas.times import range_ms

        answers = decide(
            self._settings,
            decision.action,
            decision.mlapp_id,
            who=self._author,
            comment=decision.comment,
            node_id=decision.node_id,
            model_id=self._in_full(decision.mlapp_id, decision.model_id),
            event_time_ms=range_ms(decision.event_time, None)[0],
            timeout_s=timeout_s,
        )
        return [NodeAnswer(each.node_id, each.model_id, each.state.value, each.reason) for each in answers]

    def upload(self, mlapp_id: str, file: Path, model: NewModel, *, comment: str) -> UploadedModel:
        from parallelm.operations.model_files import upload_model

        made = upload_model(self._settings, mlapp_id, file, model, who=self._author, comment=comment)
        return UploadedModel(made.model_id, made.size_bytes, made.sha256, bool(made.signature))

    def delete(self, mlapp_id: str, model: str, *, comment: str, timeout_s: float) -> DeletedModel:
        from parallelm.operations.model_files import delete_model

        model_id = self._in_full(mlapp_id, model)
        answer = delete_model(
            self._settings, mlapp_id, model_id, who=self._author, comment=comment, timeout_s=timeout_s
        )
        return DeletedModel(model_id, answer.reason)

    def _in_full(self, mlapp_id: str, model: str) -> str:
        from parallelm.operations.models import resolve_model

        return resolve_model(self._settings, mlapp_id, model) if model else ""


class _ByServer:
    def __init__(self, server: ServerClient) -> None:
        self._server = server

    def decide(self, decision: Decision, *, timeout_s: float) -> Sequence[NodeAnswer]:
        wanted = {
            "action": decision.action,
            "model_id": self._in_full(decision.mlapp_id, decision.model_id),
            "node_id": decision.node_id,
            "comment": decision.comment,
            "event_time": decision.event_time,
        }
        found = self._server.post(
            path_of("mlapps", decision.mlapp_id, "decisions"), params=wait_s(timeout_s), json=wanted
        )
        if not found["answers"]:
            raise NoAnswerError(found["message"])
        return [_answer(each) for each in found["answers"]]

    def upload(self, mlapp_id: str, file: Path, model: NewModel, *, comment: str) -> UploadedModel:
        fields = {
            "name": model.name,
            "format": model.format,
            "description": model.description,
            "node_id": model.node_id,
            "annotations": json.dumps(dict(model.annotations)),
            "model_id": model.model_id,
            "signature": model.signature,
            "comment": comment,
        }
        with file.open("rb") as opened:
            made = self._server.post(
                path_of("mlapps", mlapp_id, "models"),
                data=fields,
                files={"file": (model.file_name, opened)},
                answer_s=_UPLOAD_S,
            )
        return UploadedModel(made["model_id"], made["size_bytes"], made["sha256"], bool(made["signature"]))

    def delete(self, mlapp_id: str, model: str, *, comment: str, timeout_s: float) -> DeletedModel:
        gone = self._server.delete(
            path_of("mlapps", mlapp_id, "models", self._in_full(mlapp_id, model)),
            {"comment": comment, **wait_s(timeout_s)},
        )
        return DeletedModel(gone["model_id"], gone["reason"])

    def _in_full(self, mlapp_id: str, model: str) -> str:
        if not model:
            return ""
        found = self._server.get(path_of("mlapps", mlapp_id, "model-ids"), {"prefix": model})
        return str(found["model_id"])


def _answer(found: dict[str, Any]) -> NodeAnswer:
    return NodeAnswer(found["node_id"], found["model_id"], found["state"], found["reason"])


model_actions: Final = Ways[ModelActions](_Here, _ByServer)
"""``model_actions(settings, who)``."""
