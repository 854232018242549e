"""``email``: a mail over SMTP whose ``Message-ID`` is made of the notification's id."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING

from parallelm.stream_processors.notifications.deliveries import Outcome
from parallelm.stream_processors.notifications.edge.senders import TIMEOUT_S

if TYPE_CHECKING:
    from parallelm.definitions.notifications.targets.email import EmailForm
    from parallelm.stream_processors.notifications.edge.senders import Message

TYPE_NAME = "email"
_PERMANENT = 500


@dataclass(frozen=True, slots=True)
class EmailSender:
    """One mail to all addresses of a target."""

    form: EmailForm

    def send(self, message: Message) -> tuple[Outcome, str]:
        """Send it. Sent once the server has taken it for at least one address; those that it refused are named."""
        try:
            with self._connected() as server:
                refused = server.send_message(self._mail(message), self.form.from_, self.form.to)
        except smtplib.SMTPRecipientsRefused as error:
            return _judged(min(code for code, _ in error.recipients.values())), _refusals(error.recipients)
        except smtplib.SMTPResponseException as error:
            return _judged(
                error.smtp_code
            ), f"the server answered {error.smtp_code} {_text(error.smtp_error)}"
        except smtplib.SMTPNotSupportedError as error:
            return Outcome.REFUSED, str(error)
        except (smtplib.SMTPException, OSError) as error:
            return Outcome.UNAVAILABLE, _reason(error)
        return Outcome.SENT, _refusals(refused) if refused else ""

    def _connected(self) -> smtplib.SMTP:
        form = self.form
        if form.security == "tls":
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(form.host, form.port, timeout=TIMEOUT_S, context=context)
        else:
            server = smtplib.SMTP(form.host, form.port, timeout=TIMEOUT_S)
        try:
            if form.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if form.user:
                server.login(form.user, form.password)
        except BaseException:
            server.close()
            raise
        return server

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["Message-ID"] = f"<{message.notification_id}@{self.form.from_.rpartition('@')[2]}>"
        mail["Subject"] = message.title
        mail["From"] = self.form.from_
        mail["To"] = ", ".join(self.form.to)
        mail["Date"] = formatdate()
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.body)
        return mail


def _judged(code: int) -> Outcome:
    return Outcome.REFUSED if code >= _PERMANENT else Outcome.UNAVAILABLE


def _refusals(refused: dict[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{address}: {code} {_text(said)}" for address, (code, said) in sorted(refused.items()))


def _text(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


class EmailKind:
    """Makes senders of mails."""

    def make(self, form: EmailForm) -> EmailSender:
        """The sender of a target."""
        return EmailSender(form)

    def mistake(self, form: EmailForm) -> str:
        """Why the target cannot be used: a password that would travel in the clear."""
        if form.password and form.security == "none" and form.host not in {"127.0.0.1", "::1", "localhost"}:
            return "with security: none, the password would be readable on its way; use starttls or tls"
        return ""

    def secrets(self, form: EmailForm) -> list[str]:
        """The password."""
        return [form.password] if form.password else []


KIND = EmailKind()
