"""``apprise``: any service that Apprise knows. It says only whether it worked; why not is in its log lines."""

from __future__ import annotations

import logging
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

with warnings.catch_warnings():
    # Before Python 3.13 it imports a deprecated module, for every kind of URL.
    warnings.simplefilter("ignore", DeprecationWarning)
    import apprise
    import apprise.utils.pgp

from parallelm.stream_processors.notifications.deliveries import Outcome

if TYPE_CHECKING:
    from parallelm.definitions.notifications.targets.apprise import AppriseForm
    from parallelm.stream_processors.notifications.edge.senders import Message

TYPE_NAME = "apprise"
_LEAST_SECRET = 4
_TYPES = {
    "firing": apprise.NotifyType.WARNING,
    "resolved": apprise.NotifyType.SUCCESS,
    "event": apprise.NotifyType.INFO,
}


class _LinesOfThisThread(logging.Handler):
    """Collects Apprise's warnings of the thread that made it."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line of a record."""
        if record.thread == self._thread:
            self.lines.append(record.getMessage())


_LOGGER = logging.getLogger("apprise")
_LOGGER.propagate = False  # its lines may hold parts of URLs: they are shown as errors of deliveries, masked


@dataclass(frozen=True, slots=True)
class AppriseSender:
    """Sends with a service of its own each time, which carries the notification's id where it can carry headers."""

    form: AppriseForm

    def send(self, message: Message) -> tuple[Outcome, str]:
        """Send it. Apprise does not tell a refusal from an absence: both are tried again."""
        service = _service(self.form)
        if service is None:
            return Outcome.REFUSED, "Apprise does not understand the URL"
        if isinstance(getattr(service, "headers", None), dict):
            service.headers["Idempotency-Key"] = message.notification_id
        handler = _LinesOfThisThread()
        _LOGGER.addHandler(handler)
        try:
            worked = service.notify(
                body=message.body,
                title=message.title,
                notify_type=_TYPES[message.status],
                body_format=apprise.NotifyFormat.TEXT,
            )
        except (OSError, TypeError, ValueError) as error:
            return Outcome.UNAVAILABLE, f"{type(error).__name__}: {error}"
        finally:
            _LOGGER.removeHandler(handler)
        if worked:
            return Outcome.SENT, ""
        return Outcome.UNAVAILABLE, " ".join(handler.lines) or "Apprise could not send it"


def _service(form: AppriseForm) -> Any:
    return apprise.Apprise.instantiate(form.url, suppress_exceptions=True)


class AppriseKind:
    """Makes senders of Apprise's services."""

    def make(self, form: AppriseForm) -> AppriseSender:
        """The sender of a target."""
        return AppriseSender(form)

    def mistake(self, form: AppriseForm) -> str:
        """Why the URL cannot be used."""
        if _service(form) is None:
            return "Apprise does not understand the URL; see the page of the service in its documentation"
        return ""

    def secrets(self, form: AppriseForm) -> list[str]:
        """The URL and all its parts: any of them may be a token."""
        parts = urlsplit(form.url)
        pieces = (form.url, parts.netloc, parts.username or "", parts.password or "", *parts.path.split("/"))
        values = (piece.partition("=")[2] for piece in parts.query.split("&"))
        found = [piece for piece in (*pieces, *values) if len(piece) >= _LEAST_SECRET]
        return [text for each in found for text in (each, unquote(each))]


KIND = AppriseKind()
