"""Errors of operations. Each message says what was wrong, the value, and what to do."""

from __future__ import annotations


class OperationError(Exception):
    """Base of this room's errors."""


class KpiFileError(OperationError):
    """A file as a whole cannot be read as KPI points, or has more than one reading."""


class UnknownTopicError(OperationError):
    """The catalogue has no topic of this name."""


class UnknownFieldError(OperationError):
    """Records of a topic have no such field."""


class UnknownMLAppError(OperationError):
    """No MLApp of this id is defined."""


class InvalidFileError(OperationError):
    """A file is not what it should be; the message holds every mistake with its place."""


class QuestionError(OperationError):
    """A statement cannot be run as written."""


class NoAnswerError(OperationError):
    """No processor has answered an action in time. It is recorded, and is carried out when one runs."""


class NoEffectError(OperationError):
    """The processors have handled an action, and it changed nothing."""


class UnknownAlertError(OperationError):
    """There is no alert of this id, or more than one."""


class AlertNotOpenError(OperationError):
    """An alert cannot be answered in its state: it is over, has not fired yet, or somebody has answered it already."""


class UnknownDeadLetterError(OperationError):
    """There is no dead letter of this id, or more than one."""


class ReplayError(OperationError):
    """Dead letters cannot be answered now."""


class UnknownNodeError(OperationError):
    """The MLApp has no such node, or it consumes no models."""


class UnknownRunError(OperationError):
    """There is no run of this id, or more than one."""


class UnknownModelError(OperationError):
    """The MLApp has no such model, or more than one."""


class UnknownDecisionError(OperationError):
    """There is no alert or deployment of this id, or more than one."""


class AccessError(OperationError):
    """Rights cannot be granted."""


class BackupError(OperationError):
    """A backup cannot be written or restored."""


class ModelDeletedError(OperationError):
    """The model's file was deleted."""


class ModelInUseError(OperationError):
    """A model cannot be deleted: it is live, pending, or a node is pinned to it."""


class ModelExistsError(OperationError):
    """Another model has this id."""


class ModelFileError(OperationError):
    """A file cannot be a model as it was described."""


class ArtifactStoreError(OperationError):
    """The artifact store does not take or give a file."""


class DefinitionChangedError(OperationError):
    """Somebody has applied another version of an MLApp's definition meanwhile."""


class CaptureError(OperationError):
    """A timeline capture cannot be taken, stored or imported."""


class UnknownCaptureError(OperationError):
    """There is no timeline capture of this id, or more than one."""


class CaptureStateError(OperationError):
    """A timeline capture is still being made, has failed, or is gone by the retention."""


class ServerAwayError(OperationError):
    """The server through which commands act does not answer."""


class ServerRefusalError(OperationError):
    """The server has refused a call; the message is in its words."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        """Of HTTP; 0: it was not asked."""


class TokenRefusedError(ServerRefusalError):
    """The server does not know who asks."""


class NotAllowedError(ServerRefusalError):
    """Who asks has no role for it."""


class EraseError(OperationError):
    """Something cannot be erased now, or there is nothing to erase."""


class UnknownAgentError(OperationError):
    """No agent of this name has registered."""
