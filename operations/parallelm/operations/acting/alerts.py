"""Answers to alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from parallelm.operations.acting.calls import path_of, wait_s
from parallelm.operations.acting.choosing import Ways

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.authors import Author
    from parallelm.schemas.records import AlertTransition


@dataclass(frozen=True, slots=True)
class AnsweredAlert:
    """An alert after somebody has answered it."""

    alert_id: str
    rule: str
    state: str
    who: str
    reason: str


class AlertActions(Protocol):
    """``alert`` is an id, or the beginning of one. Raises ``OperationError``."""

    def acknowledge(self, alert: str, *, comment: str, timeout_s: float) -> AnsweredAlert:
        """Say that somebody takes care of a firing alert."""

    def close(self, alert: str, *, comment: str, timeout_s: float) -> AnsweredAlert:
        """End an alert."""


class _Here:
    def __init__(self, settings: Settings, author: Author) -> None:
        self._settings = settings
        self._author = author

    def acknowledge(self, alert: str, *, comment: str, timeout_s: float) -> AnsweredAlert:
        from parallelm.operations.alerts import acknowledge_alert

        return self._answer(acknowledge_alert, alert, comment, timeout_s)

    def close(self, alert: str, *, comment: str, timeout_s: float) -> AnsweredAlert:
        from parallelm.operations.alerts import close_alert

        return self._answer(close_alert, alert, comment, timeout_s)

    def _answer(
        self, act: Callable[..., AlertTransition], alert: str, comment: str, timeout_s: float
    ) -> AnsweredAlert:
        done = act(self._settings, alert, who=self._author, comment=comment, timeout_s=timeout_s)
        return AnsweredAlert(done.alert_id, done.rule, done.state.value, done.who, done.reason)


class _ByServer:
    def __init__(self, server: ServerClient) -> None:
        self._server = server

    def acknowledge(self, alert: str, *, comment: str, timeout_s: float) -> AnsweredAlert:
        return self._answer("acknowledge", alert, comment, timeout_s)

    def close(self, alert: str, *, comment: str, timeout_s: float) -> AnsweredAlert:
        return self._answer("close", alert, comment, timeout_s)

    def _answer(self, action: str, alert: str, comment: str, timeout_s: float) -> AnsweredAlert:
        meant = self._server.get(path_of("alert-ids"), {"prefix": alert})
        done = self._server.post(
            path_of("mlapps", meant["mlapp_id"], "alerts", meant["alert_id"], action),
            params=wait_s(timeout_s),
            json={"comment": comment},
        )
        return AnsweredAlert(*(done[name] for name in ("alert_id", "rule", "state", "who", "reason")))


alert_actions: Final = Ways[AlertActions](_Here, _ByServer)
"""``alert_actions(settings, who)``."""
