"""Senders, one file for each kind of target. Adding a kind is adding its form in ``definitions`` and a file here."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from parallelm.definitions.notifications import TargetForm
    from parallelm.stream_processors.notifications.deliveries import Outcome

TIMEOUT_S = 10.0
"""For connecting, and for each answer."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent."""

    notification_id: str
    """The same when it is sent again, so that a receiver can drop a repeat."""
    title: str
    body: str
    payload: dict[str, Any]
    status: str


class Sender(Protocol):
    """Sends to one target; used by one thread at a time."""

    def send(self, message: Message) -> tuple[Outcome, str]:
        """How it went, and why where it failed. Raises nothing that it can foresee."""


class SenderKind(Protocol):
    """A kind of target."""

    def make(self, form: Any) -> Sender:
        """The sender of a target."""

    def mistake(self, form: Any) -> str:
        """Why a target cannot be used, or an empty text. The notifier's file is refused then."""

    def secrets(self, form: Any) -> list[str]:
        """Texts of a target that must not be shown."""


def _found() -> dict[str, SenderKind]:
    modules = [importlib.import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
    return {module.TYPE_NAME: module.KIND for module in modules}


def sender_kind(form: TargetForm) -> SenderKind:
    """The kind of a target's form."""
    return _KINDS[form.type_name]


_KINDS = _found()
