"""The targets of the notifier's file: reads and checks it, sends to each target, and keeps its secrets out of every text."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.connections.secrets import redacted
from parallelm.definitions.notifications import Checks, parse_notifications
from parallelm.stream_processors.notifications.deliveries import Outcome
from parallelm.stream_processors.notifications.edge.senders import sender_kind
from parallelm.stream_processors.notifications.templates import template_mistake

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parallelm.definitions.notifications import NotificationRules, Receiver, TargetForm
    from parallelm.stream_processors.notifications.edge.senders import Message, Sender

logger = logging.getLogger(__name__)

MAX_ERROR = 500


def read_rules(file: Path, environ: Mapping[str, str] | None) -> NotificationRules:
    """Rules of a notifier's file; raises ``DefinitionError`` with every mistake, and ``OSError``, ``UnicodeDecodeError``.

    With ``environ`` None, variables are not looked up and targets not tried out.
    """
    checks = Checks(template=template_mistake, target=_target_mistake)
    return parse_notifications(file.read_bytes().decode("utf-8-sig"), str(file), environ, checks)


def _target_mistake(form: TargetForm) -> str:
    kind = sender_kind(form)
    return redacted(kind.mistake(form), *kind.secrets(form))


@dataclass(frozen=True, slots=True)
class Target:
    """One target, ready to be sent to."""

    target_id: str
    receiver: Receiver
    sender: Sender
    secrets: tuple[str, ...]

    def send(self, message: Message) -> tuple[Outcome, str]:
        """Send a message; the reason of a failure has no secret in it. Raises nothing."""
        try:
            outcome, error = self.sender.send(message)
        except Exception as failed:  # noqa: BLE001 - whatever a service's client raises must not end the notifier
            outcome, error = Outcome.UNAVAILABLE, f"{type(failed).__name__}: {failed}"
        return outcome, redacted(error, *self.secrets)[:MAX_ERROR]


def make_targets(rules: NotificationRules) -> dict[str, Target]:
    """Every target of a file by its id."""
    return {
        target_id: Target(
            target_id,
            receiver,
            sender_kind(form).make(form),
            (*receiver.secrets, *sender_kind(form).secrets(form)),
        )
        for receiver in rules.receivers.values()
        for target_id, form in receiver.target_ids().items()
    }
